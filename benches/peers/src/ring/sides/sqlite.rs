//! SQLite with a write-ahead log: `synchronous = OFF`, or `FULL` where appends are durable. The
//! file is mapped for readers, and statements are prepared once.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{CachedStatement, Connection, params};

use super::{
    Act, BoxedReader, CACHE_BYTES, MISSING, Reader, Readers, Records, Result, Setup, Syncs, Wait,
    Watch, Writer,
};

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)";
const ADD: &str = "INSERT INTO records (id, payload) VALUES (?1, ?2)";
const EXPIRE: &str = "DELETE FROM records WHERE id >= ?1 AND id < ?2";
const GET: &str = "SELECT payload FROM records WHERE id = ?1";
const WALK: &str = "SELECT id, payload FROM records WHERE id >= ?1 AND id < ?2 ORDER BY id";
/// What may be mapped of the file.
const MAP_BYTES: i64 = 1 << 31;
/// How long one waits for the lock of another.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let path = directory.join("records.sqlite");
    let connection = connect(&path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match setup.syncs {
        Syncs::Never => "OFF",
        Syncs::EachAppend => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute(TABLE, ())?;
    act(&mut Appender { connection, setup: *setup }, &Source { path })
}

pub(super) fn watch(directory: &Path, _: &Setup, act: &mut Watch<'_>) -> Result<()> {
    act(&mut Walker { connection: connect(&directory.join("records.sqlite"))? })
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "cache_size", -i64::from(CACHE_BYTES >> 10))?;
    connection.pragma_update(None, "mmap_size", MAP_BYTES)?;
    Ok(connection)
}

struct Appender {
    connection: Connection,
    setup: Setup,
}

impl Writer for Appender {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        for ids in self.setup.transactions(ids) {
            let expired = self.setup.expired(&ids);
            let tx = self.connection.transaction()?;
            if !expired.is_empty() {
                tx.prepare_cached(EXPIRE)?.execute([key(expired.start), key(expired.end)])?;
            }
            let mut add = tx.prepare_cached(ADD)?;
            for id in ids {
                add.execute(params![key(id), records.make(id)])?;
            }
            drop(add);
            tx.commit()?;
        }
        Ok(())
    }

    /// Moves what is in the log into the file, and syncs that.
    fn sync(&mut self) -> Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
        if self.setup.syncs == Syncs::Never {
            self.connection.pragma_update(None, "synchronous", "OFF")?;
        }
        Ok(())
    }
}

struct Source {
    path: PathBuf,
}

impl Readers for Source {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(Walker { connection: connect(&self.path)? }))
    }
}

struct Walker {
    connection: Connection,
}

fn key(id: u64) -> i64 {
    id.cast_signed()
}

/// As many of these ids as there are, from the first one on; the id after them comes back.
fn walk(all: &mut CachedStatement<'_>, ids: Range<u64>, records: &Records) -> Result<u64> {
    let mut next = ids.start;
    let mut rows = all.query([key(ids.start), key(ids.end)])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? != key(next) {
            return Err(MISSING.into());
        }
        records.check(next, row.get_ref(1)?.as_blob()?)?;
        next += 1;
    }
    Ok(next)
}

impl Reader for Walker {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        let tx = self.connection.transaction()?;
        let mut get = tx.prepare_cached(GET)?;
        for &id in ids {
            let mut rows = get.query([key(id)])?;
            records.check(id, rows.next()?.ok_or(MISSING)?.get_ref(0)?.as_blob()?)?;
        }
        Ok(())
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let found = walk(&mut self.connection.prepare_cached(WALK)?, ids.clone(), records)?;
        if found == ids.end { Ok(()) } else { Err(MISSING.into()) }
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        let mut all = self.connection.prepare_cached(WALK)?;
        let mut next = ids.start;
        while next < ids.end {
            let found = walk(&mut all, next..ids.end, records)?;
            if found == next {
                wait.pause()?;
            }
            next = found;
        }
        Ok(())
    }
}
