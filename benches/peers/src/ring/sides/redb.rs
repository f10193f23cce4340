//! redb: `Durability::None` but where appends are durable.

use std::{ops::Range, path::Path};

use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase as _, TableDefinition,
    WriteTransaction,
};

use super::{
    Act, BoxedReader, CACHE_BYTES, MISSING, Reader, Readers, Records, Result, Setup, Syncs, Wait,
    Writer,
};

/// redb has big-endian order for a `u64` by itself.
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES as usize);
    let database = builder.create(directory.join("records.redb"))?;
    act(&mut Appender { database: &database, setup: *setup }, &database)
}

struct Appender<'a> {
    database: &'a Database,
    setup: Setup,
}

impl Appender<'_> {
    fn begin(&self, durability: Durability) -> Result<WriteTransaction> {
        let mut tx = self.database.begin_write()?;
        tx.set_durability(durability)?;
        Ok(tx)
    }
}

impl Writer for Appender<'_> {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        for ids in self.setup.transactions(ids) {
            let tx = self.begin(match self.setup.syncs {
                Syncs::Never => Durability::None,
                Syncs::EachAppend => Durability::Immediate,
            })?;
            let mut table = tx.open_table(TABLE)?;
            let expired = self.setup.expired(&ids);
            if !expired.is_empty() {
                table.retain_in(expired, |_, _| false)?;
            }
            for id in ids {
                table.insert(id, records.make(id))?;
            }
            drop(table);
            tx.commit()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(self.begin(Durability::Immediate)?.commit()?)
    }
}

impl Readers for Database {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(Walker(self)))
    }
}

struct Walker<'a>(&'a Database);

type View = ReadOnlyTable<u64, &'static [u8]>;

impl Walker<'_> {
    fn view(&self) -> Result<View> {
        Ok(self.0.begin_read()?.open_table(TABLE)?)
    }
}

/// As many of these ids as there are, from the first one on; the id after them comes back.
fn walk(view: &View, ids: Range<u64>, records: &Records) -> Result<u64> {
    let mut next = ids.start;
    for entry in view.range(ids)? {
        let (id, payload) = entry?;
        if id.value() != next {
            return Err(MISSING.into());
        }
        records.check(next, payload.value())?;
        next += 1;
    }
    Ok(next)
}

impl Reader for Walker<'_> {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        let view = self.view()?;
        ids.iter().try_for_each(|id| records.check(*id, view.get(id)?.ok_or(MISSING)?.value()))
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let found = walk(&self.view()?, ids.clone(), records)?;
        if found == ids.end { Ok(()) } else { Err(MISSING.into()) }
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        let mut next = ids.start;
        while next < ids.end {
            let found = walk(&self.view()?, next..ids.end, records)?;
            if found == next {
                wait.pause()?;
            }
            next = found;
        }
        Ok(())
    }
}
