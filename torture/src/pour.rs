//! Much more than fits its memory poured through a spool: is it right, and do memory and disk keep
//! to their limits as the kernel counts them?
//!
//! The bytes of a part follow from its number. Some threads write the parts; when half of them are
//! there, one begins to take them out in order. Promised and judged: every byte comes out as it
//! went in; the process has never had more than twice the budget resident; the spool's file never
//! takes more than 1.05 times the most bytes that were not drained; it takes nothing at the end.

use std::{
    fs, io,
    io::{BufRead as _, Write as _},
    os::unix::fs::MetadataExt as _,
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use ringkeep::{DrainedPart, Spool, SpoolOptions};

use crate::report::Report;

/// Bytes that a writer writes at once.
const BLOCK_BYTES: u64 = 64 << 10;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Parts written.
    pub parts: u64,
    /// Bytes of each.
    pub part_bytes: u64,
    /// What they may take of memory.
    pub budget_bytes: u64,
    /// Threads that write.
    pub writers: u64,
}

/// Does it once, with a file in `TMPDIR`, in a process that has done nothing else before.
#[must_use]
pub fn run(load: &Load) -> Report {
    let mut report = Report { trials: 1, ..Report::default() };
    if let Err(error) = work(load, &mut report) {
        report.fail(error.to_string());
    }
    report.judge_resident(load.budget_bytes);
    report
}

/// What the threads have done.
#[derive(Debug, Default)]
struct Done {
    next: AtomicU64,
    written: AtomicU64,
}

fn work(load: &Load, report: &mut Report) -> io::Result<()> {
    let spool = SpoolOptions::new().memory_bytes(load.budget_bytes).build();
    let done = Done::default();
    let (complete, completed) = channel();
    thread::scope(|scope| {
        for _ in 0..load.writers {
            let (spool, done, complete) = (&spool, &done, complete.clone());
            scope.spawn(move || {
                if let Err(error) = write(spool, load, done, &complete) {
                    eprintln!("{error}");
                    // Whoever drains comes to what this thread was to write.
                    let _ = spool.finish(load.parts);
                }
            });
        }
        drop(complete);
        drain(&spool, load, &done, &completed, report)
    })?;
    let stats = spool.stats();
    report.add("parts", stats.parts_drained);
    report.add("MiB", stats.drained_bytes >> 20);
    report.add("KiB of parts in memory at most", stats.resident_bytes_peak >> 10);
    if stats.resident_bytes_peak > load.budget_bytes || stats.parts_drained != load.parts {
        report.fail(format!("{stats:?}"));
    }
    if file_bytes()? > 0 {
        report.fail(format!("the file still takes {} bytes", file_bytes()?));
    }
    Ok(())
}

fn write(spool: &Spool, load: &Load, done: &Done, complete: &Sender<()>) -> io::Result<()> {
    let mut block = Vec::new();
    loop {
        let number = done.next.fetch_add(1, Relaxed);
        if number >= load.parts {
            return Ok(());
        }
        let mut part = spool.part(number)?;
        for at in 0..load.part_bytes / BLOCK_BYTES {
            fill(&mut block, number, at);
            part.write_all(&block)?;
            done.written.fetch_add(BLOCK_BYTES, Relaxed);
        }
        part.commit()?;
        let _ = complete.send(());
    }
}

fn drain(
    spool: &Spool,
    load: &Load,
    done: &Done,
    completed: &Receiver<()>,
    report: &mut Report,
) -> io::Result<()> {
    completed.iter().take(usize::try_from(load.parts / 2).unwrap_or(usize::MAX)).for_each(drop);
    let (mut undrained_most, mut file_most, mut drained) = (0, 0, 0);
    let mut drain = spool.drain()?;
    for number in 0..load.parts {
        let Some(mut part) = drain.next_part()? else { break };
        if !check(&mut part, number)? {
            report.fail(format!("part {number} is not what was written"));
        }
        // The part that is being read counts: its last piece is still there.
        file_most = file_most.max(file_bytes()?);
        undrained_most = undrained_most.max(done.written.load(Relaxed) - drained);
        drained += part.part_bytes();
    }
    drop(drain);
    spool.finish(load.parts)?;
    report.add("MiB not drained at most", undrained_most >> 20);
    report.add("MiB on the disk at most", file_most >> 20);
    if file_most * 20 > undrained_most * 21 {
        report.fail(format!("{file_most} bytes of disk for {undrained_most} that were to come"));
    }
    Ok(())
}

/// What is written of a part from this block on: words that no other place has.
fn fill(block: &mut Vec<u8>, number: u64, at: u64) {
    block.clear();
    let first = (number << 32) + at * (BLOCK_BYTES / 8);
    (first..first + BLOCK_BYTES / 8).for_each(|word| block.extend_from_slice(&word.to_le_bytes()));
}

fn check(part: &mut DrainedPart<'_>, number: u64) -> io::Result<bool> {
    let mut block = Vec::new();
    for at in 0.. {
        let found = part.fill_buf()?;
        if found.is_empty() {
            return Ok(at * BLOCK_BYTES == part.part_bytes());
        }
        fill(&mut block, number, at);
        if found != block {
            return Ok(false);
        }
        part.consume(block.len());
    }
    Ok(false)
}

/// Bytes of disk that files without a name take, of all that this process has open.
fn file_bytes() -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir("/proc/self/fd")? {
        // One of them is that of the directory itself, and gone by now.
        let Ok(file) = fs::metadata(entry?.path()) else { continue };
        if file.is_file() && file.nlink() == 0 {
            bytes += file.blocks() * 512;
        }
    }
    Ok(bytes)
}
