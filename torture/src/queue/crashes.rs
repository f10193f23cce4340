//! Random lives of a durable queue on a simulated disk, which die at a random step of their opening
//! or work. Another process opens what is left, twice, and receives all of it. A look at the files
//! from outside, before they are opened, finds the same.

use std::collections::{BTreeMap, BTreeSet};

use ringkeep::{
    Bytes, Compression, Crash, Delivery, Error, Mode, Queue, QueueFiles, QueueOptions, Recovery,
    SimDisk, SyncPolicy,
};

use crate::report::Report;

const PATH: &str = "/sim/queue";

/// All that happens to the queue of a seed.
pub(super) fn of(seed: u64) -> Report {
    let mut driver = Driver::new(seed);
    for _ in 0..driver.random.u8(2..10) {
        driver.live();
    }
    driver.report
}

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

struct Driver {
    random: fastrand::Rng,
    disk: SimDisk,
    options: QueueOptions<Bytes>,
    oracle: Oracle,
    report: Report,
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
        let recoveries = [Recovery::Fail, Recovery::TruncateTail, Recovery::SkipCorrupt];
        let options = QueueOptions::new(Bytes)
            .mode(Mode::Durable(policy))
            .recovery(recoveries[random.usize(..3)])
            .segment_bytes(random.u64(..9000))
            .compression([Compression::None, Compression::Lz4][random.usize(..2)]);
        Self { random, disk, options, oracle: Oracle::default(), report: Report::default() }
    }

    fn open(&self) -> ringkeep::Result<Queue<Vec<u8>, Bytes>> {
        self.options.clone().on(&self.disk).open(PATH)
    }

    fn item(&mut self) -> Vec<u8> {
        let bytes = [3, 40, 400, 2_500][self.random.usize(..4)];
        let values = [2, 255][self.random.usize(..2)];
        (0..self.random.usize(..bytes)).map(|_| self.random.u8(..values)).collect()
    }

    fn live(&mut self) {
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
        self.end(crash, opened);
        let phase = match (crash, fired, is_open) {
            (_, None, _) => "at rest",
            (Crash::Kill, _, false) => "kill while opening",
            (Crash::Cut, _, false) => "cut while opening",
            (Crash::Kill, ..) => "kill while working",
            (Crash::Cut, ..) => "cut while working",
        };
        self.report.count(phase);
        let crash = self.crash_in_recovery(crash);
        self.judge(crash);
    }

    /// The process ends, and maybe the power too.
    fn end(&mut self, crash: Crash, opened: ringkeep::Result<Queue<Vec<u8>, Bytes>>) {
        self.report.trials += 1;
        self.disk.kill();
        drop(opened);
        if crash == Crash::Kill {
            return;
        }
        if self.random.u8(..3) == 0 {
            self.report.add("torn page", self.disk.tear_power().len() as u64);
        } else {
            self.disk.cut_power();
        }
    }

    /// One time in two the next process dies while it opens the queue. The worse one of both.
    fn crash_in_recovery(&mut self, crash: Crash) -> Crash {
        let mut worst = crash;
        while self.random.bool() {
            self.disk = self.disk.other_process();
            let crash = if self.random.bool() { Crash::Kill } else { Crash::Cut };
            self.disk.arm(crash, self.random.u64(1..60));
            let opened = self.open();
            let is_dead = self.disk.is_dead();
            let _ = self.disk.disarm();
            assert!(is_dead || opened.is_ok(), "it does not open: {opened:?}");
            self.end(crash, opened);
            if is_dead {
                self.report.count("crash in recovery");
            }
            if crash == Crash::Cut {
                worst = crash;
            }
        }
        worst
    }

    /// Works until it dies or has done enough.
    fn work(&mut self, queue: &Queue<Vec<u8>, Bytes>) {
        let mut held = Vec::new();
        for _ in 0..self.random.usize(1..40) {
            match self.random.u8(..20) {
                0..10 => self.push(queue),
                10..14 => held.extend(queue.try_recv().ok()),
                14..18 if !held.is_empty() => {
                    let at = self.random.usize(..held.len());
                    self.acknowledge(held.swap_remove(at));
                }
                18 => drop(queue.sync()),
                19 if self.random.u8(..8) == 0 => return self.fail_a_sync(queue),
                _ => {}
            }
            if self.disk.is_dead() {
                return;
            }
            self.oracle.durable = self.oracle.durable.max(queue.durable());
        }
    }

    /// After it nothing more is taken in.
    fn fail_a_sync(&mut self, queue: &Queue<Vec<u8>, Bytes>) {
        let item = self.item();
        let number = self.oracle.returned;
        let pushed = queue.push(item.clone());
        if self.disk.is_dead() || pushed.is_ok() {
            self.oracle.items.insert(number, (item, number, 1));
        }
        if self.disk.is_dead() {
            return;
        }
        self.oracle.returned += u64::from(pushed.is_ok());
        self.disk.fail_next_sync(true);
        let synced = queue.sync();
        self.disk.fail_next_sync(false);
        self.oracle.durable = self.oracle.durable.max(queue.durable());
        if synced.is_err() && !self.disk.is_dead() {
            assert!(queue.push(vec![1]).is_err(), "a failed sync, and items are taken in");
            self.report.count("failed sync");
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
    fn judge(&mut self, crash: Crash) {
        let disk = self.disk.copy();
        let outside = seen_from_outside(&disk.other_process());
        let look = || self.options.clone().on(&disk.other_process()).open::<Vec<u8>>(PATH);
        let first_look = look().expect("it opens");
        let recovered = first_look.recovery().clone();
        assert_eq!(recovered.lost, [], "nothing that was promised is missing");
        drop(first_look);
        disk.kill();
        let queue = look().expect("it opens again");
        assert_eq!(queue.recovery().kept, recovered.kept, "opening twice is opening once");
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
        assert_eq!(recovered.kept, found.len() as u64);
        let items = found.iter().map(|delivery| (delivery.number(), delivery.to_vec()));
        assert!(outside.into_iter().eq(items), "it looks otherwise from outside");
        let owed = if crash == Crash::Kill { oracle.returned } else { oracle.durable };
        assert!(next >= owed, "{next} is the end, and {owed} is owed after a {crash:?}");
        let needed = (0..=next).find(|id| !oracle.acknowledged.contains(id));
        assert!(needed.is_none_or(|id| first <= id), "{first} is the first, not {needed:?}");
        if crash == Crash::Kill {
            assert!(first >= oracle.done, "{first} comes back, {} was done", oracle.done);
        }
        if let Some(last) = found.last() {
            let (_, begin, count) = oracle.items[&last.number()];
            assert_eq!(next, begin + count, "a batch is there in part");
        }
        let report = &mut self.report;
        report.add("received", found.len() as u64);
        report.add("lost suffix", u64::from(oracle.returned > next));
        report.add("torn tail", u64::from(recovered.torn_bytes > 0));
        report.add("acknowledged and received again", oracle.done.saturating_sub(first));
        report.add("received above durable", next.saturating_sub(oracle.durable));
        report.add("many segments", u64::from(queue.stats().segments > 3));
        // The numbers go on behind it.
        (oracle.returned, oracle.done) = (next, first);
        oracle.durable = oracle.durable.min(next);
        oracle.items.retain(|&id, _| id < next);
        oracle.acknowledged.retain(|&id| id < first);
        drop(found);
        disk.kill();
    }
}

/// The items that a look finds, which no damage is among.
fn seen_from_outside(disk: &SimDisk) -> Vec<(u64, Vec<u8>)> {
    let files = match QueueFiles::open_on(PATH, disk) {
        Err(Error::NoQueue { .. } | Error::NotAQueue { .. }) => return Vec::new(),
        files => files.expect("it can be looked at"),
    };
    let items: Vec<_> = files
        .items()
        .map(|item| item.map(|item| (item.number, item.bytes)).expect("nothing is damaged"))
        .collect();
    assert!(files.numbers().eq(items.iter().map(|(number, _)| *number)));
    items
}
