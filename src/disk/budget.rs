//! Budgets of bytes that any number of structures share.
//!
//! A structure takes its [`Share`] of one in steps, so that what is counted for each item stays in
//! the structure itself. Memory has members that can do without some of what they hold: whoever
//! finds little left asks them for it, those with the most first.

use std::{
    cell::RefCell,
    cmp::Reverse,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::ReentrantMutex;

/// Memory that structures share: together they keep no more items in it than it has room for.
///
/// From 80 % on a tenth of it is moved to the disk, from 90 % on half of it, out of those queues
/// that have the most; one with nothing on the disk yet keeps half of an equal share. Items that
/// are handed out stay in memory: where all of it is, what is pushed goes to the disk. A vector
/// moves to the disk when it finds no more. Clones are the same budget.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, MemoryBudget, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let budget = MemoryBudget::new(1 << 20);
/// let options = QueueOptions::new(Bytes).memory_budget(&budget);
/// let first = options.open(directory.path().join("first"))?;
/// let second = options.open(directory.path().join("second"))?;
/// first.push_batch(vec![vec![0; 1000]; 2000])?;
/// second.push_batch(vec![vec![0; 1000]; 2000])?;
/// let used = first.stats().memory_bytes + second.stats().memory_bytes;
/// assert!(used <= budget.bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryBudget {
    pool: Arc<Pool>,
    members: Arc<Members>,
}

/// Taken again by a thread that asks for memory while it is asked for some.
type Members = ReentrantMutex<RefCell<Vec<Weak<dyn Member>>>>;

/// Disk that structures share: together their files take no more of it.
///
/// A queue whose segment finds no room in it is full, and a vector refuses items. Clones are the
/// same budget.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, DiskBudget, Mode, QueueOptions, SyncPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let budget = DiskBudget::new(1 << 20);
/// let options = QueueOptions::new(Bytes)
///     .mode(Mode::Durable(SyncPolicy::Never))
///     .segment_bytes(64 << 10)
///     .disk_budget(&budget);
/// let queue = options.open(directory.path())?;
/// queue.push(b"item".to_vec())?;
/// assert_eq!(budget.used(), queue.stats().disk_bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DiskBudget {
    pool: Arc<Pool>,
}

impl MemoryBudget {
    /// So many bytes; at least 64 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::MemoryBudget::new(1 << 20).bytes(), 1 << 20);
    /// ```
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { pool: Pool::new(bytes.max(64 << 10)), members: Arc::default() }
    }

    /// Bytes that there are.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::MemoryBudget::new(0).bytes(), 64 << 10);
    /// ```
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pool.bytes
    }

    /// Bytes that are taken, in steps of up to 64 KiB a queue. Each queue takes up to 256 KiB to
    /// have room for what it reads, whether there are as many or not.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::MemoryBudget::new(1 << 20).used(), 0);
    /// ```
    #[must_use]
    pub fn used(&self) -> u64 {
        self.pool.used.load(Relaxed)
    }

    /// A share that has nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share::of(&self.pool)
    }

    /// Asks this one too for memory, as long as the result lives.
    pub(crate) fn join(&self, member: Weak<dyn Member>) -> Membership {
        self.members.lock().borrow_mut().push(Weak::clone(&member));
        Membership { budget: self.clone(), member }
    }

    /// Whether more is taken than there is.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.pool.is_overdrawn()
    }

    /// Bytes that members should let go of.
    pub(crate) fn excess(&self) -> u64 {
        excess(self.used(), self.bytes())
    }

    /// Members let go of so many bytes, if they can. Whoever asks must hold no lock of a member.
    pub(crate) fn relieve(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        // Somebody else is at it, for all.
        let Some(list) = self.members.try_lock() else { return };
        let mut members: Vec<_> = list.borrow().iter().filter_map(Weak::upgrade).collect();
        let equal_share = self.bytes() / members.len().max(1) as u64;
        members.sort_by_cached_key(|member| Reverse(member.held()));
        let mut left = bytes;
        for member in members {
            left = left.saturating_sub(member.relieve(left, equal_share));
            if left == 0 {
                break;
            }
        }
    }
}

impl DiskBudget {
    /// So many bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::DiskBudget::new(1 << 30).bytes(), 1 << 30);
    /// ```
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { pool: Pool::new(bytes) }
    }

    /// Bytes that there are.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::DiskBudget::new(1 << 30).bytes(), 1 << 30);
    /// ```
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pool.bytes
    }

    /// Bytes that are taken: more than there are, where queues had more when they were opened.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::DiskBudget::new(1 << 30).used(), 0);
    /// ```
    #[must_use]
    pub fn used(&self) -> u64 {
        self.pool.used.load(Relaxed)
    }

    /// A share that has nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share::of(&self.pool)
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.debug(f, "MemoryBudget")
    }
}

