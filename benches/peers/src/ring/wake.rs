//! How long a reader that sleeps in another process takes to wake: from before the append to after
//! the wait, by the clock that both share. The limit is a byte in a pipe. Other sides wake nobody.

use std::{
    io::{self, Read as _, Write as _},
    ops::Range,
    path::Path,
    thread,
    time::Duration,
};

use ringkeep::{Ring, RingOptions, Start, Tailed};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use super::{
    Bench, Result,
    board::{Board, Row},
    child::{Child, Job, Started, say},
    latency::percentiles,
    records::Records,
    rows,
    sides::{LIMIT, Setup, Side, Syncs},
};
use crate::{rounds::in_rounds, table::OURS};

pub(super) const RECORD_BYTES: usize = 128;
const RING_BYTES: u64 = 1 << 20;
/// Between two appends, so that the reader sleeps again: longer than ringkeep takes to call a
/// producer quiet, and less.
const PAUSES: [(Duration, rows::Percentiles); 2] =
    [(Duration::from_millis(5), rows::WAKE_QUIET), (Duration::from_millis(1), rows::WAKE_BUSY)];
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &Bench<'_>, board: &mut Board) -> Result<()> {
    let plan = &bench.plan;
    let setup = Setup::new(RECORD_BYTES, RING_BYTES, Syncs::Never);
    let able = |side: &&Side| [LIMIT, OURS].contains(&side.name);
    let sides: Vec<Side> = bench.sides.iter().filter(able).copied().collect();
    for (pause, names) in PAUSES {
        in_rounds(plan.rounds, &sides, |side| {
            let place = TempDir::new_in(bench.directory)?;
            let line = Line { side, place: place.path(), setup, ids: 0..plan.wakes, pause };
            let ns = if side.name == LIMIT { line.by_pipe() } else { line.by_ring() };
            let ns = ns.map_err(|error| format!("{}, wake: {error}", side.name))?;
            for ((work, what), ns) in names.into_iter().zip(percentiles(ns)) {
                board.add(Row { work, what, record_bytes: RECORD_BYTES }, side, ns);
            }
            Result::Ok(())
        })?;
    }
    Ok(())
}

/// To a reader in another process.
struct Line<'a> {
    side: &'a Side,
    place: &'a Path,
    setup: Setup,
    ids: Range<u64>,
    pause: Duration,
}

impl Line<'_> {
    fn by_pipe(&self) -> Result<Vec<u64>> {
        self.send(self.start()?, |started, _| Ok(started.stdin.write_all(&[1])?))
    }

    fn by_ring(&self) -> Result<Vec<u64>> {
        let options = RingOptions::new(self.setup.record_bytes, self.setup.capacity);
        let mut producer = options.create(self.place.join("ring.dat"))?;
        let mut records = Records::new(self.setup.record_bytes);
        self.send(self.start()?, |_, id| Ok(producer.append(records.make(id)).map(drop)?))
    }

    fn start(&self) -> Result<Started> {
        Child::new(Job::Wake, self.side, self.place, &self.setup, &self.ids).start()
    }

    /// Nanoseconds from each append to the wake.
    fn send(
        &self,
        mut started: Started,
        mut append: impl FnMut(&mut Started, u64) -> Result<()>,
    ) -> Result<Vec<u64>> {
        let mut sent = Vec::new();
        for id in self.ids.clone() {
            thread::park_timeout(self.pause);
            sent.push(now());
            append(&mut started, id)?;
        }
        let woken: Result<Vec<u64>> = sent.iter().map(|_| started.listen()).collect();
        started.end()?;
        Ok(woken?.into_iter().zip(sent).map(|(woken, sent)| woken.saturating_sub(sent)).collect())
    }
}

/// In the other process: sleeps until each of the ids comes, and then says when it woke.
pub(super) fn sleep(side: &Side, place: &Path, setup: &Setup, ids: &Range<u64>) -> Result<()> {
    let mut woken = Vec::new();
    if side.name == LIMIT {
        say(ids.start)?;
        let mut pipe = io::stdin().lock();
        for _ in ids.clone() {
            pipe.read_exact(&mut [0])?;
            woken.push(now());
        }
    } else {
        let records = Records::new(setup.record_bytes);
        let mut tailer = Ring::open(place.join("ring.dat"))?.tailer(Start::Id(ids.start));
        say(ids.start)?;
        for expected in ids.clone() {
            match tailer.next_timeout(PATIENCE)? {
                Some(Tailed::Record { id, payload }) if id == expected => {
                    woken.push(now());
                    records.check(id, payload)?;
                }
                other => return Err(format!("{other:?} instead of id {expected}").into()),
            }
        }
    }
    woken.into_iter().try_for_each(say)
}

/// Nanoseconds of a clock that is one for all processes.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
