//! What tests and fuzzers need of a producer (feature `test-util`): the steps that its threads take
//! on a real disk, one by one, and a death without a close.

use std::path::PathBuf;

use super::{lookup::Id, producer::Producer, reader::Ring};
use crate::error::Result;

impl Producer {
    /// The first two steps of a background sync: it is flushed, and `durable` has not moved yet.
    ///
    /// # Errors
    ///
    /// As [`Producer::flush`].
    pub fn sync_without_telling(&mut self) -> Result<()> {
        self.durability().sync_without_telling()
    }

    /// The last step of a background sync.
    pub fn tell_flushed(&mut self) {
        self.durability().tell_flushed();
    }

    /// Moves the limit on, if it is close.
    ///
    /// # Errors
    ///
    /// As [`Producer::append`].
    pub fn raise_limit_early(&mut self) -> Result<()> {
        self.durability().raise_limit_early()
    }

    /// No id at or above it was handed out.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.durability().limit()
    }

    /// Ends as if the process had died: nothing is synced or closed, only the lock goes.
    pub fn die(mut self) {
        self.stop_helpers();
        self.let_go();
    }
}

impl Ring {
    /// File and offset of an id's slot, in bytes.
    #[must_use]
    pub fn locate(&self, id: u64) -> (PathBuf, u64) {
        self.archive().locate(Id(id))
    }
}
