//! Appends in groups of 64, of which each is on stable storage before the next one: one sync of the
//! side for each group.

use std::path::Path;

use tempfile::TempDir;

use super::{
    Bench, Plan, Result,
    board::{Board, Row},
    hot::timed,
    records::Records,
    rows,
    sides::{Setup, Side, Syncs, pieces},
};
use crate::rounds::in_rounds;

/// Records of a group.
pub(super) const GROUP: u64 = 64;
/// A small ring: what counts is the syncs.
const RING_BYTES: u64 = 4 << 20;
/// Many short rounds: a disk that others use is slow for seconds at a time.
const ROUNDS_TIMES: u32 = 3;

pub(super) fn run(bench: &Bench<'_>, record_bytes: usize, board: &mut Board) -> Result<()> {
    let plan = &bench.plan;
    let setup = Setup::new(record_bytes, RING_BYTES, Syncs::EachAppend);
    let (work, what) = rows::DURABLE64;
    let sides: Vec<Side> = bench.sides.iter().filter(|side| side.writes()).copied().collect();
    in_rounds(ROUNDS_TIMES * plan.rounds, &sides, |side| {
        let place = TempDir::new_in(bench.directory)?;
        let ns = once(place.path(), plan, &setup, side)
            .map_err(|error| format!("{}, {work}, {record_bytes} bytes: {error}", side.name))?;
        board.add(Row { work, what, record_bytes }, side, ns);
        Ok(())
    })
}

fn once(place: &Path, plan: &Plan, setup: &Setup, side: &Side) -> Result<f64> {
    let mut records = Records::new(setup.record_bytes);
    let mut ns = 0.0;
    let end = setup.capacity + plan.groups * GROUP;
    (side.open)(place, setup, &mut |writer, _| {
        writer.append(0..setup.capacity, &mut records)?;
        ns = timed(plan.groups * GROUP, || {
            pieces(setup.capacity..end, GROUP).try_for_each(|ids| writer.append(ids, &mut records))
        })?;
        Ok(())
    })?;
    // Opened again, so that what is checked came from its files.
    (side.open)(place, setup, &mut |_, readers| {
        readers.reader()?.scan(end - setup.capacity..end, &records)
    })?;
    Ok(ns)
}
