//! Goal: a durable queue keeps its promises over deaths and power cuts at any step, and over a disk
//! that fails.
//!
//! The trials are those of the torture tool, which makes any number of them:
//! `cargo run --release -p ringkeep-torture -- queue --trials 1000000`.

use ringkeep_torture::{queue, report::Report};

const CRASHES: u64 = 3_000;

#[track_caller]
fn assert_right(report: &Report) {
    println!("{:#?}", report.outcomes);
    let first = report.violations.first();
    assert_eq!(first, None, "repeat a seed: ringkeep-torture queue --trials 1 --seed ..");
}

#[test]
fn what_was_promised_is_there_after_any_crash() {
    assert_right(&queue::crash(CRASHES, 0, 1));
}

#[test]
fn a_call_that_fails_costs_nothing_that_was_taken_in() {
    assert_right(&queue::fail());
}
