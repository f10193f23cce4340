//! Goal: a durable queue keeps its promises over deaths and power cuts at any step.
//!
//! Method: random lives of a queue on a simulated disk, which die at a random step of their opening
//! or work. Another process opens what is left, twice, and receives all of it: the items are those
//! that were pushed, without a hole; what a process had returned is there after its death, and what
//! was durable after a power cut; a batch is there as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use ringkeep::{
    Bytes, Compression, Crash, Delivery, Mode, Queue, QueueOptions, Recovery, SimDisk, SyncPolicy,
};

const CRASHES: u64 = 10_000;
const PATH: &str = "/sim/queue";

#[derive(Debug, Default)]
struct Oracle {
    /// What was to be pushed under each number, and how many were pushed with it, from which on.
    items: BTreeMap<u64, (Vec<u8>, u64, u64)>,
    /// One past the last item that a push has returned.
    returned: u64,
    durable: u64,
    /// Items before it were acknowledged.
    done: u64,
    acknowledged: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Seen {
    crashes: BTreeMap<&'static str, u64>,
    received: u64,
    lost: u64,
    torn: u64,
    torn_pages: u64,
    again: u64,
    above_durable: u64,
    segments: u64,
}

struct Driver {
    random: fastrand::Rng,
    disk: SimDisk,
    options: QueueOptions<Bytes>,
    oracle: Oracle,
}

impl Driver {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimDisk::new(seed, [64, 512][random.usize(..2)]);
        let policy = match random.u8(..3) {
            0 => SyncPolicy::Never,
            1 => SyncPolicy::EveryRecords(random.u64(1..9)),
            _ => SyncPolicy::Always,
        };
        let options = QueueOptions::new(Bytes)
            .mode(Mode::Durable(policy))
            .recovery([Recovery::Fail, Recovery::TruncateTail][random.usize(..2)])
            .segment_bytes(random.u64(..9000))
            .compression([Compression::None, Compression::Lz4][random.usize(..2)]);
        Self { random, disk, options, oracle: Oracle::default() }
    }

    fn open(&self) -> ringkeep::Result<Queue<Vec<u8>, Bytes>> {
        self.options.clone().on(&self.disk).open(PATH)
    }

    fn item(&mut self) -> Vec<u8> {
        let bytes = [3, 40, 400, 2_500][self.random.usize(..4)];
        let values = [2, 255][self.random.usize(..2)];
        (0..self.random.usize(..bytes)).map(|_| self.random.u8(..values)).collect()
    }

    /// Works until it dies or has done enough.
    fn work(&mut self, queue: &Queue<Vec<u8>, Bytes>) {
        let mut held = Vec::new();
        for _ in 0..self.random.usize(1..40) {
            match self.random.u8(..10) {
                0..5 => self.push(queue),
                5..7 => held.extend(queue.try_recv().ok()),
                7..9 if !held.is_empty() => {
                    let at = self.random.usize(..held.len());
                    self.acknowledge(held.swap_remove(at));
                }
                9 => drop(queue.sync()),
                _ => {}
            }
            if self.disk.is_dead() {
                return;
            }
            self.oracle.durable = self.oracle.durable.max(queue.durable());
        }
    }

    fn push(&mut self, queue: &Queue<Vec<u8>, Bytes>) {
        let count = if self.random.u8(..4) == 0 { self.random.u64(1..6) } else { 1 };
        let items: Vec<_> = (0..count).map(|_| self.item()).collect();
        let first = self.oracle.returned;
        for (number, item) in (first..).zip(&items) {
            self.oracle.items.insert(number, (item.clone(), first, count));
        }
        let pushed = queue.push_batch(items);
        if !self.disk.is_dead() {
            assert_eq!(pushed.expect("nothing fails"), Some(first));
            self.oracle.returned = first + count;
        }
    }

    fn acknowledge(&mut self, delivery: Delivery<Vec<u8>, Bytes>) {
        let number = delivery.number();
        delivery.ack();
        // One that died in it may have done it.
        self.oracle.acknowledged.insert(number);
        if self.disk.is_dead() {
            return;
        }
        while self.oracle.acknowledged.contains(&self.oracle.done) {
            self.oracle.done += 1;
        }
    }

