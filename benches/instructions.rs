//! One hot path, again and again, for a counter of instructions: `benches/instructions.py` runs
//! it under callgrind with two numbers of steps, so that what is made before counts for nothing.
//!
//! Without arguments it prints the names of the paths.

use std::{env, hint::black_box, process::ExitCode};

use ringkeep::{Producer, ReadBatch, Result, Ring, RingOptions};

const RECORD_BYTES: usize = 124;
const RECORDS: u64 = 4096;
/// Ids that are read together.
const TOGETHER: usize = 64;

type Path = fn(&mut Producer, &Ring, u64) -> Result<()>;

const PATHS: [(&str, Path); 8] = [
    ("limit", limit),
    ("append", append),
    ("append_batch", append_batch),
    ("read_into", read_into),
    ("view", view),
    ("read_many", read_many),
    ("range", range),
    ("read_range", read_range),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, steps] = &arguments[..] else {
        for (name, _) in PATHS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let path = PATHS.iter().find(|(known, _)| known == name);
    let (Some((_, path)), Ok(steps)) = (path, steps.parse()) else {
        eprintln!("use: instructions PATH STEPS");
        return ExitCode::from(2);
    };
    match run(*path, steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: Path, steps: u64) -> Result<()> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("cache.dat");
    let mut producer = RingOptions::new(RECORD_BYTES, RECORDS).create(&file)?;
    for _ in 0..2 * RECORDS {
        producer.append(&[0x5A; RECORD_BYTES])?;
    }
    let elsewhere = Ring::open(&file)?;
    path(&mut producer, &elsewhere, steps)
}

/// Ids that are there, in no order.
fn ids() -> impl Iterator<Item = u64> {
    (0_u64..).map(|step| RECORDS + step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % RECORDS)
}

/// Steps that do so many ids at once.
fn rounds(steps: u64) -> usize {
    usize::try_from(steps).unwrap_or(usize::MAX) / TOGETHER
}

/// What no ring can do without: a copy and a CRC.
fn limit(_: &mut Producer, _: &Ring, steps: u64) -> Result<()> {
    let (payload, mut copy) = ([0xA5; RECORD_BYTES], [0; RECORD_BYTES]);
    (0..steps).try_for_each(|_| {
        copy.copy_from_slice(black_box(&payload));
        black_box(crc32fast::hash(black_box(&copy)));
        Ok(())
    })
}

fn append(producer: &mut Producer, _: &Ring, steps: u64) -> Result<()> {
    let payload = [0xA5; RECORD_BYTES];
    (0..steps).try_for_each(|_| producer.append(black_box(&payload)).map(drop))
}

fn append_batch(producer: &mut Producer, _: &Ring, steps: u64) -> Result<()> {
    let payloads = [0xA5; RECORD_BYTES * TOGETHER];
    (0..rounds(steps)).try_for_each(|_| producer.append_batch(black_box(&payloads)).map(drop))
}

fn read_into(_: &mut Producer, ring: &Ring, steps: u64) -> Result<()> {
    let mut payload = [0; RECORD_BYTES];
    ids().zip(0..steps).try_for_each(|(id, _)| {
        ring.read_into(id, &mut payload)?.record()?;
        black_box(&payload);
        Ok(())
    })
}

fn view(producer: &mut Producer, _: &Ring, steps: u64) -> Result<()> {
    let ring = producer.ring();
    ids()
        .zip(0..steps)
        .try_for_each(|(id, _)| ring.view(id, |bytes| _ = black_box(bytes[0]))?.record())
}

fn read_many(_: &mut Producer, ring: &Ring, steps: u64) -> Result<()> {
    let mut batch = ReadBatch::new();
    let together: Vec<u64> = ids().take(TOGETHER).collect();
    (0..rounds(steps)).try_for_each(|_| {
        ring.read_many(&together, &mut batch)?;
        black_box(batch.iter().try_for_each(|(_, read)| read.record().map(drop)))
    })
}

fn range(_: &mut Producer, ring: &Ring, steps: u64) -> Result<()> {
    let mut left = steps;
    while left > 0 {
        let mut cursor = ring.range(RECORDS..2 * RECORDS);
        while let Some((_, read)) = cursor.next()?
            && left > 0
        {
            black_box(read.record()?);
            left -= 1;
        }
    }
    Ok(())
}

fn read_range(_: &mut Producer, ring: &Ring, steps: u64) -> Result<()> {
    let mut batch = ReadBatch::new();
    let end = RECORDS + TOGETHER as u64;
    (0..rounds(steps)).try_for_each(|_| {
        ring.read_range(RECORDS..end, &mut batch)?;
        black_box(batch.iter().try_for_each(|(_, read)| read.record().map(drop)))
    })
}
