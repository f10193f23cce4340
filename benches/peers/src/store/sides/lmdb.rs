//! LMDB, which maps its file and writes each page that changes.

use std::path::Path;

use heed::{CommitOrAbort, Database, Env, EnvFlags, RoTxn, types::Bytes};

use super::{Act, Entry, MISSING, Peer, Reader, Result, See, SeeEntry};

type Table<'e> = Database<'e, Bytes, Bytes>;

struct Lmdb<'e> {
    env: &'e Env,
    table: Table<'e>,
}

pub(super) fn open(directory: &Path, act: &mut Act<'_>) -> Result<()> {
    let env = crate::lmdb::open(directory, EnvFlags::empty())?;
    let table = env.create_databases_and_commit(env.write_txn()?, |opener, tx| {
        opener.create_database(tx, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    act(&Lmdb { env: &env, table: table.commit().ok_or("it was not made")? })
}

impl Peer for Lmdb<'_> {
    fn fill(&self, entries: &[Entry]) -> Result<()> {
        let mut tx = self.env.write_txn()?;
        for entry in entries {
            self.table.put(&mut tx, &entry.key, &entry.value)?;
        }
        Ok(tx.commit()?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut tx = self.env.write_txn()?;
        self.table.put(&mut tx, key, value)?;
        Ok(tx.commit()?)
    }

    fn read(&self, act: &mut dyn FnMut(&dyn Reader) -> Result<()>) -> Result<()> {
        act(&View { tx: &*self.env.read_txn()?, table: self.table })
    }
}

struct View<'a> {
    tx: &'a RoTxn<'a>,
    table: Table<'a>,
}

impl Reader for View<'_> {
    fn get(&self, key: &[u8], see: &mut See<'_>) -> Result<()> {
        see(self.table.get(self.tx, key)?.ok_or(MISSING)?)
    }

    fn scan(&self, prefix: &[u8], see: &mut SeeEntry<'_>) -> Result<()> {
        for entry in self.table.prefix_iter(self.tx, prefix)? {
            let (key, value) = entry?;
            see(key, value)?;
        }
        Ok(())
    }
}
