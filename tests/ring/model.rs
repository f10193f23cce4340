//! Random operations against a naive model, with reopening, on files and on the simulated disk.
//!
//! A failure prints its seed; `RINGKEEP_SEED=n` runs that sequence alone.

use std::{collections::BTreeMap, ops::Range, path::PathBuf, time::Duration};

use fastrand::Rng;
use ringkeep::{
    AfterLap, Error, Io, Producer, Read, ReadBatch, Ring, RingOptions, SimDisk, Start, SyncPolicy,
    Tailed, Tailer,
};

use crate::{
    list::List,
    support::{Home, payload_of_version, read_options, ring_options},
};

/// Sequences on each kind of disk.
const SEQUENCES: u64 = 1500;
const OPERATIONS_MAX: usize = 60;

/// What a driver can do to a ring.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Append,
    AppendDurable,
    Batch {
        count: u64,
    },
    /// An id that many after the next one: the next one itself, a gap, or a jump.
    AppendAt {
        gap: u64,
    },
    /// Of any id near the window.
    Update {
        id: u64,
    },
    Delete {
        id: u64,
    },
    /// An id below the next one, which is refused.
    AppendBelow {
        id: u64,
    },
    Flush,
    Close,
    Drop,
    Die,
    /// A new reader takes the place of the one that was opened earlier.
    OpenReader,
    /// The tailer reads to the end.
    Follow,
}

use Operation::{
    Append, AppendAt, AppendBelow, AppendDurable, Batch, Close, Delete, Die, Flush, Follow,
    OpenReader, Update,
};

/// Counts by name, to require at the end that everything occurred.
type Counts = BTreeMap<&'static str, u64>;

/// Where a sequence runs.
enum Place {
    Files(Home),
    Simulated(SimDisk),
}

impl Place {
    fn path(&self) -> PathBuf {
        match self {
            Self::Files(home) => home.path(),
            Self::Simulated(_) => "/data/cache.dat".into(),
        }
    }

    fn ring_options(&self, options: RingOptions) -> RingOptions {
        match self {
            Self::Files(_) => options,
            Self::Simulated(disk) => options.on(disk),
        }
    }

    fn reader(&self, io: Io) -> Ring {
        let options = match self {
            Self::Files(_) => read_options(),
            Self::Simulated(disk) => read_options().on(&disk.other_process()),
        };
        options.io(io).open(self.path()).expect("a reader")
    }
}

/// One sequence: a ring, its readers, and the model beside them.
struct Driver<'a> {
    place: Place,
    options: RingOptions,
    policy: SyncPolicy,
    /// None while it is closed.
    producer: Option<Producer>,
    outside: Ring,
    /// Of the reader outside.
    io: Io,
    /// Of the first producer, which ends sooner or later.
    former: Ring,
    tailer: Tailer,
    followed: u64,
    model: List,
    size: usize,
    version: u64,
    counts: &'a mut Counts,
}

