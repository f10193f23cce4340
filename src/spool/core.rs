//! What all handles of a spool share: its parts, who waits for them, and who makes room.
//!
//! Locks are taken in this order: the state's, those of a content, of the store and of the memory.
//! None of them is held while the bytes of a part move; under the state's the manifest is written.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Weak},
};

use super::{
    content::Content,
    manifest::Manifest,
    memory::Memory,
    options::{GapPolicy, SpoolOptions},
    parts::{Found, Parts},
    resume::{self, Resumed},
    stats::{SpoolProgress, SpoolStats, Storage},
    store::Store,
};
use crate::{
    disk::{
        budget::{Member, Membership, MemoryBudget},
        locks::{Condvar, Mutex, MutexGuard},
        seam::Disk,
        watcher::Watcher,
    },
    error::{Error, PartState, Result},
};

/// Bytes of a part that move to the disk at once, if it has as many.
const EVICTED_BYTES: u64 = 1 << 20;

/// A part while it is written: its number, and which of all writers it is.
pub(super) type WriterId = (u64, u64);

pub(super) struct Core {
    pub(super) disk: Disk,
    pub(super) memory: Arc<Memory>,
    /// What it shares memory with. It is asked for some as long as anybody has a handle.
    shared: Option<(MemoryBudget, Membership)>,
    pub(super) store: Arc<Store>,
    gaps: GapPolicy,
    watcher: Option<Watcher<SpoolProgress>>,
    kept: Option<Kept>,
    state: Mutex<State>,
    /// Something that somebody may wait for has happened to a part.
    changed: Condvar,
}

/// What a spool that outlives its process has besides.
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) resumed: Resumed,
}

#[derive(Default)]
struct State {
    parts: Parts,
    /// What may have pieces in memory; the last of them is needed last.
    evictable: BTreeMap<WriterId, Weak<Content>>,
    writers: u64,
    is_draining: bool,
    /// Nobody is left who could bring a part.
    is_abandoned: bool,
    /// Of a spool that outlives its process.
    manifest: Option<Manifest>,
    /// As it was told last.
    storage: Storage,
}

impl State {
    /// Takes no more note of parts that are gone.
    fn forget_drained(&mut self) {
        while let Some(first) = self.evictable.first_entry() {
            if first.key().0 >= self.parts.next() {
                break;
            }
            first.remove();
        }
    }

    /// Takes no more note of what was of a part before.
    fn forget_replaced(&mut self, part: u64) {
        let writers = self.evictable.range((part, 0)..=(part, u64::MAX));
        let is_gone = |content: &Weak<Content>| content.strong_count() == 0;
        let gone = writers.filter(|(_, content)| is_gone(content)).map(|(&writer, _)| writer);
        for writer in gone.collect::<Vec<_>>() {
            self.evictable.remove(&writer);
        }
    }

    fn progress(&mut self, storage: Storage) -> SpoolProgress {
        self.storage = storage;
        let counts = self.parts.counts;
        SpoolProgress {
            parts: counts.committed,
            bytes: counts.committed_bytes,
            total: self.parts.total(),
            storage,
        }
    }
}

/// A part that somebody gets.
pub(super) struct Got {
    pub(super) part: u64,
    pub(super) content: Arc<Content>,
}

enum Step {
    Part(Arc<Content>),
    /// Up to this part none comes.
    Skip(u64),
    End,
}

impl Core {
    pub(super) fn new(
        options: &SpoolOptions,
        store: Arc<Store>,
        parts: Parts,
        kept: Option<(Kept, Manifest)>,
    ) -> Arc<Self> {
        let (kept, manifest) = kept.unzip();
        let budget = options.memory_budget.as_ref();
        Arc::new_cyclic(|core: &Weak<Self>| Self {
            disk: options.disk.clone(),
            memory: Arc::new(Memory::new(options.memory_bytes, budget)),
            shared: budget.map(|budget| (budget.clone(), budget.join(core.clone()))),
            store,
            gaps: options.gaps,
            watcher: options.watcher.clone(),
            kept,
            state: Mutex::new(State { parts, manifest, ..State::default() }),
            changed: Condvar::new(),
        })
    }

    /// Registers somebody who writes a part.
    ///
    /// # Errors
    ///
    /// `PartDrained`, `PartOutOfRange`.
    pub(super) fn begin(&self, part: u64) -> Result<WriterId> {
        let mut state = self.state.lock();
        state.parts.check(part)?;
        state.parts.enter(part);
        state.writers += 1;
        Ok((part, state.writers))
    }

