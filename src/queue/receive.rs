//! Receiving: out of memory, which the disk refills when it is empty.

use super::{
    core::{Core, State, Wait, Waited},
    ranges::Entry,
};
use crate::{
    disk::{codec::Codec, locks::MutexGuard, log::recover::Recovery, poison::Poison},
    error::{Error, Result},
};

/// What a look at the front finds.
pub(super) enum Next<'a, T, R> {
    /// What was made of the next item.
    Taken(R),
    OnDisk,
    Nothing(MutexGuard<'a, State<T>>),
}

impl<T> State<T> {
    /// Why there will be no item any more, where nothing is left and nothing is taken in.
    pub(super) fn why_no_more(&self) -> Option<Error> {
        let is_over = self.ranges.len() == 0;
        self.poison.as_ref().filter(|_| is_over).map(Poison::error)
    }
}

impl<T, C: Codec<T>> Core<T, C> {
    /// Hands out the next item.
    ///
    /// # Errors
    ///
    /// `Empty`, `Closed`; `Decode`: the item is acknowledged; `Damaged`, `Io`; `Poisoned`.
    pub(super) fn take(&self, wait: Wait) -> Result<(u64, Entry<T>)> {
        self.next(wait, |_, number, entry| (number, entry))
    }

    /// Hands out the next item, and acknowledges it.
    pub(super) fn pop(&self, wait: Wait) -> Result<T> {
        self.next(wait, |state, number, entry| self.take_out(state, number, entry))
    }

    /// Acknowledges an item as it is handed out.
    fn take_out(&self, mut state: MutexGuard<'_, State<T>>, number: u64, entry: Entry<T>) -> T {
        state.counts.acknowledged += 1;
        let has_moved = state.ranges.acknowledge(number, entry.bytes);
        self.let_go(state, has_moved);
        entry.item
    }

    /// What `then` makes of the next item, which is handed out.
    fn next<R>(
        &self,
        wait: Wait,
        then: impl Fn(MutexGuard<'_, State<T>>, u64, Entry<T>) -> R,
    ) -> Result<R> {
        let mut waited = Waited::new(&self.meters.receive_wait, &self.log.disk);
        loop {
            match self.look(&then)? {
                Next::Taken(taken) => return Ok(taken),
                Next::OnDisk => self.fetch()?,
                Next::Nothing(mut state) => {
                    if let Some(error) = state.why_no_more()
                        && !self.is_over(wait)
                    {
                        return Err(error);
                    }
                    waited.begin(wait);
                    let is_told = self.wait(&self.ready, &mut state, wait);
                    waited.end();
                    if !is_told {
                        return Err(Error::Empty);
                    }
                }
            }
        }
    }

    /// Hands out the next item, if it is in memory: what `then` makes of it.
    #[inline]
    pub(super) fn look<R>(
        &self,
        then: &impl Fn(MutexGuard<'_, State<T>>, u64, Entry<T>) -> R,
    ) -> Result<Next<'_, T, R>> {
        let mut state = self.state.lock();
        match state.untold.pop_front() {
            Some(error) => Err(error),
            None => Self::look_in(state, then),
        }
    }

    /// The same, whatever a receiver is still to be told.
    fn look_in<'a, R>(
        mut state: MutexGuard<'a, State<T>>,
        then: &impl Fn(MutexGuard<'_, State<T>>, u64, Entry<T>) -> R,
    ) -> Result<Next<'a, T, R>> {
        if let Some((number, entry)) = state.ranges.take() {
            state.counts.received += 1;
            return Ok(Next::Taken(then(state, number, entry)));
        }
        if state.ranges.is_next_on_disk() {
            return Ok(Next::OnDisk);
        }
        // What is handed out may come back.
        if state.is_closed && state.ranges.len() == 0 {
            return Err(Error::Closed);
        }
        Ok(Next::Nothing(state))
    }

    /// Drops the item that would be received next.
    pub(super) fn drop_oldest(&self) -> Result<()> {
        let take_out =
            |state: MutexGuard<'_, State<T>>, number, entry| self.take_out(state, number, entry);
        loop {
            match Self::look_in(self.state.lock(), &take_out)? {
                Next::Taken(_) => break,
                Next::OnDisk => match self.fetch() {
                    // It is out of the queue, as it is to be.
                    Err(Error::Decode { .. }) => break,
                    fetched => fetched?,
                },
                Next::Nothing(_) => return Err(Error::Full),
            }
        }
        self.state.lock().counts.dropped += 1;
        Ok(())
    }

