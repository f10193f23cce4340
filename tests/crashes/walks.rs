//! Readers without a mapping beside mapped ones, wherever their producer died.

use ringkeep::{Crash, Io, Read, ReadOptions, RingOptions, SimDisk};

const PATH: &str = "/sim/cache.dat";

/// What a walk over all ids that there may be finds.
type Found = Vec<(u64, Read<Vec<u8>>)>;

/// Kills a producer at a step of its appends and rewrites; what both kinds of readers find then.
pub(crate) fn walks_after_a_death(step: u64, io: Io) -> Option<[Found; 2]> {
    let disk = SimDisk::new(step, 512);
    let options = RingOptions::new(20, 24).shards(2).io(io).on(&disk);
    let mut producer = options.create(PATH).expect("a ring");
    producer.append_batch(&[7; 20 * 30]).expect("nothing fails");
    disk.arm(Crash::Kill, step);
    let _ = producer.append_batch(&[8; 20 * 3]);
    let _ = producer.update(20, &[9; 20]);
    let _ = producer.append_at(40, &[10; 20]);
    disk.disarm()?;
    drop(producer);
    let walk = |io| {
        let disk = disk.other_process();
        let ring = ReadOptions::new().on(&disk).io(io).open(PATH).expect("an archive");
        let records = ring.range(0..50).records();
        records.map(|found| found.expect("good pages")).collect()
    };
    Some([walk(Io::Mapped), walk(Io::File)])
}
