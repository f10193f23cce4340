//! Goal: a store keeps its commits over deaths and power cuts at any step, and over a disk that
//! fails.
//!
//! The trials are those of the torture tool, which makes any number of them:
//! `cargo run --release -p ringkeep-torture -- store --trials 100000`.

use ringkeep_torture::{report::Report, store};

const CRASHES: u64 = 300;

#[track_caller]
fn assert_right(report: &Report) {
    println!("{:#?}", report.outcomes);
    let first = report.violations.first();
    assert_eq!(first, None, "repeat a seed: ringkeep-torture store --trials 1 --seed ..");
}

#[test]
fn what_was_committed_is_there_after_any_crash() {
    assert_right(&store::crash(CRASHES, 0, 2));
}

#[test]
fn a_call_that_fails_costs_nothing_that_was_committed() {
    assert_right(&store::fail(7));
}
