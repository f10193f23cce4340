//! A log-structured merge tree. All that is written here fits into its table in memory, beside the
//! journal that makes it durable.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _, Snapshot};

use super::{Act, Entry, MISSING, Peer, Reader, Result, See, SeeEntry};
use crate::store::CACHE_BYTES;

struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

pub(super) fn open(directory: &Path, act: &mut Act<'_>) -> Result<()> {
    let builder = Database::builder(directory.join("fjall"));
    let database = builder.cache_size(CACHE_BYTES.into()).open()?;
    let keyspace = database.keyspace("entries", KeyspaceCreateOptions::default)?;
    act(&Fjall { database, keyspace })
}

impl Fjall {
    fn write<'a>(&self, entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in entries {
            batch.insert(&self.keyspace, key, value);
        }
        Ok(batch.commit()?)
    }
}

impl Peer for Fjall {
    fn fill(&self, entries: &[Entry]) -> Result<()> {
        self.write(entries.iter().map(|entry| (&entry.key[..], &entry.value[..])))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write([(key, value)].into_iter())
    }

    fn read(&self, act: &mut dyn FnMut(&dyn Reader) -> Result<()>) -> Result<()> {
        act(&View { snapshot: self.database.snapshot(), keyspace: &self.keyspace })
    }
}

struct View<'a> {
    snapshot: Snapshot,
    keyspace: &'a Keyspace,
}

impl Reader for View<'_> {
    fn get(&self, key: &[u8], see: &mut See<'_>) -> Result<()> {
        see(&self.snapshot.get(self.keyspace, key)?.ok_or(MISSING)?)
    }

    fn scan(&self, prefix: &[u8], see: &mut SeeEntry<'_>) -> Result<()> {
        for entry in self.snapshot.prefix(self.keyspace, prefix) {
            let (key, value) = entry.into_inner()?;
            see(&key, &value)?;
        }
        Ok(())
    }
}
