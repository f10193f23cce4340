//! Goal: after `kill -9` at any moment everything that append returned is there, nothing wrong is
//! served, no id is used twice, and the next producer opens at once.
//!
//! Method: a child does random things and says each one before the next; the parent kills it after
//! a random number of lines, checks as a reader, checks as a producer, and goes on.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use ringkeep::{AfterLap, Producer, Ring, RingOptions, Start, SyncPolicy, Tailed, Tailer};

use super::{
    child::{PATIENCE, Running, say, wait_for_the_end},
    ledger::Ledger,
    payload::{Style, fast_directory, fill, payload_of, version_of},
};

const ROUNDS: u64 = 100;
const STYLE: Style = Style::VersionFirst;
const BATCH_MAX: u64 = 300;
/// Kills in the middle of a slot that have to occur.
const CUTS_MIN: u32 = 3;
/// Words of the hot page; see docs/FORMAT.md.
const COUNTER: u64 = 4096 + 8;
const TOUCHED: u64 = 4096 + 64;

/// A ring that producers are killed on.
#[derive(Debug, Clone, Copy)]
struct Shape {
    record_size: usize,
    capacity: u64,
    shards: u32,
}

const SHAPES: [Shape; 2] = [
    Shape { record_size: 13, capacity: 500, shards: 3 },
    // Long enough to be killed in the middle of one.
    Shape { record_size: 20_000, capacity: 100, shards: 2 },
];

impl Shape {
    fn options(self) -> RingOptions {
        RingOptions::new(self.record_size, self.capacity).shards(self.shards)
    }

    fn of(arguments: &[String]) -> Self {
        let number = |at: usize| arguments[at].parse::<u32>().expect("a number");
        Self { record_size: number(0) as usize, capacity: number(1).into(), shards: number(2) }
    }

    fn arguments(self) -> [String; 3] {
        [self.record_size.to_string(), self.capacity.to_string(), self.shards.to_string()]
    }
}

fn policy_of(name: &str) -> SyncPolicy {
    match name {
        "never" => SyncPolicy::Never,
        "records" => SyncPolicy::EveryRecords(16),
        "interval" => SyncPolicy::Interval(Duration::from_millis(2)),
        "always" => SyncPolicy::Always,
        _ => panic!("no policy {name}"),
    }
}

const POLICIES: [&str; 4] = ["never", "records", "interval", "always"];
const ACTS: [&str; 3] = ["append", "everything", "rewrite"];

/// The child: path, policy, acts, seed, shape.
pub(crate) fn act_until_killed(arguments: &[String]) {
    let [path, policy, acts, seed, shape @ ..] = arguments else { panic!("{arguments:?}") };
    let shape = Shape::of(shape);
    say("opening");
    let producer = shape.options().sync(policy_of(policy)).open_or_create(path);
    let mut actor = Actor {
        producer: producer.expect("an archive that opens"),
        random: fastrand::Rng::with_seed(seed.parse().expect("a seed")),
        record_size: shape.record_size,
        capacity: shape.capacity,
        version: 1 << 32,
    };
    say("opened");
    loop {
        match (acts.as_str(), actor.random.u32(..16)) {
            ("update", _) if actor.next() > 2 => actor.rewrite(true),
            ("append" | "update", _) | (_, 0..6) => actor.append(),
            ("everything", 6..9) => actor.append_batch(),
            ("everything", 9..11) => actor.append_at(),
            (_, 15) => actor.rewrite(false),
            _ => actor.rewrite(true),
        }
    }
}

struct Actor {
    producer: Producer,
    random: fastrand::Rng,
    record_size: usize,
    capacity: u64,
    version: u64,
}

impl Actor {
    fn next(&self) -> u64 {
        self.producer.ring().next_id().expect("next")
    }

    fn append(&mut self) {
        let payload = payload_of(STYLE, self.next(), 0, self.record_size);
        let id = self.producer.append(&payload).expect("an append");
        say(&format!("a {id}"));
    }