    /// Somebody no longer writes it.
    pub(super) fn end(&self, writer: WriterId, is_complete: bool) {
        let mut state = self.state.lock();
        state.parts.leave(writer.0);
        if !is_complete {
            state.evictable.remove(&writer);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A complete part is there from now on, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// `PartDrained`, `PartOutOfRange`; of a spool that outlives its process those of a write. The
    /// part is as it was before.
    pub(super) fn commit(&self, part: u64, content: &Arc<Content>) -> Result<()> {
        if self.is_kept() {
            while content.evict(EVICTED_BYTES)? > 0 {}
        }
        let storage = self.storage();
        let mut state = self.state.lock();
        state.parts.check(part)?;
        if let Some(manifest) = &mut state.manifest {
            // Whoever drains the part meanwhile would let go of what the record is about.
            manifest.add_part(part, content)?;
        }
        let before = state.parts.put(part, content);
        let progress = state.progress(storage);
        if before.is_some() {
            state.forget_replaced(part);
        }
        drop(state);
        drop(before);
        self.changed.notify_all();
        self.tell(&progress);
        Ok(())
    }

    pub(super) fn fail(&self, part: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.parts.check(part)?;
        state.parts.fail(part);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    pub(super) fn finish(&self, total: u64) -> Result<()> {
        self.state.lock().parts.finish(total)?;
        self.changed.notify_all();
        Ok(())
    }

    /// The complete part with this number.
    ///
    /// # Errors
    ///
    /// `PartDrained`, `PartMissing`.
    pub(super) fn ready(&self, part: u64) -> Result<Arc<Content>> {
        let state = self.state.lock();
        match (state.parts.find(part), state.parts.state(part)) {
            (Found::Ready(content), _) => Ok(content),
            (_, PartState::Drained) => Err(Error::PartDrained { part }),
            (_, state) => Err(Error::PartMissing { part, state }),
        }
    }

    /// Part `at`, or one behind it where parts are skipped, once it is there; `None` at the end. It
    /// stays.
    ///
    /// # Errors
    ///
    /// `PartMissing`, by the policy; `PartDrained`.
    pub(super) fn wait_for(&self, mut at: u64) -> Result<Option<Got>> {
        let mut state = self.state.lock();
        loop {
            match self.step(&mut state, at)? {
                Step::Part(content) => return Ok(Some(Got { part: at, content })),
                Step::Skip(to) => at = to,
                Step::End => return Ok(None),
            }
        }
    }

    /// As `wait_for`, of the part behind the one that was sealed last: it stays, but nobody can
    /// write it any more, nor those that were skipped.
    pub(super) fn seal_next(&self) -> Result<Option<Got>> {
        let mut state = self.state.lock();
        loop {
            let part = state.parts.sealed();
            match self.step(&mut state, part)? {
                Step::Part(content) => {
                    state.parts.seal(part + 1);
                    return Ok(Some(Got { part, content }));
                }
                Step::Skip(to) => state.parts.seal(to),
                Step::End => return Ok(None),
            }
        }
    }

    /// What was sealed can be written again.
    pub(super) fn unseal(&self) {
        self.state.lock().parts.seal(0);
    }

    /// All parts that were sealed are drained at once.
    pub(super) fn drain_sealed(&self) {
        let mut state = self.state.lock();
        let end = state.parts.sealed();
        // Where that cannot be written, the next process has them again.
        let is_noted = state.manifest.as_mut().is_none_or(|it| it.set_next(end).is_ok());
        let mut drained = Vec::new();
        while state.parts.next() < end {
            let next = state.parts.next();
            if let Found::Ready(content) = state.parts.find(next) {
                state.parts.drain_next(content.bytes());
                drained.push(content);
            } else {
                let to = state.parts.gap_end(next).min(end);
                state.parts.skip_to(to);
            }
        }
        drop(state);
        if !is_noted {
            for content in &drained {
                content.keep();
            }
        }
    }

    /// Takes the next part out, once it is there; `None` at the end.
    ///
    /// # Errors
    ///
    /// `PartMissing`, by the policy.
    pub(super) fn take(&self) -> Result<Option<Got>> {
        let mut state = self.state.lock();
        loop {
            let part = state.parts.next();
            match self.step(&mut state, part)? {
                Step::Part(content) => {
                    state.parts.drain_next(content.bytes());
                    state.forget_drained();
                    return Ok(Some(Got { part, content }));
                }
                Step::Skip(to) => state.parts.skip_to(to),
                Step::End => return Ok(None),
            }
        }
    }

    fn step(&self, state: &mut MutexGuard<'_, State>, part: u64) -> Result<Step> {
        loop {
            if part < state.parts.next() {
                return Err(Error::PartDrained { part });
            }
            let gap = match state.parts.find(part) {
                Found::Ready(content) => return Ok(Step::Part(content)),
                Found::End => return Ok(Step::End),
                Found::NotYet => None,
                Found::Gap(gap) => Some(gap),
            };
            match (gap, self.gaps) {
                (Some(_), GapPolicy::Skip) => return Ok(Step::Skip(state.parts.gap_end(part))),
                (Some(state), GapPolicy::Error) => return Err(Error::PartMissing { part, state }),
                _ if state.is_abandoned => {
                    let state = state.parts.state(part);
                    return Err(Error::PartMissing { part, state });
                }
                _ => self.changed.wait(state),
            }
        }
    }

    /// Nobody is left who could bring a part.
    pub(super) fn abandon(&self) {
        self.state.lock().is_abandoned = true;
        self.changed.notify_all();
    }

    /// Nobody needs the parts before this one any more.
    pub(super) fn drained_before(&self, next: u64) -> Result<()> {
        self.state.lock().manifest.as_mut().map_or(Ok(()), |manifest| manifest.set_next(next))
    }

    /// Whether parts outlive the process.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// One drains at a time.
    pub(super) fn begin_draining(&self) -> Result<()> {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.is_draining, true) {
            return Err(Error::DrainedElsewhere);
        }
        Ok(())
    }

    pub(super) fn end_draining(&self) {
        self.state.lock().is_draining = false;
    }

    pub(super) fn resumed(&self) -> Resumed {
        self.kept.as_ref().map_or_else(Resumed::default, |kept| kept.resumed.clone())
    }

    pub(super) fn discard(&self) -> Result<()> {
        self.kept
            .as_ref()
            .map_or(Ok(()), |kept| resume::remove(&self.disk, &kept.path, &self.store))
    }

    pub(super) fn state_of(&self, part: u64) -> PartState {
        self.state.lock().parts.state(part)
    }

    pub(super) fn missing(&self) -> Vec<std::ops::Range<u64>> {
        self.state.lock().parts.missing()
    }

    /// Where the next part that is drained begins to be looked for.
    pub(super) fn next(&self) -> u64 {
        self.state.lock().parts.next()
    }

    pub(super) fn stats(&self) -> SpoolStats {
        let (resident_bytes, resident_bytes_peak) = self.memory.bytes();
        let disk_bytes = self.store.disk_bytes();
        let state = self.state.lock();
        let parts = &state.parts;
        SpoolStats {
            parts_ready: parts.count(PartState::Ready),
            parts_writing: parts.count(PartState::Writing),
            parts_failed: parts.count(PartState::Failed),
            parts_drained: parts.counts.drained,
            parts_skipped: parts.counts.skipped,
            ready_bytes: parts.ready().map(|content| content.bytes()).sum(),
            drained_bytes: parts.counts.drained_bytes,
            resident_bytes,
            resident_bytes_peak,
            index_bytes: parts.ready().map(|content| content.index_bytes() as u64).sum(),
            disk_bytes,
        }
    }

    /// How often somebody has waited.
    #[cfg(all(test, shuttle))]
    pub(super) fn waits(&self) -> u64 {
        self.changed.waits()
    }

    fn storage(&self) -> Storage {
        if self.store.disk_bytes() > 0 { Storage::Disk } else { Storage::Memory }
    }

    fn tell(&self, progress: &SpoolProgress) {
        if let Some(watcher) = &self.watcher {
            watcher.tell(progress);
        }
    }

    /// Tells if parts have begun to move to the disk.
    pub(super) fn tell_of_moving(&self) {
        if self.watcher.is_none() {
            return;
        }
        let storage = self.storage();
        let mut state = self.state.lock();
        if state.storage != storage {
            let progress = state.progress(storage);
            drop(state);
            self.tell(&progress);
        }
    }

    /// Takes note that a part has a piece in memory.
    pub(super) fn may_evict(&self, writer: WriterId, content: &Arc<Content>) {
        self.state.lock().evictable.insert(writer, Arc::downgrade(content));
    }

    /// Counts memory for bytes that come; the parts that are needed last make room. Whether there
    /// is some.
    ///
    /// # Errors
    ///
    /// Those of a write.
    pub(super) fn make_room(&self, bytes: usize) -> Result<bool> {
        while !self.memory.try_take(bytes) {
            if self.evict()? == 0 {
                return Ok(false);
            }
            self.tell_of_moving();
        }
        if let Some((budget, _)) = &self.shared {
            budget.relieve(budget.excess());
        }
        Ok(true)
    }

    /// Moves to the disk what is in memory beyond the budget, because writers had to have it.
    ///
    /// # Errors
    ///
    /// Those of a write.
    pub(super) fn settle(&self) -> Result<()> {
        while !self.memory.try_take(0) && self.evict()? > 0 {
            self.tell_of_moving();
        }
        Ok(())
    }

    /// Moves pieces of the part that is needed last to the disk: how many bytes.
    fn evict(&self) -> Result<u64> {
        loop {
            let last = self.state.lock().evictable.pop_last();
            let Some((writer, content)) = last else { return Ok(0) };
            let Some(content) = content.upgrade() else { continue };
            let evicted = content.evict(EVICTED_BYTES);
            if content.has_memory() {
                self.may_evict(writer, &content);
            }
            match evicted {
                Ok(0) => {}
                other => return other,
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.is_kept() {
            self.store.keep();
        }
    }
}

impl Member for Core {
    fn held(&self) -> u64 {
        self.memory.bytes().0
    }

    fn relieve(&self, bytes: u64, equal_share: u64) -> u64 {
        self.memory.drop_spare();
        let wanted = bytes.min(self.held().saturating_sub(equal_share / 2));
        let mut relieved = 0;
        while relieved < wanted {
            // What cannot be written stays in memory, and whoever needs memory is told so.
            match self.evict() {
                Ok(evicted) if evicted > 0 => relieved += evicted,
                _ => break,
            }
        }
        relieved
    }
}
