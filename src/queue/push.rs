//! Pushing: into memory while there is room, and then behind what is on the disk; or, where items
//! survive their process, to the disk first.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::{
    core::{Core, LOOK_AGAIN, State, Wait, Waited},
    options::{Limits, Mode, WhenFull},
    ranges::Entry,
};
use crate::{
    disk::{
        budget::{Member, MemoryBudget, Share, excess},
        codec::Codec,
        frame::{BODY_BYTES_MAX, FrameBuilder, SealedFrame, body_bytes},
        locks::MutexGuard,
        log::{Position, writer::LogWriter},
    },
    error::{Error, PushError, Result},
};

/// Items that are pushed together.
pub(super) trait Items<T>: AsRef<[T]> {
    /// Gives each of them away.
    fn each(self, take: impl FnMut(T));
}

impl<T> Items<T> for [T; 1] {
    fn each(self, mut take: impl FnMut(T)) {
        let [item] = self;
        take(item);
    }
}

impl<T> Items<T> for Vec<T> {
    fn each(self, take: impl FnMut(T)) {
        self.into_iter().for_each(take);
    }
}

/// A push that failed: the items, unless they are in the queue all the same.
#[derive(Debug)]
pub(super) struct Refused<I> {
    pub(super) items: Option<I>,
    pub(super) source: Error,
}

impl<T> From<Refused<[T; 1]>> for PushError<T> {
    fn from(Refused { items, source }: Refused<[T; 1]>) -> Self {
        Self { item: items.map(|[item]| item), source: source.into() }
    }
}

impl<T> From<Refused<Vec<T>>> for PushError<Vec<T>> {
    fn from(Refused { items, source }: Refused<Vec<T>>) -> Self {
        Self { item: items, source: source.into() }
    }
}

/// Bytes of items; of one of them without memory of its own.
enum Sizes {
    One([usize; 1]),
    Many(Vec<usize>),
}

impl Sizes {
    fn as_slice(&self) -> &[usize] {
        match self {
            Self::One(size) => size,
            Self::Many(sizes) => sizes,
        }
    }
}

/// Memory that items may take.
#[derive(Clone, Copy)]
enum Room {
    /// Within the budgets.
    Budgeted,
    /// However much there is: they are on their way to the disk.
    Any,
}

/// What one try came to.
enum Tried {
    /// The items are in, the first one under this number.
    Pushed(u64),
    /// Something has changed: try again.
    Again,
    /// There is no room.
    Full,
    /// The disk may hold no more of the queue.
    DiskFull,
}

impl<T, C: Codec<T>> Core<T, C> {
    /// Takes items in, all or none; the number of the first one, or `None` if they were dropped.
    pub(super) fn push<I: Items<T>>(
        &self,
        items: I,
        wait: Wait,
    ) -> Result<Option<u64>, Refused<I>> {
        let count = items.as_ref().len() as u64;
        if count == 0 {
            return Ok(None);
        }
        let pushed = match self.mode {
            Mode::Spill => self.push_to_memory(items, wait),
            Mode::Durable(_) => self.push_to_disk(items, wait),
        };
        if let Some(first) = pushed? {
            self.tell_ready(count);
            let synced = self.sync_by_policy(first + count);
            synced.map_err(|source| Refused { items: None, source })?;
            return Ok(Some(first));
        }
        Ok(None)
    }

    /// Takes items into memory if they need nothing of the disk; gives them back if they do.
    #[cfg(feature = "tokio")]
    pub(super) fn push_kept<I: Items<T>>(
        &self,
        items: I,
    ) -> Result<Result<Option<u64>, I>, Refused<I>> {
        let count = items.as_ref().len() as u64;
        if self.mode != Mode::Spill || count == 0 {
            return Ok(Err(items));
        }
        match self.sizes(items.as_ref()) {
            Ok(sizes) => Ok(self.keep_if_ample(items, sizes.as_slice()).map(|first| {
                self.tell_ready(count);
                Some(first)
            })),
            Err(source) => Err(Refused { items: Some(items), source }),
        }
    }

