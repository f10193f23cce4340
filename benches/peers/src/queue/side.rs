//! What every side of the comparison can do.

use std::{error::Error, path::Path};

use crate::table::Role;

/// What a push that returned survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// Nothing is asked for: as fast as the side goes.
    None,
    /// A power cut.
    PowerCut,
}

/// How a side is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) guarantee: Guarantee,
    /// Size of every item.
    pub(crate) item_bytes: usize,
    /// All that will be in it at once, about.
    pub(crate) total_bytes: usize,
    /// What may stay in memory, for a side that can be told.
    pub(crate) budget_bytes: usize,
    /// Threads that push.
    pub(crate) threads: u32,
}

/// A side that failed, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{side} could not {verb}: {source}")]
pub(crate) struct Failure {
    side: &'static str,
    verb: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub(crate) fn new<E: Into<Box<dyn Error + Send + Sync>>>(
        side: &'static str,
        verb: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self { side, verb, source: source.into() }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A queue that is open. Where a crate has one handle for one thread, the adapter locks.
pub(crate) trait Peer: Send + Sync {
    fn push(&self, item: Vec<u8>) -> Result<()>;

    /// All at once, with one sync where there is any.
    fn push_group(&self, items: Vec<Vec<u8>>) -> Result<()>;

    /// The next item; `None` when there is none.
    fn take(&self) -> Result<Option<Vec<u8>>>;

    /// Up to `count` of the next items.
    fn take_group(&self, count: usize) -> Result<Vec<Vec<u8>>>;

    /// Items that are on the disk and not in memory, if it can tell.
    fn items_on_disk(&self) -> Option<u64> {
        None
    }
}

/// A side of the comparison.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// Whether it can push many items at once.
    pub(crate) has_groups: bool,
    /// Whether it can make a push survive a power cut.
    pub(crate) has_syncs: bool,
    /// Opens the queue in this directory, with what is in it.
    pub(crate) open: fn(&Path, &Setup) -> Result<Box<dyn Peer>>,
}