    fn append_batch(&mut self) {
        let (first, count) = (self.next(), self.random.u64(1..BATCH_MAX));
        let mut records = vec![0; self.record_size * usize::try_from(count).expect("few")];
        for (id, payload) in (first..).zip(records.chunks_mut(self.record_size)) {
            fill(STYLE, id, 0, payload);
        }
        let ids = self.producer.append_batch(&records).expect("a batch");
        say(&format!("b {} {count}", ids.start));
    }

    fn append_at(&mut self) {
        // Some gaps are jumps, which write no markers; never into an empty ring here.
        let gap = match self.next() {
            0 => 0,
            _ => [3, 40, self.capacity - 1, self.capacity + 7][self.random.usize(..4)],
        };
        let id = self.next() + gap;
        say(&format!("G {id}"));
        let payload = payload_of(STYLE, id, 0, self.record_size);
        self.producer.append_at(id, &payload).expect("a gap");
        say(&format!("g {id}"));
    }

    fn rewrite(&mut self, update: bool) {
        let ring = self.producer.ring();
        let (oldest, next) = (ring.oldest().expect("oldest"), self.next());
        if oldest == next {
            return;
        }
        let id = self.random.u64(oldest.max(next.saturating_sub(60))..next);
        if ring.read(id).expect("a read").record().is_err() {
            return;
        }
        self.version += 1;
        if update {
            let version = self.version;
            say(&format!("U {id} {version}"));
            let payload = payload_of(STYLE, id, version, self.record_size);
            self.producer.update(id, &payload).expect("an update");
            say(&format!("u {id} {version}"));
        } else {
            say(&format!("D {id}"));
            self.producer.delete(id).expect("a delete");
            say(&format!("d {id}"));
        }
    }
}

/// The child that does nothing but open, change a little and die: path, shape.
pub(crate) fn open_until_killed(arguments: &[String]) {
    let [path, shape @ ..] = arguments else { panic!("{arguments:?}") };
    let shape = Shape::of(shape);
    loop {
        say("opening");
        let mut producer = Producer::open(path).expect("an archive that opens");
        say("opened");
        let next = producer.ring().next_id().expect("next");
        for id in next..next + 3 {
            let payload = payload_of(STYLE, id, 0, shape.record_size);
            say(&format!("a {}", producer.append(&payload).expect("an append")));
        }
        say(&format!("U {next} 1"));
        let payload = payload_of(STYLE, next, 1, shape.record_size);
        producer.update(next, &payload).expect("an update");
        say(&format!("u {next} 1"));
        // Now and then a redo slot that was written through is left behind.
        if next.is_multiple_of(2) {
            producer.flush().expect("a flush");
        }
        producer.die();
    }
}

/// The child that makes archives until it is killed: directory.
pub(crate) fn create_until_killed(arguments: &[String]) {
    let [directory] = arguments else { panic!("{arguments:?}") };
    for number in 0.. {
        let path = Path::new(directory).join(format!("ring{number}"));
        say(&format!("creating {number}"));
        RingOptions::new(100, 1000).shards(5).create(path).expect("an archive").die();
    }
    wait_for_the_end();
}

/// A word of the hot page, as it is in the file.
fn word(path: &Path, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    let file = fs::File::open(path).expect("the archive");
    file.read_exact_at(&mut bytes, offset).expect("a word");
    u64::from_le_bytes(bytes)
}

/// Lets the child run on, so that the kill comes at a random moment.
fn spin(moment: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < moment {
        std::hint::spin_loop();
    }
}

/// The parent's side of one ring.
struct Killer {
    shape: Shape,
    ledger: Ledger,
    /// A reader that lives on through all the deaths.
    tailer: Option<Tailer>,
    tailed: u64,
    slowest: Duration,
    /// Kills while a slot of an append was stored, and while one of a rewrite was.
    cut_appends: u32,
    cut_rewrites: u32,
}

impl Killer {
    fn new(shape: Shape) -> Self {
        let ledger = Ledger::new(shape.capacity);
        let (tailed, slowest) = (0, Duration::ZERO);
        let (cut_appends, cut_rewrites) = (0, 0);
        Self { shape, ledger, tailer: None, tailed, slowest, cut_appends, cut_rewrites }
    }

