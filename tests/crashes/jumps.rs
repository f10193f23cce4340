//! Crashes in the middle of a creation and of a jump, at every step.

use std::path::Path;

use ringkeep::{Crash, Read, ReadOptions, RingOptions, SimDisk, WriteOptions};

const PATH: &str = "/sim/cache.dat";

/// Cuts the power at a step of a creation; whether it was cut, and whether an archive can be had.
pub(crate) fn cut_while_creating(step: u64, seed: u64) -> Option<bool> {
    let disk = SimDisk::new(seed, 512);
    let options = RingOptions::new(4, 20).shards(3);
    disk.arm(Crash::Cut, step);
    let created = options.clone().on(&disk).create(Path::new(PATH));
    disk.disarm()?;
    disk.cut_power();
    drop(created);
    let again = disk.other_process();
    Some(options.on(&again).open_or_create(Path::new(PATH)).is_ok())
}

/// Kills a jump in an empty ring at a step; then two durable records and a power cut. What the
/// first of them reads, if the jump was not made.
pub(crate) fn cut_after_a_jump_that_died(step: u64) -> Option<Read<Vec<u8>>> {
    let disk = SimDisk::new(step, 512);
    let path = Path::new(PATH);
    let mut producer = RingOptions::new(4, 4096).on(&disk).create(path).expect("a ring");
    disk.arm(Crash::Kill, step);
    let jumped = producer.append_at(2, b"jump");
    disk.disarm()?;
    drop((jumped, producer));
    let disk = disk.other_process();
    let mut producer = WriteOptions::new().on(&disk).open(path).expect("an archive");
    if producer.ring().next_id().expect("good pages") != 0 {
        return None;
    }
    for payload in [b"zero", b"one."] {
        producer.append_durable(payload).expect("nothing fails");
    }
    disk.cut_power();
    drop(producer);
    let ring = ReadOptions::new().on(&disk.other_process()).open(path).expect("an archive");
    Some(ring.read(0).expect("good pages"))
}

/// Kills a creation at a step; a producer that finds an archive makes a record durable, and the
/// power fails. What that record reads.
pub(crate) fn cut_after_a_creation_that_died(step: u64, seed: u64) -> Option<Read<Vec<u8>>> {
    let disk = SimDisk::new(seed, 512);
    let path = Path::new(PATH);
    disk.arm(Crash::Kill, step);
    let created = RingOptions::new(4, 20).shards(2).on(&disk).create(path);
    disk.disarm()?;
    drop(created);
    let disk = disk.other_process();
    let mut producer = WriteOptions::new().on(&disk).open(path).ok()?;
    producer.append_durable(b"kept").expect("nothing fails");
    disk.cut_power();
    drop(producer);
    let ring = ReadOptions::new().on(&disk.other_process()).open(path);
    Some(ring.map_or(Read::Lost, |ring| ring.read(0).expect("good pages")))
}
