//! The third thread of a mapped producer: it has the pages ready that the producer comes to next.
//!
//! A page of a file costs its first store a fault, and so does a page that was written back. For a
//! producer at speed that is most of what an append takes. So it tells where it is, once a stretch
//! of about a large folio, and this thread has the next stretches mapped and writable. It changes
//! no byte, and nothing relies on it: whatever fails ends the help, and the producer meets the
//! faults itself.
//!
//! Ready pages are dirty, so there is no help for a producer that gains nothing by it: one that
//! takes its time, and one that syncs within each stretch. The thread begins with the first stretch
//! that was written at speed.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, Release},
        },
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{archive::Archive, budget::FOLIO_BYTES, flush, helpers::spawn};

/// Stretches that are ready before the producer comes to them.
const STRETCHES: u64 = 4;
/// A stretch that took longer was written by a producer that faults do not slow.
const SPEED: Duration = Duration::from_millis(100);
/// Whether a producer is at speed is first known after this part of a stretch.
const PROBE: u64 = 16;
/// Syncs within a stretch, at most, of a producer that is helped.
const SYNCS: u64 = 1;

/// The producer's side.
#[derive(Debug)]
pub(crate) struct PagesAhead {
    archive: Arc<Archive>,
    /// Records of a stretch; `None` where there is no help.
    stretch: Option<u64>,
    /// Time of a record at speed, at most.
    pace: Duration,
    entered: Option<Entered>,
    /// The stretch before this one was written at speed.
    helps: bool,
    course: Arc<Course>,
    thread: Option<JoinHandle<()>>,
}

/// Where a stretch was entered, when, and the syncs before it.
#[derive(Debug, Clone, Copy)]
struct Entered {
    first: u64,
    at: Duration,
    syncs: u64,
}

/// Written by the producer, once a stretch.
#[derive(Debug, Default)]
struct Course {
    /// The id at which the next stretch begins.
    next: AtomicU64,
    stop: AtomicBool,
}

impl PagesAhead {
    pub(crate) fn new(archive: &Arc<Archive>) -> Self {
        let geometry = archive.geometry();
        // Not less than a folio: what is ready then begins behind the folio of the producer.
        let stretch = FOLIO_BYTES.div_ceil(geometry.slot_size() as u64);
        // It never reaches round to the producer's own stretch.
        let helps = archive.shards.are_mapped()
            && archive.disk.has_threads()
            && geometry.slots / stretch > STRETCHES + 1;
        Self {
            archive: Arc::clone(archive),
            stretch: helps.then_some(stretch),
            pace: SPEED / u32::try_from(stretch).unwrap_or(u32::MAX),
            entered: None,
            helps: false,
            course: Arc::default(),
            thread: None,
        }
    }

    /// The producer is about to store `first`. The id at which it is to tell again.
    pub(crate) fn enter(&mut self, first: u64) -> u64 {
        let Some(stretch) = self.stretch else { return u64::MAX };
        let at = self.archive.disk.now();
        let entered = Entered { first, at, syncs: self.archive.syncs.load(Relaxed) };
        let Some(before) = self.entered.replace(entered) else {
            return first + (stretch / PROBE).max(1);
        };
        // No more than a stretch where the producer has skipped ids.
        let records = u32::try_from((first - before.first).min(stretch)).unwrap_or(u32::MAX);
        let took = at.saturating_sub(before.at);
        let is_fast = took < self.pace.saturating_mul(records);
        self.helps = is_fast && entered.syncs - before.syncs <= SYNCS;
        if self.helps {
            self.tell(first + stretch);
        }
        first + stretch
    }

    /// A sync that the producer waited for has written back what was ready, and the producer's own
    /// stretch with it.
    pub(crate) fn synced(&mut self, next: u64) {
        let syncs = self.archive.syncs.load(Relaxed);
        if self.helps && self.entered.is_some_and(|entered| syncs - entered.syncs <= SYNCS) {
            self.tell(next);
        }
    }

    fn tell(&mut self, next: u64) {
        let Some(stretch) = self.stretch else { return };
        self.course.next.store(next, Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
            return;
        }
        let (archive, course) = (Arc::clone(&self.archive), Arc::clone(&self.course));
        match spawn("ringkeep-ahead", move || course.serve(&archive, stretch)) {
            Ok(thread) => self.thread = Some(thread),
            Err(_) => self.stretch = None,
        }
    }

