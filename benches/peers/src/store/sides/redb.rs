//! What ringkeep stands on, with the same cache and nothing around it.

use std::path::Path;

use redb::{Builder, Database, ReadOnlyTable, ReadableDatabase as _, TableDefinition};

use super::{Act, Entry, MISSING, Peer, Reader, Result, See, SeeEntry};
use crate::store::CACHE_BYTES;

type Bytes = &'static [u8];

const TABLE: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("entries");

pub(super) fn open(directory: &Path, act: &mut Act<'_>) -> Result<()> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES as usize);
    act(&builder.create(directory.join("redb.redb"))?)
}

impl Peer for Database {
    fn fill(&self, entries: &[Entry]) -> Result<()> {
        let tx = self.begin_write()?;
        let mut table = tx.open_table(TABLE)?;
        for entry in entries {
            table.insert(&entry.key[..], &entry.value[..])?;
        }
        drop(table);
        Ok(tx.commit()?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let tx = self.begin_write()?;
        tx.open_table(TABLE)?.insert(key, value)?;
        Ok(tx.commit()?)
    }

    fn read(&self, act: &mut dyn FnMut(&dyn Reader) -> Result<()>) -> Result<()> {
        act(&self.begin_read()?.open_table(TABLE)?)
    }
}

impl Reader for ReadOnlyTable<Bytes, Bytes> {
    fn get(&self, key: &[u8], see: &mut See<'_>) -> Result<()> {
        see(redb::ReadableTable::get(self, key)?.ok_or(MISSING)?.value())
    }

    fn scan(&self, prefix: &[u8], see: &mut SeeEntry<'_>) -> Result<()> {
        let mut end = prefix.to_vec();
        // Prefixes end with a digit.
        *end.last_mut().ok_or("an empty prefix")? += 1;
        for entry in self.range(prefix..&end)? {
            let (key, value) = entry?;
            see(key.value(), value.value())?;
        }
        Ok(())
    }
}
