//! Stores: commits of which a number says what they do, and what a power cut leaves of them.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use ringkeep::{Error, Result, Store, StoreError, StoreFile, StoreOptions, WriteTx};

use super::{
    note::Note,
    plan::{Plan, Purpose},
    progress::{self, Life, Progress},
    promises::{After, Promises, Stage},
    worker::note,
};
use crate::{
    report::Report,
    store::crashes::{Contents, contents},
};

const BUCKETS: [&str; 2] = ["one", "other"];
/// Where the count of the commits is.
const COUNT: &str = "count";

enum Change {
    Put(&'static str, Vec<u8>, Vec<u8>),
    Remove(&'static str, Vec<u8>),
    Drop(&'static str),
}

/// What the commit of a number does.
fn changes(plan: &Plan, life: Life, number: u64) -> Vec<Change> {
    let mut random = life.random(plan, number);
    let one = |random: &mut fastrand::Rng| {
        let (bucket, key) = (BUCKETS[random.usize(..2)], vec![random.u8(..60)]);
        match random.u8(..40) {
            0 => Change::Drop(bucket),
            1..12 => Change::Remove(bucket, key),
            _ => {
                let length = [10, 200, 9_000][random.usize(..3)];
                Change::Put(bucket, key, vec![random.u8(..); random.usize(..length)])
            }
        }
    };
    let mut changes: Vec<_> = (0..random.usize(1..25)).map(|_| one(&mut random)).collect();
    changes.push(Change::Put(COUNT, vec![], (number + 1).to_be_bytes().to_vec()));
    changes
}

fn commit(store: &Store, changes: Vec<Change>) -> Result<()> {
    let make = |tx: &WriteTx, change: Change| match change {
        Change::Put(bucket, key, value) => tx.bucket(bucket)?.put(key, value),
        Change::Remove(bucket, key) => tx.bucket(bucket)?.remove(key).map(drop),
        Change::Drop(bucket) => tx.drop_bucket(bucket).map(drop),
    };
    store.write(|tx| changes.into_iter().try_for_each(|change| make(tx, change)))
}

/// What a store holds after so many commits.
fn contents_after(plan: &Plan, life: Life, commits: u64) -> Contents {
    let mut contents = Contents::new();
    for change in (0..commits).flat_map(|number| changes(plan, life, number)) {
        match change {
            Change::Put(bucket, key, value) => {
                contents.insert((bucket.into(), key), value);
            }
            Change::Remove(bucket, key) => {
                contents.remove(&(bucket.into(), key));
            }
            Change::Drop(name) => contents.retain(|(bucket, _), _| bucket != name),
        }
    }
    contents
}

/// Commits in a store.
fn count(contents: &Contents) -> u64 {
    let count = contents.get(&(COUNT.into(), vec![]));
    let bytes = count.and_then(|bytes| bytes.as_slice().try_into().ok());
    bytes.map_or(0, u64::from_be_bytes)
}

fn options(plan: &Plan) -> StoreOptions {
    StoreOptions::new().sync(plan.policy).cache_bytes(256 << 10)
}

fn path_at(mount: &Path) -> PathBuf {
    mount.join("store")
}

/// The worker's part: commits, syncs, closes and compactions, each noted before and after.
pub(super) fn work(
    plan: &Plan,
    mount: &Path,
    notes: &File,
    mut random: fastrand::Rng,
) -> io::Result<()> {
    let (options, path) = (options(plan), path_at(mount));
    note(notes, if plan.goes_on() { Note::Opening } else { Note::Creating })?;
    let mut store = options.open(&path)?;
    note(notes, Note::Created)?;
    let mut next = count(&store.read(contents)?);
    let life = Life::of(plan, next);
    for _ in 0..plan.steps {
        match random.u8(..20) {
            0 => {
                note(notes, Note::Other)?;
                store.sync()?;
            }
            1 => {
                note(notes, Note::Closing)?;
                drop(store);
                note(notes, Note::Closed)?;
                note(notes, Note::Opening)?;
                store = options.open_existing(&path)?;
            }
            2 => {
                note(notes, Note::Other)?;
                store.compact()?;
            }
            _ => {
                note(notes, Note::Append { first: next, count: 1 })?;
                commit(&store, changes(plan, life, next))?;
                next += 1;
            }
        }
        let durable = next - store.stats()?.unsynced_commits;
        note(notes, Note::Done { next, durable })?;
    }
    note(notes, Note::Closing)?;
    drop(store);
    note(notes, Note::Closed)
}

/// What was promised of a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Commits(Progress);

impl Promises for Commits {
    const WORKERS: [Purpose; 2] = [Purpose::Store, Purpose::StoreAgain];
    const NAME: &str = "store";
    const CLASSES: &[&[&str]] = &[&progress::CLASSES];
    /// How many commits are there.
    type Seen = u64;

    fn tell(&mut self, note: Note, plan: &Plan) {
        self.0.tell(note, plan);
    }

    fn survived(&self, &commits: &u64, _: &Plan) -> Self {
        Self(Progress::survived(commits))
    }

    fn stage(&self) -> Stage {
        self.0.stage
    }

    fn violations(&self) -> &[String] {
        &self.0.violations
    }

    fn judge(&self, after: &After<'_>, mount: &Path, report: &mut Report) -> Option<u64> {
        self.look(after.plan, mount, report).unwrap_or_else(|error| {
            report.fail(format!("{error}: {self:?}"));
            None
        })
    }
}

impl Commits {
    /// Reads the file from outside, opens the store, and goes on.
    fn look(&self, plan: &Plan, mount: &Path, report: &mut Report) -> Result<Option<u64>> {
        let (options, path, life) = (options(plan), path_at(mount), self.0.life);
        let seen = match StoreFile::open_with(&options, &path) {
            Ok(file) => Some(file.read(contents)?),
            Err(Error::Store(StoreError::NotFound { .. })) => {
                self.0.judge_absence(report);
                None
            }
            Err(error) => return Err(error),
        };
        let store = options.open(&path)?;
        let found = store.read(contents)?;
        if found != seen.clone().unwrap_or_default() {
            report.fail("whoever looks at the file finds something else");
        }
        let next = count(&found);
        self.0.judge(next, report);
        if found != contents_after(plan, life, next) {
            report.fail(format!("commit {next} is not there as a whole"));
        }
        if store.verify()?.repaired {
            report.fail("a check has to repair it");
        }
        commit(&store, changes(plan, life, next))?;
        drop(store);
        let again = options.open_existing(&path)?.read(contents)?;
        if again != contents_after(plan, life, next + 1) {
            report.fail("what was committed later is not there");
        }
        Ok(seen.map(|_| next))
    }
}
