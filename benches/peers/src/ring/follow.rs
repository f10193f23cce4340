//! Readers that follow a producer: each of them reads each record, in order. The producer waits
//! where it would lap one.

use std::{
    ops::Range,
    path::Path,
    thread::{self, ScopedJoinHandle},
    time::Instant,
};

use tempfile::TempDir;

use super::{
    Bench, Result,
    board::{Board, Row},
    child::{Child, Job, Started},
    hot::ns_each,
    pace::{Pace, Wait},
    records::Records,
    rows,
    sides::{Readers, Setup, Side, Syncs, Writer, pieces},
};
use crate::rounds::in_rounds;

/// Parts of the ring that a producer fills, and a reader reads, between two looks at the other.
const STEPS: u64 = 16;

/// Where the readers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Threads,
    Processes,
}

pub(super) fn run(bench: &Bench<'_>, record_bytes: usize, board: &mut Board) -> Result<()> {
    let setup = Setup::new(record_bytes, bench.plan.followed_ring_bytes, Syncs::Never);
    let count = bench.plan.followed(&setup);
    for (readers, name) in rows::FOLLOW {
        let chase = Chase { setup, readers, count, place: Where::Threads };
        chase.compare(bench, &bench.sides, name, board)?;
    }
    let able = |side: &&Side| side.watch.is_some();
    let sides: Vec<Side> = bench.sides.iter().filter(able).copied().collect();
    for (readers, name) in rows::FOLLOW_ELSEWHERE {
        let chase = Chase { setup, readers, count, place: Where::Processes };
        chase.compare(bench, &sides, name, board)?;
    }
    Ok(())
}

/// A producer and so many readers.
struct Chase {
    setup: Setup,
    readers: u32,
    count: u64,
    place: Where,
}

impl Chase {
    fn compare(
        &self,
        bench: &Bench<'_>,
        sides: &[Side],
        (work, what): rows::Name,
        board: &mut Board,
    ) -> Result<()> {
        let record_bytes = self.setup.record_bytes;
        in_rounds(bench.plan.rounds, sides, |side| {
            let place = TempDir::new_in(bench.directory)?;
            let ns = self.once(place.path(), side).map_err(|error| {
                format!("{}, {work}, {record_bytes} bytes, {what}: {error}", side.name)
            })?;
            board.add(Row { work, what, record_bytes }, side, ns);
            Ok(())
        })
    }

    /// Nanoseconds of each record that a reader got.
    fn once(&self, place: &Path, side: &Side) -> Result<f64> {
        let mut records = Records::new(self.setup.record_bytes);
        let first = self.setup.capacity;
        let mut ns = 0.0;
        (side.open)(place, &self.setup, &mut |writer, readers| {
            // A full ring is what is followed.
            writer.append(0..first, &mut records)?;
            let run = Run {
                setup: self.setup,
                ids: first..first + self.count,
                pace: Pace::new(self.readers, first),
                wait: Wait::new(),
            };
            let took = match self.place {
                Where::Threads => run.with_threads(self.readers, writer, readers, &mut records),
                Where::Processes => {
                    run.with_processes(self.readers, place, side, writer, &mut records)
                }
            }?;
            ns = took / f64::from(self.readers);
            Ok(())
        })?;
        Ok(ns)
    }
}

struct Run {
    setup: Setup,
    ids: Range<u64>,
    pace: Pace,
    wait: Wait,
}

impl Run {
    /// Nanoseconds of each record that was appended, until all readers have it.
    fn with_threads(
        &self,
        count: u32,
        writer: &mut dyn Writer,
        readers: &dyn Readers,
        records: &mut Records,
    ) -> Result<f64> {
        let readers: Result<Vec<_>> = (0..count).map(|_| readers.reader()).collect();
        let readers = readers?;
        thread::scope(|scope| {
            let begun = Instant::now();
            let mut threads = Vec::new();
            for (number, mut reader) in readers.into_iter().enumerate() {
                let records = records.clone();
                threads.push(scope.spawn(move || {
                    self.follow(number, |ids| reader.follow(ids, &records, &self.wait))
                }));
            }
            let produced = self.produce(writer, records);
            let followed = join(threads);
            let ns = ns_each(begun, self.ids.end - self.ids.start);
            // A reader that failed says more than a producer that waited for it.
            followed.and(produced).map(|()| ns)
        })
    }

    fn with_processes(
        &self,
        count: u32,
        place: &Path,
        side: &Side,
        writer: &mut dyn Writer,
        records: &mut Records,
    ) -> Result<f64> {
        let child = Child::new(Job::Follow, side, place, &self.setup, &self.ids);
        let started: Result<Vec<Started>> = (0..count).map(|_| child.start()).collect();
        let started = started?;
        thread::scope(|scope| {
            let begun = Instant::now();
            let mut threads = Vec::new();
            for (number, mut started) in started.into_iter().enumerate() {
                threads.push(scope.spawn(move || {
                    self.follow(number, |ids| started.hear(ids.end))?;
                    started.end()
                }));
            }
            let produced = self.produce(writer, records);
            let ns = produced.and_then(|()| {
                self.pace.wait_for(self.ids.end, &self.wait)?;
                Ok(ns_each(begun, self.ids.end - self.ids.start))
            });
            join(threads).and(ns)
        })
    }

    /// One reader, here or elsewhere, step by step.
    fn follow(&self, number: usize, mut step: impl FnMut(Range<u64>) -> Result<()>) -> Result<()> {
        self.wait.guard(steps(&self.setup, &self.ids).try_for_each(|ids| {
            step(ids.clone())?;
            self.pace.came_to(number, ids.end);
            Ok(())
        }))
    }

    fn produce(&self, writer: &mut dyn Writer, records: &mut Records) -> Result<()> {
        self.wait.guard(steps(&self.setup, &self.ids).try_for_each(|ids| {
            // Half of the ring is left to those readers that have the most to catch up on.
            let lapped = ids.end.saturating_sub(self.setup.capacity / 2);
            self.pace.wait_for(lapped, &self.wait)?;
            writer.append(ids, records)
        }))
    }
}

fn join(threads: Vec<ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    let joined =
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a reader panicked")?);
    joined.fold(Ok(()), Result::and)
}

/// What is read or appended between two looks at the other ones.
pub(super) fn steps(setup: &Setup, ids: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    pieces(ids.clone(), (setup.capacity / STEPS).max(1))
}