impl fmt::Debug for DiskBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.debug(f, "DiskBudget")
    }
}

/// What a structure should let go of: a tenth of its budget from 80 % on, half of it from 90 % on.
pub(crate) fn excess(used: u64, budget: u64) -> u64 {
    let tenth = budget / 10;
    if used < tenth * 8 {
        0
    } else if used < tenth * 9 {
        tenth
    } else {
        budget / 2
    }
}

/// Who has memory that it can do without.
pub(crate) trait Member: Send + Sync {
    /// Bytes that it holds.
    fn held(&self) -> u64;

    /// Lets go of about so many bytes, or of less: it may keep half of its equal share. How many it
    /// were. It must not wait for whoever asks.
    fn relieve(&self, bytes: u64, equal_share: u64) -> u64;
}

/// A member leaves when this is dropped. That waits until nobody asks it any more: only the threads
/// of its users have it then.
pub(crate) struct Membership {
    budget: MemoryBudget,
    member: Weak<dyn Member>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let members = self.budget.members.lock();
        members.borrow_mut().retain(|member| !Weak::ptr_eq(member, &self.member));
    }
}

/// Bytes, and how many of them are taken.
#[derive(Debug)]
struct Pool {
    bytes: u64,
    used: AtomicU64,
}

impl Pool {
    fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes, used: AtomicU64::new(0) })
    }

    fn try_take(&self, bytes: u64) -> bool {
        let taken = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.bytes);
        self.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }

    fn is_overdrawn(&self) -> bool {
        self.used.load(Relaxed) > self.bytes
    }

    fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let used = self.used.load(Relaxed);
        f.debug_struct(name).field("bytes", &self.bytes).field("used", &used).finish()
    }
}

/// What one structure has of a pool. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Arc<Pool>,
    held: u64,
}

impl Share {
    fn of(pool: &Arc<Pool>) -> Self {
        Self { pool: Arc::clone(pool), held: 0 }
    }

    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Holds at least so many bytes, if there are as many; up to `step` more of them where there
    /// are, so that the next bytes need not ask.
    pub(crate) fn try_hold(&mut self, bytes: u64, step: u64) -> bool {
        if bytes <= self.held {
            return true;
        }
        let ample = bytes.saturating_add(step);
        for wanted in [ample, bytes] {
            if self.pool.try_take(wanted - self.held) {
                self.held = wanted;
                return true;
            }
        }
        false
    }

    /// Whether others leave so many bytes, in all.
    pub(crate) fn could_hold(&self, bytes: u64) -> bool {
        let others = self.pool.used.load(Relaxed).saturating_sub(self.held);
        others.saturating_add(bytes) <= self.pool.bytes
    }

    /// Holds so many bytes, whether there are as many or not.
    pub(crate) fn hold(&mut self, bytes: u64) {
        // Wraps around where it is less than before, and the sum does so again.
        self.pool.used.fetch_add(bytes.wrapping_sub(self.held), Relaxed);
        self.held = bytes;
    }

    /// Gives back what it holds beyond so many bytes and two steps; all beyond these bytes where
    /// others lack it.
    pub(crate) fn settle(&mut self, bytes: u64, step: u64) {
        if self.pool.is_overdrawn() {
            self.hold(bytes.min(self.held));
        } else if self.held > bytes.saturating_add(2 * step) {
            self.hold(bytes + step);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskBudget, excess};

    #[test]
    fn shares_never_take_more_than_there_is_unless_they_are_told_to() {
        let budget = DiskBudget::new(1000);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.try_hold(600, 100));
        assert_eq!(budget.used(), 700);
        assert!(other.try_hold(250, 100), "without the step");
        assert!(!other.try_hold(301, 0));
        assert_eq!((other.held(), budget.used()), (250, 950));
        one.settle(550, 100);
        assert_eq!(one.held(), 700, "two steps are kept");
        one.settle(100, 100);
        assert_eq!((one.held(), budget.used()), (200, 450));
        other.hold(2000);
        assert_eq!(budget.used(), 2200);
        one.settle(150, 100);
        assert_eq!(one.held(), 150, "others lack the rest");
        drop(other);
        drop(one);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_tenth_goes_from_80_percent_on_and_half_from_90_percent_on() {
        for (used, expected) in [(0, 0), (799, 0), (800, 100), (899, 100), (900, 500), (2000, 500)]
        {
            assert_eq!(excess(used, 1000), expected, "{used}");
        }
    }
}