    /// Tells the thread to end, without waiting for it.
    pub(crate) fn leave(&mut self) -> Option<JoinHandle<()>> {
        // Release: as the waker's.
        self.course.stop.store(true, Release);
        self.stretch = None;
        self.thread.take().inspect(|thread| thread.thread().unpark())
    }
}

impl Course {
    fn serve(&self, archive: &Archive, stretch: u64) {
        let (mut ready, mut syncs) = (0, 0);
        while !self.stop.load(Relaxed) {
            // A sync may have written back what was ready.
            let before = std::mem::replace(&mut syncs, archive.syncs.load(Relaxed));
            ready = if syncs == before { ready } else { 0 };
            let Some(first) = wanted(self.next.load(Relaxed), ready, stretch) else {
                thread::park();
                continue;
            };
            ready = first + stretch;
            if flush::make_ready(archive, first..ready).is_err() {
                return;
            }
        }
    }
}

/// Where the stretch begins that is to be made ready now; `None` while enough of them are.
fn wanted(next: u64, ready: u64, stretch: u64) -> Option<u64> {
    let first = next.max(ready);
    (first < next + STRETCHES * stretch).then_some(first)
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, path::Path, sync::mpsc};

    use tempfile::TempDir;

    use super::*;
    use crate::{
        disk::seam::{Access, Disk},
        ring::{choices::Io, options::RingOptions, producer::Producer},
    };

    /// Longer than anything here takes, on a busy machine too.
    const PATIENCE: Duration = Duration::from_secs(30);
    const RECORD_BYTES: usize = 4092;
    /// Slots of one page each.
    const STRETCH: u64 = FOLIO_BYTES / 4096;
    const CAPACITY: u64 = 16 * STRETCH;

    /// A ring of 33 MiB that nobody has written to.
    fn ring(directory: &Path, shards: u32) -> Producer {
        let options = RingOptions::new(RECORD_BYTES, CAPACITY).shards(shards);
        options.create(directory.join("cache.dat")).expect("a ring")
    }

    fn resident_pages(archive: &Archive, mappings: &[Range<usize>]) -> u64 {
        archive.disk.resident_bytes(mappings).expect("an answer") / 4096
    }

    /// Enters three stretches as fast as it can.
    fn run(ahead: &mut PagesAhead) {
        let end = (0..3).fold(0, |first, _| ahead.enter(first));
        assert!(end > 2 * STRETCH, "it is called once a stretch");
    }

    fn payload(id: u64) -> [u8; RECORD_BYTES] {
        [id.to_le_bytes()[0]; RECORD_BYTES]
    }

    fn wait_until(done: impl Fn() -> bool) {
        let disk = Disk::default();
        let end = disk.now() + PATIENCE;
        while !done() {
            assert!(disk.now() < end, "it never comes");
            thread::yield_now();
        }
    }

    #[test]
    fn stretches_reach_across_shards_and_the_wrap_and_leave_no_page_out() {
        let directory = TempDir::new().unwrap();
        let producer = ring(directory.path(), 40);
        let archive = &producer.durability().archive;
        let (slots, of_shard) = (archive.geometry().slots, archive.geometry().slots_per_shard);
        assert!(of_shard < STRETCH / 2, "a stretch has several shards");
        let mappings = archive.shards.mappings();
        let resident = |shard: usize| resident_pages(archive, &mappings[shard..=shard]);
        assert_eq!(resident_pages(archive, &mappings), 0);
        // The last shard and half a stretch from there on.
        let begin = slots - (slots - 1) % of_shard - 1;
        flush::make_ready(archive, begin..slots + STRETCH / 2).unwrap();
        assert_eq!(resident(39), slots - begin);
        let whole = STRETCH / 2 / of_shard;
        for shard in 0..39 {
            let expected = if (shard as u64) < whole { of_shard } else { 0 };
            assert_eq!(resident(shard), expected, "shard {shard}");
        }
        for first in (slots + STRETCH / 2..begin + slots).step_by(512) {
            flush::make_ready(archive, first..first + STRETCH).unwrap();
        }
        assert_eq!(resident_pages(archive, &mappings), slots);
    }

    #[test]
    fn pages_that_were_written_back_are_made_ready_and_keep_their_bytes() {
        let directory = TempDir::new().unwrap();
        let mut producer = ring(directory.path(), 1);
        let ring = producer.ring();
        for id in 0..CAPACITY {
            producer.append(&payload(id)).unwrap();
        }
        producer.flush().unwrap();
        let archive = &producer.durability().archive;
        // In the middle of a view, too; what it finds is judged outside of its lock.
        let viewed = ring.view(CAPACITY - 9, |shown| {
            let made = flush::make_ready(archive, 0..CAPACITY);
            (made.is_ok(), shown.to_vec())
        });
        assert_eq!(viewed.unwrap().record().unwrap(), (true, payload(CAPACITY - 9).to_vec()));
        for id in 0..CAPACITY {
            assert_eq!(ring.read(id).unwrap().record().unwrap(), payload(id));
        }
    }

    #[test]
    fn no_more_is_made_ready_than_a_few_stretches_of_a_producer_at_speed() {
        let directory = TempDir::new().unwrap();
        let producer = ring(directory.path(), 1);
        let archive = &producer.durability().archive;
        let mappings = archive.shards.mappings();
        let mut ahead = PagesAhead::new(archive);
        run(&mut ahead);
        assert!(ahead.thread.is_some(), "it was at speed");
        wait_until(|| resident_pages(archive, &mappings) >= (STRETCHES - 1) * STRETCH);
        if let Some(thread) = ahead.leave() {
            thread.join().unwrap();
        }
        // From the probe on, and both ends of folios.
        let most = (STRETCHES + 4) * STRETCH;
        assert!(resident_pages(archive, &mappings) <= most);
        let (next, end) = (1000, 1000 + STRETCHES * STRETCH);
        assert_eq!(wanted(next, 0, STRETCH), Some(next));
        assert_eq!(wanted(next, end - 1, STRETCH), Some(end - 1));
        assert_eq!(wanted(next, end, STRETCH), None);
    }

    #[test]
    fn a_producer_that_takes_its_time_or_syncs_within_each_stretch_is_left_alone() {
        let directory = TempDir::new().unwrap();
        let producer = ring(directory.path(), 1);
        let archive = &producer.durability().archive;
        let mut slow = PagesAhead { pace: Duration::ZERO, ..PagesAhead::new(archive) };
        run(&mut slow);
        assert!(slow.thread.is_none());
        let mut syncing = PagesAhead::new(archive);
        let mut first = 0;
        for _ in 0..5 {
            first = syncing.enter(first);
            archive.syncs.fetch_add(SYNCS + 1, Relaxed);
            syncing.synced(first - 1);
        }
        assert!(syncing.thread.is_none());
    }

    #[test]
    fn a_ring_of_a_few_stretches_and_one_by_position_have_no_third_thread() {
        let directory = TempDir::new().unwrap();
        let options = RingOptions::new(RECORD_BYTES, (STRETCHES + 1) * STRETCH - 300);
        let small = options.create(directory.path().join("small.dat")).unwrap();
        assert_eq!(PagesAhead::new(&small.durability().archive).enter(0), u64::MAX);
        let options = RingOptions::new(RECORD_BYTES, CAPACITY).io(Io::File);
        let unmapped = options.create(directory.path().join("unmapped.dat")).unwrap();
        assert_eq!(PagesAhead::new(&unmapped.durability().archive).enter(0), u64::MAX);
    }

    #[test]
    fn a_file_that_is_cut_short_ends_the_help_and_nothing_else() {
        let directory = TempDir::new().unwrap();
        let mut producer = ring(directory.path(), 1);
        let archive = Arc::clone(&producer.durability().archive);
        let file = archive.disk.open(&archive.path, Access::Write).unwrap();
        file.truncate(FOLIO_BYTES).unwrap();
        let mut ahead = PagesAhead::new(&archive);
        run(&mut ahead);
        let thread = ahead.thread.as_ref().unwrap();
        wait_until(|| thread.is_finished());
        // What is there still takes records.
        producer.append(&[7; RECORD_BYTES]).unwrap();
        assert!(ahead.enter(3 * STRETCH) > 3 * STRETCH);
    }

    #[test]
    fn the_thread_ends_when_it_is_told_to_at_work_and_at_rest() {
        let directory = TempDir::new().unwrap();
        let producer = ring(directory.path(), 1);
        let archive = &producer.durability().archive;
        let mappings = archive.shards.mappings();
        for rests in [false, true] {
            let mut ahead = PagesAhead::new(archive);
            run(&mut ahead);
            if rests {
                wait_until(|| resident_pages(archive, &mappings) >= STRETCHES * STRETCH);
            }
            let (sender, ended) = mpsc::channel();
            let threads = ahead.leave();
            thread::spawn(move || {
                if let Some(thread) = threads {
                    thread.join().unwrap();
                }
                sender.send(()).unwrap();
            });
            ended.recv_timeout(PATIENCE).expect("it ends");
        }
    }
}
