//! A queue that is strictly first in, first out, across memory and disk.
//!
//! `ranges.rs` is the order: three ranges of numbers. `push.rs` and `receive.rs` move items between
//! them, memory and the log; `core.rs` is what they share. `done.rs` knows what is acknowledged.
//! `inspect.rs`, `items.rs` and `verify.rs` look at its files from outside, without opening it.

mod core;
pub(crate) mod delivery;
mod done;
pub(crate) mod inspect;
pub(crate) mod items;
mod looking;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
mod opening;
pub(crate) mod options;
mod push;
mod ranges;
mod receive;
#[cfg(all(test, shuttle))]
mod schedules;
mod signal;
pub(crate) mod stats;
#[cfg(feature = "tokio")]
mod tasks;
pub(crate) mod verify;

use std::{fmt, sync::Arc, time::Duration};

use self::{
    core::{Core, Wait},
    delivery::Delivery,
};
use crate::{
    disk::{
        budget::Membership,
        codec::{Codec, Postcard},
        ticker::Ticker,
    },
    error::{Error, PushError, Result},
};

/// A queue of items of any size: strictly first in, first out, bounded in memory, and larger than
/// it.
///
/// Each item has a number. In memory are the first items, which are received next, and the last
/// ones, which were pushed last; what lies between is on the disk. While those who receive keep up,
/// a queue that only spills touches no disk. [`QueueOptions`](crate::QueueOptions) makes one, and
/// says whether items survive their process.
///
/// Handles are cheap to clone; any number of threads may push, and any number receive. Of a durable
/// queue only one process at a time has it open.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Bytes).open(directory.path())?;
/// let producer = queue.clone();
/// std::thread::spawn(move || -> ringkeep::Result<()> {
///     for count in 0..1000_u32 {
///         producer.push(count.to_le_bytes().to_vec())?;
///     }
///     producer.close()
/// });
/// for count in 0..1000_u32 {
///     let delivery = queue.recv()?;
///     assert_eq!(delivery[..], count.to_le_bytes());
///     delivery.ack();
/// }
/// assert!(matches!(queue.recv(), Err(ringkeep::Error::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T, C: Codec<T> = Postcard> {
    core: Arc<Core<T, C>>,
    /// After the core, as the next one: the last handle waits until the thread has let go of it.
    ticker: Option<Arc<Ticker>>,
    /// Among those who share memory.
    membership: Option<Arc<Membership>>,
}

