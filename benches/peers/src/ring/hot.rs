//! One producer, and then one reader: a side is made, filled, overwritten, synced, overwritten once
//! more, read in every way, closed, thrown out of the page cache, and read once more.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    time::Instant,
};

use rustix::fs::{Advice, fadvise};
use tempfile::TempDir;

use super::{
    Bench, Result,
    board::{Board, Row},
    records::Records,
    rows,
    sides::{Reader, Setup, Side, Syncs},
};
use crate::rounds::in_rounds;

/// Ids of a `read_many`.
const READ_AT_ONCE: usize = 64;

pub(super) fn run(bench: &Bench<'_>, record_bytes: usize, board: &mut Board) -> Result<()> {
    let plan = &bench.plan;
    let setup = Setup::new(record_bytes, plan.ring_bytes, Syncs::Never);
    let overwritten = setup.capacity.min(plan.writes);
    // What is kept after the ring was filled once and overwritten twice.
    let kept = 2 * overwritten..2 * overwritten + setup.capacity;
    let asked = scattered(&kept, plan.reads);
    in_rounds(plan.rounds, &bench.sides, |side| {
        let place = TempDir::new_in(bench.directory)?;
        let visit = Visit { side, setup, overwritten, kept: kept.clone(), asked: &asked };
        let played = visit.play(place.path(), board);
        played.map_err(|error| format!("{}, {record_bytes} bytes: {error}", side.name).into())
    })
}

/// Ids in an order that no cache can guess: as many as there are, or `most`.
fn scattered(kept: &Range<u64>, most: u64) -> Vec<u64> {
    let count = kept.end - kept.start;
    let mut state = 1_u64;
    let any = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        kept.start + (state >> 32) % count
    });
    any.take(usize::try_from(most.min(count)).unwrap_or(usize::MAX)).collect()
}

/// One side in one round.
struct Visit<'a> {
    side: &'a Side,
    setup: Setup,
    overwritten: u64,
    kept: Range<u64>,
    asked: &'a [u64],
}

impl Visit<'_> {
    fn play(&self, place: &Path, board: &mut Board) -> Result<()> {
        let mut records = Records::new(self.setup.record_bytes);
        let capacity = self.setup.capacity;
        let begun = Instant::now();
        (self.side.open)(place, &self.setup, &mut |writer, readers| {
            let create = ns_each(begun, capacity);
            let fresh = timed(capacity, || writer.append(0..capacity, &mut records))?;
            let ids = capacity..capacity + self.overwritten;
            let overwrite = timed(self.overwritten, || writer.append(ids, &mut records))?;
            writer.sync()?;
            files_of(place)?.iter().try_for_each(File::sync_data)?;
            let ids = capacity + self.overwritten..self.kept.end;
            let writeback = timed(self.overwritten, || writer.append(ids, &mut records))?;
            if self.side.writes() {
                let times = [create, fresh, overwrite, writeback];
                let works = [rows::CREATE, rows::FRESH, rows::OVERWRITE, rows::WRITEBACK];
                works.iter().zip(times).for_each(|(&work, ns)| self.add(board, work, ns));
            }
            self.read(&mut *readers.reader()?, &records, board)
        })?;
        // A reader in the producer's process has nothing that is cold.
        if self.side.writes() { self.read_cold(place, &records, board) } else { Ok(()) }
    }

    fn read(&self, reader: &mut dyn Reader, records: &Records, board: &mut Board) -> Result<()> {
        let (kept, asked) = (&self.kept, self.asked);
        // Everything is mapped or cached before anything is timed.
        reader.scan(kept.clone(), records)?;
        let (count, all) = (asked.len() as u64, kept.end - kept.start);
        let ns = timed(count, || reader.read(asked, records))?;
        self.add(board, rows::RANDOM_READ, ns);
        let ns = timed(count, || {
            asked.chunks(READ_AT_ONCE).try_for_each(|ids| reader.read_many(ids, records))
        })?;
        self.add(board, rows::READ_MANY, ns);
        let ns = timed(all, || reader.scan(kept.clone(), records))?;
        self.add(board, rows::SCAN, ns);
        if self.side.reads_ranges() {
            let ns = timed(all, || reader.read_range(kept.clone(), records))?;
            self.add(board, rows::READ_RANGE, ns);
        }
        Ok(())
    }

    /// Opens what is there, and reads it from the disk. Opening counts: it may read all of it.
    fn read_cold(&self, place: &Path, records: &Records, board: &mut Board) -> Result<()> {
        for file in files_of(place)? {
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        let kept = self.kept.clone();
        let ns = timed(kept.end - kept.start, || match self.side.watch_cold() {
            Some(watch) => {
                watch(place, &self.setup, &mut |reader| reader.scan(kept.clone(), records))
            }
            None => (self.side.open)(place, &self.setup, &mut |_, readers| {
                readers.reader()?.scan(kept.clone(), records)
            }),
        })?;
        self.add(board, rows::COLD_SCAN, ns);
        Ok(())
    }

    fn add(&self, board: &mut Board, (work, what): rows::Name, ns: f64) {
        board.add(Row { work, what, record_bytes: self.setup.record_bytes }, self.side, ns);
    }
}

/// Nanoseconds of each of `count` records.
pub(super) fn timed(count: u64, act: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    act()?;
    Ok(ns_each(began, count))
}

#[expect(clippy::cast_precision_loss, reason = "a count of records is far below 2^52")]
pub(super) fn ns_each(began: Instant, count: u64) -> f64 {
    began.elapsed().as_secs_f64() * 1e9 / count as f64
}

/// All files below this directory.
fn files_of(directory: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(File::open(entry.path())?);
            }
        }
    }
    Ok(files)
}
