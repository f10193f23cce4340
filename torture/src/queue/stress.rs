//! Many producers and consumers for a while, on real files: a queue that grows onto the disk and
//! drains again and again, judged while it does.
//!
//! Half of the time those who receive rest after each item, and half of the time those who push
//! do. An item has its producer and its place among that producer's items in it, and the rest of
//! its bytes follow from these. Whoever receives sometimes puts an item back, and sometimes holds a
//! few. Promised and judged: every item is acknowledged once and is what was pushed; the queue's
//! numbers are in the order of each producer's pushes; items are handed out for the first time in
//! the order of their numbers; memory and disk stay within their limits, and the process, as the
//! kernel counts it, within the queue's budget and `SLACK_BYTES` more.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use ringkeep::{Bytes, Delivery, Error, Mode, Queue, QueueOptions, QueueStats, SyncPolicy};

use crate::{kill::child::PATIENCE, report::Report, work::text_of};

const ITEM_BYTES_MAX: usize = 16 << 10;
/// What the queue may take of the disk; those who push wait where it is met.
const DISK_BYTES_MAX: u64 = 256 << 20;
/// What the process may take beside the items: stacks, what the allocator keeps, frames under
/// construction, and what is known here.
const SLACK_BYTES: u64 = 32 << 20;
/// After that the others rest.
const TIDE: Duration = Duration::from_secs(1);
/// Between two looks at memory.
const LOOK: Duration = Duration::from_millis(10);
/// Items that one consumer holds at most, if the budget has room for so many.
const HELD_MAX: usize = 4;
/// More violations than these tell nothing new.
const VIOLATIONS_MAX: usize = 10;
/// From so many seconds on every class has to occur.
const REQUIRED_FROM: u64 = 5;

/// Of each run, in the order of [`Found::numbers`].
const SPILL: [&str; 9] = [
    "spill: items",
    "spill: MB a second",
    "spill: items on the disk at most",
    "spill: MiB on the disk at most",
    "spill: KiB of items in memory at most",
    "spill: KiB of RssAnon at most",
    "spill: found empty",
    "spill: held",
    "spill: put back",
];
const DURABLE: [&str; 9] = [
    "durable: items",
    "durable: MB a second",
    "durable: items on the disk at most",
    "durable: MiB on the disk at most",
    "durable: KiB of items in memory at most",
    "durable: KiB of RssAnon at most",
    "durable: found empty",
    "durable: held",
    "durable: put back",
];

/// How much is done, and by how many.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How long they push, in each mode.
    pub seconds: u64,
    /// Of the queue's memory.
    pub budget_bytes: usize,
    /// Threads that push.
    pub producers: u64,
    /// Threads that receive.
    pub consumers: u64,
}

impl Load {
    /// Items that a consumer may hold: all of them at once take less than half of the budget.
    fn held_max(&self) -> usize {
        let share = self.budget_bytes / 4 / usize::try_from(self.consumers).unwrap_or(usize::MAX);
        (share / ITEM_BYTES_MAX).min(HELD_MAX)
    }
}

/// A queue that spills, then a durable one.
#[must_use]
pub fn run(load: &Load) -> Report {
    let mut report = Report::default();
    // Once: what the allocator keeps of the first queue is no room for the second one.
    let rss_bytes_max = rss_anon_bytes() + load.budget_bytes as u64 + SLACK_BYTES;
    for (mode, classes) in
        [(Mode::Spill, SPILL), (Mode::Durable(SyncPolicy::EveryRecords(64)), DURABLE)]
    {
        let found = one_mode(load, mode, rss_bytes_max);
        report.trials += found.items;
        for (class, number) in classes.into_iter().zip(found.numbers()) {
            report.add(class, number);
        }
        for text in &found.violations {
            report.fail(format!("{mode:?}: {text}"));
        }
        eprintln!("{mode:?} is done");
        if !found.has_ended {
            // Threads that hang would disturb the next run.
            break;
        }
        if load.seconds >= REQUIRED_FROM {
            report.require(&classes);
        }
    }
    report
}

/// What one run came to.
#[derive(Debug, Default)]
struct Found {
    items: u64,
    megabytes_per_second: u64,
    most: QueueStats,
    rss_bytes_most: u64,
    empty: u64,
    held: u64,
    put_back: u64,
    /// Else its threads hang.
    has_ended: bool,
    violations: Vec<String>,
}

impl Found {
    fn numbers(&self) -> [u64; 9] {
        [
            self.items,
            self.megabytes_per_second,
            self.most.items_on_disk,
            self.most.disk_bytes >> 20,
            self.most.memory_bytes >> 10,
            self.rss_bytes_most >> 10,
            self.empty,
            self.held,
            self.put_back,
        ]
    }
}

