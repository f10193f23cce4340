//! Following a ring while it is written.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    archive::Archive,
    fetch::{ReadAhead, SLEEP_MAX},
    read::Read,
    stream::{Direction, Stream},
    views::refuse_inside_view,
};
use crate::error::Result;

/// Where a tailer begins.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
/// producer.append_batch(b"abc")?;
/// let mut tailer = producer.ring().tailer(ringkeep::Start::Id(2));
/// assert!(matches!(tailer.try_next()?, Some(ringkeep::Tailed::Record { id: 2, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With the oldest record that is kept.
    Oldest,
    /// With the first record appended from now on.
    Newest,
    /// With this id, now or once it comes.
    Id(u64),
    /// With the oldest kept record of this time or a later one; with the first record appended from
    /// now on if there is none. Found by a binary search as for
    /// [`Ring::range_by_time`](crate::Ring::range_by_time).
    Time(SystemTime),
}

/// Where a tailer goes on after it was lapped.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
/// use ringkeep::{AfterLap, Start};
///
/// let tailer = producer.ring().tailer(Start::Oldest).after_lap(AfterLap::Newest);
/// # let _ = tailer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterLap {
    /// So many ids after the one that is overwritten next: a head start, so as not to be lapped at
    /// once again.
    Oldest {
        /// Ids that are given up on top, as long as the ring is full.
        margin: u64,
    },
    /// With the next record to be appended.
    Newest,
}

/// What a tailer finds.
///
/// # Examples
///
/// ```
/// use ringkeep::{Start, Tailed};
///
/// # let directory = tempfile::tempdir()?;
/// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
/// producer.append_batch(b"abc")?;
/// let mut tailer = producer.ring().tailer(Start::Oldest);
/// while let Some(item) = tailer.try_next()? {
///     match item {
///         Tailed::Record { id, payload } => println!("{id}: {payload:?}"),
///         Tailed::Missed { ids } => println!("too slow: {} records missed", ids.end - ids.start),
///         Tailed::Hole { id, read } => println!("{id}: {read}"),
///         Tailed::Replaced => break,
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tailed<'a> {
    /// The next record.
    Record {
        /// Its id.
        id: u64,
        /// What was appended.
        payload: &'a [u8],
    },
    /// These ids were overwritten before they were read, or given up after that; it goes on behind.
    Missed {
        /// The ids, half open.
        ids: Range<u64>,
    },
    /// An id without a record: `Absent`, `Lost` or `Corrupt`.
    Hole {
        /// The id.
        id: u64,
        /// Why there is none.
        read: Read<()>,
    },
    /// The path leads to another archive now. Nothing comes any more: open it anew.
    Replaced,
}

/// Reads one record after the other and waits for the next. Made by
/// [`Ring::tailer`](crate::Ring::tailer).
///
/// It never holds the producer back. When it is too slow it says which ids it missed; it skips
/// nothing silently.
///
/// # Examples
///
/// ```
/// use ringkeep::{Start, Tailed};
/// use std::time::Duration;
///
/// # let directory = tempfile::tempdir()?;
/// # let mut producer = ringkeep::RingOptions::new(3, 9).create(directory.path().join("x"))?;
/// let mut tailer = producer.ring().tailer(Start::Newest);
/// producer.append(b"new")?;
/// let found = tailer.next_timeout(Duration::from_secs(1))?;
/// assert_eq!(found, Some(Tailed::Record { id: 0, payload: b"new" }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tailer {
    archive: Arc<Archive>,
    /// Where to begin, until the first look.
    start: Option<Start>,
    position: u64,
    after_lap: AfterLap,
    missed: u64,
    replaced: bool,
    /// When it looked for a replacement last.
    looked: Duration,
    ahead: ReadAhead,
    stream: Stream,
    /// How often it looked since the last news.
    looks: u32,
    payload: Vec<u8>,
}

impl Tailer {
    pub(crate) fn new(archive: Arc<Archive>, start: Start) -> Self {
        let payload = vec![0; archive.geometry().record_size];
        let margin = archive.geometry().capacity / 8;
        let stream = Stream::new(&archive, Direction::Up);
        let mut tailer = Self {
            archive,
            start: Some(start),
            position: 0,
            after_lap: AfterLap::Oldest { margin },
            missed: 0,
            replaced: false,
            looked: Duration::ZERO,
            ahead: ReadAhead::default(),
            stream,
            looks: 0,
            payload,
        };
        // "From now on" means from this call; if it fails, the first look tries again and tells.
        let _ = tailer.begin();
        tailer
    }

