//! Goal: whatever call of the disk fails, and whenever a disk fills, a vector keeps what it had.
//!
//! Method: one scenario of everything a vector does with a disk, in which every call of the
//! simulated disk fails in turn, once or from then on; after each step the vector is read again.

use ringkeep::{
    Bytes, Compression, Crash, Error, SimDisk, SpillVec, SpillVecError, SpillVecOptions,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const PATH: &str = "/sim/frozen";
const LEFTOVER: &str = "/sim/frozen.ringkeep-new";

type Vector = SpillVec<Vec<u8>, Bytes>;

fn item(number: u32) -> Vec<u8> {
    let mut item = vec![number.to_le_bytes()[0]; 90];
    item[..4].copy_from_slice(&number.to_be_bytes());
    item
}

fn options(disk: &SimDisk) -> SpillVecOptions<Bytes> {
    SpillVecOptions::new(Bytes).memory_bytes(50_000).frame_bytes(1_000).on(disk)
}

/// What became of the steps of a scenario.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    failed: u64,
    no_space: u64,
    pushes: u64,
    spills: u64,
    sorts: u64,
    truncations: u64,
    frozen: u64,
    read: u64,
}

/// A vector that is worked on while calls fail, and what it has to hold.
struct Trial<'a> {
    disk: &'a SimDisk,
    vec: Vector,
    model: Vec<Vec<u8>>,
    seen: &'a mut Seen,
    hits: u64,
    for_good: bool,
}

impl Trial<'_> {
    /// What failed, if it did; what the vector holds is what it has to hold.
    fn judge(&mut self, error: Option<&Error>) {
        if let Some(error) = error {
            assert!(
                matches!(error, Error::Io { .. } | Error::NoSpace { .. }),
                "{error:?}: a failed call is no other error"
            );
            self.seen.failed += 1;
            self.seen.no_space += u64::from(matches!(error, Error::NoSpace { .. }));
            self.hits += self.disk.mend_calls();
            assert!(self.hits > 0, "{error:?} without a cause");
        }
        assert_eq!(self.vec.len(), self.model.len());
        if error.is_some() {
            let items = self.vec.iter().map(|item| item.expect("it can be read").to_vec());
            assert!(items.eq(self.model.iter().cloned()));
        }
    }

    fn push(&mut self, count: u32) {
        for number in 0..count {
            match self.vec.push(item(number)) {
                Ok(()) => {
                    self.model.push(item(number));
                }
                Err(refused) => {
                    assert_eq!(refused.item, Some(item(number)));
                    self.seen.pushes += 1;
                    self.judge(Some(&refused.source));
                }
            }
        }
    }

    fn spill(&mut self) {
        let result = self.vec.spill();
        self.seen.spills += u64::from(result.is_err());
        self.judge(result.err().as_ref());
    }

    fn read(&mut self) {
        for index in [0, self.model.len() / 2, self.model.len() - 1] {
            let read = self.vec.get(index).map(|found| found.as_deref().cloned());
            match read {
                Ok(found) => assert_eq!(found.as_ref(), self.model.get(index)),
                Err(error) => {
                    self.seen.read += 1;
                    self.judge(Some(&error));
                }
            }
        }
        let mut found = self.vec.iter();
        let failed = found.find_map(Result::err);
        assert!(found.next().is_none());
        drop(found);
        self.judge(failed.as_ref());
    }

    fn sort(&mut self) {
        let empty = options(self.disk).build().expect("a vector");
        let vec = std::mem::replace(&mut self.vec, empty);
        match vec.sorted_by_key(|item| item[4]) {
            Ok(sorted) => {
                self.vec = sorted;
                self.model.sort_by_key(|item| item[4]);
                self.judge(None);
            }
            Err(SpillVecError { vec, source }) => {
                self.vec = *vec;
                self.seen.sorts += 1;
                self.judge(Some(&source));
            }
        }
    }

    fn truncate(&mut self, len: usize) {
        let result = self.vec.truncate(len);
        if result.is_ok() {
            self.model.truncate(len);
        }
        self.seen.truncations += u64::from(result.is_err());
        self.judge(result.err().as_ref());
    }

    fn persist(&mut self) {
        let result = self.vec.persist(PATH).and_then(|()| {
            let frozen = options(self.disk).open_frozen::<Vec<u8>>(PATH)?;
            frozen.iter().try_fold(0, |count, item| item.map(|_| count + 1))
        });
        if let Err(error) = &result {
            self.seen.frozen += 1;
            self.judge(Some(error));
        } else {
            assert_eq!(result.ok(), Some(self.model.len()));
        }
        // Either there is all of it, or nothing; what could not be removed has another name.
        let names: Vec<_> = self.disk.contents().into_iter().map(|(path, _)| path).collect();
        let is_all = |name: &str| names == [std::path::Path::new(name)];
        let is_left = self.for_good && is_all(LEFTOVER);
        assert!(names.is_empty() || is_all(PATH) || is_left, "{names:?}");
    }
}

/// How many calls failed.
fn scenario(seen: &mut Seen, after: u64, for_good: bool, code: i32) -> u64 {
    let disk = SimDisk::reliable(after);
    let vec = options(&disk).build_exact().expect("a vector");
    disk.fail_a_call(after, for_good, code);
    let mut trial = Trial { disk: &disk, vec, model: Vec::new(), seen, hits: 0, for_good };
    trial.push(900);
    trial.push(800);
    trial.read();
    trial.sort();
    trial.persist();
    trial.truncate(700);
    trial.push(50);
    trial.spill();
    trial.read();
    trial.hits += disk.mend_calls();
    trial.judge(None);
    trial.persist_again();
    let (model, hits) = (std::mem::take(&mut trial.model), trial.hits);
    let items = trial.vec.into_iter().map(|item| item.expect("it can be read"));
    assert!(items.eq(model));
    assert!(disk.unnamed_files().is_empty());
    hits
}

