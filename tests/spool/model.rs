//! Goal: whatever is done to a spool, each part is what was written to it last, or gone.
//!
//! Method: random sequences of every operation, each with a spool that stays in memory, one that
//! goes to the disk early, and one whose files outlive it and that is opened again and again. All
//! of them are held against the same map.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use ringkeep::{Error, GapPolicy, PartReader, PartState, PartWriter, Spool, SpoolOptions};

const SEQUENCES: u64 = 5_000;
const PIECE: u64 = 64 << 10;
const PARTS: u64 = 12;

#[derive(Debug, Default)]
struct Seen {
    on_disk: u64,
    rewritten: u64,
    dropped: u64,
    drained: u64,
    drained_half: u64,
    skipped: u64,
    gaps: u64,
    merged: u64,
    files: u64,
    resumed: u64,
    outdated_readers: u64,
}

/// What the spool has to hold.
#[derive(Default)]
struct Model {
    ready: BTreeMap<u64, Vec<u8>>,
    failed: BTreeSet<u64>,
    next: u64,
    /// Where a spool that is opened again goes on, and what was taken out from there on.
    next_kept: u64,
    taken: BTreeMap<u64, Vec<u8>>,
    total: Option<u64>,
}

struct Driver {
    random: fastrand::Rng,
    options: SpoolOptions,
    memory_bytes: u64,
    gaps: GapPolicy,
    /// Of a spool that is opened again.
    path: Option<PathBuf>,
    spool: Spool,
    model: Model,
    writers: Vec<(PartWriter, Vec<u8>)>,
    readers: Vec<(PartReader, Vec<u8>, u64)>,
}

