//! A power cut after two rewrites of one record that was not durable.

use std::{path::Path, sync::Arc};

use parking_lot::Mutex;
use ringkeep::{Read, ReadOptions, RingOptions, SimDisk};

const PATH: &str = "/sim/cache.dat";
const SIZES: [usize; 4] = [8, 12, 20, 44];
const SECTORS: [usize; 3] = [16, 32, 64];

type Seen = Read<Vec<u8>>;

/// What the record reads after the cut, and what else it reads while the archive is opened again.
pub(crate) fn cut_after_two_rewrites(seed: u64) -> (Seen, Option<Seen>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let size = SIZES[random.usize(..SIZES.len())];
    let disk = SimDisk::new(random.u64(..), SECTORS[random.usize(..SECTORS.len())]);
    let options = RingOptions::new(size, 1).on(&disk);
    let mut producer = options.create(Path::new(PATH)).expect("a ring");
    let original: Vec<u8> = (0..size).map(|_| random.u8(..)).collect();
    producer.append(&original).expect("a record");
    for _ in 0..2 {
        let mut other = original.clone();
        other[random.usize(..size)] ^= 1;
        producer.update(0, &other).expect("a record");
    }
    disk.cut_power();
    drop(producer);
    let first = read(&disk);
    let changed = Arc::new(Mutex::new(None));
    let (found, before) = (Arc::clone(&changed), first.clone());
    disk.observe(move |disk| {
        let now = read(disk);
        if now != before {
            found.lock().get_or_insert(now);
        }
    });
    let disk = disk.other_process();
    let opened = RingOptions::new(size, 1).on(&disk).open(Path::new(PATH));
    disk.observe(|_| {});
    disk.kill();
    drop(opened);
    let changed = changed.lock().take();
    (first, changed)
}

fn read(disk: &SimDisk) -> Seen {
    let ring = ReadOptions::new().on(&disk.other_process()).open(Path::new(PATH));
    ring.and_then(|ring| ring.read(0)).expect("an archive")
}
