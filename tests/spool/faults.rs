//! Goal: whatever call of the disk fails, and whenever a disk fills, complete parts are what they
//! were, and nothing is left behind.
//!
//! Method: one scenario of everything a spool does with a disk, in which every call of the
//! simulated disk fails in turn, once or from then on; after each step the parts are read again.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use ringkeep::{Crash, Error, SimDisk, Spool, SpoolOptions};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const OUTPUT: &str = "/sim/output";
const LEFTOVER: &str = "/sim/output.ringkeep-new";
const KEPT: &str = "/sim/kept";

fn bytes(part: u64) -> Vec<u8> {
    let length = 700 + usize::try_from(part).expect("a small number") * 10;
    (0..length).map(|at| at.to_le_bytes()[0] ^ part.to_le_bytes()[0]).collect()
}

/// No memory: every part goes to the disk when it is complete.
fn options(disk: &SimDisk) -> SpoolOptions {
    SpoolOptions::new().memory_bytes(0).on(disk)
}

/// What became of the steps of a scenario.
#[derive(Debug, Default)]
struct Seen {
    no_space: u64,
    puts: u64,
    large: u64,
    reads: u64,
    merges: u64,
    drains: u64,
    resumes: u64,
    unread: u64,
}

/// What fails, and of which spool.
#[derive(Debug, Clone, Copy)]
struct Kind {
    is_kept: bool,
    for_good: bool,
    code: i32,
}

struct Trial<'a> {
    disk: &'a SimDisk,
    spool: Spool,
    is_kept: bool,
    model: BTreeMap<u64, Vec<u8>>,
    seen: &'a mut Seen,
    hits: u64,
    for_good: bool,
}

impl Trial<'_> {
    /// An operation failed; what was there is there.
    fn judge(&mut self, error: &Error) {
        assert!(
            matches!(error, Error::Io { .. } | Error::NoSpace { .. }),
            "{error:?}: a failed call is no other error"
        );
        self.seen.no_space += u64::from(matches!(error, Error::NoSpace { .. }));
        self.hits += self.disk.mend_calls();
        assert!(self.hits > 0, "{error:?} without a cause");
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.spool.stats().parts_ready, self.model.len() as u64);
        for (&part, expected) in &self.model {
            let reader = self.spool.reader(part).expect("it is ready");
            let found: Result<Vec<u8>, _> = reader.bytes().collect();
            assert!(found.expect("it can be read") == *expected, "{part}");
        }
    }

    fn put(&mut self, part: u64, bytes: &[u8]) {
        match self.spool.put(part, bytes) {
            Ok(()) => {
                self.model.insert(part, bytes.to_vec());
            }
            Err(error) => {
                self.seen.puts += 1;
                self.judge(&error);
            }
        }
    }

    /// A part of several pieces, whose writes are tried again.
    fn write(&mut self, part: u64) {
        let mut writer = self.spool.part(part).expect("it can come");
        let all = bytes(part).repeat(200);
        let mut rest = &all[..];
        while !rest.is_empty() {
            match writer.write(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(error) => {
                    self.seen.large += 1;
                    self.judge(&error.downcast().expect("an error of the library"));
                }
            }
        }
        if let Err(failed) = writer.commit() {
            self.judge(&failed.source);
            failed.writer.commit().expect("nothing fails any more");
        }
        self.model.insert(part, all);
    }

    fn read(&mut self) {
        for (&part, expected) in &self.model {
            let mut found = Vec::new();
            let read = self.spool.reader(part).expect("it is ready").read_to_end(&mut found);
            if let Err(error) = read {
                self.seen.reads += 1;
                self.judge(&error.downcast().expect("an error of the library"));
                return;
            }
            assert!(found == *expected);
        }
    }

    fn merge(&mut self) {
        self.spool.finish(4).expect("there are no others");
        for part in self.spool.missing().collect::<Vec<_>>() {
            self.put(part, b"late");
        }
        if self.spool.missing().next().is_some() {
            return;
        }
        let all: Vec<u8> = self.model.values().flatten().copied().collect();
        let mut found = Vec::new();
        match self.spool.merge_into(&mut found) {
            Ok(_) => assert!(found == all),
            Err(error) => self.judge(&error),
        }
        let names = || self.disk.contents().into_iter().map(|(path, _)| path);
        let is_there = |name: &str| names().any(|path| path == Path::new(name));
        match self.spool.merge_to_file(OUTPUT) {
            Ok(_) => {
                let files: BTreeMap<_, _> = self.disk.contents().into_iter().collect();
                assert!(files[Path::new(OUTPUT)] == all && !is_there(LEFTOVER));
                self.model.clear();
                self.check();
            }
            Err(error) => {
                // What could not be removed has the other name.
                let (is_whole, is_left) = (is_there(OUTPUT), is_there(LEFTOVER));
                assert!(!(is_whole || is_left) || self.for_good, "{error:?}");
                self.seen.merges += 1;
                self.judge(&error);
            }
        }
    }

    /// Takes out so many parts, if there are as many.
    fn drain(&mut self, count: usize) {
        let spool = self.spool.clone();
        let mut drain = spool.drain().expect("nobody else drains");
        for _ in 0..count.min(self.model.len()) {
            let (next, expected) = self.model.pop_first().expect("there are more");
            let mut part = drain.next_part().expect("it is there").expect("it is there");
            assert_eq!(part.part(), next);
            let mut found = Vec::new();
            if let Err(error) = part.read_to_end(&mut found) {
                self.seen.drains += 1;
                self.judge(&error.downcast().expect("an error of the library"));
                part.read_to_end(&mut found).expect("nothing fails any more");
            }
            assert!(found == expected);
        }
    }

    fn resume(&mut self) {
        if !self.is_kept {
            return;
        }
        self.spool = Spool::new();
        match options(self.disk).resume(KEPT) {
            Ok(spool) => {
                // A sector that cannot be read costs its part.
                for part in spool.resumed().damaged {
                    self.model.remove(&part);
                    self.seen.unread += 1;
                }
                self.spool = spool;
            }
            Err(error) => {
                self.seen.resumes += 1;
                self.spool = options(self.disk).build();
                self.hits += self.disk.mend_calls();
                assert!(matches!(error, Error::Io { .. } | Error::NoSpace { .. }), "{error:?}");
                self.spool = options(self.disk).resume(KEPT).expect("nothing fails any more");
                self.check();
            }
        }
    }
}

