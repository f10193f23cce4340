//! The spill vector beside its peers: in memory a `Vec`; on the disk a plain file of the same
//! encoded items, JSON lines with their offsets in memory, and extsort.
//!
//! Goals, in every run: in memory a push costs at most 1.3 times that of a `Vec`, and a walk 1.2
//! times; on the disk a walk has 70 % of the speed of a plain buffered read and decoding. No peer
//! is swapvec: it depends on crates that nobody maintains, and reads nothing at random.

mod entry;
mod files;
mod sorting;

use std::{hint::black_box, path::Path, time::Instant};

use ringkeep::{Postcard, SpillVec, SpillVecOptions};

use self::{
    entry::Entry,
    files::{JsonLines, PlainFile},
};
use crate::table::{OURS, Report, Role, Work};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Bytes of an item, about.
const ITEM_BYTES: usize = 300;

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: u32,
    items: u32,
    gets: u32,
}

/// What every side did, of one kind of work, in one round.
type Sides<'a> = [(&'static str, Role, Box<dyn FnMut() -> Result<f64> + 'a>)];

pub(crate) fn run(directory: &Path, quick: bool, report: &mut Report) -> Result<()> {
    let plan = if quick {
        Plan { rounds: 3, items: 50_000, gets: 20_000 }
    } else {
        Plan { rounds: 5, items: 1_000_000, gets: 200_000 }
    };
    in_memory(&plan, report)?;
    on_disk(directory, &plan, report)?;
    sorting::run(directory, plan.rounds, plan.items, report)
}

/// Lets every side work, round after round, the last of a round first in the next.
fn compare(work: &mut Work, rounds: u32, sides: &mut Sides<'_>) -> Result<()> {
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let (name, role, side) = &mut sides[at];
            work.add(name, *role, side()?);
        }
    }
    Ok(())
}

/// Nanoseconds of each of `count` items that `act` does.
fn timed(count: u32, act: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    act()?;
    Ok(began.elapsed().as_secs_f64() * 1e9 / f64::from(count))
}

fn options(directory: &Path, memory_bytes: u64) -> SpillVecOptions<Postcard> {
    SpillVecOptions::new(Postcard).memory_bytes(memory_bytes).directory(directory)
}

fn in_memory(plan: &Plan, report: &mut Report) -> Result<()> {
    let count = plan.items;
    let fresh = || (0..count).map(Entry::new).collect::<Vec<_>>();
    let mut push = Work::new("memory", "push", ITEM_BYTES);
    compare(
        &mut push,
        plan.rounds,
        &mut [
            (
                OURS,
                Role::Ours,
                Box::new(|| {
                    let (items, mut vec) =
                        (fresh(), options(Path::new("/nonexistent"), u64::MAX).build()?);
                    let taken = timed(count, || {
                        items
                            .into_iter()
                            .try_for_each(|item| vec.push(item))
                            .map_err(|refused| refused.source.to_string().into())
                    });
                    black_box(vec.len());
                    taken
                }),
            ),
            (
                "Vec",
                Role::Limit,
                Box::new(|| {
                    let (items, mut vec) = (fresh(), Vec::new());
                    let taken = timed(count, || {
                        for item in items {
                            vec.push(item);
                        }
                        Ok(())
                    });
                    black_box(vec.len());
                    taken
                }),
            ),
        ],
    )?;
    report.limit(&push, "Vec", 1.3, "in memory a push takes at most 1.3 times as long");
    report.add(push);
    let vec = fresh();
    let mut ours = options(Path::new("/nonexistent"), u64::MAX).build()?;
    ours.try_extend(fresh()).map_err(|refused| refused.source)?;
    let mut walk = Work::new("memory", "iterate", ITEM_BYTES);
    compare(
        &mut walk,
        plan.rounds,
        &mut [
            (OURS, Role::Ours, Box::new(|| timed(count, || sum(&ours)))),
            (
                "Vec",
                Role::Limit,
                Box::new(|| {
                    timed(count, || {
                        black_box(vec.iter().map(Entry::weight).fold(0, u64::wrapping_add));
                        Ok(())
                    })
                }),
            ),
        ],
    )?;
    report.limit(&walk, "Vec", 1.2, "in memory a walk takes at most 1.2 times as long");
    report.add(walk);
    Ok(())
}

fn sum(vec: &SpillVec<Entry>) -> Result<()> {
    let mut sum = 0_u64;
    for item in vec {
        sum = sum.wrapping_add(item?.weight());
    }
    black_box(sum);
    Ok(())
}

fn on_disk(directory: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let count = plan.items;
    let spilled = || -> Result<SpillVec<Entry>> { Ok(options(directory, 0).build()?) };
    let mut push = Work::new("disk", "push", ITEM_BYTES);
    compare(
        &mut push,
        plan.rounds,
        &mut [
            (
                OURS,
                Role::Ours,
                Box::new(|| {
                    let mut vec = spilled()?;
                    timed(count, || {
                        for number in 0..count {
                            vec.push(Entry::new(number)).map_err(|refused| refused.source)?;
                        }
                        Ok(())
                    })
                }),
            ),
            (
                "plain file",
                Role::Limit,
                Box::new(|| timed(count, || PlainFile::make(count).map(drop))),
            ),
            (
                "JSON lines",
                Role::Peer,
                Box::new(|| timed(count, || JsonLines::make(count).map(drop))),
            ),
        ],
    )?;
    report.add(push);
    read_from_disk(plan, spilled()?, report)
}

fn read_from_disk(plan: &Plan, mut vec: SpillVec<Entry>, report: &mut Report) -> Result<()> {
    let (count, gets) = (plan.items, plan.gets);
    vec.try_extend((0..count).map(Entry::new)).map_err(|refused| refused.source)?;
    let (bare, lines) = (PlainFile::make(count)?, JsonLines::make(count)?);
    let mut walk = Work::new("disk", "iterate", ITEM_BYTES);
    compare(
        &mut walk,
        plan.rounds,
        &mut [
            (OURS, Role::Ours, Box::new(|| timed(count, || sum(&vec)))),
            ("plain file", Role::Limit, Box::new(|| timed(count, || bare.read()))),
            ("JSON lines", Role::Peer, Box::new(|| timed(count, || lines.read()))),
        ],
    )?;
    let text = "on the disk a walk has 70 % of a plain read's speed";
    report.limit(&walk, "plain file", 1.0 / 0.7, text);
    report.add(walk);
    let places = || (0..gets).map(move |at| at.wrapping_mul(2_654_435_761) % count);
    let mut random = Work::new("disk", "random get", ITEM_BYTES);
    compare(
        &mut random,
        plan.rounds,
        &mut [
            (
                OURS,
                Role::Ours,
                Box::new(|| {
                    timed(gets, || {
                        for place in places() {
                            let found = vec.get(place as usize)?.ok_or("an item is missing")?;
                            found.check(place)?;
                        }
                        Ok(())
                    })
                }),
            ),
            (
                "JSON lines",
                Role::Peer,
                Box::new(|| {
                    timed(gets, || places().try_for_each(|place| lines.get(place)?.check(place)))
                }),
            ),
        ],
    )?;
    report.add(random);
    Ok(())
}
