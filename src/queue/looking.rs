//! What a queue says about itself, and what is done to all of it.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Queue,
    delivery::DeadLetters,
    stats::{QueueLatencies, QueueStats},
};
use crate::{
    disk::{codec::Codec, log::recover::RecoveryReport},
    error::Result,
};

impl<T, C: Codec<T>> Queue<T, C> {
    /// Items that are not acknowledged, those that are handed out included.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.core.state.lock().ranges.len()
    }

    /// Whether every item is acknowledged.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert!(queue.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts and sizes, at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert_eq!(queue.stats(), ringkeep::QueueStats::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        let state = self.core.state.lock();
        let (ranges, counts) = (&state.ranges, &state.counts);
        let (segments, disk_bytes) = self.core.log.size();
        QueueStats {
            items: ranges.len(),
            leased: ranges.leased(),
            items_on_disk: ranges.on_disk(),
            memory_bytes: ranges.bytes() as u64,
            disk_bytes,
            segments: segments as u64,
            pushed: counts.pushed,
            received: counts.received,
            acknowledged: counts.acknowledged,
            returned: counts.returned,
            dropped: counts.dropped,
            dead: counts.dead,
            lost: counts.lost,
            raw_bytes: self.core.meters.raw_bytes.load(Relaxed),
            stored_bytes: self.core.meters.stored_bytes.load(Relaxed),
            errors: self.core.meters.errors.load(Relaxed),
        }
    }

    /// How long pushes and receivers waited, and the disk took.
    ///
    /// # Examples
    ///
    /// ```
    /// # use {ringkeep::{Bytes, QueueOptions}, std::time::Duration};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// let nothing = queue.recv_timeout(Duration::from_millis(1));
    /// assert!(nothing.is_err() && queue.latencies().receive_wait.count() == 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn latencies(&self) -> QueueLatencies {
        self.core.meters.look()
    }

    /// What opening found of what was there before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert!(queue.recovery().lost.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.core.report
    }

    /// One past the number of the last item that is safe from a power cut, with all before it. Of a
    /// queue that only spills it says nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, Mode, QueueOptions, SyncPolicy};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// let queue = options.open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert_eq!(queue.durable(), 0);
    /// queue.sync()?;
    /// assert_eq!(queue.durable(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.core.durable()
    }

    /// Waits until somebody's sync has made the item with this number durable; whether it is.
    ///
    /// # Errors
    ///
    /// `Poisoned` after a sync that failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use {ringkeep::{Bytes, Mode, QueueOptions, SyncPolicy}, std::time::Duration};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always));
    /// let queue = options.open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert!(queue.wait_durable(0, Duration::ZERO)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_durable(&self, number: u64, timeout: Duration) -> Result<bool> {
        self.core.wait_durable(number.saturating_add(1), timeout)
    }

    /// Makes every item that was pushed before durable, and what was acknowledged. A queue that
    /// only spills has nothing to sync.
    ///
    /// # Errors
    ///
    /// `Io`: from then on the queue takes no items in, because no later sync could tell what is on
    /// the disk; `Poisoned`, if that was so before.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, Mode, QueueOptions, SyncPolicy};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// let queue = options.open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// queue.sync()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync(&self) -> Result<()> {
        self.core.sync_all()
    }

    /// Moves items of about so many bytes from memory to the disk, those that are received last
    /// first; how many bytes were moved. Half of the budget stays while nothing is on the disk yet;
    /// then what is received before that stays. A durable queue has nothing to move.
    ///
    /// For programs that are told of a lack of memory.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).memory_bytes(1 << 20).open(directory.path())?;
    /// queue.push_batch(vec![vec![0; 1000]; 700])?;
    /// assert!(queue.relieve(100_000)? >= 100_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relieve(&self, bytes: usize) -> Result<usize> {
        let moved = self.core.relieve(bytes as u64, self.core.memory_bytes_pushed(), 1)?;
        Ok(usize::try_from(moved).unwrap_or(usize::MAX))
    }

    /// From now on an item that comes back after it was handed out so often is given to `take`, and
    /// is out of the queue; where `take` gives it back, it goes back to its place. Can be set
    /// once: whether it was.
    ///
    /// Attempts count from when the queue was opened. `take` is called by whoever lets go of the
    /// item. A process that dies in it may do both: keep the item and have given it away.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, PushError, QueueOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path().join("work"))?;
    /// let dead = QueueOptions::new(Bytes).open(directory.path().join("dead"))?;
    /// let letters = dead.clone();
    /// queue.dead_letters(2, move |item| match letters.try_push(item) {
    ///     Err(PushError { item: Some(item), .. }) => Err(item),
    ///     _ => Ok(()),
    /// });
    /// queue.push(b"too hard".to_vec())?;
    /// queue.recv()?.nack();
    /// queue.recv()?.nack();
    /// assert!(queue.is_empty());
    /// assert_eq!(dead.pop()?, b"too hard");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(
        &self,
        attempts: u32,
        take: impl Fn(T) -> Result<(), T> + Send + Sync + 'static,
    ) -> bool {
        let dead = DeadLetters { attempts, take: Box::new(take) };
        self.core.dead_letters.set(dead).is_ok()
    }

    /// Takes no more items in. What is there can be received; then receiving fails with `Closed`.
    /// Of a durable queue all of it is synced.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync): the queue is closed all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, Error, QueueOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"last".to_vec())?;
    /// queue.close()?;
    /// assert!(queue.push(b"too late".to_vec()).is_err());
    /// assert_eq!(queue.pop()?, b"last");
    /// assert!(matches!(queue.pop(), Err(Error::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        {
            // Nobody is between a look at this and an append.
            let _writer = self.core.writer.lock();
            self.core.state.lock().is_closed = true;
        }
        self.core.ready.notify_all();
        self.core.room.notify_all();
        self.core.sync_all()
    }
}
