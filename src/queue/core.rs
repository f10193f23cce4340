//! What all handles of a queue share, and what pushing and receiving have in common.
//!
//! Locks, in the order in which they may be taken: `writer`, `reader`, `mark`, `state`. The disk is
//! never touched under `state`, so that nobody waits for a disk who needs none.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::Ordering::{Relaxed, Release},
    },
    time::Duration,
};

use super::{
    delivery::DeadLetters,
    options::{Limits, Mode, QueueOptions},
    ranges::{Entry, Ranges},
    signal::Signal,
    stats::{Counts, Meters},
};
use crate::{
    disk::{
        budget::{MemoryBudget, Share},
        frame::FrameBuilder,
        latency::Histogram,
        locks::{AtomicU64, Condvar, Mutex, MutexGuard},
        log::{
            Log, Position,
            reader::LogReader,
            recover::{Recovery, RecoveryReport},
            writer::{LogSync, LogWriter},
        },
        mark::{Mark, MarkFile},
        poison::Poison,
        seam::{Disk, File},
        sync::SyncPolicy,
    },
    error::{Error, Result},
    planted::planted,
};

/// Bytes of a run that is spilled at once, and of memory that it takes on its way.
const RUN_BYTES_MAX: usize = 256 << 10;

/// Whoever waits for what nobody tells looks again by itself after that.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Nobody waits longer for others to share a sync.
const GATHER_MAX: Duration = Duration::from_millis(5);

/// How long somebody may wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    Never,
    /// Until then, on the disk's clock; `None`: for ever.
    Until(Option<Duration>),
}

/// What a call waits for others, in all.
pub(super) struct Waited<'a> {
    histogram: &'a Histogram,
    disk: &'a Disk,
    since: Option<Duration>,
    total: Option<Duration>,
}

impl<'a> Waited<'a> {
    pub(super) fn new(histogram: &'a Histogram, disk: &'a Disk) -> Self {
        Self { histogram, disk, since: None, total: None }
    }

    pub(super) fn begin(&mut self, wait: Wait) {
        if let Wait::Until(_) = wait {
            self.since = Some(self.disk.now());
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(since) = self.since.take() {
            let time = self.disk.now().saturating_sub(since);
            self.total = Some(self.total.unwrap_or_default() + time);
        }
    }
}

impl Drop for Waited<'_> {
    fn drop(&mut self) {
        self.end();
        if let Some(total) = self.total {
            self.histogram.record(total);
        }
    }
}

#[derive(Debug)]
pub(super) struct Core<T, C> {
    pub(super) codec: C,
    pub(super) mode: Mode,
    pub(super) recovery: Recovery,
    pub(super) limits: Limits,
    /// Memory that is shared with other queues.
    pub(super) budget: Option<MemoryBudget>,
    pub(super) log: Arc<Log>,
    pub(super) writer: Mutex<LogWriter>,
    pub(super) reader: Mutex<LogReader>,
    /// Of a durable queue.
    mark: Option<Mutex<MarkFile>>,
    pub(super) state: Mutex<State<T>>,
    /// There is something to receive.
    pub(super) ready: Signal,
    /// There is room.
    pub(super) room: Signal,
    /// How often room was made: whoever waits for it looks whether this has changed. It grows
    /// under the lock of the state alone.
    pub(super) freed: AtomicU64,
    syncs: Mutex<Syncs>,
    pub(super) synced: Condvar,
    /// Somebody more waits for a sync.
    gathered: Condvar,
    /// One past the last item that is durable.
    durable: AtomicU64,
    /// Memory of frames under construction.
    builders: Mutex<Vec<FrameBuilder>>,
    pub(super) meters: Meters,
    /// What opening found.
    pub(super) report: RecoveryReport,
    /// Who takes what comes back too often.
    pub(super) dead_letters: OnceLock<DeadLetters<T>>,
    /// Held as long as the queue is open.
    _lock: File,
}

