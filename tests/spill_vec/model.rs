//! Goal: whatever is done to a vector, it holds what a `Vec` would, in memory and on the disk.
//!
//! Method: random sequences of every operation, each with a vector that stays in memory, one that
//! moves to the disk early, and one that compresses there. All of them are held against the same
//! `Vec`.

use ringkeep::{Bytes, Compression, SpillVec, SpillVecOptions};

const SEQUENCES: u64 = 5_000;

type Vector = SpillVec<Vec<u8>, Bytes>;

#[derive(Debug, Default)]
struct Seen {
    spilled: u64,
    in_frames: u64,
    both: u64,
    sorted: u64,
    sorted_on_disk: u64,
    truncated: u64,
    cleared: u64,
    taken: u64,
    persisted: u64,
}

struct Driver {
    random: fastrand::Rng,
    options: SpillVecOptions<Bytes>,
    vec: Vector,
    model: Vec<Vec<u8>>,
}

impl Driver {
    fn new(seed: u64, directory: &std::path::Path) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let (memory_bytes, compression) = match seed % 3 {
            0 => (u64::MAX, Compression::None),
            1 => (random.u64(..30_000), Compression::None),
            _ => (random.u64(..30_000), Compression::Lz4),
        };
        let options = SpillVecOptions::new(Bytes)
            .memory_bytes(memory_bytes)
            .compression(compression)
            .frame_bytes(random.usize(..10_000))
            .directory(directory);
        let vec = if random.bool() { options.build_exact() } else { options.build() };
        Self { random, options, vec: vec.expect("a vector"), model: Vec::new() }
    }

    fn item(&mut self) -> Vec<u8> {
        let length = match self.random.u8(..40) {
            0 => 0,
            1 => self.random.usize(..20_000),
            _ => self.random.usize(..400),
        };
        let byte = self.random.u8(..16);
        (0..length).map(|at| if at % 7 == 0 { self.random.u8(..) } else { byte }).collect()
    }

    fn push(&mut self) {
        let items: Vec<_> = (0..self.random.usize(1..20)).map(|_| self.item()).collect();
        self.model.extend(items.iter().cloned());
        self.vec.try_extend(items).expect("there is room");
    }

    fn range(&mut self) -> std::ops::Range<usize> {
        let begin = self.random.usize(..=self.model.len());
        begin..self.random.usize(begin..=self.model.len())
    }

    fn look(&mut self) {
        let len = self.model.len();
        assert_eq!((self.vec.len(), self.vec.is_empty()), (len, len == 0));
        for index in [self.random.usize(..=len), self.random.usize(..=len), len.saturating_sub(1)] {
            let found = self.vec.get(index).expect("it can be read");
            assert_eq!(found.as_deref(), self.model.get(index), "{index}");
            let length = self.vec.with(index, Vec::len).expect("it can be read");
            assert_eq!(length, self.model.get(index).map(Vec::len));
        }
        let range = self.range();
        let mut expected = self.model[range.clone()].iter();
        let mut found = self.vec.range(range);
        loop {
            assert_eq!(found.len(), expected.len());
            let (one, other) = match self.random.u8(..8) {
                0 => {
                    let count = self.random.usize(..5);
                    (found.nth(count), expected.nth(count))
                }
                1..4 => (found.next_back(), expected.next_back()),
                _ => (found.next(), expected.next()),
            };
            let one = one.transpose().expect("it can be read");
            assert_eq!(one.as_deref(), other);
            if one.is_none() {
                break;
            }
        }
    }

    /// Replaces the vector by what `change` makes of it.
    fn replace<R>(&mut self, change: impl FnOnce(Vector) -> (Vector, R)) -> R {
        let empty = self.options.build().expect("a vector");
        let (vec, result) = change(std::mem::replace(&mut self.vec, empty));
        self.vec = vec;
        result
    }

    fn sort(&mut self, seen: &mut Seen) {
        let first = |item: &Vec<u8>| item.get(1).map(|byte| byte % 8);
        self.model.sort_by_key(first);
        let sorted = |vec: Vector| (vec.sorted_by_key(first).expect("there is room"), ());
        self.replace(sorted);
        seen.sorted += 1;
        seen.sorted_on_disk += u64::from(self.vec.is_spilled());
    }

    fn persist(&mut self, directory: &std::path::Path) {
        let path = directory.join("frozen");
        self.vec.persist(&path).expect("there is room");
        let frozen = self.options.open_frozen::<Vec<u8>>(&path).expect("it is whole");
        frozen.verify().expect("it is whole");
        assert!(
            frozen.iter().map(|item| item.expect("it is whole")).eq(self.model.iter().cloned())
        );
        let range = self.range();
        let backwards = frozen.range(range.clone()).rev().map(|item| item.expect("it is whole"));
        assert!(backwards.eq(self.model[range].iter().rev().cloned()));
        std::fs::remove_file(path).expect("it is there");
    }

    fn take(&mut self) {
        let vec = std::mem::replace(&mut self.vec, self.options.build().expect("a vector"));
        let items: Vec<_> = if self.random.bool() {
            vec.into_iter().map(|item| item.expect("it can be read")).collect()
        } else {
            vec.into_vec(u64::MAX).expect("there is memory")
        };
        assert!(items == self.model);
        let kept = self.random.usize(..=items.len());
        self.model.truncate(kept);
        self.vec.try_extend(items.into_iter().take(kept)).expect("there is room");
    }

    fn step(&mut self, seen: &mut Seen, directory: &std::path::Path) {
        match self.random.u8(..100) {
            0..60 => self.push(),
            60..85 => self.look(),
            85..88 => self.vec.spill().expect("there is room"),
            88..91 => self.sort(seen),
            91..95 => {
                let len = self.random.usize(..=self.model.len() + 1);
                self.model.truncate(len);
                self.vec.truncate(len).expect("it can be read");
                seen.truncated += 1;
            }
            95 => {
                self.model.clear();
                self.vec.clear();
                seen.cleared += 1;
            }
            96 | 97 => {
                self.take();
                seen.taken += 1;
            }
            98 => {
                self.persist(directory);
                seen.persisted += 1;
            }
            _ => {}
        }
        let stats = self.vec.stats();
        assert_eq!(stats.items, self.model.len() as u64);
        seen.spilled += u64::from(self.vec.is_spilled());
        seen.in_frames += stats.items_on_disk;
        seen.both += u64::from(stats.items_on_disk > 0 && stats.items_on_disk < stats.items);
    }
}

#[test]
fn a_vector_holds_what_a_vec_would_in_memory_and_on_the_disk() {
    // In memory where there is such a place: it is a matter of seconds.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let directory = directory.expect("a directory");
    let mut seen = Seen::default();
    for seed in 0..SEQUENCES {
        eprintln!("seed {seed}");
        let mut driver = Driver::new(seed, directory.path());
        for _ in 0..driver.random.usize(5..60) {
            driver.step(&mut seen, directory.path());
        }
        driver.look();
        driver.take();
    }
    let each = [seen.spilled, seen.in_frames, seen.both, seen.sorted, seen.sorted_on_disk];
    let rest = [seen.truncated, seen.cleared, seen.taken, seen.persisted];
    assert!(each.iter().chain(&rest).all(|&count| count > 500), "{seen:?}");
    directory.close().expect("nothing is left");
}