    /// Has the next items, which are on the disk, in memory then; or somebody else has taken them.
    pub(super) fn fetch(&self) -> Result<()> {
        let (is_written, bytes) = {
            let ranges = &self.state.lock().ranges;
            (ranges.readable().is_some(), ranges.bytes())
        };
        if !is_written {
            // A run is on its way there, and its writer holds this lock.
            drop(self.writer.lock());
        } else if bytes > self.memory_bytes_pushed() {
            // What was read before is handed out, and takes the room of what comes next. What is
            // wrong with the disk, a push is told that needs it.
            let _ = self.spill(self.memory_bytes_pushed());
        }
        // Where that fails the item is still there, and whoever waits for one was not told of it.
        self.refill().inspect_err(|_| self.ready.notify_one())
    }

    /// Calls `look` with the next item, which stays where it is.
    pub(super) fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R> {
        loop {
            let state = self.state.lock();
            if let Some(item) = state.ranges.peek() {
                return Ok(look(item));
            }
            if state.ranges.is_next_on_disk() {
                drop(state);
                self.fetch()?;
            } else {
                let is_over = state.is_closed && state.ranges.len() == 0;
                return Err(if is_over { Error::Closed } else { Error::Empty });
            }
        }
    }

    /// Reads a frame from the disk into memory, unless somebody else has done so; a part of it
    /// where what is handed out leaves no room for a run.
    fn refill(&self) -> Result<()> {
        let mut reader = self.reader.lock();
        // What is pushed meanwhile is no part of this.
        let (item, begin, end, room) = {
            let ranges = &self.state.lock().ranges;
            match ranges.readable() {
                Some((item, begin)) if ranges.is_next_on_disk() => {
                    (item, begin, ranges.readable_end(), self.room_for_read(ranges.bytes()))
                }
                _ => return Ok(()),
            }
        };
        let mut position = begin;
        let disk = &self.log.disk;
        let (log, place) = (&mut *reader, &mut position);
        let read = self.meters.timed(&self.meters.read, disk, move || log.read(place, item));
        let (header, body) = match read {
            Err(error @ (Error::Damaged { .. } | Error::MissingSegment { .. }))
                if self.recovery == Recovery::SkipCorrupt =>
            {
                let next = reader.skip_damage(&mut position, item)?;
                if next == Some(item) && position == begin {
                    return Err(error);
                }
                // Nothing whole behind it: what was known to be there is given up.
                let next = next.map_or(end, |next| next.min(end));
                self.give_up(item, next, position, |counts, lost| counts.lost += lost);
                return Ok(());
            }
            read => read?,
        };
        let (mut entries, mut entries_bytes) = (Vec::new(), 0);
        let skipped = usize::try_from(item - header.first).unwrap_or(usize::MAX);
        let left = usize::try_from(end - item).unwrap_or(usize::MAX);
        for bytes in header.items(body).skip(skipped).take(left) {
            match self.codec.decode(bytes) {
                Ok(item) => {
                    let bytes = Self::entry_bytes(bytes.len());
                    entries_bytes += bytes;
                    if entries_bytes > room && !entries.is_empty() {
                        // The others are read when there is room.
                        position = begin;
                        break;
                    }
                    entries.push(Entry { item, bytes, attempts: 0 });
                }
                // It is the next one after those before it.
                Err(_) if !entries.is_empty() => {
                    position = begin;
                    break;
                }
                Err(source) => {
                    let bytes = bytes.to_vec();
                    self.give_up(item, item + 1, begin, |counts, _| counts.acknowledged += 1);
                    return Err(Error::Decode { item, bytes, source });
                }
            }
        }
        let mut state = self.state.lock();
        state.ranges.read(entries.into_iter(), position);
        self.count_read(&mut state);
        drop(state);
        self.ready.notify_all();
        Ok(())
    }

    /// An item that was handed out has gone to the dead letters.
    pub(super) fn bury(&self, number: u64, bytes: usize) {
        self.state.lock().counts.dead += 1;
        self.acknowledge(number, bytes);
    }

    /// An item that was handed out comes back.
    pub(super) fn put_back(&self, number: u64, entry: Entry<T>) {
        let mut state = self.state.lock();
        state.counts.returned += 1;
        state.ranges.put_back(number, entry);
        drop(state);
        self.ready.notify_one();
    }
}
