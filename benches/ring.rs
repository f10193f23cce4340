//! Daily numbers of the ring, as ratios to what the machine can do:
//! `cargo bench -p ringkeep-benches`.
//!
//! The limit loop copies a payload into memory that is mapped and dirty, and computes its CRC32: no
//! ring can be faster. Rounds of all rows are interleaved, and the median of the rounds counts, so
//! that a noisy machine disturbs all rows alike.

use std::{hint::black_box, time::Instant};

use ringkeep::{Io, Read, ReadOptions, Result, Ring, RingOptions};

const ROUNDS: usize = 9;
const OPERATIONS: u64 = 100_000;
const MEMORY_BYTES: u64 = 64 << 20;

fn main() -> Result<()> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    println!("{:>7}  {:<28} {:>9} {:>9} {:>9}", "bytes", "work", "ns", "ratio", "spread");
    for record_size in [28, 124, 508, 1020, 2044, 4092, 16_380] {
        let path = directory.path().join(format!("{record_size}.dat"));
        bench(&path, record_size)?;
    }
    Ok(())
}

fn bench(path: &std::path::Path, record_size: usize) -> Result<()> {
    let slot = record_size + 4;
    let records = MEMORY_BYTES / slot as u64;
    let mut producer = RingOptions::new(record_size, records).create(path)?;
    let payload = vec![0x5A; record_size];
    for _ in 0..2 * records {
        producer.append(&payload)?;
    }
    let (here, elsewhere) = (producer.ring(), Ring::open(path)?);
    let by_position = ReadOptions::new().io(Io::File).open(path)?;
    let memory = usize::try_from(records).expect("few") * slot;
    let mut limit = memmap2::MmapMut::map_anon(memory).expect("memory");
    let mut out = vec![0; record_size];
    let ids = |step: u64| records + step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % records;
    let mut rows: Vec<(&str, Vec<f64>)> = ROWS.iter().map(|&name| (name, Vec::new())).collect();
    for _ in 0..ROUNDS {
        let mut at = 0;
        rows[0].1.push(time(|_| {
            at = (at + slot) % memory;
            limit[at..at + record_size].copy_from_slice(black_box(&payload));
            black_box(crc32fast::hash(&payload));
        }));
        rows[1].1.push(time(|step| {
            let at = usize::try_from(ids(step) - records).expect("few") * slot;
            out.copy_from_slice(&limit[at..at + record_size]);
            black_box(crc32fast::hash(&out));
        }));
        rows[2].1.push(time(|step| {
            black_box(here.read_into(ids(step), &mut out).expect("a record"));
        }));
        rows[3].1.push(time(|step| {
            black_box(elsewhere.read_into(ids(step), &mut out).expect("a record"));
        }));
        rows[4].1.push(time(|step| {
            black_box(here.view(ids(step), |payload| payload[0]).expect("a record"));
        }));
        rows[5].1.push(time(|step| {
            black_box(by_position.read_into(ids(step), &mut out).expect("a record"));
        }));
        for (row, ring) in [(6, &elsewhere), (7, &by_position)] {
            let mut walk = ring.range(records..2 * records);
            rows[row].1.push(time(|_| {
                if !matches!(walk.next(), Ok(Some((_, Read::Record(_))))) {
                    walk = ring.range(records..2 * records);
                }
            }));
        }
    }
    for _ in 0..ROUNDS {
        rows[8].1.push(time(|_| {
            black_box(producer.append(&payload).expect("appended"));
        }));
    }
    report(record_size, &mut rows);
    Ok(())
}

/// The first two are the limit loops of the rows after them.
const ROWS: [&str; 9] = [
    "limit of append",
    "limit of random read",
    "random read, same process",
    "random read, other process",
    "random view, same process",
    "random read, by position",
    "walk, other process",
    "walk, by position",
    "append to a full ring",
];

fn time(mut work: impl FnMut(u64)) -> f64 {
    let begun = Instant::now();
    for step in 0..OPERATIONS {
        work(step);
    }
    begun.elapsed().as_secs_f64() * 1e9 / 1e5
}

fn report(record_size: usize, rows: &mut [(&str, Vec<f64>)]) {
    for (_, times) in rows.iter_mut() {
        times.sort_by(f64::total_cmp);
    }
    let limits = [rows[0].1[ROUNDS / 2], rows[1].1[ROUNDS / 2]];
    for (name, times) in rows {
        let median = times[ROUNDS / 2];
        let ratio = median / limits[usize::from(name.contains("random"))];
        let spread = times[ROUNDS - 2] / times[1];
        println!("{record_size:>7}  {name:<28} {median:>9.1} {ratio:>9.2} {spread:>9.2}");
    }
}