    /// Where to go on after being lapped. Default: an eighth of the capacity after the oldest id.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// use ringkeep::{AfterLap, Start};
    ///
    /// let closely = AfterLap::Oldest { margin: 0 };
    /// let tailer = producer.ring().tailer(Start::Oldest).after_lap(closely);
    /// # let _ = tailer;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn after_lap(mut self, policy: AfterLap) -> Self {
        self.after_lap = policy;
        self
    }

    /// What comes next, without waiting; `None` when everything was read.
    ///
    /// # Errors
    ///
    /// As [`Ring::read`](crate::Ring::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// let mut tailer = producer.ring().tailer(ringkeep::Start::Oldest);
    /// assert!(tailer.try_next()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> Result<Option<Tailed<'_>>> {
        let id = self.position;
        if self.ahead.proves(id) && self.ahead.is_fresh(&self.archive, id) {
            self.position += 1;
            return Ok(Some(Tailed::Record { id, payload: self.ahead.payload(id) }));
        }
        let looked = self.look();
        if matches!(looked, Err(_) | Ok(Read::Corrupt { .. })) && self.archive.is_overwritten() {
            self.replaced = true;
            return Ok(Some(Tailed::Replaced));
        }
        let id = self.position;
        match looked? {
            // What the old archive holds is read to its end first.
            Read::NotYet { .. } => Ok(self.is_replaced().then_some(Tailed::Replaced)),
            Read::Lapped { oldest, .. } => self.skip(oldest).map(Some),
            Read::Record(()) => {
                self.position += 1;
                Ok(Some(Tailed::Record { id, payload: self.payload(id) }))
            }
            hole => {
                self.position += 1;
                Ok(Some(Tailed::Hole { id, read: hole }))
            }
        }
    }

    /// What comes next, waiting at most so long for it; `None` when time is over.
    ///
    /// In the producer's process and in others alike the wait ends as soon as a record is appended;
    /// a tailer looks twice a second whether the archive was replaced.
    ///
    /// # Errors
    ///
    /// [`Error::InsideView`](crate::Error::InsideView) from inside a view of the producer's
    /// process, which an append may wait for; and as [`Ring::read`](crate::Ring::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// use std::time::Duration;
    ///
    /// let mut tailer = producer.ring().tailer(ringkeep::Start::Oldest);
    /// assert!(tailer.next_timeout(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Tailed<'_>>> {
        refuse_inside_view(&self.archive)?;
        let end = self.archive.disk.now().saturating_add(timeout);
        loop {
            // Before the look: what is published afterwards changes the word, now or with the next
            // wake, so that the wait below ends.
            let word = self.archive.cursors().wait_word();
            // An error is news too.
            if self.has_news().unwrap_or(true) {
                self.looks = 0;
                return self.try_next();
            }
            let left = end.saturating_sub(self.archive.disk.now());
            if left.is_zero() {
                return Ok(None);
            }
            let pause = self.archive.pause_after(self.looks, left);
            self.looks = self.looks.saturating_add(1);
            self.archive.cursors().wait(word, pause);
        }
    }

    /// The id that it reads next.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// producer.append_batch(b"abc")?;
    /// assert_eq!(producer.ring().tailer(ringkeep::Start::Newest).position(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many ids were published that it has not come to yet.
    ///
    /// # Errors
    ///
    /// As [`Ring::oldest`](crate::Ring::oldest).
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// producer.append_batch(b"abc")?;
    /// assert_eq!(producer.ring().tailer(ringkeep::Start::Oldest).lag()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lag(&self) -> Result<u64> {
        let next = self.archive.next(&self.archive.session()?);
        Ok(next.saturating_sub(self.position))
    }

    /// How many ids it missed so far.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// assert_eq!(producer.ring().tailer(ringkeep::Start::Oldest).missed(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn look(&mut self) -> Result<Read<()>> {
        self.begin()?;
        self.stream.pass(&self.archive, self.position, u64::MAX);
        if self.ahead.proves(self.position) {
            // But it is old.
            self.ahead.clear();
        }
        if self.ahead.look(&self.archive, self.position, self.position..u64::MAX)? {
            Ok(Read::Record(()))
        } else {
            self.archive.read_slot(self.position, &mut self.payload)
        }
    }

    /// Of the record that was looked at last.
    fn payload(&self, id: u64) -> &[u8] {
        if self.ahead.proves(id) { self.ahead.payload(id) } else { &self.payload }
    }

    fn begin(&mut self) -> Result<()> {
        let Some(start) = self.start else {
            return Ok(());
        };
        let session = self.archive.session()?;
        let next = self.archive.next(&session);
        self.position = match start {
            Start::Oldest => self.archive.oldest(&session).min(next),
            Start::Newest => next,
            Start::Id(id) => id,
            Start::Time(time) => self.archive.first_at(time)?,
        };
        self.start = None;
        Ok(())
    }

    /// Looks at most twice a second; a replacement is for good.
    fn is_replaced(&mut self) -> bool {
        let now = self.archive.disk.now();
        if !self.replaced && now.saturating_sub(self.looked) >= SLEEP_MAX {
            self.looked = now;
            self.replaced = self.archive.is_replaced() || self.archive.is_overwritten();
        }
        self.replaced
    }

    fn has_news(&mut self) -> Result<bool> {
        let session = self.archive.session()?;
        let next = self.archive.next(&session);
        // A jump laps a tailer that waits for an id it skipped.
        let lapped = self.position < self.archive.oldest(&session);
        let begun = self.start.is_none();
        Ok(!begun || self.position < next || lapped || self.is_replaced())
    }

    /// Lapped: the position moves on, and what lies between is told.
    fn skip(&mut self, oldest: u64) -> Result<Tailed<'static>> {
        let next = self.archive.next(&self.archive.session()?);
        let aim = match self.after_lap {
            // Counted from the end of the window: what a jump left is not given up on top.
            AfterLap::Oldest { margin } => {
                let capacity = self.archive.geometry().capacity;
                oldest.max(next.saturating_sub(capacity).saturating_add(margin).min(next))
            }
            AfterLap::Newest => next.max(oldest),
        };
        let ids = self.position..aim;
        self.position = aim;
        self.missed += ids.end - ids.start;
        Ok(Tailed::Missed { ids })
    }
}
