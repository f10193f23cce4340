//! The store beside its peers: redb as it is, fjall, and LMDB.
//!
//! Every side begins each round empty: it takes all keys in one transaction, is asked for each of
//! them in another order, walks through them by prefix, and then writes keys one by one. What a
//! write returned survives a power cut, on all sides. Goal, in every run: none of these takes
//! ringkeep more than 1.1 times as long as redb, which it stands on.

mod entries;
mod sides;

use std::{path::Path, time::Instant};

use tempfile::TempDir;

use self::{
    entries::{ENTRY_BYTES, Entries},
    sides::{Peer, SIDES, Side},
};
use crate::table::{Report, Work};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What all sides that have one are given as a cache: ringkeep's default.
const CACHE_BYTES: u32 = 64 << 20;

/// The side that a goal is a multiple of.
const MEASURE: &str = "redb";
const TIMES_MOST: f64 = 1.1;

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    /// Keys that are read in a round, by `get` and by prefix, all of them again and again.
    reads: u32,
    /// Durable writes of one key in a round.
    writes: u32,
}

const QUICK: Plan = Plan { rounds: 3, reads: 100_000, writes: 30 };
const FULL: Plan = Plan { rounds: 11, reads: 400_000, writes: 300 };

/// How many keys there are.
const SIZES: [u32; 2] = [10_000, 100_000];

pub(crate) fn run(directory: &Path, quick: bool, report: &mut Report) -> Result<()> {
    let plan = if quick { QUICK } else { FULL };
    SIZES.iter().try_for_each(|&count| compare(directory, &plan, &Entries::new(count), report))
}

/// What is timed, in this order.
struct Works {
    fill: Work,
    get: Work,
    scan: Work,
    put: Work,
}

impl Works {
    fn new(count: u32) -> Self {
        let work = |what| Work::new("store", format!("{count} keys, {what}"), ENTRY_BYTES);
        Self {
            fill: work("written in one transaction"),
            get: work("get, in any order"),
            scan: work("scan by prefix, 100 keys each"),
            put: work("durable write of one key"),
        }
    }
}

/// Lets every side work, round after round, the last of a round first in the next.
fn compare(directory: &Path, plan: &Plan, entries: &Entries, report: &mut Report) -> Result<()> {
    let mut works = Works::new(entries.count());
    for round in 0..plan.rounds {
        let mut order: Vec<&Side> = SIDES.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for side in order {
            let place = TempDir::new_in(directory)?;
            let round = Round { side, plan, entries };
            (side.open)(place.path(), &mut |peer| round.play(peer, &mut works))
                .map_err(|error| format!("{}: {error}", side.name))?;
        }
    }
    let Works { fill, get, scan, put } = works;
    for work in [fill, get, scan, put] {
        let text = format!("{}, at most {TIMES_MOST} times as long", work.what);
        report.limit(&work, MEASURE, TIMES_MOST, &text);
        report.add(work);
    }
    Ok(())
}

/// One side in one round.
struct Round<'a> {
    side: &'a Side,
    plan: &'a Plan,
    entries: &'a Entries,
}

impl Round<'_> {
    fn play(&self, peer: &dyn Peer, works: &mut Works) -> Result<()> {
        let (plan, entries) = (self.plan, self.entries);
        let passes = (plan.reads / entries.count()).max(1);
        let count = entries.count();
        self.timed(&mut works.fill, count, || peer.fill(entries.shuffled()))?;
        self.timed(&mut works.get, passes * count, || {
            (0..passes).try_for_each(|_| entries.get_all(peer))
        })?;
        self.timed(&mut works.scan, passes * count, || {
            (0..passes).try_for_each(|_| entries.scan_all(peer))
        })?;
        self.timed(&mut works.put, plan.writes, || {
            entries.shuffled()[..plan.writes as usize]
                .iter()
                .try_for_each(|entry| peer.put(&entry.key, &entry.next_value()))
        })?;
        entries.check_written(peer, plan.writes as usize)
    }

    fn timed(&self, work: &mut Work, count: u32, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let began = Instant::now();
        act()?;
        let ns = began.elapsed().as_secs_f64() * 1e9 / f64::from(count);
        work.add(self.side.name, self.side.role, ns);
        Ok(())
    }
}
