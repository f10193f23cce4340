//! What the producer shares with its flusher: syncs, the limit, and the poison of a failed one.
//!
//! A sync has three steps: `begin` takes its target (the next id) under the lock that rewrites hold
//! too; `flush_slots` writes; `end` moves `durable` to the target. In between the producer appends
//! on. On a real disk the flusher thread takes the steps; on the simulated disk the driver does.

use std::{
    io,
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    archive::Archive,
    checkpoints::Checkpoints,
    flush::{sync_slots, write_back},
    layout::Checkpoint,
    lookup::Id,
    recover::Recovered,
    redo,
};
use crate::{
    disk::poison::Poison,
    error::{Error, Result},
    planted::planted,
};

/// Shared by a producer and its flusher.
#[derive(Debug)]
pub(crate) struct Durability {
    pub(crate) archive: Arc<Archive>,
    checkpoints: Mutex<Checkpoints>,
    /// The limit of the newest checkpoint: ids below it may be handed out.
    limit: AtomicU64,
    progress: Mutex<Progress>,
    changed: Condvar,
    poison: OnceLock<Poison>,
    /// Held during every flush. Taken after `checkpoints` and after `progress`.
    syncing: Mutex<()>,
}

/// Where syncs stand.
#[derive(Debug)]
struct Progress {
    running: Option<Running>,
    sync_requested: bool,
    raise_requested: bool,
    stop: bool,
    interval: Option<Duration>,
    unproven: Range<u64>,
    /// Ids below it are not dirty in the page cache.
    clean: u64,
    /// Ids below it should not be.
    clean_wanted: u64,
}

/// A sync between its beginning and its end.
#[derive(Debug, Clone, Copy)]
struct Running {
    /// Ids below it will be called durable.
    target: u64,
    /// It was flushed, and its driver has not told its end (simulated disk only).
    flushed: bool,
}

/// A sync that has begun.
#[derive(Debug)]
struct Sync {
    target: u64,
    unproven: Range<u64>,
}

/// While it is held no sync begins; ids below `floor` count as durable, or soon will.
#[derive(Debug)]
pub(crate) struct NoNewSync<'a> {
    pub(crate) floor: u64,
    _progress: MutexGuard<'a, Progress>,
}

impl Durability {
    pub(crate) fn new(archive: Arc<Archive>, recovered: Recovered) -> Self {
        let Recovered { checkpoints, unproven } = recovered;
        let next = archive.cursors().next();
        Self {
            archive,
            limit: AtomicU64::new(checkpoints.newest().limit),
            checkpoints: Mutex::new(checkpoints),
            progress: Mutex::new(Progress {
                running: None,
                sync_requested: false,
                raise_requested: false,
                stop: false,
                interval: None,
                unproven: if planted("unproven_slots_not_stored_again") { 0..0 } else { unproven },
                clean: next,
                clean_wanted: next,
            }),
            changed: Condvar::new(),
            poison: OnceLock::new(),
            syncing: Mutex::new(()),
        }
    }

