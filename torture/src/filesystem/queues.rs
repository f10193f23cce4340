//! Queues: items of which a number says what they hold, and what a power cut leaves of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use ringkeep::{
    Bytes, Compression, Delivery, Error, Mode, Queue, QueueFiles, QueueOptions, Recovery, Result,
};

use super::{
    note::Note,
    plan::{BOOTS, Plan, Purpose},
    progress::{self, Life, Progress},
    promises::{After, Promises, Stage},
    worker::{note, write_back},
};
use crate::report::Report;

/// Items with their numbers.
type Found = Vec<(u64, Vec<u8>)>;

/// Up to 40 KB: many pages, and larger than a small segment.
fn item(plan: &Plan, life: Life, number: u64) -> Vec<u8> {
    let mut random = life.random(plan, number);
    let most = [20, 20, 500, 500, 9_000, 40_000][random.usize(..6)];
    let mut item = vec![0; random.usize(10..most)];
    random.fill(&mut item);
    item
}

/// Segments of few items, and every way to recover: nothing of what was promised is missing.
fn options(plan: &Plan, boot: [u64; 2]) -> QueueOptions<Bytes> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let recoveries = [Recovery::Fail, Recovery::TruncateTail, Recovery::SkipCorrupt];
    QueueOptions::new(Bytes)
        .mode(Mode::Durable(plan.policy))
        .segment_bytes([4096, 20_000, 100_000][random.usize(..3)])
        .compression([Compression::None, Compression::Lz4][random.usize(..2)])
        .recovery(recoveries[random.usize(..3)])
        .memory_bytes(64 << 10)
        .boot_id(boot)
}

fn path_at(mount: &Path) -> PathBuf {
    mount.join("queue")
}

/// The worker's part: it pushes, syncs, receives, acknowledges in any order, closes and opens.
pub(super) fn work(
    plan: &Plan,
    mount: &Path,
    notes: &File,
    mut random: fastrand::Rng,
) -> io::Result<()> {
    let boot = BOOTS[usize::from(plan.goes_on())];
    let (options, path) = (options(plan, boot), path_at(mount));
    let mut life = None;
    let openings = random.u64(1..4);
    for opening in 0..openings {
        let is_new = opening == 0 && !plan.goes_on();
        note(notes, if is_new { Note::Creating } else { Note::Opening })?;
        let queue = options.open(&path)?;
        note(notes, Note::Created)?;
        // Nobody has pushed yet, and all that is there is durable.
        let next = queue.durable();
        note(notes, Note::Done { next, durable: next })?;
        let life = *life.get_or_insert(Life::of(plan, next));
        let received = QueueFiles::open(&path)?.numbers().start;
        let (path, random, held) = (&path, &mut random, BTreeMap::new());
        let mut worker = Worker { plan, life, path, notes, random, queue, next, received, held };
        for _ in 0..plan.steps / openings {
            worker.step()?;
        }
        worker.close()?;
        note(notes, Note::Closed)?;
    }
    Ok(())
}

struct Worker<'a> {
    plan: &'a Plan,
    life: Life,
    path: &'a Path,
    notes: &'a File,
    random: &'a mut fastrand::Rng,
    queue: Queue<Vec<u8>, Bytes>,
    /// Of the next item that is pushed.
    next: u64,
    /// Of the next one that is received.
    received: u64,
    held: BTreeMap<u64, Delivery<Vec<u8>, Bytes>>,
}

impl Worker<'_> {
    fn step(&mut self) -> io::Result<()> {
        match self.random.u8(..20) {
            0..8 => self.push(1),
            8..10 => {
                let count = self.random.u64(2..6);
                self.push(count)
            }
            10..14 => self.receive(),
            14..18 => self.acknowledge(),
            18 => {
                note(self.notes, Note::Other)?;
                self.queue.sync()?;
                self.settled()
            }
            _ => self.write_back(),
        }?;
        note(self.notes, Note::Done { next: self.next, durable: self.queue.durable() })
    }

    fn push(&mut self, count: u64) -> io::Result<()> {
        let first = self.next;
        note(self.notes, Note::Append { first, count })?;
        self.next += count;
        let items = (first..self.next).map(|number| item(self.plan, self.life, number)).collect();
        let pushed = self.queue.push_batch(items).map_err(Error::from)?;
        expect(pushed == Some(first), first)
    }

    fn receive(&mut self) -> io::Result<()> {
        for _ in 0..self.random.u8(1..4) {
            let delivery = match self.queue.try_recv() {
                Err(Error::Empty) => return Ok(()),
                delivery => delivery?,
            };
            let number = self.received;
            let expected = (number, &item(self.plan, self.life, number));
            expect((delivery.number(), &*delivery) == expected, number)?;
            self.held.insert(number, delivery);
            self.received += 1;
        }
        Ok(())
    }

    /// Takes the first ones out that are held, or later ones.
    fn acknowledge(&mut self) -> io::Result<()> {
        for _ in 0..self.random.u8(1..4) {
            let skipped = if self.random.u8(..4) == 0 { self.random.usize(..4) } else { 0 };
            let Some(&number) = self.held.keys().nth(skipped) else { return Ok(()) };
            note(self.notes, Note::Delete { id: number })?;
            self.held.remove(&number).map(Delivery::ack);
        }
        Ok(())
    }

    /// Lets the kernel write what is dirty, without a flush.
    fn write_back(&self) -> io::Result<()> {
        note(self.notes, Note::Other)?;
        fs::read_dir(self.path)?.try_for_each(|entry| write_back(&entry?.path()))
    }

    /// A sync has returned.
    fn settled(&self) -> io::Result<()> {
        let below = self.held.keys().next().copied().unwrap_or(self.received);
        note(self.notes, Note::Settled { below })
    }

    fn close(self) -> io::Result<()> {
        note(self.notes, Note::Closing)?;
        self.queue.close()?;
        self.settled()
    }
}

