//! Trials on all processors.

use std::{
    any::Any,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use parking_lot::Mutex;

use crate::report::Report;

/// More violations than these tell nothing new.
const VIOLATIONS_MAX: usize = if cfg!(planted) { 1 } else { 10 };
/// Trials from one word of progress to the next.
const TRIALS_TOLD: u64 = 1000;

/// Makes the trial of each number, until there are no more, or `enough` says so, or too many
/// promises were broken.
pub fn all(
    threads: usize,
    numbers: impl Iterator<Item = u64> + Send,
    trial: impl Fn(u64) -> Report + Sync,
    enough: impl Fn(&Report) -> bool + Sync,
) -> Report {
    let shared = Mutex::new((numbers, Report::default()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    // The lock is not held during the trial.
                    let number = next(&mut shared.lock(), &enough);
                    let Some(number) = number else { return };
                    let found = trial(number);
                    join(&mut shared.lock().1, found);
                }
            });
        }
    });
    shared.into_inner().1
}

/// Makes the lives of one seed after the other, until there were so many trials in them. One that
/// panics is a violation.
pub fn lives(
    trials: u64,
    seed: u64,
    threads: usize,
    life: impl Fn(u64) -> Report + Sync,
) -> Report {
    let life = |seed| guarded(seed, || life(seed));
    all(threads, seed.., life, |report| report.trials >= trials)
}

fn next(
    (numbers, report): &mut (impl Iterator<Item = u64>, Report),
    enough: &impl Fn(&Report) -> bool,
) -> Option<u64> {
    let is_enough = report.violations.len() >= VIOLATIONS_MAX || enough(report);
    if is_enough { None } else { numbers.next() }
}

fn join(report: &mut Report, found: Report) {
    let told = report.trials / TRIALS_TOLD;
    report.join(found);
    if report.trials / TRIALS_TOLD > told {
        eprintln!("{} trials, {} violations", report.trials, report.violations.len());
    }
}

/// As many threads as there are processors.
#[must_use]
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The trials of this seed. A panic is a violation too, and everything that is told comes with its
/// seed.
pub(crate) fn guarded(seed: u64, trial: impl FnOnce() -> Report) -> Report {
    let mut report = without_panic(trial)
        .unwrap_or_else(|panicked| Report { violations: vec![panicked], ..Report::default() });
    report.violations.truncate(1);
    for violation in &mut report.violations {
        *violation = format!("seed {seed}: {violation}");
    }
    report
}

/// The result; or that it panicked, which breaks R1, and what it said.
pub(crate) fn without_panic<T>(judge: impl FnOnce() -> T) -> Result<T, String> {
    let judged = catch_unwind(AssertUnwindSafe(judge));
    judged.map_err(|panic| format!("R1 panicked: {}", text_of(&*panic)))
}

/// What a panic says.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default()
}
