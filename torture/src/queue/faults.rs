//! Every call of the disk fails in turn, under a day in the life of a queue. Each error is a typed
//! one, comes with what was to be pushed, and costs nothing that was taken in before.

use ringkeep::{
    Bytes, Compression, Error, Mode, PushError, Queue, QueueOptions, SimDisk, SyncPolicy,
};
use rustix::io::Errno;

use crate::{report::Report, work::guarded};

const PATH: &str = "/sim/queue";
const CODES: [Errno; 2] = [Errno::IO, Errno::NOSPC];
const MODES: [Mode; 3] =
    [Mode::Spill, Mode::Durable(SyncPolicy::Always), Mode::Durable(SyncPolicy::Never)];
/// A day has fewer calls.
const CALLS_MAX: u64 = 100_000;
/// Larger than a run, so that a queue that spills has to.
const ITEM_BYTES: usize = 3_000;
const ITEMS: u64 = 24;

pub(super) fn run() -> Report {
    let mut report = Report::default();
    for mode in MODES {
        for for_good in [false, true] {
            for code in CODES {
                report.join(days(|| Day::of_a_new_queue(mode), for_good, code));
                report.join(days(|| Day::of_an_old_queue(mode), for_good, code));
            }
        }
    }
    report.require(&["opening fails", "a push fails", "receiving fails", "poisoned", "no error"]);
    report
}

/// One day for each call, until no call fails any more.
fn days(morning: impl Fn() -> Day, for_good: bool, code: Errno) -> Report {
    let mut report = Report::default();
    for call in 0..CALLS_MAX {
        report.join(guarded(call, || morning().with(call, for_good, code)));
        if report.outcomes.contains_key("no call failed") || !report.violations.is_empty() {
            break;
        }
    }
    report
}

/// What was done, and what has to be there.
struct Day {
    disk: SimDisk,
    mode: Mode,
    report: Report,
    /// Numbers of the items that were pushed, received and acknowledged.
    pushed: u64,
    done: u64,
}

fn item(number: u64) -> Vec<u8> {
    let mut item = vec![number.to_le_bytes()[0]; ITEM_BYTES];
    item[..8].copy_from_slice(&number.to_le_bytes());
    item
}

impl Day {
    fn of_a_new_queue(mode: Mode) -> Self {
        let (disk, report) = (SimDisk::new(3, 512), Report::default());
        Self { disk, mode, report, pushed: 0, done: 0 }
    }

    /// Of one that has items, unless it only spills.
    fn of_an_old_queue(mode: Mode) -> Self {
        let mut day = Self::of_a_new_queue(mode);
        let queue = day.options().open(PATH).expect("nothing fails yet");
        day.push(&queue);
        queue.close().expect("nothing fails yet");
        if mode == Mode::Spill {
            day.pushed = 0;
        }
        day
    }

    fn options(&self) -> QueueOptions<Bytes> {
        QueueOptions::new(Bytes)
            .mode(self.mode)
            .memory_bytes(64 << 10)
            .segment_bytes(30_000)
            .compression(Compression::Lz4)
            .on(&self.disk)
    }

    fn with(mut self, call: u64, for_good: bool, code: Errno) -> Report {
        self.report.trials = 1;
        self.disk.fail_a_call(call, for_good, code.raw_os_error());
        match self.options().open(PATH) {
            Ok(queue) => {
                self.live(&queue);
                let failed = self.disk.mend_calls();
                if failed == 0 {
                    self.report.count("no call failed");
                }
                self.drain(&queue);
            }
            Err(error) => {
                self.report.count("opening fails");
                assert!(is_typed(&error), "{error:?}");
                let _ = self.disk.mend_calls();
            }
        }
        if self.mode != Mode::Spill {
            self.open_again();
        }
        self.report
    }

    fn live(&mut self, queue: &Queue<Vec<u8>, Bytes>) {
        self.push(queue);
        for _ in 0..ITEMS / 3 {
            match queue.try_recv() {
                Ok(delivery) => {
                    assert_eq!(*delivery, item(self.done), "the next one");
                    delivery.ack();
                    self.done += 1;
                }
                Err(Error::Empty) => break,
                Err(error) => {
                    assert!(is_typed(&error), "{error:?}");
                    self.report.count("receiving fails");
                }
            }
        }
        self.push(queue);
        match queue.sync() {
            Err(Error::Poisoned { .. }) => self.report.count("poisoned"),
            Err(error) => assert!(is_typed(&error), "{error:?}"),
            Ok(()) => self.report.count("no error"),
        }
    }

    fn push(&mut self, queue: &Queue<Vec<u8>, Bytes>) {
        for _ in 0..ITEMS {
            match queue.try_push(item(self.pushed)) {
                Ok(number) => {
                    assert_eq!(number, Some(self.pushed));
                    self.pushed += 1;
                }
                Err(PushError { item: None, source }) => {
                    // It is in, and its sync has failed.
                    assert!(is_typed(&source), "{source:?}");
                    self.pushed += 1;
                }
                Err(PushError { item: Some(back), source }) => {
                    assert_eq!(back, item(self.pushed), "what was to be pushed");
                    assert!(is_typed(&source), "{source:?}");
                    self.report.count("a push fails");
                }
            }
        }
    }

    /// With the disk in order again, all that was taken in is there.
    fn drain(&mut self, queue: &Queue<Vec<u8>, Bytes>) {
        for number in self.done..self.pushed {
            match queue.try_recv() {
                Ok(delivery) => {
                    assert_eq!((delivery.number(), &*delivery), (number, &item(number)));
                    std::mem::forget(delivery);
                }
                Err(error) => panic!("item {number} of {}: {error}", self.pushed),
            }
        }
        self.report.add("items found", self.pushed - self.done);
    }

    /// So it is in the next process.
    fn open_again(&mut self) {
        self.disk.kill();
        let queue = self.options().on(&self.disk.other_process()).open(PATH);
        let queue = queue.expect("the disk is in order");
        assert_eq!(queue.recovery().lost, []);
        let mut found = 0;
        while let Ok(delivery) = queue.try_recv() {
            assert_eq!(*delivery, item(delivery.number()));
            assert!(found > 0 || delivery.number() <= self.done, "item {}", self.done);
            found = delivery.number() + 1;
            std::mem::forget(delivery);
        }
        let found = found.max(self.done);
        assert!(found >= self.pushed, "{found} items, {} were pushed", self.pushed);
        assert!(found <= self.pushed + 1, "{found} items, {} were pushed", self.pushed);
    }
}

/// What the operating system says, or what comes of it.
fn is_typed(error: &Error) -> bool {
    matches!(
        error,
        Error::Io { .. }
            | Error::NoSpace { .. }
            | Error::Poisoned { .. }
            | Error::ReadOnlyFileSystem { .. }
            | Error::Full
    )
}