    fn push_to_memory<I: Items<T>>(&self, items: I, wait: Wait) -> Result<Option<u64>, Refused<I>> {
        let sizes = match self.sizes(items.as_ref()) {
            Ok(sizes) => sizes,
            Err(source) => return Err(Refused { items: Some(items), source }),
        };
        let sizes = sizes.as_slice();
        let mut items = match self.keep_if_ample(items, sizes) {
            Ok(first) => return Ok(Some(first)),
            Err(items) => Some(items),
        };
        let count = sizes.len() as u64;
        self.until_pushed(count, wait, || self.try_memory(&mut items, sizes))
            .map_err(|source| Refused { items, source })
    }

    fn push_to_disk<I: Items<T>>(&self, items: I, wait: Wait) -> Result<Option<u64>, Refused<I>> {
        let mut builder = self.take_builder();
        let encoded = self.encode(items.as_ref(), &mut builder);
        let mut items = Some(items);
        let pushed = encoded.and_then(|()| {
            let mut frame = builder.seal(self.log.shape.compression);
            self.until_pushed(frame.count(), wait, || self.try_disk(&mut items, &mut frame))
        });
        self.give_builder(builder);
        pushed.map_err(|source| Refused { items, source })
    }

    /// Tries until the items are in, or the queue is full and does what it is to do then.
    fn until_pushed(
        &self,
        count: u64,
        wait: Wait,
        mut try_once: impl FnMut() -> Result<Tried>,
    ) -> Result<Option<u64>> {
        let mut waited = Waited::new(&self.meters.push_wait, &self.log.disk);
        loop {
            // Before the try: what is freed during it is not waited for.
            let freed = self.freed.load(Acquire);
            match try_once()? {
                Tried::Pushed(first) => return Ok(Some(first)),
                Tried::Again => {}
                // What is handed out keeps all behind it on the disk: to drop that would not help.
                Tried::DiskFull
                    if self.limits.when_full == WhenFull::DropOldest
                        && self.state.lock().ranges.is_first_leased() =>
                {
                    return Err(Error::Full);
                }
                Tried::Full | Tried::DiskFull => match self.limits.when_full {
                    WhenFull::Block => {
                        waited.begin(wait);
                        let waits = self.wait_for_room(freed, wait);
                        waited.end();
                        waits?;
                    }
                    WhenFull::Reject => return Err(Error::Full),
                    WhenFull::DropNewest => {
                        self.state.lock().counts.dropped += count;
                        return Ok(None);
                    }
                    WhenFull::DropOldest => self.drop_oldest()?,
                },
            }
        }
    }

    fn wait_for_room(&self, freed: u64, wait: Wait) -> Result<()> {
        // Whoever else makes room on the disk tells nobody.
        let looks_again = self.limits.looks_again();
        let slice = if looks_again { self.at_most(wait, LOOK_AGAIN) } else { wait };
        let mut state = self.state.lock();
        while self.freed.load(Acquire) == freed && !state.is_closed && state.poison.is_none() {
            if !self.wait(&self.room, &mut state, slice) {
                return if looks_again && !self.is_over(wait) { Ok(()) } else { Err(Error::Full) };
            }
        }
        Ok(())
    }

    fn encode(&self, items: &[T], builder: &mut FrameBuilder) -> Result<()> {
        builder.begin(items.len());
        for item in items {
            let encoded = builder.add(|out| self.codec.encode(item, out));
            encoded.map_err(|source| Error::Encode { source })?;
        }
        check_body(builder.body_bytes())
    }

    /// Bytes of each item as it would be stored.
    fn sizes(&self, items: &[T]) -> Result<Sizes> {
        if let [item] = items
            && let Some(size) = self.codec.encoded_bytes(item)
        {
            check_body(body_bytes(1, size))?;
            return Ok(Sizes::One([size]));
        }
        let mut builder = self.take_builder();
        let sizes = items.iter().map(|item| match self.codec.encoded_bytes(item) {
            Some(bytes) => Ok(bytes),
            None => self
                .encode(std::slice::from_ref(item), &mut builder)
                .map(|()| builder.body_bytes() - body_bytes(1, 0)),
        });
        let sizes: Result<Vec<usize>> = sizes.collect();
        self.give_builder(builder);
        let sizes = sizes?;
        check_body(body_bytes(items.len(), sizes.iter().sum()))?;
        Ok(Sizes::Many(sizes))
    }

