//! `durable`: what was pushed is on stable storage when the push returns, on every side.
//!
//! Items are pushed in groups of 1, 16 and 64 by one thread, and one by one by eight threads at
//! once, where a side that shares syncs needs fewer of them. The time of taking does not count. The
//! queue is closed and opened again before that, so that what is checked came from its files.

use std::{fs, path::Path, thread, time::Instant};

use super::{
    Plan, SIZES, fresh,
    items::{Items, number_of},
    ns_each,
    side::{Failure, Guarantee, Peer, Result, Setup, Side},
    sides::SIDES,
};
use crate::{
    rounds::in_rounds,
    table::{Goal, Report, Work},
};

const SCENARIO: &str = "durable";
/// Items that a push has, and threads that push.
const SHAPES: [(u32, u32); 4] = [(1, 1), (16, 1), (64, 1), (1, 8)];
const TIMES_MIN: f64 = 2.0;
/// A number is that of a thread, and its own below.
const THREAD_SHIFT: u32 = 32;
const TAKEN_AT_ONCE: usize = 256;

pub(crate) fn run(directory: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    for item_bytes in SIZES {
        for (group, threads) in SHAPES {
            let setup = Setup {
                guarantee: Guarantee::PowerCut,
                item_bytes,
                total_bytes: 256 << 20,
                budget_bytes: plan.budget_bytes,
                threads,
            };
            compare(directory, plan, &setup, group, report)?;
        }
    }
    for side in SIDES.iter().filter(|side| !side.has_syncs) {
        report.note(format!(
            "{} has no durable rows: its source never calls fsync or fdatasync",
            side.name
        ));
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
    let fits = |side: &&Side| side.has_syncs && (group == 1 || side.has_groups);
    let sides: Vec<Side> = SIDES.iter().filter(fits).copied().collect();
    let items = Items::new(setup.item_bytes);
    let what = match (group, setup.threads) {
        (1, 1) => "pushes of one item".to_owned(),
        (group, 1) => format!("pushes of {group} items"),
        (_, threads) => format!("{threads} threads push one item at a time"),
    };
    let mut work = Work::new(SCENARIO, what, setup.item_bytes);
    let warm_up = Plan { durable_time: plan.durable_time / 8, ..*plan };
    for side in &sides {
        once(directory, &warm_up, setup, group, side, &items)?;
    }
    in_rounds(plan.rounds, &sides, |side| {
        work.add(side.name, side.role, once(directory, plan, setup, group, side, &items)?);
        Ok(())
    })?;
    if setup.threads > 1 {
        report.add_goal(goal(&work));
    }
    report.add(work);
    Ok(())
}

fn goal(work: &Work) -> Goal {
    let (name, ratio) = work.best_peer().unwrap_or(("none", f64::NAN));
    Goal {
        text: format!("{SCENARIO}, {} bytes, {}", work.item_bytes, work.what),
        found: format!("{ratio:.2} times as fast as {name}, goal at least {TIMES_MIN}"),
        is_met: ratio >= TIMES_MIN,
    }
}

/// Nanoseconds an item, over all threads.
fn once(
    directory: &Path,
    plan: &Plan,
    setup: &Setup,
    group: u32,
    side: &Side,
    items: &Items,
) -> Result<f64> {
    let directory = directory.join(SCENARIO);
    fresh(&directory)?;
    let peer = (side.open)(&directory, setup)?;
    let begun = Instant::now();
    let push = |thread: u32| -> Result<u32> {
        let mut pushed = 0;
        while pushed == 0 || begun.elapsed() < plan.durable_time {
            let first = (u64::from(thread) << THREAD_SHIFT) + u64::from(pushed);
            if group == 1 {
                peer.push(items.make(first))?;
            } else {
                peer.push_group(items.make_group(first, group))?;
            }
            pushed += group;
        }
        Ok(pushed)
    };
    let pushed: Result<Vec<u32>> = if setup.threads == 1 {
        push(0).map(|pushed| vec![pushed])
    } else {
        thread::scope(|scope| {
            let push = &push;
            let threads = (0..setup.threads).map(|thread| scope.spawn(move || push(thread)));
            let threads: Vec<_> = threads.collect();
            threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
        })
    };
    let pushed = pushed?;
    let ns = ns_each(begun.elapsed(), pushed.iter().sum());
    drop(peer);
    check(&*(side.open)(&directory, setup)?, side.name, items, &pushed)?;
    fs::remove_dir_all(&directory).map_err(Failure::new("the benchmark", "remove its files"))?;
    Ok(ns)
}

/// Takes all items: those of each thread are complete and in order.
fn check(peer: &dyn Peer, name: &'static str, items: &Items, pushed: &[u32]) -> Result<()> {
    let mut next = vec![0; pushed.len()];
    let all: u64 = pushed.iter().copied().map(u64::from).sum();
    let mut left = all;
    while left > 0 {
        let taken = peer.take_group(TAKEN_AT_ONCE)?;
        if taken.is_empty() {
            let missing = format!("{left} of {all} items were gone when it was opened again");
            return Err(Failure::new(name, "keep what was durable")(missing));
        }
        left = left.saturating_sub(taken.len() as u64);
        for item in taken {
            let thread = number_of(&item).unwrap_or(u64::MAX) >> THREAD_SHIFT;
            let place = usize::try_from(thread).ok().and_then(|thread| next.get_mut(thread));
            let Some(next) = place else {
                return Err(Failure::new(name, "keep the order")("an item of no thread came out"));
            };
            items.check(name, &item, (thread << THREAD_SHIFT) + *next)?;
            *next += 1;
        }
    }
    match peer.take()? {
        Some(_) => Err(Failure::new(name, "end")("an item came out that was never pushed")),
        None => Ok(()),
    }
}
