//! Crashes of rings whose clock is set back: a search by time misses nothing afterwards.

use std::{
    ops::Range,
    time::{Duration, UNIX_EPOCH},
};

use ringkeep::{Crash, Io, Producer, ReadOptions, Ring, RingOptions, SimDisk, SyncPolicy};

const PATH: &str = "/sim/cache.dat";

/// What a life of an archive ended with, to be counted.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) kills: u64,
    pub(crate) cuts: u64,
    /// Searches after a crash that needed the step.
    pub(crate) steps: u64,
}

/// Several lives of one archive, each ended by a crash at a random step. Panics on a search that
/// differs from a scan.
pub(crate) fn lives_with_a_clock_set_back(seed: u64, counts: &mut Seen) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut disk = SimDisk::new(seed, [16, 64, 512][random.usize(..3)]);
    let options = RingOptions::new(8, random.u64(4..60)).schema("t:time_s");
    let policy = [SyncPolicy::Never, SyncPolicy::Always, SyncPolicy::EveryRecords(4)];
    let forms = [Io::Mapped, Io::File];
    let options = options.sync(policy[random.usize(..3)]).io(forms[random.usize(..2)]);
    drop(options.clone().on(&disk).create(PATH).expect("a new archive"));
    let mut clock = 1000;
    for _ in 0..4 {
        let crash = if random.bool() { Crash::Kill } else { Crash::Cut };
        disk.arm(crash, random.u64(1..2500));
        if let Ok(mut producer) = options.clone().on(&disk).open(PATH) {
            write(&mut random, &mut producer, &mut clock);
            drop(producer);
        }
        let crashed = disk.disarm().is_some();
        disk.kill();
        if crash == Crash::Cut && crashed {
            disk.cut_power();
            counts.cuts += 1;
        } else {
            counts.kills += u64::from(crashed);
        }
        disk = disk.other_process();
        let io = if random.bool() { Io::Mapped } else { Io::File };
        let ring = ReadOptions::new().on(&disk).io(io).open(PATH).expect("an archive");
        compare(&mut random, &ring, seed);
        counts.steps += u64::from(ring.stats().expect("good pages").clock_step > Duration::ZERO);
    }
}

/// Appends until something fails, with a clock that is set back now and then.
fn write(random: &mut fastrand::Rng, producer: &mut Producer, clock: &mut i64) {
    for _ in 0..random.u32(1..40) {
        *clock += random.i64(0..10);
        if random.u8(..6) == 0 {
            *clock -= random.i64(0..200);
        }
        let kept =
            producer.ring().oldest().and_then(|oldest| Ok(oldest..producer.ring().next_id()?));
        let payload = clock.to_le_bytes();
        let done = match (random.u8(..10), kept) {
            (0, Ok(kept)) if !kept.is_empty() => {
                // There may be no record to update: no failure here.
                drop(producer.update(random.u64(kept), &payload));
                producer.flush()
            }
            _ => producer.append(&payload).map(drop),
        };
        if done.is_err() {
            return;
        }
    }
}

fn compare(random: &mut fastrand::Rng, ring: &Ring, seed: u64) {
    let time = |payload: Vec<u8>| i64::from_le_bytes(payload.try_into().expect("8 bytes"));
    let ids = ring.oldest().expect("good pages")..ring.next_id().expect("good pages");
    let read = |id| Some((id, time(ring.read(id).expect("good pages").record().ok()?)));
    let all: Vec<(u64, i64)> = ids.filter_map(read).collect();
    for _ in 0..8 {
        let from = random.i64(-500..1500);
        let times = from..from + random.i64(1..300);
        let expected: Vec<u64> =
            all.iter().filter(|(_, time)| times.contains(time)).map(|&(id, _)| id).collect();
        let found = search(ring, times.clone());
        assert_eq!(found, expected, "RINGKEEP_SEED={seed}: {times:?} of {all:?}");
    }
}

fn search(ring: &Ring, times: Range<i64>) -> Vec<u64> {
    let at = |seconds: i64| {
        let length = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { UNIX_EPOCH - length } else { UNIX_EPOCH + length }
    };
    let mut found = Vec::new();
    let mut cursor = ring.range_by_time(at(times.start)..at(times.end)).expect("a time field");
    while let Some((id, read)) = cursor.next().expect("good pages") {
        if read.record().is_ok() {
            found.push(id);
        }
    }
    found
}
