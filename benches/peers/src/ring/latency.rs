//! How long a single read takes, each one timed: alone, beside a producer at full speed, and beside
//! one that syncs each 64 records. Databases begin a transaction for each read, so that they see
//! what is new. The time includes that of the clock, some 30 ns, on all sides.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use tempfile::TempDir;

use super::{
    Bench, Plan, Result,
    board::{Board, Row},
    durable::GROUP,
    pace::{Pace, Wait},
    records::Records,
    rows,
    sides::{BoxedReader, Setup, Side, Syncs, Writer},
};
use crate::rounds::in_rounds;

pub(super) const RECORD_BYTES: usize = 128;
/// Reads are among the newest ids, one of so many parts of the ring; the producer may come up to
/// where these begin.
const PARTS: u64 = 4;
/// Ids of an append where the producer does not sync: what was appended is told once for so many.
const TOLD_AT_ONCE: u64 = 256;

/// What the producer does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Appends,
    Syncs,
}

pub(super) fn run(bench: &Bench<'_>, board: &mut Board) -> Result<()> {
    let plan = &bench.plan;
    for (beside, names) in [
        (Beside::Nothing, rows::LATENCY_ALONE),
        (Beside::Appends, rows::LATENCY_BESIDE),
        (Beside::Syncs, rows::LATENCY_BESIDE_SYNCS),
    ] {
        let syncs = if beside == Beside::Syncs { Syncs::EachAppend } else { Syncs::Never };
        let setup = Setup::new(RECORD_BYTES, plan.ring_bytes, syncs);
        in_rounds(plan.rounds, &bench.sides, |side| {
            let place = TempDir::new_in(bench.directory)?;
            let found = once(place.path(), plan, &setup, side, beside)
                .map_err(|error| format!("{}, {}: {error}", side.name, names[0].1))?;
            for ((work, what), ns) in names.into_iter().zip(percentiles(found)) {
                board.add(Row { work, what, record_bytes: RECORD_BYTES }, side, ns);
            }
            Result::Ok(())
        })?;
    }
    Ok(())
}

/// Nanoseconds of each read.
fn once(place: &Path, plan: &Plan, setup: &Setup, side: &Side, beside: Beside) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut records = Records::new(RECORD_BYTES);
    (side.open)(place, setup, &mut |writer, readers| {
        writer.append(0..setup.capacity, &mut records)?;
        let race = Race::new(setup, plan.timed_reads);
        found = race.run(beside, writer, readers.reader()?, &mut records)?;
        Ok(())
    })?;
    Ok(found)
}

/// One reader and the producer of one side.
struct Race {
    setup: Setup,
    reads: u64,
    /// The id after the last one that was appended.
    next: AtomicU64,
    pace: Pace,
    wait: Wait,
}

impl Race {
    fn new(setup: &Setup, reads: u64) -> Self {
        let next = AtomicU64::new(setup.capacity);
        let pace = Pace::new(1, setup.capacity);
        Self { setup: *setup, reads, next, pace, wait: Wait::new() }
    }

    /// Nanoseconds of each read.
    fn run(
        &self,
        beside: Beside,
        writer: &mut dyn Writer,
        mut reader: BoxedReader<'_>,
        records: &mut Records,
    ) -> Result<Vec<u64>> {
        thread::scope(|scope| {
            let checked = records.clone();
            let thread = scope.spawn(move || {
                let read = self.read(&mut reader, &checked);
                self.wait.end();
                read
            });
            let produced = match beside {
                Beside::Nothing => Ok(()),
                Beside::Appends => self.produce(TOLD_AT_ONCE, writer, records),
                Beside::Syncs => self.produce(GROUP, writer, records),
            };
            if produced.is_err() {
                self.wait.end();
            }
            let read = thread.join().map_err(|_| "a reader panicked")?;
            produced.and(read)
        })
    }

    fn read(&self, reader: &mut BoxedReader<'_>, records: &Records) -> Result<Vec<u64>> {
        let part = self.setup.capacity / PARTS;
        let mut state = 1_u64;
        let mut times = Vec::new();
        // What is read is mapped or cached before anything is timed.
        reader.scan(self.setup.capacity - part..self.setup.capacity, records)?;
        for _ in 0..self.reads {
            // Acquire: pairs with the producer's Release store.
            let next = self.next.load(Ordering::Acquire);
            self.pace.came_to(0, next);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = next - 1 - (state >> 32) % part;
            let begun = Instant::now();
            reader.read(&[id], records)?;
            times.push(u64::try_from(begun.elapsed().as_nanos())?);
        }
        Ok(times)
    }

    /// Appends until the reader has done all of its reads.
    fn produce(&self, at_once: u64, writer: &mut dyn Writer, records: &mut Records) -> Result<()> {
        let mut next = self.setup.capacity;
        while !self.wait.is_over() {
            // The reader may still read the newest part as it was when it told where it is.
            let needed = self.setup.capacity / PARTS * (PARTS - 1);
            if self.pace.wait_for((next + at_once).saturating_sub(needed), &self.wait).is_err() {
                break;
            }
            writer.append(next..next + at_once, records)?;
            next += at_once;
            // Release: pairs with the reader's Acquire load; the records below are in place.
            self.next.store(next, Ordering::Release);
        }
        Ok(())
    }
}

/// The median, what one in a hundred takes, and one in a thousand.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds are far below 2^52")]
pub(super) fn percentiles(mut ns: Vec<u64>) -> [f64; 3] {
    ns.sort_unstable();
    [500, 990, 999].map(|part| {
        let at = ns.len() * part / 1000;
        ns.get(at).map_or(f64::NAN, |&ns| ns as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_what_so_many_do_not_reach() {
        let found = percentiles((0..1000).rev().collect());
        assert!(found.iter().zip([500.0, 990.0, 999.0]).all(|(one, other)| one.eq(&other)));
        assert!(percentiles(Vec::new())[0].is_nan());
    }
}
