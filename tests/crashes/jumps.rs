//! Crashes in the middle of a creation and of a jump, at every step.

use std::path::Path;

use ringkeep::{Crash, Read, ReadOptions, RingOptions, SimDisk, WriteOptions};

const PATH: &str = "/sim/cache.dat";
/// Where the checkpoint pages are.
const CHECKPOINTS: [usize; 2] = [8192, 12288];

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

/// What a power cut leaves of a jump's page on a disk that writes 16 bytes at once: all but its
/// sequence. An opening dies at a step of it; the ids that a reader then misses, of those that are
/// kept.
pub(crate) fn kill_over_a_torn_page(step: u64) -> Option<Vec<u64>> {
    let (disk, path) = (SimDisk::new(1, 16), Path::new(PATH));
    let mut producer = RingOptions::new(4, 24).on(&disk).create(path).expect("a ring");
    producer.append_batch(&[7; 4 * 30]).expect("a batch");
    producer.flush().expect("nothing fails");
    let cut = disk.copy();
    producer.append_at(900, b"jump").expect("nothing fails");
    producer.die();
    for page in CHECKPOINTS {
        let (mut before, mut jumped) = ([0; 512], [0; 512]);
        cut.peek(path, page, &mut before);
        disk.peek(path, page, &mut jumped);
        if before != jumped {
            jumped[..16].copy_from_slice(&before[..16]);
            cut.poke(path, page, &jumped);
        }
    }
    cut.cut_power();
    let opening = cut.other_process();
    opening.arm(Crash::Kill, step);
    let opened = WriteOptions::new().on(&opening).open(path);
    opening.disarm()?;
    drop(opened);
    let ring = ReadOptions::new().on(&cut.other_process()).open(path).expect("an archive");
    let is_there = |&id: &u64| matches!(ring.read(id).expect("good pages"), Read::Record(_));
    // Those that the power cut gave up, by the reservation, are at the old end.
    Some((12..30).filter(|id| !is_there(id)).collect())
}
