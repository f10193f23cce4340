//! Stores on a real file system: commits of which a number says what they do, and what a power cut
//! leaves of them.

use std::{collections::BTreeMap, fs::File, io, path::Path, time::Duration};

use ringkeep::{
    BucketRead, Error, ReadTx, Result, Store, StoreError, StoreFile, StoreOptions, WriteTx,
};

use super::{
    note::Note,
    plan::{Plan, Purpose},
    trial::{Bench, Template, draw_moment},
    worker::note,
};
use crate::report::Report;

/// What must have occurred, or the cuts prove little.
pub(super) const CLASSES: [&str; 5] = [
    "store: no file yet",
    "store: the last durable commit",
    "store: a commit above durable kept",
    "store: a commit above durable lost",
    "store: cut in a commit",
];

/// Power cuts made out of one run of the workload.
const CUTS_EACH: u64 = 8;
const NAME: &str = "store";
const BUCKETS: [&str; 2] = ["one", "other"];
/// Where the number of the last commit is.
const COUNT: &str = "count";

type Contents = BTreeMap<(String, Vec<u8>), Vec<u8>>;

enum Change {
    Put(&'static str, Vec<u8>, Vec<u8>),
    Remove(&'static str, Vec<u8>),
    Drop(&'static str),
}

/// What the commit of a number does.
fn changes(plan: &Plan, number: u64) -> Vec<Change> {
    let mut random = fastrand::Rng::with_seed(plan.seed ^ number.rotate_left(32));
    let one = |_| {
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
    let mut count = fastrand::Rng::with_seed(number);
    let mut changes: Vec<Change> = (0..count.usize(1..25)).map(one).collect();
    changes.push(Change::Put(COUNT, vec![], number.to_be_bytes().to_vec()));
    changes
}

fn commit(store: &Store, plan: &Plan, number: u64) -> Result<()> {
    let make = |tx: &WriteTx, change: Change| match change {
        Change::Put(bucket, key, value) => tx.bucket(bucket)?.put(key, value),
        Change::Remove(bucket, key) => tx.bucket(bucket)?.remove(key).map(drop),
        Change::Drop(bucket) => tx.drop_bucket(bucket).map(drop),
    };
    store.write(|tx| changes(plan, number).into_iter().try_for_each(|change| make(tx, change)))
}

/// What a store holds after so many commits.
fn contents_after(plan: &Plan, commits: u64) -> Contents {
    let mut contents = Contents::new();
    for change in (1..=commits).flat_map(|number| changes(plan, number)) {
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

fn contents(tx: &ReadTx) -> Result<Contents> {
    let mut contents = Contents::new();
    for name in tx.buckets()? {
        for entry in tx.bucket(&name)?.iter()? {
            let (key, value) = entry?;
            contents.insert((name.clone(), key.to_vec()), value.to_vec());
        }
    }
    Ok(contents)
}

fn options(plan: &Plan) -> StoreOptions {
    StoreOptions::new().sync(plan.policy).cache_bytes(256 << 10).lock_wait(Duration::ZERO)
}

/// The worker's part: commits, syncs, closes and compactions, each noted before and after.
pub(super) fn work(plan: &Plan, mount: &Path, notes: &mut File) -> io::Result<()> {
    let (options, path) = (options(plan), mount.join(NAME));
    let mut random = fastrand::Rng::with_seed(!plan.seed);
    note(notes, Note::Creating)?;
    let mut store = options.open(&path)?;
    note(notes, Note::Created)?;
    let mut next = 1;
    for _ in 0..plan.steps / 2 {
        match random.u8(..20) {
            0 => {
                note(notes, Note::Other)?;
                store.sync()?;
            }
            1 => {
                note(notes, Note::Closing)?;
                drop(store);
                note(notes, Note::Done { next, durable: next - 1 })?;
                note(notes, Note::Opening)?;
                store = options.open_existing(&path)?;
            }
            2 => {
                note(notes, Note::Other)?;
                store.compact()?;
            }
            _ => {
                note(notes, Note::Append { first: next, count: 1 })?;
                commit(&store, plan, next)?;
                next += 1;
            }
        }
        let unsynced = store.stats()?.unsynced_commits;
        note(notes, Note::Done { next, durable: next - 1 - unsynced })?;
    }
    note(notes, Note::Closing)?;
    drop(store);
    note(notes, Note::Closed)
}

/// What the notes before a moment promise.
#[derive(Debug, Default)]
struct Promise {
    is_made: bool,
    /// The last commit that was begun, the last that has returned, and the last durable one.
    begun: u64,
    returned: u64,
    durable: u64,
}

impl Promise {
    fn of(notes: impl Iterator<Item = Note>) -> Self {
        let mut promise = Self::default();
        for note in notes {
            match note {
                Note::Created => promise.is_made = true,
                Note::Append { first, .. } => promise.begun = first,
                Note::Done { next, durable } => {
                    (promise.returned, promise.durable) = (next - 1, durable);
                }
                Note::Closed => promise.durable = promise.begun,
                _ => {}
            }
        }
        promise
    }

    /// Looks at what is left, opens it, and goes on.
    fn judge(&self, plan: &Plan, mount: &Path, report: &mut Report) -> Result<()> {
        let (options, path) = (options(plan), mount.join(NAME));
        let looked = match StoreFile::open_with(&options, &path) {
            Ok(file) => file.read(contents)?,
            Err(Error::Store(StoreError::NotFound { .. })) if !self.is_made => {
                report.count("store: no file yet");
                Contents::new()
            }
            Err(error) => return Err(error),
        };
        let store = options.open(&path)?;
        let found = store.read(contents)?;
        if looked != found {
            report.fail("whoever looks at the store finds something else");
        }
        let number = found.get(&(COUNT.into(), vec![]));
        let number = number.and_then(|bytes| bytes.as_slice().try_into().ok());
        let number = number.map_or(0, u64::from_be_bytes);
        if !(self.durable..=self.begun).contains(&number) {
            report.fail(format!("commit {number} is the last one: {self:?}"));
        }
        if found != contents_after(plan, number) {
            report.fail(format!("commit {number} is not there as a whole"));
        }
        self.count(number, report);
        if store.verify()?.repaired {
            report.fail("pages were lost");
        }
        commit(&store, plan, number + 1)?;
        drop(store);
        let again = options.open_existing(&path)?.read(contents)?;
        if again != contents_after(plan, number + 1) {
            report.fail("what was committed later is not there");
        }
        Ok(())
    }

    fn count(&self, number: u64, report: &mut Report) {
        if number == self.durable {
            report.count("store: the last durable commit");
        } else {
            report.count("store: a commit above durable kept");
        }
        if number < self.returned {
            report.count("store: a commit above durable lost");
        }
        if self.begun > self.returned {
            report.count("store: cut in a commit");
        }
    }
}

/// Runs the workload on stores, and cuts each run many times.
pub(super) fn cut_many(
    bench: &Bench<'_>,
    templates: &[Template],
    trials: u64,
    first_seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    for seed in first_seed..first_seed + trials.div_ceil(CUTS_EACH) {
        let plan = Plan::draw(Purpose::Store, seed);
        let template = &templates[usize::try_from(seed).unwrap_or(0) % templates.len()];
        let mut found = Report::default();
        let (recording, options) = bench.record(template, &plan, &mut found)?;
        for cut in 0..CUTS_EACH {
            let mut random = fastrand::Rng::with_seed(seed.rotate_left(32) ^ cut);
            let moment = draw_moment(&recording, &mut random);
            let promise = Promise::of(recording.notes(moment));
            let left = recording.cut(moment, &mut random);
            let known = found.violations.len();
            let judge = |mount: &Path, report: &mut Report| {
                promise.judge(&plan, mount, report).unwrap_or_else(|error| {
                    report.fail(format!("{error}: {promise:?}"));
                });
                Some(())
            };
            bench.judge_left(template, options, &left.image, &mut found, judge)?;
            found.trials += 1;
            found.count("store cut");
            for violation in &mut found.violations[known..] {
                violation.insert_str(0, &format!("store seed {seed} cut {cut} ({options}): "));
            }
        }
        report.join(found);
    }
    eprintln!("the stores are done");
    Ok(())
}