/// How many calls failed.
fn scenario(seen: &mut Seen, kind: Kind, after: u64) -> u64 {
    let Kind { is_kept, for_good, code } = kind;
    let disk = SimDisk::reliable(after);
    let options = options(&disk);
    let spool = if is_kept { options.resume(KEPT).expect("a spool") } else { options.build() };
    disk.fail_a_call(after, for_good, code);
    let model = BTreeMap::new();
    let mut trial = Trial { disk: &disk, spool, is_kept, model, seen, hits: 0, for_good };
    for part in [3, 0, 1] {
        trial.put(part, &bytes(part));
    }
    trial.write(2);
    trial.put(1, b"once more");
    trial.read();
    trial.resume();
    trial.read();
    let first = *trial.model.keys().next().unwrap_or(&0);
    if first == 0 {
        trial.drain(1);
    }
    trial.merge();
    trial.drain(usize::MAX);
    trial.hits += disk.mend_calls();
    let hits = trial.hits;
    trial.spool.discard().expect("nothing fails any more");
    drop(trial);
    assert!(disk.unnamed_files().is_empty());
    let left: Vec<_> = disk.contents().into_iter().map(|(path, _)| path).collect();
    assert!(left.iter().all(|path| path.starts_with("/sim/output") || hits > 0), "{left:?}");
    assert!(!left.contains(&PathBuf::from(KEPT)), "{left:?}");
    hits
}