    /// Fails once any sync has failed.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.poison.get() {
            Some(_) if planted("poison_forgotten") => Ok(()),
            None => Ok(()),
            Some(poison) => Err(poison.error()),
        }
    }

    /// A page that could not be written ends a producer as a sync that failed.
    #[inline]
    pub(crate) fn check_pages(&self) -> Result<()> {
        self.storing(self.archive.pages.check())
    }

    /// Runs one sync at a time, and none after one that failed. The kernel tells an error once for
    /// each open file: a sync beside the one that is told of it would report success.
    pub(crate) fn syncing<T>(&self, sync: impl FnOnce() -> Result<T>) -> Result<T> {
        let _alone = self.syncing.lock();
        self.check()?;
        sync().inspect_err(|error| {
            self.poison.get_or_init(|| Poison::of(error, &self.archive.path));
        })
    }

    /// A store that fails behind its announcement ends a producer as a sync that failed: what it
    /// announced is only made good by the next one.
    #[inline]
    pub(crate) fn storing<T>(&self, stored: Result<T>) -> Result<T> {
        stored.map_err(|error| self.store_failed(error))
    }

    #[cold]
    fn store_failed(&self, error: Error) -> Error {
        if !planted("failed_store_forgotten") {
            self.poison.get_or_init(|| Poison::of(&error, &self.archive.path));
        }
        self.tell_failure();
        error
    }

    /// Wakes whoever waits for what will never come. Not to be called with `progress` locked.
    pub(crate) fn telling<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|_| self.tell_failure())
    }

    fn tell_failure(&self) {
        // Under the lock: whoever looked at the poison before is asleep by now, and woken.
        drop(self.progress.lock());
        self.changed.notify_all();
        self.archive.cursors().wake();
    }

    // Syncs.

    /// Makes everything published so far durable.
    pub(crate) fn sync(&self) -> Result<()> {
        let sync = self.begin()?;
        self.flush_slots(&sync)?;
        self.end()
    }

    fn begin(&self) -> Result<Sync> {
        self.check_pages()?;
        let mut progress = self.wait_until_idle(self.progress.lock())?;
        let target = self.archive.cursors().next();
        progress.running = Some(Running { target, flushed: false });
        progress.sync_requested = false;
        Ok(Sync { target, unproven: std::mem::take(&mut progress.unproven) })
    }

    fn flush_slots(&self, sync: &Sync) -> Result<()> {
        let archive = &self.archive;
        if !sync.unproven.is_empty() {
            self.telling(self.syncing(|| store_again(archive, &sync.unproven)))?;
        }
        let durable = archive.cursors().durable();
        if planted("acknowledged_before_the_sync") {
            archive.cursors().set_durable(sync.target.max(durable));
        }
        if durable < sync.target {
            self.telling(self.syncing(|| sync_slots(archive, durable..sync.target)))?;
            archive.syncs.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        let mut progress = self.progress.lock();
        self.check()?;
        self.tell(&mut progress);
        drop(progress);
        self.check_pages()
    }

    fn tell(&self, progress: &mut Progress) {
        if let Some(Running { target, .. }) = progress.running.take() {
            let cursors = self.archive.cursors();
            if cursors.durable() < target {
                cursors.set_durable(target);
                cursors.wake();
            }
            progress.clean = progress.clean.max(target);
            self.changed.notify_all();
        }
    }

    fn wait_until_idle<'a>(
        &'a self,
        mut progress: MutexGuard<'a, Progress>,
    ) -> Result<MutexGuard<'a, Progress>> {
        loop {
            self.check()?;
            match progress.running {
                None => return Ok(progress),
                Some(Running { flushed: true, .. }) => self.tell(&mut progress),
                Some(_) => self.changed.wait(&mut progress),
            }
        }
    }

    /// Lets a background sync begin; waits while the one before it runs.
    pub(crate) fn request_sync(&self) -> Result<()> {
        if !self.archive.disk.has_threads() {
            return self.sync_without_telling();
        }
        let mut progress = self.progress.lock();
        while progress.sync_requested {
            self.check()?;
            self.changed.wait(&mut progress);
        }
        let mut progress = self.wait_until_idle(progress)?;
        progress.sync_requested = true;
        self.changed.notify_all();
        Ok(())
    }

    /// The first two steps; the third is taken before the next sync, or by the driver.
    pub(crate) fn sync_without_telling(&self) -> Result<()> {
        let sync = self.begin()?;
        self.flush_slots(&sync)?;
        if let Some(running) = &mut self.progress.lock().running {
            running.flushed = true;
        }
        Ok(())
    }

    /// Tells the end of a sync that was flushed, in the driver's place.
    #[cfg(feature = "test-util")]
    pub(crate) fn tell_flushed(&self) {
        let mut progress = self.progress.lock();
        if progress.running.is_some_and(|running| running.flushed) {
            self.tell(&mut progress);
        }
    }

    pub(crate) fn hold_syncs(&self) -> NoNewSync<'_> {
        let progress = self.progress.lock();
        let durable = self.archive.cursors().durable();
        let target = progress.running.map_or(0, |running| running.target);
        NoNewSync { floor: durable.max(target), _progress: progress }
    }

    pub(crate) fn set_interval(&self, interval: Option<Duration>) {
        self.progress.lock().interval = interval;
        self.changed.notify_all();
    }

    // The budget.

    /// Lets what is below `next` leave the page cache's dirty bytes; waits until so few are left
    /// that ids up to `end` may be stored. The id below which none is dirty.
    pub(crate) fn write_back(&self, next: u64, end: u64, dirty_slots: u64) -> Result<u64> {
        let mut progress = self.progress.lock();
        progress.clean_wanted = progress.clean_wanted.max(next);
        self.changed.notify_all();
        if !self.archive.disk.has_threads() {
            drop(progress);
            self.write_back_wanted()?;
            progress = self.progress.lock();
        }
        while progress.clean.saturating_add(dirty_slots) < end {
            self.check()?;
            self.changed.wait(&mut progress);
        }
        Ok(progress.clean)
    }

    fn write_back_wanted(&self) -> Result<()> {
        let progress = self.progress.lock();
        let ids = progress.clean..progress.clean_wanted.max(progress.clean);
        drop(progress);
        self.telling(self.syncing(|| write_back(&self.archive, ids.clone())))?;
        let mut progress = self.progress.lock();
        progress.clean = progress.clean.max(ids.end);
        self.changed.notify_all();
        Ok(())
    }

    /// Lets all slots leave the page cache's dirty bytes.
    pub(crate) fn write_back_all(&self) -> Result<()> {
        let slots = 0..self.archive.geometry().slots;
        self.telling(self.syncing(|| self.archive.shards.write_back(slots)))
    }

    /// Ids up to this one are not going to be stored.
    pub(crate) fn skip_to(&self, id: u64) -> Result<()> {
        if self.archive.budget.is_some() {
            self.write_back_all()?;
            let mut progress = self.progress.lock();
            (progress.clean, progress.clean_wanted) = (id, id);
        }
        Ok(())
    }

    // The limit.

    /// Whether ids below `end` may be handed out.
    #[inline]
    pub(crate) fn covers(&self, end: u64) -> bool {
        // Acquire: pairs with the Release stores; the page is visible before a claim that needs it.
        end <= self.limit.load(Acquire)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Acquire)
    }

    /// Puts a limit of at least `ids.end` on the disk, unless the flusher has done so meanwhile. A
    /// jump passes the oldest id that is kept from then on.
    pub(crate) fn raise_limit(&self, ids: Range<u64>, jump: Option<u64>) -> Result<()> {
        let mut checkpoints = self.checkpoints.lock();
        if jump.is_none() && ids.end <= checkpoints.newest().limit {
            return Ok(());
        }
        let kept = jump.unwrap_or_else(|| self.archive.cursors().kept());
        let raise = || checkpoints.raise_limit(&self.archive, ids, kept);
        self.telling(self.syncing(raise))?;
        self.limit.store(checkpoints.newest().limit, Release);
        Ok(())
    }

    /// Moves the limit on before the producer has to wait for it.
    pub(crate) fn raise_limit_early(&self) -> Result<()> {
        let mut checkpoints = self.checkpoints.lock();
        let cursors = self.archive.cursors();
        let next = cursors.next();
        if checkpoints.is_close(next) {
            let kept = cursors.kept();
            let raise = || checkpoints.raise_limit(&self.archive, next..next, kept);
            self.telling(self.syncing(raise))?;
            self.limit.store(checkpoints.newest().limit, Release);
        }
        Ok(())
    }

    /// Shows a larger clock step, once it is on the disk: before any record needs it.
    pub(crate) fn raise_clock_step(&self, step: u64) -> Result<()> {
        let mut checkpoints = self.checkpoints.lock();
        let raise = || checkpoints.raise_clock_step(&self.archive, step);
        self.telling(self.syncing(raise))?;
        self.archive.cursors().set_clock_step(step);
        Ok(())
    }

    /// Called once a block. Never waits for a page that is being written.
    pub(crate) fn request_raise_if_close(&self, next: u64) {
        let is_close = self.checkpoints.try_lock().is_some_and(|pages| pages.is_close(next));
        if is_close && self.archive.disk.has_threads() {
            self.progress.lock().raise_requested = true;
            self.changed.notify_all();
        }
    }

    /// Data first, then the page that calls it durable: in one flush the page could arrive alone.
    pub(crate) fn close(&self) -> Result<()> {
        if !planted("checkpoint_before_the_data") {
            self.sync()?;
        }
        let mut checkpoints = self.checkpoints.lock();
        self.telling(self.syncing(|| self.write_closing_page(&mut checkpoints)))
    }

    fn write_closing_page(&self, checkpoints: &mut Checkpoints) -> Result<()> {
        let cursors = self.archive.cursors();
        redo::clear(&self.archive)?;
        let next = cursors.next();
        // Nothing at or above next was touched, and claim <= limit must stay true.
        cursors.set_claim(next);
        let newest = checkpoints.newest().clone();
        let kept = cursors.kept();
        let page = Checkpoint { durable: next, limit: next, kept, ..newest.clone() };
        if page != newest {
            checkpoints.write(&self.archive, page)?;
        }
        Ok(())
    }

    // The flusher thread.

    /// Serves requests and the interval until told to stop, or until a sync fails.
    pub(crate) fn serve(&self) {
        let _died = PoisonOnPanic(self);
        let mut due = self.archive.disk.now();
        loop {
            let done = match self.next_task(&mut due) {
                Task::Stop => return,
                Task::Raise => self.raise_limit_early(),
                Task::Sync => self.sync(),
                Task::WriteBack => self.write_back_wanted(),
            };
            if done.is_err() {
                // It stays as poison; the producer reports it.
                return;
            }
        }
    }

    fn next_task(&self, due: &mut Duration) -> Task {
        let mut progress = self.progress.lock();
        loop {
            if progress.stop {
                return Task::Stop;
            }
            if std::mem::take(&mut progress.raise_requested) {
                return Task::Raise;
            }
            // Cleared by `begin`, so that a request stands until its sync has a target.
            if progress.sync_requested {
                return Task::Sync;
            }
            // Before what is written back, of which there may be no end.
            let now = self.archive.disk.now();
            if let Some(interval) = progress.interval {
                *due = (*due).min(now + interval);
                if *due <= now {
                    *due = now + interval;
                    return Task::Sync;
                }
            }
            if progress.clean < progress.clean_wanted {
                return Task::WriteBack;
            }
            if progress.interval.is_some() {
                self.changed.wait_for(&mut progress, due.saturating_sub(now));
            } else {
                self.changed.wait(&mut progress);
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.progress.lock().stop = true;
        self.changed.notify_all();
    }
}

/// A producer that waits for its flusher must not wait for a dead one.
struct PoisonOnPanic<'a>(&'a Durability);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let poison = Poison::new(&self.0.archive.path, io::ErrorKind::Interrupted);
            self.0.poison.get_or_init(|| poison);
            let _ = self.0.telling(self.0.check());
        }
    }
}