fn expect(is_so: bool, number: u64) -> io::Result<()> {
    let error = || io::Error::other(format!("item {number} is not in its place"));
    is_so.then_some(()).ok_or_else(error)
}

/// What was promised of a queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Items {
    progress: Progress,
    /// Where batches end.
    ends: BTreeSet<u64>,
    /// Those that were acknowledged, or were about to be.
    acknowledged: BTreeSet<u64>,
    /// Those below it do not come back.
    settled: u64,
}

impl Promises for Items {
    const WORKERS: [Purpose; 2] = [Purpose::Queue, Purpose::QueueAgain];
    const NAME: &str = "queue";
    const CLASSES: &[&[&str]] = &[
        &progress::CLASSES,
        &["acknowledged, and received again", "acknowledged for good", "more than three segments"],
    ];
    /// Which items are there.
    type Seen = Range<u64>;

    fn tell(&mut self, note: Note, plan: &Plan) {
        self.progress.tell(note, plan);
        match note {
            Note::Append { first, count } => {
                self.ends.insert(first + count);
            }
            Note::Delete { id } => {
                self.acknowledged.insert(id);
            }
            Note::Settled { below } => self.settled = below,
            _ => {}
        }
    }

    fn survived(&self, seen: &Range<u64>, _: &Plan) -> Self {
        Self {
            progress: Progress::survived(seen.end),
            ends: BTreeSet::new(),
            acknowledged: (0..seen.start).collect(),
            settled: seen.start,
        }
    }

    fn stage(&self) -> Stage {
        self.progress.stage
    }

    fn violations(&self) -> &[String] {
        &self.progress.violations
    }

    fn judge(&self, after: &After<'_>, mount: &Path, report: &mut Report) -> Option<Range<u64>> {
        self.look(after, mount, report).unwrap_or_else(|error| {
            report.fail(format!("{error}: {:?}", self.progress));
            None
        })
    }
}

impl Items {
    /// Reads the files from outside, opens the queue twice, and goes on.
    fn look(
        &self,
        after: &After<'_>,
        mount: &Path,
        report: &mut Report,
    ) -> Result<Option<Range<u64>>> {
        let (options, path) = (options(after.plan, after.boot), path_at(mount));
        let seen = seen_from_outside(&path)?;
        if seen.is_none() {
            self.progress.judge_absence(report);
        }
        let queue = options.open(&path)?;
        let lost = &queue.recovery().lost;
        if !lost.is_empty() {
            report.fail(format!("items {lost:?} are told to be lost: {:?}", self.progress));
        }
        report.add("more than three segments", u64::from(queue.stats().segments > 3));
        let found = received(&queue)?;
        if found != seen.clone().unwrap_or_default() {
            report.fail("whoever looks at the files finds something else");
        }
        let first = found.first().map_or(queue.durable(), |(number, _)| *number);
        let there = first..first + found.len() as u64;
        self.judge_items(&found, &there, after.plan, report);
        drop(queue);
        let queue = options.open(&path)?;
        if received(&queue)? != found {
            report.fail("it is another queue when it is opened again");
        }
        let item = item(after.plan, self.progress.life, there.end);
        if queue.push(item.clone())? != Some(there.end) {
            report.fail("the numbers do not go on");
        }
        drop(queue);
        if received(&options.open(&path)?)?.last() != Some(&(there.end, item)) {
            report.fail("what was pushed later is not there");
        }
        Ok(seen.map(|_| there))
    }

    fn judge_items(&self, found: &Found, there: &Range<u64>, plan: &Plan, report: &mut Report) {
        let Range { start: first, end: next } = *there;
        for (number, (at, bytes)) in there.clone().zip(found) {
            if number != *at || *bytes != item(plan, self.progress.life, number) {
                report.fail(format!("item {number} is {at}, or another one"));
            }
        }
        self.progress.judge(next, report);
        if next != self.progress.durable && !self.ends.contains(&next) {
            report.fail(format!("{next} is the end, within a batch: {:?}", self.progress));
        }
        let owed = (0..next).find(|number| !self.acknowledged.contains(number));
        if owed.is_some_and(|owed| owed < first) {
            report.fail(format!("{first} is the first, {owed:?} was not acknowledged"));
        }
        if first < self.settled {
            report.fail(format!("{first} comes back, {} was settled", self.settled));
        }
        if self.acknowledged.contains(&first) {
            report.count("acknowledged, and received again");
        }
        if first > 0 {
            report.count("acknowledged for good");
        }
    }
}

/// The items that a look finds; `None` if there is no queue.
fn seen_from_outside(path: &Path) -> Result<Option<Found>> {
    let files = match QueueFiles::open(path) {
        Err(Error::NoQueue { .. } | Error::NotAQueue { .. }) => return Ok(None),
        files => files?,
    };
    let mut found = Found::new();
    for item in files.items() {
        let item = item.map_err(|damage| *damage.source)?;
        found.push((item.number, item.bytes));
    }
    Ok(Some(found))
}

/// All that is in a queue, which it stays in.
fn received(queue: &Queue<Vec<u8>, Bytes>) -> Result<Found> {
    let mut deliveries = Vec::new();
    loop {
        match queue.try_recv() {
            Ok(delivery) => deliveries.push(delivery),
            Err(Error::Empty) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(deliveries.iter().map(|delivery| (delivery.number(), delivery.to_vec())).collect())
}
