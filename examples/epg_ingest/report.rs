//! What was done, told at the end.

use std::{collections::BTreeMap, fmt, fs};

use ringkeep::{Codec, Postcard, SpillVec};

/// What was read, kept and written, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) entries: u64,
    pub(crate) channels: u64,
    pub(crate) programmes: u64,
    pub(crate) lines: u64,
    /// Where the vectors were, and warnings.
    notes: Vec<String>,
    /// By reason.
    skipped: BTreeMap<&'static str, Skipped>,
    memory_bytes: u64,
}

#[derive(Debug)]
struct Skipped {
    count: u64,
    /// Where the first one is.
    first: String,
}

impl Report {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self { memory_bytes, ..Self::default() }
    }

    /// Notes where a vector is, and whether that is unwise.
    pub(crate) fn note<T>(&mut self, what: &str, vec: &SpillVec<T>)
    where
        Postcard: Codec<T>,
    {
        let stats = vec.stats();
        let items = stats.items;
        self.notes.push(if vec.is_spilled() {
            let (stored, raw) = (stats.stored_bytes >> 10, stats.raw_bytes >> 10);
            format!("{what}: {items} on the disk, {stored} KiB for {raw} KiB")
        } else {
            format!("{what}: {items} in memory, {} KiB", stats.memory_bytes >> 10)
        });
        self.notes.extend(vec.warning().map(|warning| format!("warning: {warning}")));
    }

    /// Counts something that is left out; only the first place is asked for.
    pub(crate) fn skip(&mut self, what: &'static str, place: impl FnOnce() -> String) {
        let skipped = self.skipped.entry(what);
        skipped.or_insert_with(|| Skipped { count: 0, first: place() }).count += 1;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "playlists: {} entries", self.entries)?;
        writeln!(f, "guides: {} channels, {} programmes", self.channels, self.programmes)?;
        for (what, Skipped { count, first }) in &self.skipped {
            writeln!(f, "skipped: {what}: {count}, the first at {first}")?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        writeln!(f, "written: {} lines", self.lines)?;
        match peak_memory_kib() {
            Some(kib) => writeln!(f, "memory: {kib} KiB of {}", self.memory_bytes >> 10),
            None => Ok(()),
        }
    }
}

/// The most memory that this process has had, as the system counts it.
fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
