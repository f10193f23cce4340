use std::path::Path;

use ringkeep::{BucketRead as _, ReadBucket, Store, StoreOptions};

use super::{Act, Entry, MISSING, Peer, Reader, Result, See, SeeEntry};
use crate::store::CACHE_BYTES;

const BUCKET: &str = "entries";

pub(super) fn open(directory: &Path, act: &mut Act<'_>) -> Result<()> {
    let options = StoreOptions::new().cache_bytes(CACHE_BYTES.into());
    act(&options.open(directory.join("ringkeep.redb"))?)
}

impl Peer for Store {
    fn fill(&self, entries: &[Entry]) -> Result<()> {
        Ok(self.write(|tx| {
            let mut bucket = tx.bucket(BUCKET)?;
            entries.iter().try_for_each(|entry| bucket.put(entry.key, entry.value))
        })?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.write(|tx| tx.bucket(BUCKET)?.put(key, value))?)
    }

    fn read(&self, act: &mut dyn FnMut(&dyn Reader) -> Result<()>) -> Result<()> {
        act(&self.begin_read()?.bucket(BUCKET)?)
    }
}

impl Reader for ReadBucket<'_> {
    fn get(&self, key: &[u8], see: &mut See<'_>) -> Result<()> {
        see(&ringkeep::BucketRead::get(self, key)?.ok_or(MISSING)?)
    }

    fn scan(&self, prefix: &[u8], see: &mut SeeEntry<'_>) -> Result<()> {
        let mut seen = Ok(());
        self.prefix(prefix)?.visit(|key, value| {
            if seen.is_ok() {
                seen = see(key, value);
            }
            Ok(())
        })?;
        seen
    }
}
