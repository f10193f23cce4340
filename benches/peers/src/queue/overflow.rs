//! `overflow`: far more items than fit into memory are pushed, and then all of them are taken.
//!
//! Nobody syncs. A side pushes for a time at most, so that a slow one does not hold up the run: it
//! then has fewer items to take, which is to its advantage. The time of an item includes making it
//! (for all sides: an allocation and a copy) and checking it.

use std::{fs, path::Path, time::Instant};

use super::{
    Plan, SIZES, fresh,
    items::Items,
    ns_each,
    side::{Failure, Guarantee, Result, Setup, Side},
    sides::SIDES,
};
use crate::{
    rounds::in_rounds,
    table::{Goal, Report, Work},
};

const SCENARIO: &str = "overflow";
/// Items that a call pushes or takes.
const GROUPS: [u32; 2] = [1, 64];
const TIMES_MIN: f64 = 5.0;
/// The clock is looked at once in so many items.
const LOOK_EVERY: u32 = 64;

/// One side's round.
struct Round {
    pushed: u32,
    in_ns: f64,
    out_ns: f64,
    /// Of all items, those that lay on the disk when the last one was pushed.
    on_disk: Option<f64>,
}

pub(crate) fn run(directory: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    for item_bytes in SIZES {
        for group in GROUPS {
            let setup = Setup {
                guarantee: Guarantee::None,
                item_bytes,
                total_bytes: plan.overflow_bytes,
                budget_bytes: plan.budget_bytes,
                threads: 1,
            };
            compare(directory, plan, &setup, group, report)?;
        }
    }
    Ok(())
}

fn compare(
    directory: &Path,
    plan: &Plan,
    setup: &Setup,
    group: u32,
    report: &mut Report,
) -> Result<()> {
    let sides: Vec<Side> =
        SIDES.iter().filter(|side| group == 1 || side.has_groups).copied().collect();
    let items = Items::new(setup.item_bytes);
    let calls = if group == 1 { "one a call".into() } else { format!("{group} a call") };
    let [mut inward, mut outward, mut both] = ["in", "out", "in and out"]
        .map(|way| Work::new(SCENARIO, format!("{way}, {calls}"), setup.item_bytes));
    let warm_up = Setup { total_bytes: setup.total_bytes / 16, ..*setup };
    for side in &sides {
        once(directory, plan, &warm_up, group, side, &items)?;
    }
    in_rounds(plan.rounds, &sides, |side| {
        let round = once(directory, plan, setup, group, side, &items)?;
        inward.add(side.name, side.role, round.in_ns);
        outward.add(side.name, side.role, round.out_ns);
        both.add(side.name, side.role, round.in_ns + round.out_ns);
        if round.on_disk.is_some_and(|share| share < 0.5) {
            return Err(Failure::new(side.name, "overflow")("most items were in memory"));
        }
        note(report, setup, &calls, side, &round);
        Ok(())
    })?;
    if setup.item_bytes == SIZES[0] {
        for work in [&inward, &outward, &both] {
            report.add_goal(goal(work));
        }
    }
    for work in [inward, outward, both] {
        report.add(work);
    }
    Ok(())
}

fn note(report: &mut Report, setup: &Setup, calls: &str, side: &Side, round: &Round) {
    let all = setup.total_bytes / setup.item_bytes;
    if usize::try_from(round.pushed).is_ok_and(|pushed| pushed < all) {
        report.note(format!(
            "{} had not pushed all items of {} bytes, {calls}, when its time was up",
            side.name, setup.item_bytes
        ));
    }
}

fn goal(work: &Work) -> Goal {
    let (name, ratio) = work.best_peer().unwrap_or(("none", f64::NAN));
    Goal {
        text: format!("{SCENARIO}, {} bytes, {}", work.item_bytes, work.what),
        found: format!("{ratio:.2} times as fast as {name}, goal at least {TIMES_MIN}"),
        is_met: ratio >= TIMES_MIN,
    }
}

fn once(
    directory: &Path,
    plan: &Plan,
    setup: &Setup,
    group: u32,
    side: &Side,
    items: &Items,
) -> Result<Round> {
    let directory = directory.join(SCENARIO);
    fresh(&directory)?;
    let peer = (side.open)(&directory, setup)?;
    let count = u32::try_from(setup.total_bytes / setup.item_bytes).unwrap_or(u32::MAX);
    let count = count / group * group;
    let begun = Instant::now();
    let mut pushed = 0;
    while pushed < count && (pushed % LOOK_EVERY != 0 || begun.elapsed() < plan.overflow_time) {
        let first = u64::from(pushed);
        if group == 1 {
            peer.push(items.make(first))?;
        } else {
            peer.push_group(items.make_group(first, group))?;
        }
        pushed += group;
    }
    let in_ns = ns_each(begun.elapsed(), pushed);
    let on_disk = peer.items_on_disk().map(|on_disk| share(on_disk, pushed));
    let begun = Instant::now();
    let mut next = 0;
    while next < u64::from(pushed) {
        let taken = if group == 1 {
            peer.take()?.into_iter().collect()
        } else {
            peer.take_group(usize::try_from(group).unwrap_or(usize::MAX))?
        };
        if taken.is_empty() {
            let missing = format!("it ended after {next} of {pushed} items");
            return Err(Failure::new(side.name, "give back all items")(missing));
        }
        for item in taken {
            items.check(side.name, &item, next)?;
            next += 1;
        }
    }
    let out_ns = ns_each(begun.elapsed(), pushed);
    if peer.take()?.is_some() {
        return Err(Failure::new(side.name, "end")("an item came out that was never pushed"));
    }
    drop(peer);
    fs::remove_dir_all(&directory).map_err(Failure::new("the benchmark", "remove its files"))?;
    Ok(Round { pushed, in_ns, out_ns, on_disk })
}

fn share(part: u64, all: u32) -> f64 {
    u32::try_from(part).map_or(1.0, f64::from) / f64::from(all)
}