impl<'a> Driver<'a> {
    fn new(place: Place, random: &mut Rng, counts: &'a mut Counts) -> Self {
        let capacity = random.u64(1..=20) * if random.u8(0..8) == 0 { 13 } else { 1 };
        let size = random.usize(1..=17);
        let policies = [
            SyncPolicy::Never,
            SyncPolicy::Always,
            SyncPolicy::EveryRecords(3),
            SyncPolicy::Interval(Duration::from_millis(1)),
        ];
        let policy = policies[random.usize(..policies.len())];
        let options = ring_options(size, capacity).sync(policy);
        let options = match random.u8(0..3) {
            0 => options,
            1 => options.shards(random.u32(1..=12)),
            _ => {
                // Of at least a tenth of all slots: files are slow to make.
                let least = (size as u64 + 4) * capacity.div_ceil(10);
                options.shard_bytes(random.u64(least..least + 200))
            }
        };
        let options = place.ring_options(options);
        let producer = options.create(place.path()).expect("a new ring");
        let io = if random.bool() { Io::Mapped } else { Io::File };
        let outside = place.reader(io);
        let closely = AfterLap::Oldest { margin: 0 };
        Self {
            former: producer.ring(),
            tailer: outside.tailer(Start::Oldest).after_lap(closely),
            followed: 0,
            model: List::new(usize::try_from(capacity).expect("a small ring")),
            place,
            options,
            policy,
            producer: Some(producer),
            outside,
            io,
            size,
            version: 0,
            counts,
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn producer(&mut self) -> &mut Producer {
        self.producer.as_mut().expect("a producer")
    }

    fn choose(&self, random: &mut Rng) -> Operation {
        let capacity = self.model.capacity as u64;
        let (oldest, next) = (self.model.oldest(), self.model.next);
        let near = random.u64(oldest.saturating_sub(2)..next + 2);
        match random.u8(0..40) {
            10 => AppendDurable,
            11..15 => Batch { count: random.u64(0..=2 * capacity + 3) },
            15..17 => AppendAt { gap: random.u64(0..capacity) },
            17 => AppendAt { gap: capacity + random.u64(0..3) * (capacity - 1) },
            18..24 => Update { id: near },
            24..28 => Delete { id: near },
            28 if next > 0 => AppendBelow { id: random.u64(0..next) },
            29..31 => Flush,
            31..33 => Close,
            33 => Operation::Drop,
            34..36 => Die,
            36 => OpenReader,
            37..40 => Follow,
            _ => Append,
        }
    }

    /// A payload that no other write of the sequence has.
    fn fresh(&mut self, id: u64) -> Vec<u8> {
        self.version += 1;
        payload_of_version(id, self.version, self.size)
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Append | AppendDurable => self.append(matches!(operation, AppendDurable)),
            Batch { count } => self.append_batch(count),
            AppendAt { gap } => self.append_at(gap),
            Update { id } => {
                let payload = self.fresh(id);
                let result = self.producer().update(id, &payload);
                self.rewritten(id, result, Some(payload));
            }
            Delete { id } => {
                let result = self.producer().delete(id);
                self.rewritten(id, result, None);
            }
            AppendBelow { id } => {
                let payload = self.fresh(id);
                let refused = self.producer().append_at(id, &payload);
                assert!(matches!(refused, Err(Error::IdBelowNext { .. })), "{refused:?}");
                self.count("id below next");
            }
            Flush => {
                self.count("flush");
                self.producer().flush().expect("a flush");
                self.model.durable = self.model.next;
            }
            Close | Operation::Drop | Die => self.reopen(operation),
            OpenReader => {
                self.count("open reader");
                self.outside = self.place.reader(self.io);
            }
            Follow => self.follow(),
        }
        if self.policy == SyncPolicy::Always {
            self.model.durable = self.model.next;
        }
    }

    fn append(&mut self, durable: bool) {
        let id = self.model.next;
        let payload = self.fresh(id);
        let given = if durable {
            self.producer().append_durable(&payload)
        } else {
            self.producer().append(&payload)
        };
        assert_eq!(given.expect("an append"), id);
        self.model.push(Some(payload));
        if durable {
            self.model.durable = self.model.next;
        }
        self.count(if durable { "append durable" } else { "append" });
    }

    fn append_batch(&mut self, count: u64) {
        let ids = self.model.next..self.model.next + count;
        let payloads: Vec<_> = ids.clone().map(|id| self.fresh(id)).collect();
        let given = self.producer().append_batch(&payloads.concat()).expect("a batch");
        assert_eq!(given, ids);
        for payload in payloads {
            self.model.push(Some(payload));
        }
        self.count(if count > self.model.capacity as u64 { "long batch" } else { "batch" });
    }

    fn append_at(&mut self, gap: u64) {
        let id = self.model.next + gap;
        let payload = self.fresh(id);
        self.producer().append_at(id, &payload).expect("an append");
        self.count(match gap {
            0 => "append at next",
            _ if self.model.kept.is_empty() => "jump into an empty ring",
            _ if gap >= self.model.capacity as u64 => "jump",
            _ => "gap",
        });
        self.model.append_at(id, payload);
    }

    fn rewritten(&mut self, id: u64, result: ringkeep::Result<()>, content: Option<Vec<u8>>) {
        match (self.model.read(id), result) {
            (Read::Record(_), Ok(())) => {
                self.count(match (&content, id < self.model.durable) {
                    (Some(_), true) => "update of what is durable",
                    (Some(_), false) => "update",
                    (None, true) => "delete of what is durable",
                    (None, false) => "delete",
                });
                let place = usize::try_from(id - self.model.oldest()).expect("a small ring");
                self.model.kept[place] = content;
            }
            (expected, Err(Error::NotARecord(found))) => {
                assert_eq!(found, expected.map(drop), "of id {id}");
                self.count("rewrite refused");
            }
            (expected, result) => panic!("{result:?} of id {id}, which is {expected:?}"),
        }
    }

    /// The producer ends, and the next one begins.
    fn reopen(&mut self, end: Operation) {
        let producer = self.producer.take().expect("a producer");
        match end {
            Die => producer.die(),
            Close => producer.close().expect("a clean close"),
            _ => drop(producer),
        }
        if !matches!(end, Die) {
            self.model.durable = self.model.next;
        }
        self.count(match end {
            Die => "die",
            Close => "close",
            _ => "drop",
        });
        self.check(&self.outside.clone());
        let opened = self.options.open(self.place.path());
        self.producer = Some(opened.expect("the ring opens again"));
    }

    /// The tailer tells of every id since the last time, in order.
    fn follow(&mut self) {
        let (oldest, next) = (self.model.oldest(), self.model.next);
        if self.followed < oldest {
            let missed = self.tailer.try_next().expect("a look");
            assert_eq!(missed, Some(Tailed::Missed { ids: self.followed..oldest }));
            self.followed = oldest;
            self.count("missed");
        }
        for id in self.followed..next {
            let item = self.tailer.try_next().expect("a look");
            let expected = self.model.read(id);
            let found = match item {
                Some(Tailed::Record { id: found, payload }) if found == id => {
                    Read::Record(payload.to_vec())
                }
                Some(Tailed::Hole { id: found, read: Read::Absent }) if found == id => Read::Absent,
                other => panic!("{other:?} instead of {expected:?} under {id}"),
            };
            assert_eq!(found, expected, "id {id}");
        }
        assert_eq!(self.tailer.try_next().expect("a look"), None);
        self.followed = next;
        self.count("follow");
    }

    /// Requires that a ring shows what the model has, at and around its window.
    fn check(&mut self, ring: &Ring) {
        let (oldest, next) = (self.model.oldest(), self.model.next);
        assert_eq!(ring.oldest().expect("the oldest id"), oldest);
        assert_eq!(ring.next_id().expect("the next id"), next);
        let mut payload = vec![0; self.size];
        for id in oldest.saturating_sub(3)..next + 3 {
            let found = ring.read_into(id, &mut payload).expect("a read");
            let found = found.map(|()| payload.clone());
            assert_eq!(found, self.model.read(id), "id {id} of {oldest}..{next}");
            self.count(match found {
                Read::Record(_) => "read a record",
                Read::Absent => "read an absent id",
                Read::Lapped { .. } => "read a lapped id",
                Read::NotYet { .. } => "read an id to come",
                other => panic!("{other:?}"),
            });
        }
        let durable = ring.durable().expect("what is durable");
        let exact = matches!(self.policy, SyncPolicy::Never | SyncPolicy::Always);
        let floor = self.model.durable;
        assert!((floor..=next).contains(&durable), "{durable} of {floor}..={next}");
        assert!(!exact || durable == floor, "{durable} instead of {floor}");
    }

    /// The whole window through the other ways to read.
    fn check_other_ways(&self, ring: &Ring, batch: &mut ReadBatch) {
        let ids: Range<u64> = self.model.oldest()..self.model.next;
        ring.read_range(ids.clone(), batch).expect("a range");
        let all = batch.iter().map(|(id, read)| (id, read.map(<[u8]>::to_vec)));
        assert!(all.eq(ids.clone().map(|id| (id, self.model.read(id)))));
        let records = ring.range(ids.clone()).records().map(|record| record.expect("a read"));
        assert!(records.eq(ids.clone().map(|id| (id, self.model.read(id)))));
        for id in ids.clone() {
            assert_eq!(ring.view(id, <[u8]>::to_vec).expect("a view"), self.model.read(id));
        }
        let report = ring.verify(|_| {}).expect("a verification");
        let good = self.model.kept.iter().flatten().count() as u64;
        assert_eq!((report.good, report.absent), (good, ids.end - ids.start - good));
        assert_eq!((report.lost, report.corrupt, report.lapped), (0, 0, 0));
    }
}

/// Says how to run a sequence again when it fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the sequence of seed {0} failed: RINGKEEP_SEED={0} runs it again", self.0);
        }
    }
}

