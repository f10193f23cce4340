//! Goal: a reader in another process, lapped all the time, never gets a wrong payload.
//!
//! Method: a child appends (and in some rings updates) at full speed; threads here read near the
//! oldest id, near the newest and one after the other. Every payload proves itself, and every
//! outcome must occur.

use std::{
    ops::AddAssign,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ringkeep::{AfterLap, Io, Producer, Read, ReadOptions, Ring, RingOptions, Start, Tailed};
use ringkeep_torture::kill::{
    child::{Running, say},
    payload::{Style, fast_directory, fill, version_of},
};

/// Records alone; lapped and early looks come on top.
const READS_MIN: u64 = 10_000_000;
const DEADLINE: Duration = Duration::from_secs(200);
/// Rounds of reads of one ring until every outcome has occurred.
const TRIES_MAX: u32 = 20;
/// Records in a batch of the child, where it batches.
const BATCH: usize = 20;

/// One ring to hammer: `reads` for each of the three readers.
struct Variant {
    record_size: usize,
    capacity: u64,
    shards: u32,
    style: Style,
    pace: &'static str,
    reads: u64,
}

const VARIANTS: [Variant; 8] = [
    Variant::new(8, 1000, Style::Hash, "append", 800_000),
    Variant::new(13, 300, Style::IdFirst, "append", 800_000),
    Variant::new(13, 77, Style::Hash, "batch", 800_000),
    Variant::new(124, 1000, Style::IdFirst, "append", 800_000),
    Variant::new(124, 200, Style::IdFirst, "batch", 600_000),
    Variant::new(1000, 100, Style::Hash, "append", 150_000),
    Variant::new(124, 500, Style::VersionFirst, "update", 400_000),
    Variant::new(13, 500, Style::VersionFirst, "update newest", 120_000),
];

impl Variant {
    const fn new(
        record_size: usize,
        capacity: u64,
        style: Style,
        pace: &'static str,
        reads: u64,
    ) -> Self {
        // Odd sizes get several files.
        let shards = if record_size == 13 { 3 } else { 1 };
        Self { record_size, capacity, shards, style, pace, reads }
    }
}

/// What came of the reads.
#[derive(Debug, Default, Clone, Copy)]
struct Outcomes {
    records: u64,
    updated: u64,
    lapped: u64,
    not_yet: u64,
}

impl Outcomes {
    fn reads(&self) -> u64 {
        self.records + self.lapped + self.not_yet
    }

    fn all_occurred(&self) -> bool {
        self.records > 0 && self.lapped > 0 && self.not_yet > 0
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.updated += other.updated;
        self.lapped += other.lapped;
        self.not_yet += other.not_yet;
    }
}

/// The child: appends and updates until it is killed.
pub(crate) fn hammer(arguments: &[String]) {
    let [path, size, capacity, shards, style, pace] = arguments else { panic!("{arguments:?}") };
    let size = size.parse().expect("a size");
    let capacity = capacity.parse().expect("a capacity");
    let style = Style::of(style);
    let options = RingOptions::new(size, capacity).shards(shards.parse().expect("a count"));
    let mut producer = options.create(path).expect("a new archive");
    say("ready");
    let mut payload = vec![0; size];
    let mut batch = vec![0; size * BATCH];
    let mut next = 0;
    let mut random = fastrand::Rng::with_seed(7);
    for round in 1_u64.. {
        if pace == "batch" {
            for (id, payload) in (next..).zip(batch.chunks_mut(size)) {
                fill(style, id, 0, payload);
            }
            next = producer.append_batch(&batch).expect("a batch").end;
            continue;
        }
        if pace != "update newest" || round.is_multiple_of(50) || next == 0 {
            fill(style, next, 0, &mut payload);
            next = producer.append(&payload).expect("an append") + 1;
        }
        let reach = if pace == "update" { capacity / 2 } else { 5 };
        if pace.starts_with("update") {
            let id = next - 1 - random.u64(..reach.min(next));
            fill(style, id, round, &mut payload);
            producer.update(id, &payload).expect("an update");
        }
        // Below the durable id updates are written through.
        if pace == "update" && round.is_multiple_of(1000) {
            producer.flush().expect("a flush");
        }
    }
}

/// One reader: takes a look and judges what it got.
struct Judge<'a> {
    variant: &'a Variant,
    ring: &'a Ring,
    outcomes: Outcomes,
    payload: Vec<u8>,
    room: Vec<u8>,
    begun: Instant,
    /// The newest version seen of an id; versions never go back.
    seen: Vec<(u64, u64)>,
}

impl<'a> Judge<'a> {
    fn new(variant: &'a Variant, ring: &'a Ring) -> Self {
        let payload = vec![0; variant.record_size];
        let room = payload.clone();
        let (outcomes, begun) = (Outcomes::default(), Instant::now());
        Self { variant, ring, outcomes, payload, room, begun, seen: vec![(0, 0); 1024] }
    }

    fn goes_on(&self) -> bool {
        assert!(self.begun.elapsed() < DEADLINE, "too slow: {:?}", self.outcomes);
        // A look that came too early costs next to nothing and does not count.
        self.outcomes.records + self.outcomes.lapped < self.variant.reads
    }

