//! Crashes and errors of the ring on a simulated disk: random ones, judged by an oracle that knows
//! what was written, and directed ones, at every step of what they are about.
//!
//! The random trials are those of the torture tool, which makes any number of them:
//! `cargo run --release -p ringkeep-torture -- power-cut --trials 100000`.

#[path = "crashes/clocks.rs"]
mod clocks;
#[path = "crashes/jumps.rs"]
mod jumps;
#[path = "crashes/rewrites.rs"]
mod rewrites;
#[path = "crashes/walks.rs"]
mod walks;

use ringkeep::{Io, Read};
use ringkeep_torture::{
    errors,
    power_cut::{self, Plan},
    report::Report,
};

/// Crashes under each policy.
const CRASHES: u64 = 5_000;

/// Goal: whatever a crash does, nothing wrong is served and nothing promised is missing.
/// Method: trials with the seeds of one policy until so many crashes have happened; every class is
/// counted.
fn run(policy: u64, also: &[&'static str]) {
    let plan = Plan { first: policy, step: 4, trials: CRASHES, threads: 1 };
    let mut report = power_cut::run(&plan);
    report.require(also);
    println!("{:#?}", report.outcomes);
    assert_right(&report);
}

#[track_caller]
fn assert_right(report: &Report) {
    let first = report.violations.first();
    assert_eq!(first, None, "repeat a seed: ringkeep-torture power-cut --trace --seed ..");
}

#[test]
fn without_syncs_a_crash_takes_only_what_was_not_flushed() {
    run(0, &["lost suffix", "rewrite above durable"]);
}

#[test]
fn with_syncs_of_groups_a_crash_takes_less_than_a_group() {
    run(1, &["lost suffix", "rewrite above durable"]);
}

#[test]
fn with_syncs_by_time_a_crash_takes_only_what_came_after_the_last_one() {
    run(2, &["lost suffix", "rewrite above durable"]);
}

#[test]
fn with_a_sync_each_a_crash_takes_no_record_that_was_returned() {
    run(3, &[]);
}

#[test]
fn a_full_table_of_crash_ranges_serves_nothing_wrong() {
    let mut report = Report::default();
    for seed in 0..20 {
        report.join(power_cut::many_kills(seed));
    }
    report.require(&["full table of crash ranges"]);
    assert_right(&report);
}

/// Goal: what a reader finds after a power cut does not change while the archive is opened. Method:
/// two rewrites, each of one byte, of a record that was not durable, on small sectors: a redo slot
/// of the first one, stored over a slot torn by the second, would bring back the original on the
/// way.
#[test]
fn a_redo_slot_that_was_not_flushed_changes_nothing_after_a_power_cut() {
    let mut served = 0;
    for seed in 0..1_500 {
        let (seen, changed) = rewrites::cut_after_two_rewrites(seed);
        assert!(changed.is_none(), "seed {seed}: {seen:?}, then {changed:?}");
        served += u64::from(matches!(seen, Read::Record(_)));
    }
    assert!(served > 0, "no record survived");
}

#[test]
fn deaths_in_the_middle_of_an_append_one_after_the_other_serve_nothing_wrong() {
    for seed in 0..1_500 {
        assert_right(&power_cut::short_lives(seed));
    }
}

#[test]
fn a_creation_that_is_cut_short_leaves_an_archive_or_room_for_one() {
    let steps = 1..4_000;
    let cut: Vec<_> = steps.filter_map(|step| jumps::cut_while_creating(step, step)).collect();
    assert!(cut.len() > 1_500, "only {} steps", cut.len());
    // The steps from the first name on are few, and what a power cut keeps of them is chance.
    let last = cut.len() as u64;
    let names = (last - 20..=last).flat_map(|step| (0..40).map(move |seed| (step, seed)));
    let some: Vec<_> =
        names.filter_map(|(step, seed)| jumps::cut_while_creating(step, seed)).collect();
    assert!(cut.iter().chain(&some).all(|&whole| whole), "an archive that is neither");
}

#[test]
fn a_jump_that_died_takes_no_durable_record_later() {
    let reads: Vec<_> = (1..120).filter_map(jumps::cut_after_a_jump_that_died).collect();
    assert!(!reads.is_empty(), "no jump died before it was made");
    for read in reads {
        assert_eq!(read, Read::Record(b"zero".to_vec()));
    }
}

/// Goal: what is durable lies under a name that is durable too, although its creation died between
/// the last name and the sync of the directory.
#[test]
fn a_record_is_durable_though_the_creation_of_its_archive_died() {
    let after = jumps::cut_after_a_creation_that_died;
    let first = (1_u64..10_000).find(|&step| after(step, 0).is_some()).expect("creation ends");
    for (step, seed) in (first..first + 20).flat_map(|step| (0..40).map(move |seed| (step, seed))) {
        let read = after(step, seed).expect("the archive has its name");
        assert_eq!(read, Read::Record(b"kept".to_vec()), "step {step}, seed {seed}");
    }
}

/// Goal: the step of a clock that was set back survives whatever its records survive. Method: after
/// each crash, searches by time are compared with a scan, before any producer has opened.
#[test]
fn a_search_by_time_misses_nothing_after_a_crash() {
    let mut seen = clocks::Seen::default();
    for seed in 0..2_000 {
        clocks::lives_with_a_clock_set_back(seed, &mut seen);
    }
    println!("{seen:?}");
    assert!(seen.kills > 500 && seen.cuts > 500 && seen.steps > 500, "{seen:?}");
}

#[test]
fn a_walk_without_a_mapping_finds_what_a_mapped_one_finds_wherever_its_producer_died() {
    for io in [Io::Mapped, Io::File] {
        let walks: Vec<_> =
            (1..400).filter_map(|step| walks::walks_after_a_death(step, io)).collect();
        assert!(walks.len() > 50, "only {} steps", walks.len());
        for (step, [mapped, by_position]) in walks.iter().enumerate() {
            assert_eq!(mapped, by_position, "step {} {io:?}", step + 1);
        }
    }
}

/// Goal: a page that a power cut left in part never comes to rule.
/// Method: all of a jump's page but its first bytes; the next opening dies at each step.
#[test]
fn no_opening_makes_a_torn_page_whole() {
    let mut steps = 0;
    while let Some(missing) = jumps::kill_over_a_torn_page(steps + 1) {
        steps += 1;
        assert!(missing.is_empty(), "step {steps}: {missing:?}");
    }
    assert!(steps > 100, "{steps}");
}

/// Goal: whatever the disk refuses, once or for good, is told, and what was there stays.
/// Method: under each operation, in each form, every call of the disk fails in turn with EIO; the
/// command `errors` tries other errors too.
#[test]
fn any_call_that_fails_leaves_all_that_was_there() {
    let report = errors::run(&errors::CODES[..1]);
    println!("{:#?}", report.outcomes);
    assert_right(&report);
}