#[test]
fn every_call_that_fails_leaves_complete_parts_as_they_were() {
    let mut seen = Seen::default();
    for is_kept in [false, true] {
        for (for_good, code) in [(false, EIO), (true, EIO), (false, ENOSPC), (true, ENOSPC)] {
            let kind = Kind { is_kept, for_good, code };
            let hits = (0..).take_while(|&after| scenario(&mut seen, kind, after) > 0);
            let calls = hits.count();
            assert!(calls > 40, "{calls}");
        }
    }
    let Seen { no_space, puts, large, reads, merges, drains, resumes, unread } = seen;
    let counts = [no_space, puts, large, reads, merges, drains, resumes, unread];
    assert!(counts.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn a_disk_that_fills_costs_only_what_was_not_complete() {
    let disk = SimDisk::reliable(1);
    let spool = options(&disk).build();
    for part in 0..5 {
        spool.put(part, &bytes(part)).expect("there is room");
    }
    let mut writer = spool.part(5).expect("it can come");
    writer.write_all(&bytes(5)).expect("it is in memory");
    disk.fill_up();
    let refused = spool.put(6, &vec![7; 300_000]).expect_err("the disk is full");
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused:?}");
    let refused = writer.write_all(&vec![7; 300_000]).expect_err("the disk is full");
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    spool.finish(5).expect_err("there are more");
    assert_eq!(spool.missing().collect::<Vec<_>>(), [5]);
    let refused = spool.merge_to_file(OUTPUT).expect_err("the spool is not finished");
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused:?}");
    assert!(disk.contents().is_empty());
    drop(writer);
    spool.finish(5).expect("there are no more");
    let mut found = Vec::new();
    spool.merge_into(&mut found).expect("all are there");
    assert!(found == (0..5).flat_map(bytes).collect::<Vec<_>>());
}

/// A process ends while it commits, drains and merges; what the next one finds.
fn ended_after(crash: Crash, steps: u64) -> bool {
    let disk = SimDisk::new(steps, 512);
    let before = options(&disk).resume(KEPT).expect("a spool");
    before.put(0, &bytes(0)).expect("there is room");
    disk.arm(crash, steps);
    let mut committed = vec![0];
    for part in [2, 1, 3] {
        if before.put(part, &bytes(part)).is_ok() {
            committed.push(part);
        }
    }
    let mut drained = 0;
    if let Ok(mut drain) = before.drain() {
        while drained < 2 && before.state(drained) == ringkeep::PartState::Ready {
            let mut part = drain.next_part().expect("it is ready").expect("it is ready");
            if part.read_to_end(&mut Vec::new()).is_err() {
                break;
            }
            drop(part);
            drained += 1;
        }
    }
    let fired = disk.disarm().is_some();
    match crash {
        Crash::Kill => disk.kill(),
        Crash::Cut => disk.cut_power(),
    }
    let disk = disk.other_process();
    let after = options(&disk).resume(KEPT).expect("it can be opened in any case");
    let resumed = after.resumed();
    if crash == Crash::Kill {
        assert!(resumed.damaged.is_empty(), "after {steps}: what is complete outlives a process");
        for part in committed.into_iter().filter(|&part| part >= drained) {
            assert_eq!(after.state(part), ringkeep::PartState::Ready, "{part} after {steps}");
        }
    }
    for part in 0..4 {
        if let Ok(mut reader) = after.reader(part) {
            let mut found = Vec::new();
            reader.read_to_end(&mut found).expect("it was checked");
            assert!(found == bytes(part), "{part} after {steps}");
        }
        let _ = after.put(part, &bytes(part));
    }
    after.finish(4).expect("there are four");
    after.merge_to_file(OUTPUT).expect("all are there");
    after.discard().expect("they are there");
    assert_eq!(disk.contents().len(), 1);
    fired
}

/// A process ends while it makes a spool; the next one can.
fn begun_after(crash: Crash, steps: u64) -> bool {
    let disk = SimDisk::new(steps, 512);
    disk.arm(crash, steps);
    let begun = options(&disk).tag("a tag").resume(KEPT).and_then(|spool| spool.put(0, b"bytes"));
    let fired = disk.disarm().is_some();
    match crash {
        Crash::Kill => disk.kill(),
        Crash::Cut => disk.cut_power(),
    }
    let spool = options(&disk.other_process()).tag("a tag").resume(KEPT).expect("it can be made");
    let resumed = spool.resumed();
    assert!(begun.is_err() || crash == Crash::Cut || resumed.parts == 1, "{steps}: {resumed:?}");
    spool.put(0, b"bytes").expect("there is room");
    fired
}

#[test]
fn a_spool_can_be_made_whenever_the_process_ended_that_made_it_before() {
    for crash in [Crash::Kill, Crash::Cut] {
        let mut fired = 0;
        while begun_after(crash, fired + 1) {
            fired += 1;
        }
        assert!(fired > 30, "{crash:?}: {fired}");
    }
}

#[test]
fn a_spool_that_outlives_its_process_can_go_on_whenever_that_ends() {
    for crash in [Crash::Kill, Crash::Cut] {
        let mut fired = 0;
        while ended_after(crash, fired + 1) {
            fired += 1;
        }
        assert!(fired > 200, "{crash:?}: {fired}");
    }
}