    fn read(&mut self, id: u64) {
        match self.ring.read_into(id, &mut self.payload).expect("a read") {
            Read::Record(()) => {
                let payload = std::mem::take(&mut self.payload);
                self.record(id, &payload);
                self.payload = payload;
            }
            Read::Lapped { oldest, missed } => {
                assert_eq!(oldest - id, missed);
                self.outcomes.lapped += 1;
            }
            Read::NotYet { next } => {
                assert!(next <= id, "{id} was there: {next} is next");
                self.outcomes.not_yet += 1;
            }
            other => panic!("{id} is {other:?}"),
        }
    }

    fn record(&mut self, id: u64, payload: &[u8]) {
        let version = version_of(self.variant.style, id, payload, &mut self.room);
        let version = version.unwrap_or_else(|| panic!("{id} has a wrong payload: {payload:?}"));
        let place = usize::try_from(id % 1024).expect("it is small");
        let (seen_id, seen_version) = self.seen[place];
        assert!(seen_id != id || seen_version <= version, "{id} went back to {version}");
        self.seen[place] = (id, version);
        self.outcomes.records += 1;
        self.outcomes.updated += u64::from(version > 0);
    }

    fn near_the_oldest(mut self) -> Outcomes {
        let mut random = fastrand::Rng::with_seed(1);
        let near = self.variant.capacity / 8 + 2;
        while self.goes_on() {
            let oldest = self.ring.oldest().expect("oldest");
            self.read((oldest + random.u64(..near)).saturating_sub(2));
        }
        self.outcomes
    }

    fn near_the_newest(mut self) -> Outcomes {
        let mut random = fastrand::Rng::with_seed(2);
        while self.goes_on() {
            let next = self.ring.next_id().expect("next");
            self.read((next + 2).saturating_sub(random.u64(..16)));
        }
        self.outcomes
    }

    fn one_after_the_other(mut self) -> Outcomes {
        let closely = AfterLap::Oldest { margin: self.variant.capacity / 2 };
        let mut tailer = self.ring.tailer(Start::Oldest).after_lap(closely);
        let mut expected = tailer.position();
        while self.goes_on() {
            match tailer.try_next().expect("a look") {
                Some(Tailed::Record { id, payload }) => {
                    assert_eq!(id, expected);
                    expected += 1;
                    self.record(id, payload);
                }
                Some(Tailed::Missed { ids }) => {
                    assert_eq!(ids.start, expected);
                    assert!(ids.end >= ids.start);
                    expected = ids.end;
                    self.outcomes.lapped += 1;
                }
                None => {
                    self.outcomes.not_yet += 1;
                    thread::yield_now();
                }
                other => panic!("{other:?} after {expected}"),
            }
        }
        self.outcomes
    }
}

#[test]
fn ten_million_reads_beside_a_lapping_producer_never_give_a_wrong_payload() {
    let all = hammered_all(Io::Mapped, &VARIANTS);
    assert!(all.records >= READS_MIN, "{all:?}");
}

#[test]
fn reads_by_position_beside_a_lapping_producer_never_give_a_wrong_payload() {
    // A read is three calls of the system here, and a lap takes as long as before.
    let fewer = VARIANTS.map(|variant| Variant { reads: variant.reads / 16, ..variant });
    hammered_all(Io::File, &fewer);
}

fn hammered_all(io: Io, variants: &[Variant]) -> Outcomes {
    let directory = fast_directory();
    let mut all = Outcomes::default();
    for (index, variant) in variants.iter().enumerate() {
        let begun = Instant::now();
        let outcomes = hammered(variant, &directory.path().join(format!("ring{index}")), io);
        let Variant { record_size, capacity, style, pace, .. } = variant;
        let seconds = begun.elapsed().as_secs_f64();
        println!("{record_size} bytes, {capacity}, {style:?}, {pace}: {outcomes:?} {seconds:.1} s");
        assert!(outcomes.all_occurred(), "{outcomes:?}");
        assert_eq!(outcomes.updated > 0, pace.starts_with("update"));
        all += outcomes;
    }
    println!("{io:?}: {} reads, {all:?}", all.reads());
    all
}

fn read_by_three<'a>(judge: &(impl Fn() -> Judge<'a> + Sync)) -> Outcomes {
    let mut outcomes = Outcomes::default();
    thread::scope(|scope| {
        let readers = [
            scope.spawn(|| judge().near_the_oldest()),
            scope.spawn(|| judge().near_the_newest()),
            scope.spawn(|| judge().one_after_the_other()),
        ];
        for reader in readers {
            outcomes += reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    outcomes
}

fn hammered(variant: &Variant, path: &Path, io: Io) -> Outcomes {
    let &Variant { record_size, capacity, shards, style, pace, .. } = variant;
    let numbers = [record_size.to_string(), capacity.to_string(), shards.to_string()];
    let [size, kept, shards] = numbers.each_ref();
    let name = path.to_str().expect("ASCII");
    let child = Running::start("hammer", &[name, size, kept, shards, style.name(), pace]);
    child.says("ready");
    let ring = ReadOptions::new().io(io).open(path).expect("a reader");
    let judge = || Judge::new(variant, &ring);
    let mut outcomes = Outcomes::default();
    // On a busy machine a ring may once not be lapped at all: then again.
    for _ in 0..TRIES_MAX {
        outcomes += read_by_three(&judge);
        if outcomes.all_occurred() {
            break;
        }
    }
    let _ = child.kill();
    // The last record that was shown is still whole, and so is the ring.
    let report = Producer::open(path).expect("a producer").ring().verify(|_| {}).expect("a look");
    assert_eq!((report.corrupt, report.absent), (0, 0), "{report:?}");
    assert!(report.good + report.lost >= capacity, "{report:?}");
    outcomes
}