fn one_mode(load: &Load, mode: Mode, rss_bytes_max: u64) -> Found {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).mode(mode).memory_bytes(load.budget_bytes);
    let options = options.disk_bytes_max(DISK_BYTES_MAX);
    let queue = options.open(directory.path()).expect("a queue");
    let shared = Arc::new(Shared::new(*load, queue));
    let mut watch = Watch::new(Arc::clone(&shared));
    let consumers = start(&shared, load.consumers, Shared::consume);
    let producers = start(&shared, load.producers, Shared::produce);
    let has_ended = watch.until_ended(producers) && {
        if let Err(error) = shared.queue.close() {
            shared.fail(format!("closing failed: {error}"));
        }
        watch.until_ended(consumers)
    };
    let taken = shared.begun.elapsed();
    watch.check_sizes(rss_bytes_max);
    if has_ended {
        shared.check_the_end(mode);
    }
    let found = Found {
        items: shared.ledger.lock().done,
        megabytes_per_second: per_second(shared.bytes.load(Relaxed), taken) / 1_000_000,
        most: watch.most,
        rss_bytes_most: watch.rss_bytes_most,
        empty: shared.empty.load(Relaxed),
        held: shared.held.load(Relaxed),
        put_back: shared.put_back.load(Relaxed),
        has_ended,
        violations: shared.violations.lock().clone(),
    };
    if !has_ended || mode == Mode::Spill {
        return found;
    }
    drop((watch, shared));
    let again = options.open::<Vec<u8>>(directory.path()).expect("it opens again");
    let mut violations = found.violations;
    if !again.is_empty() {
        violations.push(format!("{} acknowledged items came back", again.len()));
    }
    Found { violations, ..found }
}

fn start(shared: &Arc<Shared>, count: u64, act: fn(&Shared, u64)) -> Vec<JoinHandle<()>> {
    let one = |number| {
        let shared = Arc::clone(shared);
        thread::spawn(move || act(&shared, number))
    };
    (0..count).map(one).collect()
}

fn per_second(bytes: u64, taken: Duration) -> u64 {
    let millis = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / millis
}

/// Memory of this process that no file backs.
fn rss_anon_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this process has a status");
    let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("a size in kB") << 10
}

/// The item of a producer with this sequence: 8 bytes for the two, and more for most.
fn item(producer: u64, sequence: u64) -> Vec<u8> {
    let word = (producer << 48) | sequence;
    let mut random = fastrand::Rng::with_seed(word);
    let most = [8, 100, 1_000, ITEM_BYTES_MAX][random.usize(..4)];
    let mut item = vec![0; random.usize(8..=most)];
    random.fill(&mut item);
    item[..8].copy_from_slice(&word.to_le_bytes());
    item
}

/// Whose item it is, and which of that producer's; `None` if it is nobody's.
fn origin(bytes: &[u8]) -> Option<(u64, u64)> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let (producer, sequence) = (word >> 48, word & ((1 << 48) - 1));
    (item(producer, sequence) == bytes).then_some((producer, sequence))
}

/// What was acknowledged, in the order of the queue's numbers.
#[derive(Debug, Default)]
struct Ledger {
    /// One past the last item before which all were acknowledged.
    done: u64,
    /// Those behind it, with their origins: few, because few are held.
    ahead: BTreeMap<u64, (u64, u64)>,
    /// Of each producer, the sequence that comes next.
    next: BTreeMap<u64, u64>,
}

impl Ledger {
    fn acknowledged(&mut self, number: u64, origin: (u64, u64)) -> Result<(), String> {
        if number < self.done || self.ahead.insert(number, origin).is_some() {
            return Err(format!("item {number} was acknowledged twice"));
        }
        while let Some((producer, sequence)) = self.ahead.remove(&self.done) {
            let next = self.next.entry(producer).or_default();
            if sequence != *next {
                let number = self.done;
                return Err(format!(
                    "item {number} is push {sequence} of producer {producer}, not {next}"
                ));
            }
            *next += 1;
            self.done += 1;
        }
        Ok(())
    }
}

type Item<'a> = &'a Delivery<Vec<u8>, Bytes>;

/// What all threads share.
#[derive(Debug)]
struct Shared {
    load: Load,
    begun: Instant,
    queue: Queue<Vec<u8>, Bytes>,
    ledger: Mutex<Ledger>,
    violations: Mutex<Vec<String>>,
    /// Items whose push returned.
    pushed: AtomicU64,
    /// Of items that were acknowledged.
    bytes: AtomicU64,
    empty: AtomicU64,
    held: AtomicU64,
    put_back: AtomicU64,
    /// Nobody tells it: waiting for it is resting.
    rest: (Mutex<()>, Condvar),
}

