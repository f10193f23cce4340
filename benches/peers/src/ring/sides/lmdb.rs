//! LMDB, which maps its file: as it is where appends are durable, else with `NO_SYNC`. New ids go
//! to the end of the tree (`APPEND`).

use std::{
    ops::{Bound, Range},
    path::Path,
};

use heed::{
    CommitOrAbort, Database, Env, EnvFlags, PutFlags, RoTxn,
    byteorder::BigEndian,
    types::{Bytes, U64},
};

use super::{
    Act, BoxedReader, MISSING, Reader, Readers, Records, Result, Setup, Syncs, Wait, Watch, Writer,
};

type Table<'e> = Database<'e, U64<BigEndian>, Bytes>;

#[derive(Clone, Copy)]
struct Lmdb<'e> {
    env: &'e Env,
    table: Table<'e>,
}

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let flags = match setup.syncs {
        Syncs::Never => EnvFlags::NO_SYNC,
        Syncs::EachAppend => EnvFlags::empty(),
    };
    let env = crate::lmdb::open(directory, flags)?;
    let lmdb = Lmdb { env: &env, table: table_of(&env)? };
    act(&mut Appender { lmdb, setup: *setup }, &lmdb)
}

pub(super) fn watch(directory: &Path, _: &Setup, act: &mut Watch<'_>) -> Result<()> {
    let env = crate::lmdb::open(directory, EnvFlags::NO_SYNC)?;
    act(&mut Walker(Lmdb { env: &env, table: table_of(&env)? }))
}

fn table_of(env: &Env) -> Result<Table<'_>> {
    let table = env.create_databases_and_commit(env.write_txn()?, |opener, tx| {
        opener.create_database(tx, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    Ok(table.commit().ok_or("it was not made")?)
}

struct Appender<'e> {
    lmdb: Lmdb<'e>,
    setup: Setup,
}

impl Writer for Appender<'_> {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        for ids in self.setup.transactions(ids) {
            let expired = self.setup.expired(&ids);
            let mut tx = self.lmdb.env.write_txn()?;
            if !expired.is_empty() {
                self.lmdb.table.delete_range(&mut tx, &expired)?;
            }
            for id in ids {
                let payload = records.make(id);
                self.lmdb.table.put_with_flags(&mut tx, PutFlags::APPEND, &id, payload)?;
            }
            tx.commit()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(self.lmdb.env.force_sync()?)
    }
}

impl Readers for Lmdb<'_> {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(Walker(*self)))
    }
}

struct Walker<'e>(Lmdb<'e>);

impl Walker<'_> {
    /// As many of these ids as there are, from the first one on; the id after them comes back.
    fn walk(&self, tx: &RoTxn<'_>, ids: Range<u64>, records: &Records) -> Result<u64> {
        let bounds = (Bound::Included(ids.start), Bound::Excluded(ids.end));
        let mut next = ids.start;
        for entry in self.0.table.range(tx, &bounds)? {
            let (id, payload) = entry?;
            if id != next {
                return Err(MISSING.into());
            }
            records.check(id, payload)?;
            next += 1;
        }
        Ok(next)
    }
}

impl Reader for Walker<'_> {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        let tx = self.0.env.read_txn()?;
        ids.iter().try_for_each(|id| records.check(*id, self.0.table.get(&tx, id)?.ok_or(MISSING)?))
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let found = self.walk(&*self.0.env.read_txn()?, ids.clone(), records)?;
        if found == ids.end { Ok(()) } else { Err(MISSING.into()) }
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        let mut next = ids.start;
        while next < ids.end {
            let found = self.walk(&*self.0.env.read_txn()?, next..ids.end, records)?;
            if found == next {
                wait.pause()?;
            }
            next = found;
        }
        Ok(())
    }
}
