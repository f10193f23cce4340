//! Receiving: out of memory, which the disk refills when it is empty.

use std::ops::Range;

use super::{
    core::{Core, State, Wait, Waited},
    ranges::{Entry, Ranges},
    stats::Counts,
};
use crate::{
    disk::{
        codec::Codec,
        locks::MutexGuard,
        log::{Position, reader::LogReader, recover::Recovery},
        poison::Poison,
    },
    error::{Error, Result},
};

/// Items to be read from the disk.
struct Wanted {
    item: u64,
    /// Where it is, or a frame before it.
    position: Position,
    /// One past the last one that can be read.
    end: u64,
    /// Memory that they may take; the first one is read whatever it takes.
    room: usize,
}

impl Wanted {
    fn of<T>(ranges: &Ranges<T>, room: usize) -> Option<Self> {
        let (item, position) = ranges.readable()?;
        Some(Self { item, position, end: ranges.readable_end(), room })
    }
}

/// Items that were read.
struct Found<T> {
    entries: Vec<Entry<T>>,
    bytes: usize,
    /// Where the next one is, or a frame before it.
    position: Position,
}

impl<T> Found<T> {
    fn new(wanted: &Wanted) -> Self {
        Self { entries: Vec::new(), bytes: 0, position: wanted.position }
    }
}

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

    /// Reads the next items from the disk into memory, unless somebody else has done so.
    fn refill(&self) -> Result<()> {
        let mut reader = self.reader.lock();
        let wanted = {
            let ranges = &self.state.lock().ranges;
            let room = self.room_for_read(ranges.bytes());
            Wanted::of(ranges, room).filter(|_| ranges.is_next_on_disk())
        };
        let Some(wanted) = wanted else { return Ok(()) };
        let mut found = Found::new(&wanted);
        match self.read(&mut reader, &wanted, &mut found) {
            Ok(()) => {
                let mut state = self.state.lock();
                state.ranges.read(found.entries.into_iter(), found.position);
                self.count_read(&mut state);
                drop(state);
                self.ready.notify_all();
                Ok(())
            }
            Err(error @ (Error::Damaged { .. } | Error::MissingSegment { .. }))
                if self.recovery == Recovery::SkipCorrupt =>
            {
                self.skip(&mut reader, &wanted, found.position, error)
            }
            Err(error) => {
                if let Error::Decode { item, .. } = error {
                    let count = |counts: &mut Counts, _| counts.acknowledged += 1;
                    self.give_up(item, item + 1, wanted.position, count);
                }
                Err(error)
            }
        }
    }

    /// Items of one frame, or of several small ones up to a run. The position of an error is where
    /// it is.
    fn read(&self, reader: &mut LogReader, wanted: &Wanted, found: &mut Found<T>) -> Result<()> {
        let mut next = wanted.item;
        while next < wanted.end && found.bytes < self.run_bytes() / 2 {
            let begin = found.position;
            let is_first = found.entries.is_empty();
            let room = if is_first { wanted.room } else { wanted.room.min(self.run_bytes()) };
            match self.read_frame(reader, next..wanted.end, room, found) {
                Ok(()) if found.position != begin => {}
                // The rest of that frame has to wait.
                Ok(()) => break,
                Err(error) if is_first => return Err(error),
                Err(_) => {
                    // It is the next one after those before it.
                    found.position = begin;
                    break;
                }
            }
            next = wanted.item + found.entries.len() as u64;
        }
        Ok(())
    }

    /// Adds those of these items that are in the frame with the first one. The position stays at
    /// the frame where some of them are left, for want of room or because they cannot be decoded.
    fn read_frame(
        &self,
        reader: &mut LogReader,
        items: Range<u64>,
        room: usize,
        found: &mut Found<T>,
    ) -> Result<()> {
        let begin = found.position;
        let (log, place, first) = (&mut *reader, &mut found.position, items.start);
        let (meters, disk) = (&self.meters, &self.log.disk);
        let read = meters.timed(&meters.read, disk, move || log.read(place, first));
        let (header, body) = read?;
        let behind = std::mem::replace(&mut found.position, begin);
        let skipped = usize::try_from(first - header.first).unwrap_or(usize::MAX);
        for (number, bytes) in items.zip(header.items(body).skip(skipped)) {
            let entry_bytes = Self::entry_bytes(bytes.len());
            if found.bytes + entry_bytes > room && !found.entries.is_empty() {
                return Ok(());
            }
            match self.codec.decode(bytes) {
                Ok(item) => {
                    found.bytes += entry_bytes;
                    found.entries.push(Entry { item, bytes: entry_bytes, attempts: 0 });
                }
                Err(_) if !found.entries.is_empty() => return Ok(()),
                Err(source) => {
                    return Err(Error::Decode { item: number, bytes: bytes.to_vec(), source });
                }
            }
        }
        found.position = behind;
        Ok(())
    }

    /// Passes over what is damaged. Where nothing whole is behind it, what was known to be there is
    /// given up.
    fn skip(
        &self,
        reader: &mut LogReader,
        wanted: &Wanted,
        mut position: Position,
        error: Error,
    ) -> Result<()> {
        let next = reader.skip_damage(&mut position, wanted.item)?;
        if next == Some(wanted.item) && position == wanted.position {
            return Err(error);
        }
        let next = next.map_or(wanted.end, |next| next.min(wanted.end));
        self.give_up(wanted.item, next, position, |counts, lost| counts.lost += lost);
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