    fn try_memory<I: Items<T>>(&self, items: &mut Option<I>, sizes: &[usize]) -> Result<Tried> {
        self.relieve_by_itself();
        if let Some(tried) = self.try_keep(items, sizes, Room::Budgeted)? {
            return Ok(tried);
        }
        let spilled = match self.spill(self.memory_bytes_pushed()) {
            // Others may have all of what is shared.
            Ok(0) if self.budget.is_some() => self.spill(0),
            spilled => spilled,
        };
        match spilled {
            // What is not handed out is on the disk; so are these, as soon as they are in, unless
            // the run of somebody else, which this one waited for, has made room.
            Ok(0) => {
                if let Some(tried) = self.try_keep(items, sizes, Room::Budgeted)? {
                    return Ok(tried);
                }
                let tried = self.try_keep(items, sizes, Room::Any)?;
                while self.spill(self.memory_bytes_pushed()).is_ok_and(|bytes| bytes > 0) {}
                if self.budget.as_ref().is_some_and(MemoryBudget::is_overdrawn) {
                    while self.spill(0).is_ok_and(|bytes| bytes > 0) {}
                }
                Ok(tried.unwrap_or(Tried::Again))
            }
            Ok(_) => Ok(Tried::Again),
            Err(Error::Full) => Ok(Tried::DiskFull),
            Err(error) => Err(error),
        }
    }

    /// Takes items into memory where there is ample room, and nothing speaks against it.
    fn keep_if_ample<I: Items<T>>(&self, items: I, sizes: &[usize]) -> Result<u64, I> {
        let mut state = self.state.lock();
        let count = sizes.len() as u64;
        let bytes = state.ranges.bytes().saturating_add(Self::all_bytes(sizes));
        let is_ample = matches!(state.admits(count, &self.limits), Ok(true))
            && !self.is_short(&state)
            && self.may_hold(&mut state, bytes);
        if !is_ample {
            return Err(items);
        }
        state.counts.pushed += count;
        Ok(Self::keep(&mut state, items, sizes.iter().copied()))
    }

    /// Bytes of memory that these items count for.
    fn all_bytes(sizes: &[usize]) -> usize {
        sizes.iter().map(|&size| Self::entry_bytes(size)).sum()
    }

    /// Takes items into memory; `None` if they do not fit.
    fn try_keep<I: Items<T>>(
        &self,
        items: &mut Option<I>,
        sizes: &[usize],
        room: Room,
    ) -> Result<Option<Tried>> {
        let mut state = self.state.lock();
        if !state.admits(sizes.len() as u64, &self.limits)? {
            return Ok(Some(Tried::Full));
        }
        let bytes = state.ranges.bytes().saturating_add(Self::all_bytes(sizes));
        let fits = match room {
            Room::Budgeted => self.may_hold(&mut state, bytes),
            Room::Any => {
                self.hold(&mut state, bytes);
                true
            }
        };
        let Some(items) = items.take_if(|_| fits) else { return Ok(None) };
        state.counts.pushed += sizes.len() as u64;
        let first = Self::keep(&mut state, items, sizes.iter().copied());
        Ok(Some(Tried::Pushed(first)))
    }

    /// Bytes that should go to the disk before the memory is full and they have to.
    fn excess(&self, state: &State<T>) -> u64 {
        let memory_bytes = self.limits.memory_bytes;
        let bytes = excess(state.ranges.bytes() as u64, memory_bytes as u64);
        let has_run = bytes > 0 && state.ranges.spillable(memory_bytes) >= self.run_bytes();
        if has_run { bytes } else { 0 }
    }

    /// Whether less should be in memory, of this queue or of all that share it.
    fn is_short(&self, state: &State<T>) -> bool {
        self.excess(state) > 0 || self.budget.as_ref().is_some_and(|budget| budget.excess() > 0)
    }

    /// Less is in memory then, where there is less to have. What is wrong with the disk, a push is
    /// told that needs it.
    fn relieve_by_itself(&self) {
        let excess = self.excess(&self.state.lock());
        if excess > 0 {
            let _ = self.relieve(excess, self.limits.memory_bytes, self.run_bytes());
        }
        if let Some(budget) = &self.budget {
            budget.relieve(budget.excess());
        }
    }