    /// Lets a child say so many lines, and go on for a moment; then kills it, and takes note of all
    /// it has said.
    fn kill_after(&mut self, child: Running, lines: u64, moment: Duration) {
        for _ in 0..lines {
            self.ledger.note(&child.line());
        }
        spin(moment);
        for line in child.kill() {
            self.ledger.note(&line);
        }
    }

    /// A reader's look, then a producer's, and some records more.
    fn check(&mut self, path: &Path, close: bool) {
        let size = self.shape.record_size;
        let reader = Ring::open(path).expect("a reader opens at once");
        self.ledger.check(&reader, size);
        let (next, touched) = (reader.next_id().expect("next"), word(path, TOUCHED));
        self.cut_appends += u32::from(touched > next);
        self.cut_rewrites += u32::from(!word(path, COUNTER).is_multiple_of(2));
        let begun = Instant::now();
        let mut producer = Producer::open(path).expect("a producer opens at once");
        self.slowest = self.slowest.max(begun.elapsed());
        assert!(word(path, COUNTER).is_multiple_of(2), "a rewrite under way is finished");
        let opened = producer.ring().next_id().expect("next");
        assert_eq!(opened, next.max(touched), "what was touched is not used again");
        self.ledger.check(&producer.ring(), size);
        self.ledger.settle();
        self.ledger.check(&reader, size);
        for _ in 0..3 {
            let payload = payload_of(STYLE, self.ledger.next(), 0, size);
            let id = producer.append(&payload).expect("an append");
            self.ledger.appended(id, 1);
        }
        let id = self.ledger.next() - 1;
        producer.update(id, &payload_of(STYLE, id, 2, size)).expect("an update");
        self.ledger.rewrote(id, Some(2));
        if close {
            producer.close().expect("a close");
        } else {
            producer.die();
        }
        self.ledger.check(&reader, size);
        self.tail(&reader);
    }

    /// The tailer comes to every id once, in order, whoever wrote it.
    fn tail(&mut self, ring: &Ring) {
        let closely = AfterLap::Oldest { margin: 0 };
        let tailer =
            self.tailer.get_or_insert_with(|| ring.tailer(Start::Oldest).after_lap(closely));
        let mut room = vec![0; self.shape.record_size];
        let mut expected = tailer.position();
        while let Some(item) = tailer.try_next().expect("a look") {
            match item {
                Tailed::Record { id, payload } => {
                    assert_eq!(id, expected);
                    assert!(version_of(STYLE, id, payload, &mut room).is_some(), "{id}");
                    self.tailed += 1;
                }
                Tailed::Hole { id, .. } => assert_eq!(id, expected),
                Tailed::Missed { ids } => {
                    assert_eq!(ids.start, expected);
                    expected = ids.end;
                    continue;
                }
                other => panic!("{other:?} after {expected}"),
            }
            expected += 1;
        }
        assert_eq!(expected, self.ledger.next());
    }
}

#[test]
fn a_hundred_killed_producers_lose_nothing_that_append_returned() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = fastrand::Rng::with_seed(100);
    let mut cut = 0;
    for shape in SHAPES {
        let path = directory.path().join(format!("ring{}", shape.record_size));
        let mut killer = Killer::new(shape);
        for round in 0..ROUNDS / 2 {
            let policy = POLICIES[usize::try_from(round % 4).expect("small")];
            let acts = ACTS[usize::try_from(round / 4 % 3).expect("small")];
            let seed = random.u64(..).to_string();
            let [size, capacity, shards] = shape.arguments();
            let name = path.to_str().expect("ASCII");
            let arguments = [name, policy, acts, &seed, &size, &capacity, &shards];
            let child = Running::start("act until killed", &arguments);
            // A sync takes long: fewer lines there.
            let lines_max = if policy == "always" { 60 } else { 400 };
            let moment = Duration::from_micros(random.u64(..500));
            killer.kill_after(child, random.u64(3..lines_max), moment);
            killer.check(&path, round.is_multiple_of(2));
        }
        let Killer { ledger, tailed, slowest, cut_appends, cut_rewrites, .. } = killer;
        let sums = ledger.sums;
        println!("{shape:?}: {sums:?}, {tailed} tailed, slowest opening {slowest:?}");
        println!("{cut_appends} appends and {cut_rewrites} rewrites were cut in a slot");
        let each = [sums.appended, sums.skipped, sums.jumps, sums.updated, sums.deleted, tailed];
        assert!(each.iter().all(|&count| count > 0), "{sums:?}");
        cut += sums.found + sums.lost;
        assert!(slowest < PATIENCE / 6, "a producer opens at once, not after {slowest:?}");
    }
    assert!(cut > 0, "no append was ever cut");
}

