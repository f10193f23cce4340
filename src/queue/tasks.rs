//! Waiting as a task does, without a thread: feature `tokio`.
//!
//! What memory is enough for is done in place. What needs the disk is done on a thread that the
//! runtime has for such work.

use std::{panic::resume_unwind, pin::pin, sync::Arc};

use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use super::{
    Queue,
    core::{LOOK_AGAIN, Wait, Waited},
    delivery::Delivery,
    options::WhenFull,
    push::{Items, Refused},
    receive::Next,
};
use crate::{
    disk::codec::Codec,
    error::{Error, PushError, Result},
};

impl<T: Send + 'static, C: Codec<T>> Queue<T, C> {
    /// As [`push`](Self::push), for a task of `tokio`: the disk is left to the runtime's threads
    /// for blocking work. Waiting for room takes no thread; but it does take one of those where
    /// room can come from elsewhere, by a shared budget or a least room on the disk.
    ///
    /// A future that is dropped before it is done has pushed the item, or dropped it.
    ///
    /// # Errors
    ///
    /// As `push`.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, QueueOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// runtime.block_on(async {
    ///     queue.push_async(b"item".to_vec()).await?;
    ///     assert_eq!(queue.recv_async().await?.ack_async().await, b"item");
    ///     Ok::<(), ringkeep::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn push_async(&self, item: T) -> Result<Option<u64>, PushError<T>> {
        self.push_task([item]).await.map_err(PushError::from)
    }

    /// As [`push_batch`](Self::push_batch), for a task of `tokio`; see
    /// [`push_async`](Self::push_async).
    ///
    /// # Errors
    ///
    /// As `push_batch`.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// let items = vec![b"one".to_vec(), b"two".to_vec()];
    /// assert_eq!(runtime.block_on(queue.push_batch_async(items))?, Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn push_batch_async(&self, items: Vec<T>) -> Result<Option<u64>, PushError<Vec<T>>> {
        self.push_task(items).await.map_err(PushError::from)
    }

    async fn push_task<I>(&self, mut items: I) -> Result<Option<u64>, Refused<I>>
    where
        I: Items<T> + Send + 'static,
    {
        let mut waited = Waited::new(&self.core.meters.push_wait, &self.core.log.disk);
        loop {
            let mut freed = pin!(self.core.room.next());
            freed.as_mut().enable();
            items = match self.core.push_kept(items)? {
                Ok(pushed) => return Ok(pushed),
                Err(items) => items,
            };
            let core = Arc::clone(&self.core);
            // Whoever else makes room on the disk tells nobody.
            let looks_again = core.limits.looks_again();
            let wait = if looks_again { core.wait_for(LOOK_AGAIN) } else { Wait::Never };
            items = match on_a_thread(move || core.push(items, wait)).await {
                Err(Refused { items: Some(items), source: Error::Full })
                    if self.core.limits.when_full == WhenFull::Block =>
                {
                    items
                }
                pushed => return pushed,
            };
            if !looks_again {
                waited.begin(Wait::Until(None));
                freed.await;
                waited.end();
            }
        }
    }

    /// As [`recv`](Self::recv), for a task of `tokio`: waiting takes no thread.
    ///
    /// A future that is dropped before it is done has received nothing. `unfold` of the `futures`
    /// crate makes a stream of it.
    ///
    /// # Errors
    ///
    /// As `recv`.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// runtime.block_on(async {
    ///     let (received, pushed) = tokio::join!(queue.recv_async(), async {
    ///         queue.push_async(b"item".to_vec()).await
    ///     });
    ///     assert_eq!((&received?[..], pushed?), (&b"item"[..], Some(0)));
    ///     Ok::<(), ringkeep::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn recv_async(&self) -> Result<Delivery<T, C>> {
        let mut waited = Waited::new(&self.core.meters.receive_wait, &self.core.log.disk);
        loop {
            let mut told = pin!(self.core.ready.next());
            told.as_mut().enable();
            let is_on_disk = match self.look()? {
                Next::Taken(delivery) => return Ok(delivery),
                Next::OnDisk => true,
                Next::Nothing(state) => match state.why_no_more() {
                    Some(error) => return Err(error),
                    None => false,
                },
            };
            if is_on_disk {
                let core = Arc::clone(&self.core);
                // The error is told to whoever comes next: this future may be gone by then.
                on_a_thread(move || core.fetch().unwrap_or_else(|it| core.tell_later(it))).await;
            } else {
                waited.begin(Wait::Until(None));
                told.await;
                waited.end();
            }
        }
    }

    fn look(&self) -> Result<Next<'_, T, Delivery<T, C>>> {
        self.core.look(&|_, number, entry| Delivery::new(&self.core, number, entry))
    }

    /// As [`recv_batch`](Self::recv_batch), for a task of `tokio`: takes what is in memory behind
    /// the first item. See [`recv_async`](Self::recv_async).
    ///
    /// # Errors
    ///
    /// As `recv_batch`.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push_batch(vec![b"one".to_vec(), b"two".to_vec()])?;
    /// assert_eq!(runtime.block_on(queue.recv_batch_async(10))?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn recv_batch_async(&self, count: usize) -> Result<Vec<Delivery<T, C>>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = self.recv_async().await?;
        // Nothing to wait for, and so no moment to be cancelled at, while some are handed out.
        Ok(self.receive_more(first, count, || match self.look()? {
            Next::Taken(delivery) => Ok(delivery),
            Next::OnDisk | Next::Nothing(_) => Err(Error::Empty),
        }))
    }
}

impl<T: Send + 'static, C: Codec<T>> Delivery<T, C> {
    /// As [`ack`](Self::ack), for a task of `tokio`: what the disk has to do for it, the runtime's
    /// threads for blocking work do. A future that is dropped before it is done has acknowledged
    /// the item, or put it back.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// let delivery = queue.recv()?;
    /// assert_eq!(runtime.block_on(delivery.ack_async()), b"item");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn ack_async(self) -> T {
        if self.needs_no_disk() { self.ack() } else { on_a_thread(move || self.ack()).await }
    }
}

/// Does work that may block on a thread for that; here, where the runtime is being shut down and
/// does not begin it.
async fn on_a_thread<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let work = Arc::new(Mutex::new(Some(work)));
    let there = Arc::clone(&work);
    let begun = move || {
        let work = there.lock().take();
        work.map(|work| work())
    };
    match spawn_blocking(begun).await {
        Ok(Some(result)) => return result,
        Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
        _ => {}
    }
    let work = work.lock().take().expect("nobody has begun it");
    work()
}
