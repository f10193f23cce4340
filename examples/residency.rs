//! One workload over an archive, with a budget on memory or without: what `benches/residency.py`
//! measures. `cargo run --release --example residency -- cache.dat forward 64`

use std::{env, error::Error, hint::black_box, thread, time::Instant};

use ringkeep::{Io, Prefetch, Read, ReadBatch, ReadOptions, Ring, WriteOptions};

const RANDOM_READS: usize = 200_000;
const READERS: u64 = 8;
const EACH_READS: usize = RANDOM_READS / 8;
/// Records that are read at once.
const READ_BATCH: usize = 100;
/// Records that are appended at once.
const BATCH: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, workload, options @ ..] = &arguments[..] else {
        return Err(
            format!("give a path and one of {WORKLOADS}; then BUDGET-MIB, file, off").into()
        );
    };
    let (mut reading, mut writing) = (ReadOptions::new(), WriteOptions::new());
    for option in options {
        (reading, writing) = match &option[..] {
            "file" => (reading.io(Io::File), writing.io(Io::File)),
            "off" => (reading.prefetch(Prefetch::Off), writing.prefetch(Prefetch::Off)),
            budget => {
                let bytes = budget.parse::<u64>()? << 20;
                (reading.resident_budget(bytes), writing.resident_budget(bytes))
            }
        };
    }
    let begun = Instant::now();
    let records = match &workload[..] {
        "producer" => produce(&writing, path)?,
        "both" => produce_beside_readers(&writing, path)?,
        workload => read(&reading.open(path)?, workload)?,
    };
    println!("{records} {:.6}", begun.elapsed().as_secs_f64());
    Ok(())
}

const WORKLOADS: &str = "forward, backward, random, batches, readers, producer, both";

fn read(ring: &Ring, workload: &str) -> ringkeep::Result<u64> {
    match workload {
        "forward" => forward(ring, ring.oldest()?),
        "backward" => backward(ring),
        "random" => random(ring, 1, RANDOM_READS),
        "batches" => random_batches(ring),
        "readers" => readers(ring),
        other => panic!("{other} is none of {WORKLOADS}"),
    }
}

/// Records from an id on to the newest one.
fn forward(ring: &Ring, first: u64) -> ringkeep::Result<u64> {
    let mut cursor = ring.range(first..ring.next_id()?);
    let mut records = 0;
    while let Some((_, read)) = cursor.next()? {
        if let Read::Record(payload) = read {
            black_box(payload);
            records += 1;
        }
    }
    Ok(records)
}

fn backward(ring: &Ring) -> ringkeep::Result<u64> {
    let mut cursor = ring.range(ring.oldest()?..ring.next_id()?);
    let mut records = 0;
    while let Some((_, read)) = cursor.next_back()? {
        if let Read::Record(payload) = read {
            black_box(payload);
            records += 1;
        }
    }
    Ok(records)
}

fn random(ring: &Ring, seed: u64, count: usize) -> ringkeep::Result<u64> {
    let mut payload = vec![0; ring.geometry().record_size];
    let mut records = 0;
    for id in ids(ring, seed)?.take(count) {
        records += u64::from(ring.read_into(id, &mut payload)? == Read::Record(()));
    }
    Ok(records)
}

/// The same, many at once.
fn random_batches(ring: &Ring) -> ringkeep::Result<u64> {
    let (mut ids, mut batch, mut records) = (ids(ring, 1)?, ReadBatch::new(), 0);
    for _ in 0..RANDOM_READS / READ_BATCH {
        let ids: Vec<u64> = ids.by_ref().take(READ_BATCH).collect();
        ring.read_many(&ids, &mut batch)?;
        records += batch.iter().filter(|(_, read)| matches!(read, Read::Record(_))).count() as u64;
    }
    Ok(records)
}

/// Random ids that are kept.
fn ids(ring: &Ring, seed: u64) -> ringkeep::Result<impl Iterator<Item = u64>> {
    let (oldest, next) = (ring.oldest()?, ring.next_id()?);
    let mut state = seed;
    Ok(std::iter::repeat_with(move || {
        // Knuth's constants for a generator modulo 2^64.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        oldest + (state >> 20) % (next - oldest)
    }))
}

/// Eight at once: each walks over an eighth, and then jumps about.
fn readers(ring: &Ring) -> ringkeep::Result<u64> {
    let (oldest, next) = (ring.oldest()?, ring.next_id()?);
    let part = (next - oldest) / READERS;
    let one = |reader: u64| -> ringkeep::Result<u64> {
        let first = oldest + reader * part;
        let mut cursor = ring.range(first..first + part);
        let mut records = 0;
        while let Some((_, read)) = cursor.next()? {
            records += u64::from(matches!(read, Read::Record(_)));
        }
        Ok(records + random(ring, reader, EACH_READS)?)
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..READERS).map(|reader| scope.spawn(move || one(reader))).collect();
        running.into_iter().map(|thread| thread.join().expect("no reader panics")).sum()
    })
}

/// As many records as the ring keeps, and then the time until they are durable.
fn produce(options: &WriteOptions, path: &str) -> Result<u64, Box<dyn Error>> {
    let mut producer = options.open(path)?;
    let geometry = producer.ring().geometry();
    let batch = vec![7; BATCH * geometry.record_size];
    for _ in 0..geometry.capacity / BATCH as u64 {
        producer.append_batch(&batch)?;
    }
    producer.close()?;
    Ok(geometry.capacity / BATCH as u64 * BATCH as u64)
}

/// The same beside readers of the producer's own process.
fn produce_beside_readers(options: &WriteOptions, path: &str) -> Result<u64, Box<dyn Error>> {
    let mut producer = options.open(path)?;
    let (ring, geometry) = (producer.ring(), producer.ring().geometry());
    let batch = vec![7; BATCH * geometry.record_size];
    thread::scope(|scope| {
        let reading = scope.spawn(|| readers(&ring));
        for _ in 0..geometry.capacity / 4 / BATCH as u64 {
            producer.append_batch(&batch)?;
        }
        producer.flush()?;
        Ok(reading.join().expect("no reader panics")?)
    })
}