#[test]
fn appends_and_rewrites_that_are_cut_in_the_middle_of_a_slot_are_made_good() {
    let directory = fast_directory();
    let mut random = fastrand::Rng::with_seed(50);
    // Slots so large that one kill in ten comes while one is stored.
    let shape = Shape { record_size: 200_000, capacity: 6, shards: 2 };
    let path = directory.path().join("cache.dat");
    let mut killer = Killer::new(shape);
    let mut round = 0;
    while killer.cut_appends.min(killer.cut_rewrites) < CUTS_MIN && round < 1000 {
        let acts = if round % 3 == 0 { "append" } else { "update" };
        let seed = random.u64(..).to_string();
        let [size, capacity, shards] = shape.arguments();
        let name = path.to_str().expect("ASCII");
        let arguments = [name, "never", acts, &seed, &size, &capacity, &shards];
        let child = Running::start("act until killed", &arguments);
        killer.kill_after(child, random.u64(6..12), Duration::from_micros(random.u64(..1000)));
        killer.check(&path, round % 2 == 0);
        round += 1;
    }
    let Killer { cut_appends, cut_rewrites, ledger, .. } = killer;
    println!("{cut_appends} appends and {cut_rewrites} rewrites of {round} were cut in a slot");
    assert!(cut_appends.min(cut_rewrites) >= CUTS_MIN && ledger.sums.lost > 0);
}

#[test]
fn producers_killed_while_they_open_leave_everything_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    let shape = SHAPES[0];
    let mut killer = Killer::new(shape);
    shape.options().create(&path).expect("an archive").close().expect("a close");
    let mut random = fastrand::Rng::with_seed(40);
    let (mut rounds, mut inside) = (0, 0);
    while rounds < 40 {
        let [size, capacity, shards] = shape.arguments();
        let arguments = [path.to_str().expect("ASCII"), &size, &capacity, &shards];
        let child = Running::start("open until killed", &arguments);
        for _ in 0..random.u32(..40) {
            killer.ledger.note(&child.line());
        }
        // On to the next opening; then a moment that may end inside it.
        let mut last = String::new();
        while last != "opening" {
            last = child.line();
            killer.ledger.note(&last);
        }
        spin(Duration::from_micros(random.u64(..8000)));
        for line in child.kill() {
            killer.ledger.note(&line);
            last = line;
        }
        inside += u32::from(last == "opening");
        rounds += 1;
        killer.check(&path, rounds % 5 == 0);
    }
    println!("{inside} of {rounds} kills inside an opening: {:?}", killer.ledger.sums);
    assert!(inside > 0);
}

#[test]
fn a_creation_that_is_killed_leaves_a_whole_archive_or_none() {
    let mut random = fastrand::Rng::with_seed(30);
    let (mut whole, mut none) = (0, 0);
    for _ in 0..30 {
        let directory = tempfile::tempdir().expect("a directory");
        let name = directory.path().to_str().expect("ASCII");
        let child = Running::start("create until killed", &[name]);
        for _ in 0..random.u32(1..4) {
            child.line();
        }
        spin(Duration::from_micros(random.u64(..3000)));
        child.kill();
        for number in 0.. {
            let path = directory.path().join(format!("ring{number}"));
            let options = RingOptions::new(100, 1000).shards(5);
            let existed = path.exists();
            let mut producer = options.open_or_create(&path).expect("whole or none");
            assert_eq!(producer.append(&[1; 100]).expect("an append"), 0);
            if !existed {
                none += 1;
                break;
            }
            whole += 1;
        }
    }
    println!("{whole} archives were whole, {none} creations were not finished");
    assert!(whole > 0 && none > 0);
}