    /// Takes items into memory; the number of the first one.
    fn keep<I: Items<T>>(
        state: &mut State<T>,
        items: I,
        mut sizes: impl Iterator<Item = usize>,
    ) -> u64 {
        let first = state.ranges.next();
        items.each(|item| {
            let bytes = Self::entry_bytes(sizes.next().unwrap_or(0));
            state.ranges.push(Entry { item, bytes, attempts: 0 });
        });
        first
    }

    fn try_disk<I: Items<T>>(
        &self,
        items: &mut Option<I>,
        frame: &mut SealedFrame<'_>,
    ) -> Result<Tried> {
        let mut writer = self.writer.lock();
        if !self.state.lock().admits(frame.count(), &self.limits)? {
            return Ok(Tried::Full);
        }
        let first = writer.next();
        let Some(position) = self.append(&mut writer, first, frame)? else {
            return Ok(Tried::DiskFull);
        };
        let mut state = self.state.lock();
        state.counts.pushed += frame.count();
        let bytes: usize = frame.item_bytes().map(Self::entry_bytes).sum();
        let bytes = state.ranges.bytes() + bytes;
        let stays = state.ranges.on_disk() == 0 && self.may_hold(&mut state, bytes);
        if let Some(items) = items.take_if(|_| stays) {
            Self::keep(&mut state, items, frame.item_bytes());
        } else {
            state.ranges.push_written(frame.count(), position);
        }
        Ok(Tried::Pushed(first))
    }

