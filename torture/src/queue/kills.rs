//! Real processes that push, receive and acknowledge, killed at random moments. What they said over
//! a pipe before they died has to be there.

use std::{path::Path, thread, time::Duration};

use ringkeep::{Bytes, Delivery, Error, Mode, Queue, QueueOptions, SyncPolicy};

use crate::{
    kill::{
        child::{Running, say},
        killer::spin,
    },
    report::Report,
};

/// Of the child.
pub(super) const ROLE: &str = "work on a queue until killed";
/// Kills on one queue.
const LIVES: u32 = 8;
const POLICIES: [SyncPolicy; 4] = [
    SyncPolicy::Never,
    SyncPolicy::EveryRecords(8),
    SyncPolicy::Interval(Duration::from_millis(2)),
    SyncPolicy::Always,
];

/// Item `number`, whoever pushes it.
fn item(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let most = [20, 300, 9_000][random.usize(..3)];
    let length = 8 + random.usize(..most);
    let mut item: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
    item[..8].copy_from_slice(&number.to_le_bytes());
    item
}

fn options(seed: u64) -> QueueOptions<Bytes> {
    let policy = POLICIES[usize::try_from(seed % 4).unwrap_or(0)];
    QueueOptions::new(Bytes).mode(Mode::Durable(policy)).segment_bytes(60_000)
}

/// The child: one thread pushes, another receives, and each says what it does.
pub(super) fn act_until_killed(arguments: &[String]) {
    let [directory, seed, limit] = arguments else { panic!("{arguments:?}") };
    let seed: u64 = seed.parse().expect("a seed");
    let limit: u64 = limit.parse().expect("a number");
    loop {
        say("opening");
        let queue = options(seed).open(Path::new(directory)).expect("a queue that opens");
        say("opened");
        // Nobody has pushed yet, and all that is there is durable.
        let next = queue.durable();
        thread::scope(|scope| {
            scope.spawn(|| push(&queue, next, limit));
            scope.spawn(|| receive(&queue, limit / 2));
        });
        say("closing");
        queue.close().expect("nothing fails");
        drop(queue);
    }
}

fn push(queue: &Queue<Vec<u8>, Bytes>, mut next: u64, count: u64) {
    for _ in 0..count {
        let batch = 1 + next % 3;
        let items = (next..next + batch).map(item).collect();
        let first = queue.push_batch(items).expect("nothing fails").expect("none is dropped");
        assert_eq!(first, next, "numbers go on");
        next += batch;
        say(&format!("p {next}"));
    }
}

fn receive(queue: &Queue<Vec<u8>, Bytes>, count: u64) {
    for _ in 0..count {
        match queue.recv_timeout(Duration::from_millis(20)) {
            Ok(delivery) => {
                let number = delivery.number();
                assert_eq!(*delivery, item(number), "what was pushed");
                say(&format!("A {number}"));
                delivery.ack();
                say(&format!("a {number}"));
            }
            Err(Error::Empty) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What the parent knows.
#[derive(Debug, Default)]
struct Ledger {
    /// One past the last item that a push has returned.
    pushed: u64,
    /// One past the last item whose acknowledgement was begun, and was done: they are received and
    /// acknowledged in order.
    begun: u64,
    done: u64,
    report: Report,
}

impl Ledger {
    fn hear(&mut self, line: &str) {
        let Some((what, number)) = line.split_once(' ') else { return };
        let number: u64 = number.parse().expect("a number");
        match what {
            "p" => {
                self.pushed = number;
                self.report.count("pushes that returned");
            }
            "A" => self.begun = self.begun.max(number + 1),
            "a" => {
                self.done = self.done.max(number + 1);
                self.report.count("items acknowledged");
            }
            other => panic!("a child said {other}"),
        }
    }

    /// Opens what is left, looks at all of it, and puts it back.
    fn check(&mut self, directory: &Path, seed: u64) {
        let queue = options(seed).open::<Vec<u8>>(directory).expect("it opens");
        assert_eq!(queue.recovery().lost, []);
        let mut found = Vec::new();
        while let Ok(delivery) = queue.try_recv() {
            assert_eq!(*delivery, item(delivery.number()), "what was pushed");
            found.push(delivery);
        }
        let first = found.first().map_or(queue.durable(), Delivery::number);
        let next = first + found.len() as u64;
        assert!(found.iter().map(Delivery::number).eq(first..next), "there is a hole");
        assert!(next >= self.pushed, "{next} is the end, {} were pushed", self.pushed);
        assert!(first <= self.begun, "{first} is the first, {} were begun", self.begun);
        assert!(first >= self.done, "{first} comes back, {} were done", self.done);
        self.report.add("items received again", found.len() as u64);
        (self.pushed, self.begun, self.done) = (next, first, first);
    }
}

/// All that happens to the queue of a seed.
pub(super) fn of(seed: u64) -> Report {
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("queue");
    let mut ledger = Ledger::default();
    for life in 0..LIVES {
        let limit = [3, 40, 400][random.usize(..3)].to_string();
        let text = path.to_str().expect("ASCII");
        let child = Running::start(ROLE, &[text, &seed.to_string(), &limit]);
        let mut last = child.line();
        for _ in 0..random.u32(..60) {
            ledger.hear(&last);
            last = child.line();
        }
        spin(Duration::from_micros(random.u64(..3_000)));
        let said = std::iter::once(last).chain(child.kill());
        let mut phase = "killed while working";
        for line in said {
            phase = match line.as_str() {
                "opening" => "killed while opening",
                "closing" => "killed while closing",
                _ => "killed while working",
            };
            ledger.hear(&line);
        }
        ledger.report.count(phase);
        ledger.report.trials += 1;
        // Else the next one meets what this one left.
        if random.bool() || life + 1 == LIVES {
            ledger.check(&path, seed);
        }
    }
    ledger.report
}
