//! A vector that outgrows its memory by far: is it right, and does it keep to its budget as the
//! kernel counts it?
//!
//! Items of 200 bytes follow from their numbers. They are pushed, walked through in both
//! directions, read at random, sorted by numbers whose bits are reversed, walked through again and
//! taken out. Promised and judged: every item is where it should be; the process has never had
//! more than twice the budget resident; the index takes at most a byte for each item; the disk is
//! given back.

use ringkeep::{Bytes, Error, SpillVec, SpillVecError, SpillVecOptions};

use crate::report::Report;

const ITEM_BYTES: usize = 200;
/// Items that are read at random, and backwards.
const READS: u64 = 100_000;

type Vector = SpillVec<Vec<u8>, Bytes>;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Items pushed.
    pub items: u64,
    /// What they may take of memory.
    pub budget_bytes: u64,
}

/// Does it once, with files in `TMPDIR`, in a process that has done nothing else before.
#[must_use]
pub fn run(load: &Load) -> Report {
    let mut report = Report { trials: 1, ..Report::default() };
    if let Err(error) = work(load, &mut report) {
        report.fail(error.to_string());
    }
    report.judge_resident(load.budget_bytes);
    report
}

fn work(load: &Load, report: &mut Report) -> Result<(), Error> {
    let mut vec = SpillVecOptions::new(Bytes).memory_bytes(load.budget_bytes).build()?;
    for number in 0..load.items {
        vec.push(item(number))?;
    }
    eprintln!("pushed");
    report.add("items", vec.len() as u64);
    look(&vec, load, report, |place| place)?;
    eprintln!("read");
    let sorted = vec.sorted_by_key(|item| number_of(item).map(u64::reverse_bits));
    let vec = sorted.map_err(|SpillVecError { source, .. }| *source)?;
    eprintln!("sorted");
    let stats = vec.stats();
    report.add("bytes of index", stats.index_bytes);
    report.add("MiB on the disk", stats.disk_bytes >> 20);
    if stats.index_bytes > stats.items {
        report.fail(format!("the index takes {} bytes", stats.index_bytes));
    }
    let (mut before, mut sum, mut count) = (None, 0_u64, 0_u64);
    for found in vec {
        let number = checked(&found?, report);
        let key = number.reverse_bits();
        if before.is_some_and(|before| before >= key) {
            report.fail(format!("item {number} comes too late"));
            break;
        }
        (before, sum, count) = (Some(key), sum.wrapping_add(number), count + 1);
    }
    let expected = (0..load.items).fold(0, u64::wrapping_add);
    if (sum, count) != (expected, load.items) {
        report.fail(format!("{count} items came out, whose sum is {sum}"));
    }
    Ok(())
}

/// Reads everything, some of it backwards and some at random.
fn look(
    vec: &Vector,
    load: &Load,
    report: &mut Report,
    number_at: impl Fn(u64) -> u64,
) -> Result<(), Error> {
    let mut judge = |place: u64, bytes: &[u8]| {
        let number = checked(bytes, report);
        if number != number_at(place) {
            report.fail(format!("item {number} is in place {place}"));
        }
    };
    for (place, found) in (0..).zip(vec) {
        judge(place, &found?);
    }
    let backwards = (0..load.items).rev().zip(vec.iter().rev());
    for (place, found) in backwards.take(usize::try_from(READS).unwrap_or(usize::MAX)) {
        judge(place, &found?);
    }
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..READS.min(load.items) {
        let place = random.u64(..load.items);
        let found = vec.get(usize::try_from(place).unwrap_or(usize::MAX))?;
        judge(place, &found.expect("an index below the length"));
    }
    Ok(())
}

/// The number of an item, if its bytes are those of this number; told if they are not.
fn checked(bytes: &[u8], report: &mut Report) -> u64 {
    let number = number_of(bytes).unwrap_or(u64::MAX);
    if bytes != item(number) {
        report.fail(format!("the item with number {number} is none that was pushed"));
    }
    number
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn item(number: u64) -> Vec<u8> {
    let mut item = vec![number.to_le_bytes()[0]; ITEM_BYTES];
    item[..8].copy_from_slice(&number.to_le_bytes());
    item
}
