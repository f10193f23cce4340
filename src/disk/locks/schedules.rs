//! Running models under a model checker: `cfg(shuttle)`, `torture/sanitizers schedules`.
//!
//! Each model is run under thousands of schedules: one half of them random, the others by
//! probabilistic concurrency testing (PCT), which lets the same thread go on but for a few changes.
//! A thread that is left waiting is a deadlock, which shuttle reports. Each model lists cases that
//! have to occur.
//!
//! `RINGKEEP_SCHEDULES` says how many schedules each model is run under. One that fails is printed:
//! `RINGKEEP_SCHEDULE` runs that one again.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use shuttle::{
    Config, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler},
};

use super::modelled::let_time_pass;

/// Schedules of each model.
const SCHEDULES: usize = 2_000;
/// PCT finds what takes so many changes, one of them the order in which threads begin.
const DEPTHS: [usize; 4] = [2, 3, 4, 6];
const SEED: u64 = 1;
/// Who takes more steps goes round in circles.
const STEPS_MAX: usize = 50_000;
const STACK_BYTES: usize = 1 << 18;

/// Which of the cases of a model occurred, over all schedules.
pub(crate) struct Met {
    cases: &'static [&'static str],
    counts: Vec<AtomicU64>,
}

impl Met {
    /// Counts a case, if it occurred.
    pub(crate) fn count(&self, case: &str, occurred: bool) {
        let at = self.cases.iter().position(|one| *one == case).expect("a case of this model");
        self.counts[at].fetch_add(u64::from(occurred), Relaxed);
    }
}

/// Runs a model under many schedules; each case has to occur in some.
pub(crate) fn check(cases: &'static [&'static str], model: fn(&Met)) {
    let_time_pass(false);
    let counts = cases.iter().map(|_| AtomicU64::new(0)).collect();
    let met = Arc::new(Met { cases, counts });
    if let Ok(schedule) = std::env::var("RINGKEEP_SCHEDULE") {
        run(ReplayScheduler::new_from_encoded(&schedule), &met, model);
        return;
    }
    let wanted = std::env::var("RINGKEEP_SCHEDULES").ok();
    let schedules = wanted.map_or(SCHEDULES, |wanted| wanted.parse().expect("a number"));
    let mut ran = run(RandomScheduler::new_from_seed(SEED, schedules / 2), &met, model);
    for depth in DEPTHS {
        let schedules = schedules / 2 / DEPTHS.len();
        ran += run(PctScheduler::new_from_seed(SEED, depth, schedules), &met, model);
    }
    let _ = writeln!(std::io::stdout(), "{ran} schedules, of cases {cases:?}: {:?}", met.counts);
    for (case, count) in cases.iter().zip(&met.counts) {
        assert!(count.load(Relaxed) > 0, "it did not occur: {case}");
    }
}

fn run(scheduler: impl Scheduler + 'static, met: &Arc<Met>, model: fn(&Met)) -> usize {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true; // Of memory orders, which it does not know.
    let met = Arc::clone(met);
    Runner::new(scheduler, config).run(move || model(&met))
}