    /// Receives all that is left, in another process that keeps its hands off.
    fn judge(&mut self, crash: Crash, seen: &mut Seen) {
        let disk = self.disk.copy();
        let look = || self.options.clone().on(&disk.other_process()).open::<Vec<u8>>(PATH);
        let first_look = look().expect("it opens");
        let report = first_look.recovery().clone();
        assert_eq!(report.lost, []);
        drop(first_look);
        disk.kill();
        let queue = look().expect("it opens again");
        assert_eq!(queue.recovery().kept, report.kept);
        let oracle = &mut self.oracle;
        let mut found = Vec::new();
        while let Ok(delivery) = queue.try_recv() {
            let (item, ..) = &oracle.items[&delivery.number()];
            assert_eq!(&*delivery, item, "item {}", delivery.number());
            found.push(delivery);
        }
        let first = found.first().map_or(queue.durable(), Delivery::number);
        let next = first + found.len() as u64;
        assert!(found.iter().map(Delivery::number).eq(first..next), "there is a hole");
        assert_eq!(report.kept, found.len() as u64);
        let owed = if crash == Crash::Kill { oracle.returned } else { oracle.durable };
        assert!(next >= owed, "{next} is the end, and {owed} is owed after a {crash:?}");
        let needed = (0..=next).find(|id| !oracle.acknowledged.contains(id));
        assert!(
            needed.is_none_or(|needed| first <= needed),
            "{first} is the first, not {needed:?}"
        );
        if crash == Crash::Kill {
            assert!(first >= oracle.done, "{first} comes back, {} was done", oracle.done);
        }
        if let Some(last) = found.last() {
            let (_, begin, count) = oracle.items[&last.number()];
            assert_eq!(next, begin + count, "a batch is there in part");
        }
        seen.received += found.len() as u64;
        seen.lost += oracle.returned.saturating_sub(next);
        seen.torn += u64::from(report.torn_bytes > 0);
        seen.again += oracle.done.saturating_sub(first);
        seen.above_durable += next.saturating_sub(oracle.durable);
        seen.segments = seen.segments.max(queue.stats().segments);
        // The numbers go on behind it.
        (oracle.returned, oracle.done) = (next, first);
        oracle.items.retain(|&id, _| id < next);
        oracle.acknowledged.retain(|&id| id < first);
        drop(found);
        disk.kill();
    }

    fn live(&mut self, seen: &mut Seen) {
        self.disk = self.disk.other_process();
        let crash = if self.random.bool() { Crash::Kill } else { Crash::Cut };
        let steps = [20, 200, 2000][self.random.usize(..3)];
        self.disk.arm(crash, self.random.u64(1..steps));
        let opened = self.open();
        let is_open = !self.disk.is_dead();
        if let Ok(queue) = &opened
            && is_open
        {
            self.work(queue);
        }
        let fired = self.disk.disarm();
        self.disk.kill();
        drop(opened);
        if crash == Crash::Cut {
            if self.random.u8(..3) == 0 {
                seen.torn_pages += self.disk.tear_power().len() as u64;
            } else {
                self.disk.cut_power();
            }
        }
        let phase = match (crash, fired, is_open) {
            (_, None, _) => "at rest",
            (Crash::Kill, _, false) => "kill while opening",
            (Crash::Cut, _, false) => "cut while opening",
            (Crash::Kill, ..) => "kill while working",
            (Crash::Cut, ..) => "cut while working",
        };
        *seen.crashes.entry(phase).or_default() += 1;
        self.judge(crash, seen);
    }
}

#[test]
fn what_was_promised_is_there_after_any_crash() {
    let mut seen = Seen::default();
    for seed in 0.. {
        eprintln!("seed {seed}");
        let mut driver = Driver::new(seed);
        for _ in 0..driver.random.u8(2..10) {
            driver.live(&mut seen);
        }
        if seen.crashes.values().sum::<u64>() >= CRASHES {
            break;
        }
    }
    println!("{seen:#?}");
    let each =
        [seen.received, seen.lost, seen.torn, seen.torn_pages, seen.again, seen.above_durable];
    assert!(each.iter().all(|&count| count > 100) && seen.segments > 3, "{seen:?}");
    assert!(seen.crashes.len() == 5 && seen.crashes.values().all(|&count| count > 100), "{seen:?}");
}
