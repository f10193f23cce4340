//! fjall, a log-structured merge tree: a journal, tables in memory, and files of sorted entries.

use std::{ops::Range, path::Path};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _, Snapshot};

use super::{
    Act, BoxedReader, CACHE_BYTES, MISSING, Reader, Readers, Records, Result, Setup, Syncs, Wait,
    Writer,
};

#[derive(Clone)]
struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let builder = Database::builder(directory.join("fjall"));
    let database = builder.cache_size(CACHE_BYTES.into()).open()?;
    let keyspace = database.keyspace("records", KeyspaceCreateOptions::default)?;
    let fjall = Fjall { database, keyspace };
    act(&mut Appender { fjall: fjall.clone(), setup: *setup }, &fjall)
}

struct Appender {
    fjall: Fjall,
    setup: Setup,
}

impl Writer for Appender {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        let mode = match self.setup.syncs {
            Syncs::Never => PersistMode::Buffer,
            Syncs::EachAppend => PersistMode::SyncData,
        };
        let Fjall { database, keyspace } = &self.fjall;
        for ids in self.setup.transactions(ids) {
            let mut batch = database.batch().durability(Some(mode));
            for id in self.setup.expired(&ids) {
                batch.remove(keyspace, id.to_be_bytes());
            }
            for id in ids {
                batch.insert(keyspace, id.to_be_bytes(), records.make(id));
            }
            batch.commit()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(self.fjall.database.persist(PersistMode::SyncAll)?)
    }
}

impl Readers for Fjall {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(Walker(self.clone())))
    }
}

struct Walker(Fjall);

impl Walker {
    fn view(&self) -> Snapshot {
        self.0.database.snapshot()
    }

    /// As many of these ids as there are, from the first one on; the id after them comes back.
    fn walk(&self, ids: Range<u64>, records: &Records) -> Result<u64> {
        let keys = ids.start.to_be_bytes()..ids.end.to_be_bytes();
        let mut next = ids.start;
        for entry in self.view().range(&self.0.keyspace, keys) {
            let (key, payload) = entry.into_inner()?;
            if *key != next.to_be_bytes() {
                return Err(MISSING.into());
            }
            records.check(next, &payload)?;
            next += 1;
        }
        Ok(next)
    }
}

impl Reader for Walker {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        let view = self.view();
        ids.iter().try_for_each(|id| {
            let payload = view.get(&self.0.keyspace, id.to_be_bytes())?.ok_or(MISSING)?;
            records.check(*id, &payload)
        })
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let found = self.walk(ids.clone(), records)?;
        if found == ids.end { Ok(()) } else { Err(MISSING.into()) }
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        let mut next = ids.start;
        while next < ids.end {
            let found = self.walk(next..ids.end, records)?;
            if found == next {
                wait.pause()?;
            }
            next = found;
        }
        Ok(())
    }
}
