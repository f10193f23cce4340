//! Every call of the disk fails in turn, once or from then on, and a disk that is full: what was
//! committed is there, an error says what happened, and opening again goes on.

use std::time::Duration;

use ringkeep::{Error, Result, SimDisk, Store, StoreError, StoreOptions, SyncPolicy};

use super::crashes::{Contents, contents};
use crate::report::Report;

const PATH: &str = "/sim/store";
const BACKUP: &str = "/sim/backup";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const CALLS_MAX: u64 = 100_000;

pub(super) fn run(share: usize) -> Report {
    let mut report = Report::default();
    for for_good in [false, true] {
        for code in [EIO, ENOSPC] {
            let reached = (0..CALLS_MAX)
                .step_by(share)
                .take_while(|&call| try_one(call, for_good, code, &mut report));
            let calls = reached.count() as u64;
            report.add("calls that failed", calls);
        }
    }
    report.require(&["told as no space", "commit in doubt", "opened again"]);
    report
}

/// Whether there was such a call.
fn try_one(call: u64, for_good: bool, code: i32, report: &mut Report) -> bool {
    report.trials += 1;
    let disk = SimDisk::reliable(call);
    let options = StoreOptions::new().cache_bytes(0).sync(SyncPolicy::Always);
    let options = options.lock_wait(Duration::ZERO).on(&disk);
    let mut states = vec![Contents::new()];
    disk.fail_a_call(call, for_good, code);
    let failed = work(&options, &mut states);
    let hits = disk.mend_calls();
    if let Err(error) = &failed {
        assert!(hits > 0, "{error:?} without a cause");
        judge(error, report);
    }
    // A crash keeps a lock as long as its process lives: there is none here any more.
    let store = options.open(PATH).expect("nothing fails any more");
    let found = store.read(contents).expect("it is read");
    assert!(!store.verify().expect("it is whole").repaired);
    assert!(states.contains(&found), "call {call}: no commit has left this");
    let returned = states.len() - 1;
    if found != states[returned] {
        report.count("commit in doubt");
    }
    assert!(
        states.iter().rposition(|state| *state == found) >= Some(returned.saturating_sub(1)),
        "call {call}: a commit that returned is gone"
    );
    report.count("opened again");
    hits > 0
}

fn judge(error: &Error, report: &mut Report) {
    match error {
        Error::NoSpace { .. } => report.count("told as no space"),
        Error::Io { .. } => report.count("told as an error of the disk"),
        Error::Store(StoreError::Poisoned { .. }) => report.count("told later"),
        other => panic!("{other:?}: a failed call is no other error"),
    }
}

/// All that a store does with a disk; the last state is of the commit that failed.
fn work(options: &StoreOptions, states: &mut Vec<Contents>) -> Result<()> {
    let store = options.open(PATH)?;
    for round in 0..4_u8 {
        let mut state = states.last().cloned().unwrap_or_default();
        let filled = fill(&store, round, &mut state);
        states.push(state);
        filled?;
    }
    store.backup_to(BACKUP)?;
    store.compact()?;
    let state = states.last().cloned().unwrap_or_default();
    drop(store);
    let store = options.open(PATH)?;
    assert!(store.read(contents)? == state);
    store.verify()?;
    Ok(())
}

fn fill(store: &Store, round: u8, state: &mut Contents) -> Result<()> {
    store.write(|tx| {
        let mut bucket = tx.bucket("b")?;
        for key in 0..20 {
            let value = vec![round; 500 * usize::from(round)];
            bucket.put([key], &value)?;
            state.insert(("b".into(), vec![key]), value);
        }
        Ok(())
    })
}