#[derive(Debug)]
pub(super) struct State<T> {
    pub(super) ranges: Ranges<T>,
    /// Of the memory that is shared.
    pub(super) share: Option<Share>,
    pub(super) is_closed: bool,
    /// What came up for somebody who had items to take home: the next one to receive is told.
    pub(super) untold: VecDeque<Error>,
    /// Why nothing more is taken in.
    pub(super) poison: Option<Poison>,
    pub(super) counts: Counts,
}

/// One sync at a time; those who come meanwhile share the next one.
#[derive(Debug, Default)]
struct Syncs {
    is_running: bool,
    /// One past the last item that a sync was begun for.
    begun: u64,
    /// Threads that are here for a sync.
    waiting: usize,
    /// How many were when the last one ended, and how long that took.
    company: usize,
    took: Duration,
}

impl<T, C> Core<T, C> {
    pub(super) fn new(
        options: QueueOptions<C>,
        log: Arc<Log>,
        mark: Option<Mutex<MarkFile>>,
        lock: File,
        items: Range<u64>,
        report: RecoveryReport,
    ) -> Self {
        let QueueOptions { codec, mode, recovery, limits, memory_budget: budget, .. } = options;
        let next = items.end;
        let state = State {
            ranges: Ranges::new(items),
            share: None,
            is_closed: false,
            untold: VecDeque::new(),
            poison: None,
            counts: Counts::default(),
        };
        Self {
            codec,
            mode,
            recovery,
            limits,
            budget,
            writer: Mutex::new(LogWriter::new(Arc::clone(&log), next)),
            reader: Mutex::new(LogReader::new(Arc::clone(&log))),
            log,
            mark,
            state: Mutex::new(state),
            ready: Signal::default(),
            room: Signal::default(),
            freed: AtomicU64::new(0),
            syncs: Mutex::new(Syncs { begun: next, ..Syncs::default() }),
            synced: Condvar::new(),
            gathered: Condvar::new(),
            durable: AtomicU64::new(next),
            builders: Mutex::default(),
            meters: Meters::default(),
            report,
            dead_letters: OnceLock::new(),
            _lock: lock,
        }
    }

    /// Bytes that one run may take.
    pub(super) fn run_bytes(&self) -> usize {
        (self.limits.memory_bytes / 8).min(RUN_BYTES_MAX)
    }

    /// Bytes of memory up to which items are pushed: there is room for a run that is read.
    pub(super) fn memory_bytes_pushed(&self) -> usize {
        self.limits.memory_bytes - self.run_bytes()
    }

    /// Bytes that may be read at once, beside so many in memory: a frame, as long as there is room
    /// for a run.
    pub(super) fn room_for_read(&self, bytes: usize) -> usize {
        if bytes > self.memory_bytes_pushed() {
            self.limits.memory_bytes.saturating_sub(bytes)
        } else {
            usize::MAX
        }
    }

    /// Whether memory may hold so many bytes: those of the queue, and room for a run that is read,
    /// come out of what is shared.
    pub(super) fn may_hold(&self, state: &mut State<T>, bytes: usize) -> bool {
        let run = self.run_bytes() as u64;
        bytes <= self.memory_bytes_pushed()
            && state.share.as_mut().is_none_or(|it| it.try_hold(bytes as u64 + run, run / 4))
    }

    /// Memory holds so many bytes, whatever there is.
    pub(super) fn hold(&self, state: &mut State<T>, bytes: usize) {
        if let Some(share) = &mut state.share {
            share.hold((bytes + self.run_bytes()) as u64);
        }
    }

    /// Memory holds what was read, whatever there is, and room for the next run.
    pub(super) fn count_read(&self, state: &mut State<T>) {
        if let Some(share) = &mut state.share {
            let bytes = (state.ranges.bytes() + self.run_bytes()) as u64;
            share.hold(share.held().max(bytes));
        }
    }

    /// Bytes of memory that an item counts for.
    pub(super) fn entry_bytes(encoded_bytes: usize) -> usize {
        encoded_bytes + size_of::<Entry<T>>()
    }

