//! Sorting far more than fits into memory, beside extsort. Both sort and then read all of it.

use std::{
    io::{Read, Write},
    path::Path,
};

use extsort::{ExternalSorter, Sortable};

use super::{ITEM_BYTES, Result, compare, entry::Entry, options, timed};
use crate::table::{OURS, Report, Role, Work};

/// What ringkeep may take of memory; extsort takes items, about as many as ringkeep has in a run
/// of a quarter of that, at 500 bytes each.
const MEMORY_BYTES: u64 = 32 << 20;
const RUN_ITEMS: usize = 16_000;

impl Sortable for Entry {
    fn encode<W: Write>(&self, out: &mut W) -> std::io::Result<()> {
        let bytes = postcard::to_allocvec(self).map_err(std::io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&bytes)
    }

    fn decode<R: Read>(input: &mut R) -> std::io::Result<Self> {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut bytes)?;
        postcard::from_bytes(&bytes).map_err(std::io::Error::other)
    }
}

pub(super) fn run(directory: &Path, rounds: u32, count: u32, report: &mut Report) -> Result<()> {
    let entries = || (0..count).map(Entry::new);
    let mut work = Work::new("disk", "push, sort and iterate", ITEM_BYTES);
    compare(
        &mut work,
        rounds,
        &mut [
            (
                OURS,
                Role::Ours,
                Box::new(|| {
                    timed(count, || {
                        let mut vec = options(directory, MEMORY_BYTES).build()?;
                        vec.try_extend(entries()).map_err(|refused| refused.source)?;
                        let sorted = vec.sorted_by_key(|entry| entry.start);
                        let sorted = sorted.map_err(|refused| refused.source)?;
                        in_order(sorted.into_iter().map(|entry| Ok(entry?.start)), count)
                    })
                }),
            ),
            (
                "extsort",
                Role::Peer,
                Box::new(|| {
                    timed(count, || {
                        let external = ExternalSorter::new()
                            .with_segment_size(RUN_ITEMS)
                            .with_sort_dir(directory.to_owned());
                        let sorted = external.sort_by_key(entries(), |entry| entry.start)?;
                        in_order(sorted.map(|entry| Ok(entry?.start)), count)
                    })
                }),
            ),
        ],
    )?;
    report.add(work);
    Ok(())
}

fn in_order(starts: impl Iterator<Item = Result<u64>>, count: u32) -> Result<()> {
    let (mut before, mut found) = (0, 0);
    for start in starts {
        let start = start?;
        if start < before {
            return Err("an item comes too late".into());
        }
        (before, found) = (start, found + 1);
    }
    if found == count { Ok(()) } else { Err(format!("{found} items came out of {count}").into()) }
}