impl Shared {
    fn new(load: Load, queue: Queue<Vec<u8>, Bytes>) -> Self {
        Self {
            load,
            begun: Instant::now(),
            queue,
            ledger: Mutex::default(),
            violations: Mutex::default(),
            pushed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            empty: AtomicU64::new(0),
            held: AtomicU64::new(0),
            put_back: AtomicU64::new(0),
            rest: (Mutex::default(), Condvar::new()),
        }
    }

    fn fail(&self, text: String) {
        let mut violations = self.violations.lock();
        if violations.len() < VIOLATIONS_MAX {
            violations.push(text);
        }
    }

    /// Whether there is more to push.
    fn goes_on(&self) -> bool {
        self.begun.elapsed().as_secs() < self.load.seconds && self.violations.lock().is_empty()
    }

    /// Whether the queue grows now: else it drains.
    fn grows(&self) -> bool {
        (self.begun.elapsed().as_millis() / TIDE.as_millis()).is_multiple_of(2)
    }

    fn rest(&self, duration: Duration) {
        self.rest.1.wait_for(&mut self.rest.0.lock(), duration);
    }

    fn produce(&self, producer: u64) {
        let mut random = fastrand::Rng::with_seed(producer);
        let (mut sequence, mut last) = (0, None);
        while self.goes_on() {
            match self.queue.push(item(producer, sequence)) {
                Ok(Some(number)) if last < Some(number) => last = Some(number),
                pushed => {
                    let push = format!("push {sequence} of producer {producer}");
                    return self.fail(format!("{push} came to {pushed:?} after {last:?}"));
                }
            }
            sequence += 1;
            self.pushed.fetch_add(1, Relaxed);
            if !self.grows() {
                self.rest(Duration::from_micros(random.u64(500..2_000)));
            }
        }
    }

    fn consume(&self, consumer: u64) {
        let mut random = fastrand::Rng::with_seed(consumer);
        let (mut held, mut last) = (Vec::new(), None);
        loop {
            match self.queue.recv_timeout(Duration::from_millis(2)) {
                Ok(delivery) => {
                    self.look_at(&delivery, &mut last);
                    match random.u8(..50) {
                        0 => {
                            self.put_back.fetch_add(1, Relaxed);
                            delivery.nack();
                        }
                        1..=3 if held.len() < self.load.held_max() => {
                            self.held.fetch_add(1, Relaxed);
                            held.push(delivery);
                        }
                        _ => self.acknowledge(delivery),
                    }
                }
                Err(Error::Empty) => {
                    self.empty.fetch_add(u64::from(self.goes_on()), Relaxed);
                    // What is held keeps a closed queue from ending.
                    held.drain(..).for_each(|delivery| self.acknowledge(delivery));
                }
                Err(Error::Closed) => return,
                Err(error) => return self.fail(format!("receiving failed: {error}")),
            }
            if !held.is_empty() && random.u8(..20) == 0 {
                self.acknowledge(held.swap_remove(random.usize(..held.len())));
            }
            if self.goes_on() && self.grows() {
                self.rest(Duration::from_micros(random.u64(500..2_000)));
            }
        }
    }

    /// Judges an item that a consumer was handed out; `last` is the last one that nobody had had
    /// before it.
    fn look_at(&self, delivery: Item<'_>, last: &mut Option<u64>) {
        let number = delivery.number();
        if origin(delivery).is_none() {
            self.fail(format!("item {number} is not what was pushed"));
        }
        if delivery.attempts() != 1 {
            return;
        }
        if *last >= Some(number) {
            self.fail(format!("item {number} was handed out first after {last:?}"));
        }
        *last = Some(number);
    }

    fn acknowledge(&self, delivery: Delivery<Vec<u8>, Bytes>) {
        let number = delivery.number();
        let item = delivery.ack();
        self.bytes.fetch_add(item.len() as u64, Relaxed);
        // If it is nobody's, that was told.
        let Some(origin) = origin(&item) else { return };
        if let Err(text) = self.ledger.lock().acknowledged(number, origin) {
            self.fail(text);
        }
    }