enum Task {
    Stop,
    Raise,
    Sync,
    WriteBack,
}

/// Stores slots again that may be in the page cache only.
fn store_again(archive: &Archive, unproven: &Range<u64>) -> Result<()> {
    let step = archive.budget.map_or(u64::MAX, |budget| budget.step_beside());
    for (id, stored) in last_of(unproven, archive.geometry().slots).zip(1_u64..) {
        archive.shards.write_again(archive.place(Id(id)), || archive.is_kept(id))?;
        if stored.is_multiple_of(step) {
            write_back(archive, id + 1 - step..id + 1)?;
        }
    }
    Ok(())
}

/// The ids of a range whose slots no later id of it shares.
fn last_of(ids: &Range<u64>, slots: u64) -> Range<u64> {
    ids.start.max(ids.end.saturating_sub(slots))..ids.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        disk::{sim::SimDisk, sync::SyncPolicy},
        ring::options::RingOptions,
    };

    #[test]
    fn an_interval_that_is_over_comes_before_what_is_written_back() {
        let disk = SimDisk::reliable(1);
        let options = RingOptions::new(8, 100).smallest_budget().on(&disk);
        let mut producer = options.create("/data/cache.dat").unwrap();
        producer.set_sync(SyncPolicy::Interval(Duration::from_secs(1)));
        let durability = producer.durability();
        let mut due = durability.archive.disk.now();
        durability.progress.lock().clean_wanted = 50;
        assert!(matches!(durability.next_task(&mut due), Task::Sync));
        assert!(matches!(durability.next_task(&mut due), Task::WriteBack));
        disk.advance(Duration::from_secs(2));
        assert!(matches!(durability.next_task(&mut due), Task::Sync));
    }
}
