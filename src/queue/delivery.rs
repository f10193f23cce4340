//! An item that is handed out, until it is acknowledged.

use std::{fmt, ops::Deref, sync::Arc};

#[cfg(feature = "tokio")]
use super::options::Mode;
use super::{core::Core, ranges::Entry};
use crate::disk::codec::{Codec, Postcard};

/// An item of a queue, handed out to be worked on.
///
/// [`ack`](Self::ack) takes it out of the queue. Dropping it, or [`nack`](Self::nack), puts it back
/// in its place: it is the next one that is received, unless one before it comes back too. Of a
/// durable queue an item that was not acknowledged when its process ended is received again. What
/// comes back too often may go elsewhere, see [`Queue::dead_letters`](crate::Queue::dead_letters).
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Bytes).open(directory.path())?;
/// queue.push(b"work".to_vec())?;
/// drop(queue.recv()?);
/// let delivery = queue.recv()?;
/// assert_eq!((&delivery[..], delivery.attempts()), (&b"work"[..], 2));
/// delivery.ack();
/// assert!(queue.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an item that is dropped goes back into the queue"]
pub struct Delivery<T, C: Codec<T> = Postcard> {
    core: Arc<Core<T, C>>,
    number: u64,
    /// `None` once it is done with.
    entry: Option<Entry<T>>,
}

impl<T, C: Codec<T>> Delivery<T, C> {
    pub(super) fn new(core: &Arc<Core<T, C>>, number: u64, mut entry: Entry<T>) -> Self {
        entry.attempts += 1;
        Self { core: Arc::clone(core), number, entry: Some(entry) }
    }

    /// The number that [`Queue::push`](crate::Queue::push) returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// let number = queue.push(b"item".to_vec())?;
    /// assert_eq!(Some(queue.recv()?.number()), number);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How often it was handed out since the queue was opened, this time included.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert_eq!(queue.recv()?.attempts(), 1);
    /// assert_eq!(queue.recv()?.attempts(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.entry.as_ref().map_or(0, |entry| entry.attempts)
    }

    /// Takes the item out of the queue, and returns it.
    ///
    /// After this a process that dies does not receive it again; after a power cut it may be
    /// received again, unless [`Queue::sync`](crate::Queue::sync) came between. Where that cannot
    /// be stored, the next push or sync fails with `Poisoned`, and the item may be received again
    /// when the queue is opened anew.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert_eq!(queue.recv()?.ack(), b"item");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack(mut self) -> T {
        let Some(entry) = self.entry.take() else { unreachable!("it is here until it is done") };
        self.core.acknowledge(self.number, entry.bytes);
        entry.item
    }

    /// Whether nothing on the disk changes when the item is acknowledged.
    #[cfg(feature = "tokio")]
    pub(super) fn needs_no_disk(&self) -> bool {
        self.core.mode == Mode::Spill && self.core.log.count() < 2
    }

    /// Puts the item back in its place, as dropping it does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push_batch(vec![b"one".to_vec(), b"two".to_vec()])?;
    /// queue.recv()?.nack();
    /// assert_eq!(queue.pop()?, b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn nack(self) {
        drop(self);
    }
}

impl<T, C: Codec<T>> Deref for Delivery<T, C> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.entry.as_ref().expect("it is here until it is done").item
    }
}

impl<T, C: Codec<T>> Drop for Delivery<T, C> {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        match self.core.dead_letters.get() {
            Some(dead) if entry.attempts >= dead.attempts => {
                let grave = Grave { core: &self.core, number: self.number, bytes: entry.bytes };
                if let Err(item) = (dead.take)(entry.item) {
                    std::mem::forget(grave);
                    self.core.put_back(self.number, Entry { item, ..entry });
                }
            }
            _ => self.core.put_back(self.number, entry),
        }
    }
}

/// Buries an item that went to the dead letters, whether they took it or panicked over it: either
/// way it is gone.
struct Grave<'a, T, C: Codec<T>> {
    core: &'a Core<T, C>,
    number: u64,
    bytes: usize,
}

impl<T, C: Codec<T>> Drop for Grave<'_, T, C> {
    fn drop(&mut self) {
        self.core.bury(self.number, self.bytes);
    }
}

/// Takes an item, or gives it back.
type Take<T> = Box<dyn Fn(T) -> Result<(), T> + Send + Sync>;

/// Who takes items that come back for the last time.
pub(super) struct DeadLetters<T> {
    /// That many times it was handed out.
    pub(super) attempts: u32,
    pub(super) take: Take<T>,
}

impl<T> fmt::Debug for DeadLetters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

impl<T, C: Codec<T>> fmt::Debug for Delivery<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("number", &self.number).finish_non_exhaustive()
    }
}