    /// Nothing is left, and nothing is missing.
    fn check_the_end(&self, mode: Mode) {
        let (stats, pushed) = (self.queue.stats(), self.pushed.load(Relaxed));
        let done = self.ledger.lock().done;
        if [stats.pushed, stats.acknowledged, done] != [pushed; 3] {
            self.fail(format!("{pushed} were pushed, {done} acknowledged in order: {stats:?}"));
        }
        if [stats.items, stats.leased, stats.items_on_disk, stats.memory_bytes] != [0; 4] {
            self.fail(format!("there is something left: {stats:?}"));
        }
        if [stats.dropped, stats.dead, stats.lost] != [0; 3] {
            self.fail(format!("there is something gone: {stats:?}"));
        }
        let put_back = self.put_back.load(Relaxed);
        if [stats.returned, stats.received - stats.acknowledged] != [put_back; 2] {
            self.fail(format!("{put_back} were put back: {stats:?}"));
        }
        if mode != Mode::Spill && self.queue.durable() != pushed {
            self.fail(format!("of {pushed}, {} are durable", self.queue.durable()));
        }
    }
}

/// Looks at memory and disk while the others work.
#[derive(Debug)]
struct Watch {
    shared: Arc<Shared>,
    rss_bytes_most: u64,
    most: QueueStats,
    /// Items that were pushed and received, and when that was last another number.
    moved: (u64, Instant),
}

impl Watch {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, rss_bytes_most: 0, most: QueueStats::default(), moved: (0, Instant::now()) }
    }

    /// Watches until these threads have ended; whether they have: else nothing moves any more.
    fn until_ended(&mut self, threads: Vec<JoinHandle<()>>) -> bool {
        while !threads.iter().all(JoinHandle::is_finished) {
            self.look();
            if self.moved.1.elapsed() > PATIENCE {
                let stats = self.shared.queue.stats();
                self.shared.fail(format!("nothing moves any more: {stats:?}"));
                return false;
            }
            self.shared.rest(LOOK);
        }
        for thread in threads {
            if let Err(panic) = thread.join() {
                self.shared.fail(format!("panicked: {}", text_of(&*panic)));
            }
        }
        true
    }

    fn look(&mut self) {
        let (stats, rss_bytes) = (self.shared.queue.stats(), rss_anon_bytes());
        self.rss_bytes_most = self.rss_bytes_most.max(rss_bytes);
        let most = &mut self.most;
        most.items_on_disk = most.items_on_disk.max(stats.items_on_disk);
        most.disk_bytes = most.disk_bytes.max(stats.disk_bytes);
        most.memory_bytes = most.memory_bytes.max(stats.memory_bytes);
        let moved = stats.pushed + stats.received + stats.acknowledged;
        if moved != self.moved.0 {
            self.moved = (moved, Instant::now());
        }
    }

    /// Judges the largest sizes: afterwards, so that the run tells how large they become.
    fn check_sizes(&self, rss_bytes_max: u64) {
        for (what, bytes, max) in [
            // One item more, where what is held takes the room for reading.
            (
                "memory_bytes",
                self.most.memory_bytes,
                (self.shared.load.budget_bytes + ITEM_BYTES_MAX) as u64,
            ),
            ("disk_bytes", self.most.disk_bytes, DISK_BYTES_MAX),
            ("RssAnon", self.rss_bytes_most, rss_bytes_max),
        ] {
            if bytes > max {
                self.shared.fail(format!("{what} was up to {bytes}, at most {max} are allowed"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, item, origin};

    #[test]
    fn items_tell_their_origin_and_any_changed_byte() {
        for sequence in 0..40 {
            let mut bytes = item(9, sequence);
            assert_eq!(origin(&bytes), Some((9, sequence)));
            let last = bytes.len() - 1;
            if last >= 8 {
                bytes[last] ^= 1;
                assert_eq!(origin(&bytes), None);
                assert_eq!(origin(&bytes[..last]), None);
            }
        }
        assert_eq!(origin(&[0; 7]), None);
    }

    #[test]
    fn the_ledger_takes_any_order_and_refuses_what_is_doubled_or_misplaced() {
        let mut ledger = Ledger::default();
        for (number, origin) in [(2, (0, 1)), (0, (0, 0)), (1, (7, 0)), (3, (7, 1))] {
            assert_eq!(ledger.acknowledged(number, origin), Ok(()));
        }
        assert_eq!((ledger.done, ledger.ahead.len()), (4, 0));
        assert!(ledger.acknowledged(3, (7, 1)).is_err(), "twice");
        assert!(ledger.acknowledged(4, (7, 3)).is_err(), "one is missing before it");
        let mut ledger = Ledger::default();
        assert_eq!(ledger.acknowledged(1, (0, 0)), Ok(()));
        assert!(ledger.acknowledged(1, (0, 0)).is_err(), "twice, ahead");
        assert!(ledger.acknowledged(0, (0, 1)).is_err(), "the later push has the earlier number");
    }
}