    /// Memory for a frame; it comes back by [`Core::give_builder`].
    pub(super) fn take_builder(&self) -> FrameBuilder {
        self.builders.lock().pop().unwrap_or_default()
    }

    pub(super) fn give_builder(&self, mut builder: FrameBuilder) {
        builder.shrink(RUN_BYTES_MAX);
        self.builders.lock().push(builder);
    }

    /// Waits for a signal. Whether there may have been one: else the time is up.
    pub(super) fn wait(
        &self,
        signal: &Signal,
        state: &mut MutexGuard<'_, State<T>>,
        wait: Wait,
    ) -> bool {
        // Nobody else is there on a simulated disk.
        if !self.log.disk.has_threads() {
            return false;
        }
        match wait {
            Wait::Never => false,
            Wait::Until(None) => {
                signal.wait(state, None);
                true
            }
            Wait::Until(Some(end)) => {
                let left = end.saturating_sub(self.log.disk.now());
                !left.is_zero() && {
                    signal.wait(state, Some(left));
                    true
                }
            }
        }
    }

    /// So long from now on.
    pub(super) fn wait_for(&self, timeout: Duration) -> Wait {
        Wait::Until(self.log.disk.now().checked_add(timeout))
    }

    /// The same, but no longer than this.
    pub(super) fn at_most(&self, wait: Wait, longest: Duration) -> Wait {
        let Wait::Until(end) = wait else { return wait };
        let longest = self.log.disk.now() + longest;
        Wait::Until(Some(end.map_or(longest, |end| end.min(longest))))
    }

    /// Whether nobody waits any more.
    pub(super) fn is_over(&self, wait: Wait) -> bool {
        match wait {
            Wait::Never => true,
            Wait::Until(end) => {
                !self.log.disk.has_threads() || end.is_some_and(|end| self.log.disk.now() >= end)
            }
        }
    }

    /// Nothing more is taken in: what failed may be on the disk in part.
    pub(super) fn poison(&self, error: &Error) {
        let poison = Poison::of(error, &self.log.directory);
        self.state.lock().poison.get_or_insert(poison);
        self.ready.notify_all();
        self.room.notify_all();
        self.synced.notify_all();
    }

    /// Whoever receives next is told.
    pub(super) fn tell_later(&self, error: Error) {
        self.state.lock().untold.push_back(error);
        self.ready.notify_one();
    }

