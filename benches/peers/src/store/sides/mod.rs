//! The sides, behind one trait.

mod fjall;
mod lmdb;
mod redb;
mod ringkeep;

use std::path::Path;

use super::{Result, entries::Entry};
use crate::table::{OURS, Role};

/// What is done with a value, and with a key and its value.
pub(super) type See<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;
pub(super) type SeeEntry<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// A transaction that reads.
pub(super) trait Reader {
    /// A key that is not there is an error.
    fn get(&self, key: &[u8], see: &mut See<'_>) -> Result<()>;

    /// All entries with this prefix, in order.
    fn scan(&self, prefix: &[u8], see: &mut SeeEntry<'_>) -> Result<()>;
}

/// A store that is open. What a write returned survives a power cut.
pub(super) trait Peer {
    /// All of them in one transaction.
    fn fill(&self, entries: &[Entry]) -> Result<()>;

    /// One of them in one transaction.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Reads in one transaction.
    fn read(&self, act: &mut dyn FnMut(&dyn Reader) -> Result<()>) -> Result<()>;
}

/// A side of the comparison.
pub(super) struct Side {
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// Makes a store in this directory and hands it out: one of LMDB cannot be moved.
    pub(super) open: fn(&Path, &mut Act<'_>) -> Result<()>,
}

pub(super) type Act<'a> = dyn FnMut(&dyn Peer) -> Result<()> + 'a;

pub(super) const SIDES: [Side; 4] = [
    Side { name: OURS, role: Role::Ours, open: ringkeep::open },
    Side { name: super::MEASURE, role: Role::Peer, open: redb::open },
    Side { name: "fjall", role: Role::Peer, open: fjall::open },
    Side { name: "LMDB (heed)", role: Role::Peer, open: lmdb::open },
];

/// What a missing key is told with.
const MISSING: &str = "a key is missing";