    /// Appends a frame to the log; `None` where the limits on its disk do not allow it.
    fn append(
        &self,
        writer: &mut LogWriter,
        first: u64,
        frame: &mut SealedFrame<'_>,
    ) -> Result<Option<Position>> {
        let needed = writer.bytes_needed(frame.frame_bytes());
        if needed > 0 {
            if needed > self.limits.disk_bytes_max {
                return Err(Error::TooLarge { found: needed, max: self.limits.disk_bytes_max });
            }
            let has_room = self.leaves_enough(needed, 0)?
                && (self.reserve(needed)
                    || self.retire_all_if_done(writer)? && self.reserve(needed));
            if !has_room {
                return self.refuse_if_in_vain(needed).map(|()| None);
            }
        }
        let append = || writer.append(first, frame, self.durable());
        let appended = self.meters.timed(&self.meters.write, &self.log.disk, append);
        if needed > 0 {
            self.log.unreserve();
        }
        match appended {
            Ok(position) => {
                self.meters.raw_bytes.fetch_add(frame.raw_bytes(), Relaxed);
                self.meters.stored_bytes.fetch_add(frame.frame_bytes(), Relaxed);
                Ok(Some(position))
            }
            Err(error @ Error::Poisoned { .. }) => {
                self.poison(&error);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Where others have the disk, to drop all that is here would be for nothing.
    fn refuse_if_in_vain(&self, needed: u64) -> Result<()> {
        let drops = self.limits.when_full == WhenFull::DropOldest;
        let could_help = || {
            let leaves_enough = self.leaves_enough(needed, self.log.size().1)?;
            Ok::<_, Error>(leaves_enough && self.log.could_hold(needed))
        };
        if drops && !could_help()? { Err(Error::Full) } else { Ok(()) }
    }

    /// Whether the limits on the disk leave room for so many bytes more.
    fn reserve(&self, needed: u64) -> bool {
        let bytes = self.log.size().1.saturating_add(needed);
        bytes <= self.limits.disk_bytes_max && self.log.reserve(needed)
    }

    /// Whether the disk has as much free as it is to have, after so many bytes more, and so many
    /// of the queue's own less.
    fn leaves_enough(&self, needed: u64, less: u64) -> Result<bool> {
        let least = self.limits.disk_free_min;
        if least == 0 {
            return Ok(true);
        }
        let directory = &self.log.directory;
        let free = self.log.disk.free_bytes(directory).map_err(Error::io("look at", directory))?;
        Ok((free + less).saturating_sub(needed) >= least)
    }

    /// Spills about so many bytes, as long as there are at least `least` to spill; how many it
    /// were.
    pub(super) fn relieve(&self, bytes: u64, memory_bytes: usize, least: usize) -> Result<u64> {
        let mut spilled = 0;
        while spilled < bytes && self.state.lock().ranges.spillable(memory_bytes) >= least {
            match self.spill(memory_bytes)? {
                0 => break,
                bytes => spilled += bytes,
            }
        }
        Ok(spilled)
    }

    /// Writes a run of items out of memory, those that are received last: half of so much memory
    /// stays where nothing is on the disk before it. The bytes of the run; 0 if there was none.
    pub(super) fn spill(&self, memory_bytes: usize) -> Result<u64> {
        // One run is on its way at a time; whoever waited here looks again.
        self.spill_by(self.writer.lock(), memory_bytes)
    }

    fn spill_by(&self, mut writer: MutexGuard<'_, LogWriter>, memory_bytes: usize) -> Result<u64> {
        if self.mode != Mode::Spill {
            // All of it is on the disk, and what is in memory too is received next.
            return Ok(0);
        }
        let begun = {
            let ranges = &mut self.state.lock().ranges;
            ranges.begin_run(self.run_bytes(), memory_bytes, writer.next())
        };
        let Some((first, entries)) = begun else { return Ok(0) };
        let run = Run { core: self, entries };
        let position = self.write_run(&mut writer, first, &run.entries)?;
        let (bytes, entries) = run.end(position);
        drop(writer);
        // Whatever the items do when they are dropped: no lock is held.
        drop(entries);
        Ok(bytes as u64)
    }

    fn write_run(&self, writer: &mut LogWriter, first: u64, run: &[Entry<T>]) -> Result<Position> {
        let mut builder = self.take_builder();
        builder.begin(run.len());
        let mut encode = || {
            for entry in run {
                let encoded = builder.add(|out| self.codec.encode(&entry.item, out));
                encoded.map_err(|source| Error::Encode { source })?;
            }
            self.append(writer, first, &mut builder.seal(self.log.shape.compression))?
                .ok_or(Error::Full)
        };
        let written = encode();
        self.give_builder(builder);
        written
    }
}

impl<T: Send, C: Codec<T>> Member for Core<T, C> {
    fn held(&self) -> u64 {
        self.state.lock().share.as_ref().map_or(0, Share::held)
    }

    fn relieve(&self, bytes: u64, equal_share: u64) -> u64 {
        let equal_share = usize::try_from(equal_share).unwrap_or(usize::MAX);
        let memory_bytes = self.limits.memory_bytes.min(equal_share);
        let mut spilled = 0;
        while spilled < bytes
            && self.state.lock().ranges.spillable(memory_bytes) >= self.run_bytes()
            // Who has it spills already; or it is the very thread that asks, in a codec.
            && let Some(writer) = self.writer.try_lock()
            // What is wrong with the disk, a push is told that needs it.
            && let Ok(run @ 1..) = self.spill_by(writer, memory_bytes)
        {
            spilled += run;
        }
        spilled
    }
}

impl<T> State<T> {
    /// Whether so many items may come in now.
    fn admits(&self, count: u64, limits: &Limits) -> Result<bool> {
        if let Some(poison) = &self.poison {
            return Err(poison.error());
        }
        if self.is_closed {
            return Err(Error::Closed);
        }
        if count > limits.items_max {
            return Err(Error::TooManyItems { found: count, max: limits.items_max });
        }
        Ok(self.ranges.len() + count <= limits.items_max)
    }
}

/// Items on their way to the disk. Where they do not get there, for whatever reason, they are where
/// they were.
struct Run<'a, T, C> {
    core: &'a Core<T, C>,
    entries: Vec<Entry<T>>,
}

impl<T, C> Run<'_, T, C> {
    /// They were written here. They come back with their bytes, to be dropped.
    fn end(mut self, position: Position) -> (usize, Vec<Entry<T>>) {
        let entries = std::mem::take(&mut self.entries);
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        let mut state = self.core.state.lock();
        state.ranges.end_run(bytes, position);
        self.core.count_freed(&mut state);
        drop(state);
        (bytes, entries)
    }
}

impl<T, C> Drop for Run<'_, T, C> {
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            let entries = std::mem::take(&mut self.entries);
            self.core.state.lock().ranges.cancel_run(entries);
        }
        // Whoever came to the end of what could be read waits for what was written.
        self.core.ready.notify_all();
        self.core.room.notify_all();
    }
}

fn check_body(body_bytes: usize) -> Result<()> {
    let (found, max) = (body_bytes as u64, BODY_BYTES_MAX as u64);
    if found > max { Err(Error::TooLarge { found, max }) } else { Ok(()) }
}