    /// One past the last item that is durable.
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Relaxed)
    }

    /// Returns when every item before `end` is durable.
    pub(super) fn sync_to(&self, end: u64) -> Result<()> {
        let mut syncs = self.syncs.lock();
        syncs.waiting += 1;
        self.gathered.notify_one();
        let synced = self.sync_until(&mut syncs, end);
        syncs.waiting -= 1;
        synced
    }

    fn sync_until(&self, syncs: &mut MutexGuard<'_, Syncs>, end: u64) -> Result<()> {
        while self.durable() < end {
            if syncs.is_running {
                self.refuse_if_poisoned()?;
                self.synced.wait(syncs);
                continue;
            }
            syncs.is_running = true;
            self.gather(syncs);
            let synced = self.refuse_if_poisoned().and_then(|()| self.sync_once(syncs));
            syncs.is_running = false;
            self.synced.notify_all();
            if planted("queue_poison_forgotten") {
                synced?;
                continue;
            }
            synced.inspect_err(|error| self.poison(error))?;
        }
        Ok(())
    }

    fn refuse_if_poisoned(&self) -> Result<()> {
        self.state.lock().poison.as_ref().map_or(Ok(()), |poison| Err(poison.error()))
    }

    /// Those who were here when the last sync ended come again soon: one sync for all of them takes
    /// no longer than one for those who are here first. Waits for half of a sync at most.
    fn gather(&self, syncs: &mut MutexGuard<'_, Syncs>) {
        let end = self.log.disk.now() + GATHER_MAX.min(syncs.took / 2);
        while syncs.waiting < syncs.company {
            let left = end.saturating_sub(self.log.disk.now());
            if left.is_zero() {
                return;
            }
            self.gathered.wait_for(syncs, left);
        }
    }

    fn sync_once(&self, syncs: &mut MutexGuard<'_, Syncs>) -> Result<()> {
        let prepare = || self.meters.counted(self.writer.lock().begin_sync());
        let sync = MutexGuard::unlocked(syncs, prepare)?;
        syncs.begun = sync.next;
        let began = self.log.disk.now();
        MutexGuard::unlocked(syncs, || self.run_sync(&sync))?;
        syncs.took = self.log.disk.now().saturating_sub(began);
        syncs.company = syncs.waiting;
        Ok(())
    }

    fn run_sync(&self, sync: &LogSync) -> Result<()> {
        if planted("queue_durable_before_the_sync") {
            self.durable.store(sync.next, Relaxed);
        }
        self.meters.timed(&self.meters.sync, &self.log.disk, || sync.run())?;
        if let Some(mark) = self.mark.as_ref().filter(|_| !planted("queue_durable_not_marked")) {
            // Before anybody is told: whoever opens the queue in this boot stores again what is
            // not known to be durable, and must not touch what is.
            let mut mark = mark.lock();
            self.write_mark(&mut mark, sync.next)?;
            if sync.made_segments() {
                // A header alone says that there is a segment: the mark says so too.
                self.meters.counted(mark.sync())?;
            }
        }
        self.durable.store(sync.next, Relaxed);
        Ok(())
    }

    /// Syncs if the policy says so, after items up to `end` were written.
    pub(super) fn sync_by_policy(&self, end: u64) -> Result<()> {
        let Mode::Durable(policy) = self.mode else { return Ok(()) };
        let Some(group) = policy.group() else { return Ok(()) };
        // Whoever waits for its own item waits for the sync of another one, too.
        let is_due =
            policy == SyncPolicy::Always || end.saturating_sub(self.syncs.lock().begun) >= group;
        if is_due { self.sync_to(end) } else { Ok(()) }
    }

    /// Waits until `end` is durable by somebody else's sync; whether it is.
    pub(super) fn wait_durable(&self, end: u64, timeout: Duration) -> Result<bool> {
        let limit = self.log.disk.now().saturating_add(timeout);
        let mut syncs = self.syncs.lock();
        while self.durable() < end {
            if let Some(poison) = &self.state.lock().poison {
                return Err(poison.error());
            }
            let left = limit.saturating_sub(self.log.disk.now());
            if left.is_zero() || self.mode == Mode::Spill || !self.log.disk.has_threads() {
                return Ok(false);
            }
            // A poison is told without this lock.
            self.synced.wait_for(&mut syncs, left.min(LOOK_AGAIN));
        }
        Ok(true)
    }

    /// An item that was handed out is done with.
    pub(super) fn acknowledge(&self, number: u64, bytes: usize) {
        let mut state = self.state.lock();
        state.counts.acknowledged += 1;
        let has_moved = state.ranges.acknowledge(number, bytes);
        self.let_go(state, has_moved);
    }

    /// Items on the disk from `item` on are given up before `next`, where there is more.
    pub(super) fn give_up(
        &self,
        item: u64,
        next: u64,
        position: Position,
        count: impl FnOnce(&mut Counts, u64),
    ) {
        let mut state = self.state.lock();
        count(&mut state.counts, next - item);
        let has_moved = state.ranges.give_up(next, position);
        self.let_go(state, has_moved);
    }

    /// Items are done with: there is room, on the disk too where the mark has moved past a segment.
    pub(super) fn let_go(&self, mut state: MutexGuard<'_, State<T>>, has_moved: bool) {
        self.count_freed(&mut state);
        let is_over = (state.is_closed || state.poison.is_some()) && state.ranges.len() == 0;
        drop(state);
        self.room.notify_all();
        if is_over {
            self.ready.notify_all();
        }
        if !has_moved {
            return;
        }
        match self.keep_mark() {
            Ok(false) => {}
            Ok(true) => {
                self.count_freed(&mut self.state.lock());
                self.room.notify_all();
            }
            Err(error) => self.poison(&error),
        }
    }

    /// There is more room than before; the lock of the state is held.
    pub(super) fn count_freed(&self, state: &mut State<T>) {
        if let Some(share) = &mut state.share {
            let run = self.run_bytes() as u64;
            share.settle(state.ranges.bytes() as u64 + run, run / 4);
        }
        // Nobody else stores it now: no more than a store is needed.
        self.freed.store(self.freed.load(Relaxed) + 1, Release);
    }

    /// So many items more can be received.
    pub(super) fn tell_ready(&self, count: u64) {
        if count == 1 {
            self.ready.notify_one();
        } else {
            self.ready.notify_all();
        }
    }

    /// Stores how far the queue is done with, and lets go of what lies before that.
    ///
    /// Whether that was any segment.
    ///
    /// # Errors
    ///
    /// What failed so that nobody knows what is stored. A segment that could not be removed takes
    /// its room until the next one is done with, and no more than that.
    fn keep_mark(&self) -> Result<bool> {
        if self.mark.is_none() && self.log.count() < 2 {
            return Ok(false);
        }
        let mut mark = self.mark.as_ref().map(Mutex::lock);
        let done = match &mut mark {
            Some(mark) => self.write_mark(mark, self.durable())?,
            None => self.state.lock().ranges.mark(),
        };
        if !self.log.has_done(done) {
            return Ok(false);
        }
        if let Some(mark) =
            mark.as_mut().filter(|_| !planted("queue_segments_gone_before_the_mark"))
        {
            // Before the segments: whoever opens the queue must know why they are gone.
            self.meters.counted(mark.sync())?;
        }
        let _ = self.meters.counted(self.log.retire(done));
        Ok(true)
    }

    /// Stores how far the queue is done with, which it returns, and how far it is durable.
    fn write_mark(&self, mark: &mut MarkFile, durable: u64) -> Result<u64> {
        let done = self.state.lock().ranges.mark();
        let Some(newest) = mark.newest() else { return Ok(done) };
        let next = Mark { done, durable: durable.max(newest.durable), ..newest };
        if next != newest {
            self.meters.counted(mark.write(next))?;
        }
        Ok(done)
    }

    /// Makes all of it durable, the mark too.
    pub(super) fn sync_all(&self) -> Result<()> {
        if self.mode == Mode::Spill {
            return Ok(());
        }
        // After a sync that failed, another one could report success.
        self.refuse_if_poisoned()?;
        let next = self.writer.lock().next();
        self.sync_to(next)?;
        self.sync_mark()
    }

    fn sync_mark(&self) -> Result<()> {
        let Some(mark) = &self.mark else { return Ok(()) };
        let mut mark = mark.lock();
        let written = self.write_mark(&mut mark, self.durable());
        let synced = written.and_then(|_| self.meters.counted(mark.sync()));
        synced.inspect_err(|error| self.poison(error))
    }

    /// What opening gave up behind the last item is not looked at again.
    pub(super) fn cut_off(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        writer.begin_anew(self.durable())?;
        writer.begin_sync()?.run()
    }

    /// All is done with, and the limit on the disk leaves no room beside it: its files go.
    pub(super) fn retire_all_if_done(&self, writer: &mut LogWriter) -> Result<bool> {
        if self.state.lock().ranges.len() > 0 || self.log.size().0 == 0 {
            return Ok(false);
        }
        writer.end();
        self.sync_mark()?;
        self.meters.counted(self.log.retire_all()).map(|()| true)
    }
}

impl<T, C> Drop for Core<T, C> {
    /// The queue's last handle: `close` tells what fails here.
    fn drop(&mut self) {
        self.writer.get_mut().end();
        if self.mode == Mode::Spill {
            let _ = self.log.retire_all();
        } else if self.state.get_mut().poison.is_none() {
            let _ = self.sync_all();
        }
    }
}