fn run_sequence(seed: u64, place: Place, counts: &mut Counts) {
    let _seed = Seed(seed);
    let loud = std::env::var_os("RINGKEEP_SEED").is_some();
    let mut random = Rng::with_seed(seed);
    let mut driver = Driver::new(place, &mut random, counts);
    let mut batch = ReadBatch::new();
    for _ in 0..random.usize(1..=OPERATIONS_MAX) {
        let operation = driver.choose(&mut random);
        if loud {
            eprintln!("{operation:?} on {}..{}", driver.model.oldest(), driver.model.next);
        }
        driver.run(operation);
        let ring = match random.u8(0..3) {
            0 => driver.producer().ring(),
            1 => driver.outside.clone(),
            _ => driver.former.clone(),
        };
        driver.check(&ring);
        if random.u8(0..8) == 0 {
            driver.check_other_ways(&ring, &mut batch);
        }
    }
    driver.follow();
    for ring in [driver.producer().ring(), driver.outside.clone(), driver.former.clone()] {
        driver.check(&ring);
        driver.check_other_ways(&ring, &mut batch);
    }
}

/// Goal: whatever is done to a ring, all its readers see what a list would hold. Method: random
/// sequences of typed operations, compared after each one; every kind of operation and of outcome
/// must have occurred.
fn run_all(place: impl Fn(u64) -> Place) {
    let mut counts = Counts::new();
    let chosen = std::env::var("RINGKEEP_SEED").ok();
    if let Some(seed) = chosen {
        let seed = seed.parse().expect("RINGKEEP_SEED is a number");
        return run_sequence(seed, place(seed), &mut counts);
    }
    for seed in 0..SEQUENCES {
        run_sequence(seed, place(seed), &mut counts);
    }
    let kinds = [
        "append",
        "append durable",
        "batch",
        "long batch",
        "append at next",
        "gap",
        "jump",
        "jump into an empty ring",
        "update",
        "update of what is durable",
        "delete",
        "delete of what is durable",
        "rewrite refused",
        "id below next",
        "flush",
        "close",
        "drop",
        "die",
        "open reader",
        "missed",
        "follow",
        "read a record",
        "read an absent id",
        "read a lapped id",
        "read an id to come",
    ];
    println!("{counts:?}");
    for kind in kinds {
        let count = counts.remove(kind).unwrap_or(0);
        assert!(count >= 20, "`{kind}` occurred {count} times only");
    }
    assert!(counts.is_empty(), "nobody requires {counts:?}");
}

#[test]
fn random_operations_on_files_agree_with_a_list() {
    run_all(|_| Place::Files(Home::new()));
}

#[test]
fn random_operations_on_the_simulated_disk_agree_with_a_list() {
    run_all(|seed| Place::Simulated(SimDisk::new(seed, 512)));
}