impl<T, C: Codec<T>> Queue<T, C> {
    /// Puts an item behind all others, and returns its number; `None` if it was dropped because the
    /// queue is full and is to do so.
    ///
    /// Waits for room where [`WhenFull`](crate::WhenFull) says so. What this returned is received
    /// after what was returned before. Of a durable queue it survives its process, and a power cut
    /// as the policy says.
    ///
    /// # Errors
    ///
    /// With the item: `Full`, `Closed`, `TooLarge`, `Encode`, `NoSpace`, `Io`; `Poisoned` after a
    /// sync that failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// assert_eq!(queue.push(b"first".to_vec())?, Some(0));
    /// assert_eq!(queue.push(b"second".to_vec())?, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push(&self, item: T) -> Result<Option<u64>, PushError<T>> {
        self.push_one(item, Wait::Until(None))
    }

    /// As [`push`](Self::push), and fails with `Full` instead of waiting.
    ///
    /// # Errors
    ///
    /// As `push`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).items_max(1).open(directory.path())?;
    /// queue.try_push(b"first".to_vec())?;
    /// assert!(queue.try_push(b"second".to_vec()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_push(&self, item: T) -> Result<Option<u64>, PushError<T>> {
        self.push_one(item, Wait::Never)
    }

    /// As [`push`](Self::push), and fails with `Full` after waiting so long.
    ///
    /// # Errors
    ///
    /// As `push`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use {ringkeep::{Bytes, QueueOptions}, std::time::Duration};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).items_max(1).open(directory.path())?;
    /// queue.push(b"first".to_vec())?;
    /// assert!(queue.push_timeout(b"second".to_vec(), Duration::from_millis(1)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_timeout(&self, item: T, timeout: Duration) -> Result<Option<u64>, PushError<T>> {
        self.push_one(item, self.core.wait_for(timeout))
    }

    fn push_one(&self, item: T, wait: Wait) -> Result<Option<u64>, PushError<T>> {
        self.core.push([item], wait).map_err(PushError::from)
    }

    /// Puts items behind all others, all of them or none, with nothing between them; the number of
    /// the first one. Of a durable queue a crash leaves all of them or none.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), with all items.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push_batch(vec![b"one".to_vec(), b"two".to_vec()])?;
    /// assert_eq!(queue.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_batch(&self, items: Vec<T>) -> Result<Option<u64>, PushError<Vec<T>>> {
        self.core.push(items, Wait::Until(None)).map_err(PushError::from)
    }

    /// Hands out the next item; waits while there is none.
    ///
    /// # Errors
    ///
    /// `Closed` when the queue is closed and has no more. `Decode`: the item's bytes come with the
    /// error, and the next call goes on behind it. `Damaged`, `MissingSegment`: unless the queue
    /// was opened to skip damage, it ends here. `Io`. `Poisoned`, instead of waiting, when there
    /// is no item left and a sync that failed keeps others out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// queue.recv()?.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv(&self) -> Result<Delivery<T, C>> {
        self.receive(Wait::Until(None))
    }

    /// As [`recv`](Self::recv), and fails with `Empty` instead of waiting.
    ///
    /// # Errors
    ///
    /// As `recv`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Error, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert!(matches!(queue.try_recv(), Err(Error::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv(&self) -> Result<Delivery<T, C>> {
        self.receive(Wait::Never)
    }

    /// As [`recv`](Self::recv), and fails with `Empty` after waiting so long.
    ///
    /// # Errors
    ///
    /// As `recv`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use {ringkeep::{Bytes, Error, QueueOptions}, std::time::Duration};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// let received = queue.recv_timeout(Duration::from_millis(1));
    /// assert!(matches!(received, Err(Error::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Delivery<T, C>> {
        self.receive(self.core.wait_for(timeout))
    }

    fn receive(&self, wait: Wait) -> Result<Delivery<T, C>> {
        let (number, entry) = self.core.take(wait)?;
        Ok(Delivery::new(&self.core, number, entry))
    }

    /// Hands out up to `count` items: waits for the first one, and takes what is there then. What
    /// is wrong with a later one, whoever receives next is told.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), where there is no first one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push_batch(vec![b"one".to_vec(), b"two".to_vec()])?;
    /// assert_eq!(queue.recv_batch(10)?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_batch(&self, count: usize) -> Result<Vec<Delivery<T, C>>> {
        self.receive_batch(count, Wait::Until(None))
    }

    /// As [`recv_batch`](Self::recv_batch), and fails with `Empty` after waiting so long for the
    /// first item.
    ///
    /// # Errors
    ///
    /// As `recv_batch`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use {ringkeep::{Bytes, Error, QueueOptions}, std::time::Duration};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// let received = queue.recv_batch_timeout(10, Duration::from_millis(1));
    /// assert!(matches!(received, Err(Error::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_batch_timeout(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<Vec<Delivery<T, C>>> {
        self.receive_batch(count, self.core.wait_for(timeout))
    }

    fn receive_batch(&self, count: usize, first: Wait) -> Result<Vec<Delivery<T, C>>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = self.receive(first)?;
        Ok(self.receive_more(first, count, || self.receive(Wait::Never)))
    }

    /// Takes what is there now behind the first one.
    fn receive_more(
        &self,
        first: Delivery<T, C>,
        count: usize,
        next: impl Fn() -> Result<Delivery<T, C>>,
    ) -> Vec<Delivery<T, C>> {
        let mut deliveries = vec![first];
        while deliveries.len() < count {
            match next() {
                Ok(delivery) => deliveries.push(delivery),
                Err(Error::Empty | Error::Closed) => break,
                Err(error) => {
                    self.core.tell_later(error);
                    break;
                }
            }
        }
        deliveries
    }

    /// Takes the next item out of the queue: received and acknowledged at once. If the process dies
    /// before it is done with it, nobody else is.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert_eq!(queue.pop()?, b"item");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop(&self) -> Result<T> {
        self.core.pop(Wait::Until(None))
    }

    /// As [`pop`](Self::pop), and fails with `Empty` instead of waiting.
    ///
    /// # Errors
    ///
    /// As `pop`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Error, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert!(matches!(queue.try_pop(), Err(Error::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_pop(&self) -> Result<T> {
        self.core.pop(Wait::Never)
    }

    /// Shows the next item to `look`, without handing it out. Whoever pushes or receives waits
    /// meanwhile, so `look` must not use the queue.
    ///
    /// # Errors
    ///
    /// `Empty`, `Closed`; else as [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert_eq!(queue.peek(Vec::len)?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R> {
        self.core.peek(look)
    }
}

impl<T, C: Codec<T>> Clone for Queue<T, C> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            ticker: self.ticker.clone(),
            membership: self.membership.clone(),
        }
    }
}

impl<T, C: Codec<T>> fmt::Debug for Queue<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.core.log.directory;
        f.debug_struct("Queue").field("directory", path).finish_non_exhaustive()
    }
}