impl Trial<'_> {
    /// Nothing of an earlier failure is in the way.
    fn persist_again(&mut self) {
        let path = "/sim/again";
        self.vec.persist(path).expect("nothing fails any more");
        let frozen = options(self.disk).open_frozen::<Vec<u8>>(path).expect("it is whole");
        assert!(frozen.iter().map(|item| item.expect("whole")).eq(self.model.iter().cloned()));
    }
}

#[test]
fn every_call_that_fails_leaves_the_vector_as_it_was() {
    let mut seen = Seen::default();
    for (for_good, code) in [(false, EIO), (true, EIO), (false, ENOSPC), (true, ENOSPC)] {
        let hits = (0..).take_while(|&after| scenario(&mut seen, after, for_good, code) > 0);
        let calls = hits.count();
        assert!(calls > 80, "{calls}");
    }
    let kinds = [seen.pushes, seen.spills, seen.sorts, seen.truncations, seen.frozen, seen.read];
    assert!(kinds.into_iter().all(|count| count > 0), "{seen:?}");
    assert!(seen.failed > 300 && seen.no_space > 10, "{seen:?}");
}

#[test]
fn a_disk_that_fills_is_told_by_push_sort_and_persist_and_costs_nothing() {
    let disk = SimDisk::reliable(1);
    let mut vec = options(&disk).build_exact().expect("a vector");
    vec.try_extend((0..3_000).map(item)).expect("there is room");
    assert!(vec.is_spilled());
    disk.fill_up();
    let refused = vec.try_extend((3_000..).map(item)).expect_err("the disk is full");
    assert!(matches!(*refused.source, Error::NoSpace { .. }), "{refused:?}");
    let number = u32::try_from(vec.len()).expect("a small number");
    assert_eq!(refused.item, Some(item(number)));
    let refused = vec.persist(PATH).expect_err("the disk is full");
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused:?}");
    assert_eq!(disk.contents(), []);
    let refused = vec.sorted_by(|one, other| other.cmp(one)).expect_err("the disk is full");
    assert!(matches!(*refused.source, Error::NoSpace { .. }), "{refused:?}");
    assert_eq!(disk.unnamed_files().len(), 1);
    let items = refused.vec.into_iter().map(|item| item.expect("it can be read"));
    assert!(items.eq((0..number).map(item)));
}

#[test]
fn a_disk_that_is_full_from_the_start_leaves_all_items_in_memory() {
    let disk = SimDisk::reliable(1);
    disk.fill_up();
    let mut vec = options(&disk).build_exact().expect("a vector");
    let refused = vec.try_extend((0..).map(item)).expect_err("the disk is full");
    assert!(matches!(*refused.source, Error::NoSpace { .. }), "{refused:?}");
    let number = u32::try_from(vec.len()).expect("a small number");
    assert!((300..800).contains(&number), "{number} fit 50 kB and a run");
    for _ in 0..3 {
        assert!(vec.push(item(number)).is_err() && vec.spill().is_err());
        let items = vec.iter().map(|item| item.expect("it can be read").to_vec());
        assert!(items.eq((0..number).map(item)));
    }
}

/// Ends while a process writes a file, at any step; what there is then is nothing or all of it.
fn persisted_through(crash: Crash, seed: u64, steps: u64) -> (bool, bool) {
    let disk = SimDisk::new(seed, 512);
    let mut vec = options(&disk).memory_bytes(0).compression(Compression::Lz4).build();
    let vec = vec.as_mut().expect("a vector");
    vec.try_extend((0..40).map(item)).expect("there is room");
    disk.arm(crash, steps);
    let returned = vec.persist(PATH).is_ok();
    let fired = disk.disarm().is_some();
    match crash {
        Crash::Kill => disk.kill(),
        Crash::Cut => disk.cut_power(),
    }
    let next = disk.other_process();
    let opened = options(&next).open_frozen::<Vec<u8>>(PATH);
    let is_there = opened.is_ok();
    match opened {
        Ok(frozen) => {
            assert!(frozen.iter().map(|item| item.expect("it is whole")).eq((0..40).map(item)));
        }
        Err(error) => {
            assert!(!returned && matches!(error, Error::Io { .. }), "{error:?} after {steps}");
            let mut again = options(&next).build().expect("a vector");
            again.try_extend((0..9).map(item)).expect("there is room");
            again.persist(PATH).expect("a leftover is in nobody's way");
            let frozen = options(&next).open_frozen::<Vec<u8>>(PATH).expect("it is whole");
            assert!(frozen.iter().map(|item| item.expect("whole")).eq((0..9).map(item)));
        }
    }
    (fired, is_there)
}

#[test]
fn a_frozen_file_is_there_whole_or_not_at_all_whenever_its_writer_ends() {
    for crash in [Crash::Kill, Crash::Cut] {
        let (mut whole, mut none) = (0, 0);
        for steps in 1.. {
            let (fired, is_there) = persisted_through(crash, steps, steps);
            whole += u64::from(is_there);
            none += u64::from(!is_there);
            if !fired {
                assert!(is_there);
                break;
            }
        }
        assert!(whole > 1 && none > 100, "{crash:?}: {whole}, {none}");
    }
}