impl Driver {
    fn new(seed: u64, directory: &Path) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let memory_bytes = if seed.is_multiple_of(3) { u64::MAX } else { random.u64(..400_000) };
        let gaps = if random.bool() { GapPolicy::Error } else { GapPolicy::Skip };
        let options = SpoolOptions::new().memory_bytes(memory_bytes).directory(directory);
        let options = options.gaps(gaps);
        let path = (seed % 3 == 2).then(|| directory.join("kept"));
        let spool = match &path {
            Some(path) => options.resume(path).expect("a spool"),
            None => options.build(),
        };
        let (writers, readers) = (Vec::new(), Vec::new());
        let model = Model::default();
        Self { random, options, memory_bytes, gaps, path, spool, model, writers, readers }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let piece = usize::try_from(PIECE).expect("a few bytes");
        let length = match self.random.u8(..20) {
            0 => 0,
            1 => piece * self.random.usize(1..3),
            2..5 => self.random.usize(..5 * piece / 2),
            _ => self.random.usize(..3_000),
        };
        let mut bytes = vec![self.random.u8(..); length];
        let end = length.min(64);
        self.random.fill(&mut bytes[..end]);
        bytes
    }

    fn part(&mut self) -> u64 {
        self.random.u64(self.model.next.saturating_sub(1)..self.model.next + PARTS)
    }

    /// Whether a part can still be written; the error says the same.
    fn allows<T: std::fmt::Debug>(&self, part: u64, result: Result<T, Error>) -> Option<T> {
        let is_drained = part < self.model.next;
        let is_outside = self.model.total.is_some_and(|total| part >= total);
        match result {
            Ok(done) => {
                assert!(!is_drained && !is_outside, "{part}");
                Some(done)
            }
            Err(Error::PartDrained { part: found }) => {
                assert!(is_drained && found == part);
                None
            }
            Err(Error::PartOutOfRange { part: found, total }) => {
                assert!(is_outside && (found, Some(total)) == (part, self.model.total));
                None
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn arrive(&mut self, part: u64, bytes: Vec<u8>, seen: &mut Seen) {
        self.model.failed.remove(&part);
        seen.rewritten += u64::from(self.model.ready.insert(part, bytes).is_some());
    }

    fn put(&mut self, seen: &mut Seen) {
        let (part, bytes) = (self.part(), self.bytes());
        if self.allows(part, self.spool.put(part, &bytes)).is_some() {
            self.arrive(part, bytes, seen);
        }
    }

    fn write(&mut self, seen: &mut Seen) {
        if self.writers.len() < 4 && self.random.bool() {
            let part = self.part();
            if let Some(writer) = self.allows(part, self.spool.part(part)) {
                self.writers.push((writer, Vec::new()));
            }
        }
        if self.writers.is_empty() {
            return;
        }
        let index = self.random.usize(..self.writers.len());
        match self.random.u8(..8) {
            0 => {
                drop(self.writers.swap_remove(index));
                seen.dropped += 1;
            }
            1..4 => {
                let (writer, bytes) = self.writers.swap_remove(index);
                let part = writer.part();
                if self.allows(part, writer.commit().map_err(Error::from)).is_some() {
                    self.arrive(part, bytes, seen);
                }
            }
            _ => {
                let more = self.bytes();
                let (writer, bytes) = &mut self.writers[index];
                writer.write_all(&more).expect("there is room");
                bytes.extend_from_slice(&more);
                assert_eq!(writer.part_bytes(), bytes.len() as u64);
            }
        }
    }

    fn read(&mut self, seen: &mut Seen) {
        let part = self.part();
        match self.spool.reader(part) {
            Ok(reader) => {
                let bytes = self.model.ready[&part].clone();
                assert_eq!(reader.part_bytes(), bytes.len() as u64);
                if self.readers.len() < 3 {
                    self.readers.push((reader, bytes, part));
                }
            }
            Err(Error::PartDrained { .. }) => assert!(part < self.model.next),
            Err(Error::PartMissing { state, .. }) => {
                assert_eq!(state, self.state(part));
                assert!(!self.model.ready.contains_key(&part));
            }
            Err(other) => panic!("{other:?}"),
        }
        for (reader, bytes, part) in &mut self.readers {
            let length = bytes.len() as u64;
            let at = self.random.u64(..=length + 3);
            let found = match self.random.u8(..3) {
                0 => reader.seek(SeekFrom::Start(at)),
                1 => reader.seek(SeekFrom::End(i64::try_from(at).expect("small") - 5 - 3)),
                _ => reader.seek_relative(0).and_then(|()| reader.stream_position()),
            };
            let Ok(at) = found else { continue };
            let mut out = vec![0; self.random.usize(..100_000)];
            let read = reader.read(&mut out).expect("it can be read");
            let rest = bytes.get(usize::try_from(at).expect("small")..).unwrap_or_default();
            assert!(
                rest.starts_with(&out[..read]) && (read > 0 || rest.is_empty() || out.is_empty())
            );
            seen.outdated_readers += u64::from(self.model.ready.get(part) != Some(bytes));
        }
        if self.random.u8(..4) == 0 {
            self.readers.clear();
        }
    }

    fn state(&self, part: u64) -> PartState {
        let is_written = self.writers.iter().any(|(writer, _)| writer.part() == part);
        match () {
            () if part < self.model.next => PartState::Drained,
            () if self.model.ready.contains_key(&part) => PartState::Ready,
            () if is_written => PartState::Writing,
            () if self.model.failed.contains(&part) => PartState::Failed,
            () => PartState::Absent,
        }
    }

    fn fail(&mut self) {
        let part = self.part();
        if self.allows(part, self.spool.fail(part)).is_some() {
            self.model.failed.insert(part);
        }
    }

    fn is_gap(&self, part: u64) -> bool {
        match self.state(part) {
            PartState::Failed => true,
            PartState::Absent => self.model.total.is_some_and(|total| part < total),
            _ => false,
        }
    }

    /// Takes the next part out, where nobody would have to wait for it.
    fn drain(&mut self, seen: &mut Seen) {
        let mut next = self.model.next;
        while self.gaps == GapPolicy::Skip && self.is_gap(next) {
            next += 1;
        }
        let is_end = self.model.total.is_some_and(|total| next >= total);
        let is_ready = self.state(next) == PartState::Ready;
        if !is_ready && !is_end && !self.is_gap(next) {
            return;
        }
        let mut drain = self.spool.drain().expect("nobody else drains");
        assert!(matches!(self.spool.drain(), Err(Error::DrainedElsewhere)));
        let mut part = match drain.next_part() {
            Ok(Some(part)) => part,
            Ok(None) => {
                assert!(is_end && !is_ready);
                self.pass(next, seen);
                return;
            }
            Err(Error::PartMissing { part, state }) => {
                assert_eq!((part, state), (next, self.state(next)));
                seen.gaps += 1;
                return;
            }
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(part.part(), next);
        let expected = self.model.ready.remove(&next).expect("it was ready");
        let mut found = Vec::new();
        if self.random.u8(..4) > 0 {
            part.read_to_end(&mut found).expect("it can be read");
            assert!(found == expected);
            seen.drained += 1;
            self.model.next_kept = next + 1;
        } else {
            let half = self.random.u64(..=expected.len() as u64);
            part.by_ref().take(half).read_to_end(&mut found).expect("it can be read");
            assert!(expected.starts_with(&found) && found.len() as u64 == half);
            seen.drained_half += 1;
            if half == expected.len() as u64 {
                self.model.next_kept = next + 1;
            }
        }
        self.model.taken.insert(next, expected);
        drop(part);
        drop(drain);
        self.pass(next + 1, seen);
    }

    fn pass(&mut self, next: u64, seen: &mut Seen) {
        seen.skipped += next.saturating_sub(self.model.next + 1);
        self.model.next = next;
        self.model.failed = self.model.failed.split_off(&next);
        self.model.ready = self.model.ready.split_off(&next);
    }

    /// Ends the process, as it were.
    fn resume(&mut self, seen: &mut Seen) {
        let Some(path) = self.path.clone() else { return };
        self.writers.clear();
        self.readers.clear();
        self.spool = self.options.build();
        self.spool = self.options.resume(path).expect("it is closed");
        let Model { mut ready, next_kept, mut taken, .. } = std::mem::take(&mut self.model);
        ready.append(&mut taken.split_off(&next_kept));
        let resumed = self.spool.resumed();
        assert_eq!((resumed.parts, &resumed.damaged), (ready.len() as u64, &Vec::new()));
        self.model = Model { ready, next: next_kept, next_kept, ..Model::default() };
        seen.resumed += 1;
    }

    fn look(&self, seen: &mut Seen) {
        let stats = self.spool.stats();
        let ready: u64 = self.model.ready.values().map(|bytes| bytes.len() as u64).sum();
        assert_eq!((stats.parts_ready, stats.ready_bytes), (self.model.ready.len() as u64, ready));
        for part in 0..self.model.next + PARTS {
            assert_eq!(self.spool.state(part), self.state(part), "{part}");
        }
        let held = PIECE * (self.writers.len() + self.readers.len()) as u64;
        assert!(stats.resident_bytes <= self.memory_bytes.max(held), "{stats:?}");
        seen.on_disk += u64::from(stats.disk_bytes > 0);
        let last = self.model.ready.last_key_value().map(|(part, _)| part + 1);
        let ends = self.model.failed.last().map(|part| part + 1).into_iter().chain(last);
        let ends = ends.chain(self.writers.iter().map(|(writer, _)| writer.part() + 1));
        let end = self.model.total.or(ends.max()).unwrap_or(self.model.next);
        let missing = (self.model.next..end).filter(|part| !self.model.ready.contains_key(part));
        assert!(self.spool.missing().eq(missing));
    }

    /// The parts that there are in a row, or the part that is missing.
    fn merged(&self) -> Result<Vec<u8>, u64> {
        let mut bytes = Vec::new();
        for part in self.model.next..self.model.total.expect("it is finished") {
            match self.model.ready.get(&part) {
                Some(found) => bytes.extend_from_slice(found),
                None if self.gaps == GapPolicy::Skip => {}
                None => return Err(part),
            }
        }
        Ok(bytes)
    }

    /// All that is left, in a row.
    fn finish(mut self, directory: &Path, seen: &mut Seen) {
        self.writers.clear();
        let last = self.model.ready.keys().chain(&self.model.failed).max().copied();
        let total = last.map_or(self.model.next, |last| last + 1) + self.random.u64(..2);
        self.spool.finish(total).expect("it is behind all parts");
        self.model.total = Some(total);
        self.look(seen);
        for _ in 0..self.random.u8(..3) {
            self.put(seen);
            self.drain(seen);
        }
        let expected = self.merged();
        let mut found = Vec::new();
        let path = directory.join("output");
        match (self.spool.merge_into(&mut found), &expected) {
            (Ok(bytes), Ok(expected)) => {
                assert!(bytes == expected.len() as u64 && found == *expected);
                seen.merged += 1;
            }
            (Err(Error::PartMissing { part, .. }), Err(missing)) => assert_eq!(part, *missing),
            (found, _) => panic!("{found:?}"),
        }
        match (self.spool.merge_to_file(&path), expected) {
            (Ok(_), Ok(expected)) => {
                assert!(std::fs::read(&path).expect("it is there") == expected);
                std::fs::remove_file(&path).expect("it is there");
                self.readers.clear();
                let stats = self.spool.stats();
                assert_eq!((stats.parts_ready, stats.resident_bytes), (0, 0));
                // What was taken out of a spool that outlives its process may come again.
                assert!(stats.disk_bytes == 0 || self.path.is_some(), "{stats:?}");
                seen.files += 1;
            }
            (Err(Error::PartMissing { .. }), Err(_)) => assert!(!path.exists()),
            (found, _) => panic!("{found:?}"),
        }
        self.spool.discard().expect("it can be removed");
    }
}

#[test]
fn every_sequence_of_operations_leaves_what_a_map_would_hold() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut seen = Seen::default();
    for seed in 0..SEQUENCES {
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut driver = Driver::new(seed, directory.path());
            for _ in 0..driver.random.usize(1..40) {
                match driver.random.u8(..20) {
                    0..5 => driver.put(&mut seen),
                    5..12 => driver.write(&mut seen),
                    12..15 => driver.read(&mut seen),
                    15 => driver.fail(),
                    16..19 => driver.drain(&mut seen),
                    _ => driver.resume(&mut seen),
                }
                driver.look(&mut seen);
            }
            driver.finish(directory.path(), &mut seen);
        }));
        assert!(run.is_ok(), "seed {seed}");
    }
    let Seen { on_disk, rewritten, dropped, drained, drained_half, skipped, .. } = seen;
    let Seen { gaps, merged, files, resumed, outdated_readers, .. } = seen;
    let counts = [on_disk, rewritten, dropped, drained, drained_half, skipped, gaps, merged, files];
    assert!(counts.iter().all(|&count| count > 100), "{seen:?}");
    assert!(resumed > 100 && outdated_readers > 100, "{seen:?}");
}
