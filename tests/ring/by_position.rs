//! Readers without a mapping: the same records, and faults that are errors.

use std::{
    fs::OpenOptions,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use ringkeep::{
    Error, Io, Read, ReadBatch, ReadOptions, Ring, RingOptions, Start, SyncPolicy, Tailed,
};

use crate::support::{Home, PATIENCE, payload, payloads, ring_options, shard_of, skip};

fn by_position(home: &Home) -> Ring {
    ReadOptions::new().io(Io::File).open(home.path()).expect("a reader")
}

fn records(count: u64) -> Vec<u8> {
    (0..count).flat_map(u64::to_le_bytes).collect()
}

#[test]
fn every_way_to_read_gives_what_a_mapping_gives() {
    let home = Home::new();
    let mut producer = RingOptions::new(8, 30_000).shards(7).create(home.path()).unwrap();
    producer.append_batch(&records(40_000)).unwrap();
    for id in (15_000..40_000).step_by(999) {
        producer.delete(id).unwrap();
    }
    producer.append_at(40_500, b"late one").unwrap();
    producer.die();
    // Of a copy the hot page is not believed.
    let copy = Home::new();
    for shard in 0..7 {
        std::fs::copy(home.shard(shard), copy.shard(shard)).unwrap();
    }
    assert_same(&by_position(&home), &Ring::open(home.path()).unwrap());
    assert_same(&by_position(&copy), &Ring::open(copy.path()).unwrap());
}

fn assert_same(ring: &Ring, mapped: &Ring) {
    let kept =
        |ring: &Ring| ring.oldest().expect("good pages")..ring.next_id().expect("good pages");
    let ids = kept(ring);
    assert_eq!(ids, kept(mapped));
    for id in [0, ids.start - 1, ids.start, 20_000, 40_100, 40_500, 40_501, ids.end] {
        let read = |ring: &Ring| ring.read(id).expect("good pages");
        assert_eq!(read(ring), read(mapped), "{id}");
        let view = |ring: &Ring| ring.view(id, <[u8]>::to_vec).expect("good pages");
        assert_eq!(view(ring), view(mapped), "{id}");
    }
    let walk = |ring: &Ring| -> Vec<_> {
        let records = ring.range(ids.start - 5..ids.end + 5).records();
        records.map(|found| found.expect("good pages")).collect()
    };
    assert!(walk(ring) == walk(mapped));
    let batch = |ring: &Ring| {
        let mut batch = ReadBatch::new();
        ring.read_range(20_000..20_400, &mut batch).expect("good pages");
        batch
    };
    assert!(batch(ring).iter().eq(batch(mapped).iter()));
    let verify = |ring: &Ring| ring.verify(|_| {}).expect("good pages");
    assert_eq!(verify(ring), verify(mapped));
    let (mut tailer, mut other) = (ring.tailer(Start::Oldest), mapped.tailer(Start::Oldest));
    loop {
        let next = tailer.try_next().expect("good pages");
        assert_eq!(next, other.try_next().expect("good pages"));
        if next.is_none() {
            break;
        }
    }
}

#[test]
fn what_a_jump_dropped_is_lapped_at_once_although_it_is_still_there() {
    let home = Home::new();
    let mut producer = RingOptions::new(8, 500).create(home.path()).unwrap();
    producer.append_batch(&records(400)).unwrap();
    let ring = by_position(&home);
    assert_eq!(ring.read(50).unwrap(), Read::Record(50_u64.to_le_bytes().to_vec()));
    producer.append_at(5000, &5000_u64.to_le_bytes()).unwrap();
    // The page that the reader looked at last says that it is kept, and its slot was not touched.
    let lapped = Read::Lapped { oldest: 5000, missed: 4950 };
    assert_eq!(ring.read(50).unwrap(), lapped);
    assert_eq!(ring.range(50..51).records().next().unwrap().unwrap(), (50, lapped));
}

#[test]
fn many_threads_share_one_reader_beside_its_producer() {
    let home = Home::new();
    let mut producer = RingOptions::new(8, 500).create(home.path()).unwrap();
    producer.append_batch(&records(500)).unwrap();
    let (ring, stop) = (by_position(&home), AtomicBool::new(false));
    let read_on = || {
        let mut last = 0;
        let mut records = 0_u64;
        while !stop.load(Ordering::Relaxed) || records == 0 {
            let next = ring.next_id().unwrap();
            assert!(next >= last, "next went back from {last} to {next}");
            last = next;
            match ring.read(next - 1).unwrap() {
                Read::Record(payload) => {
                    assert_eq!(payload, (next - 1).to_le_bytes());
                    records += 1;
                }
                Read::Lapped { .. } => {}
                other => panic!("{}: {other:?}", next - 1),
            }
        }
        records
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read_on), scope.spawn(read_on), scope.spawn(read_on)];
        for id in 500..200_000_u64 {
            producer.append(&id.to_le_bytes()).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

#[test]
fn a_file_that_is_cut_short_under_its_reader_is_an_error() {
    let home = Home::new();
    let mut producer = RingOptions::new(8, 3000).shards(3).create(home.path()).unwrap();
    producer.append_batch(&records(3000)).unwrap();
    producer.close().unwrap();
    let ring = by_position(&home);
    let mut tailer = ring.tailer(Start::Id(2100));
    let whole = std::fs::metadata(home.shard(1)).unwrap().len();
    let cut = |shard: u32, length: u64| {
        let path = shard_of(&home.path(), shard);
        OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
    };
    cut(1, 5000);
    let refused = ring.read(2000).unwrap_err();
    let Error::CutShort { path, found_bytes: 5000, expected_bytes } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((path, expected_bytes), (home.shard(1), whole));
    // The others stay readable.
    assert_eq!(ring.read(100).unwrap(), Read::Record(100_u64.to_le_bytes().to_vec()));
    // Of neighbours in one file each tells for itself.
    let ids = || ring.geometry().slots_per_shard..2 * ring.geometry().slots_per_shard;
    let walked: Vec<bool> = ring.range(ids()).records().map(|found| found.is_ok()).collect();
    let single: Vec<bool> = ids().map(|id| ring.read(id).is_ok()).collect();
    assert_eq!(walked, single);
    assert!(walked.contains(&true) && walked.contains(&false));
    cut(0, 4096);
    let told = tailer.next_timeout(Duration::ZERO);
    assert!(matches!(told, Err(Error::CutShort { found_bytes: 4096, .. })), "{told:?}");
    assert!(matches!(ring.oldest(), Err(Error::CutShort { .. })));
}

#[test]
fn a_waiting_reader_sees_what_is_appended_and_what_is_durable() {
    let home = Home::new();
    let mut producer = RingOptions::new(8, 500).create(home.path()).unwrap();
    let ring = by_position(&home);
    let mut tailer = ring.tailer(Start::Newest);
    assert_eq!(tailer.next_timeout(Duration::from_millis(60)).unwrap(), None);
    thread::scope(|scope| {
        let durable = scope.spawn(|| ring.wait_durable(1, PATIENCE).unwrap());
        let follower = scope.spawn(|| match tailer.next_timeout(PATIENCE).unwrap() {
            Some(Tailed::Record { id, payload }) => (id, payload.to_vec()),
            other => panic!("{other:?}"),
        });
        producer.append(b"awaited!").unwrap();
        assert_eq!(follower.join().unwrap(), (0, b"awaited!".to_vec()));
        producer.append_durable(b"durable!").unwrap();
        assert!(durable.join().unwrap());
    });
}

#[test]
fn an_archive_that_is_replaced_is_told() {
    let home = Home::new();
    let options = RingOptions::new(8, 500);
    drop(options.create(home.path()).unwrap());
    let ring = by_position(&home);
    let mut tailer = ring.tailer(Start::Oldest);
    std::fs::remove_file(home.path()).unwrap();
    drop(options.create(home.path()).unwrap());
    assert_eq!(tailer.next_timeout(PATIENCE).unwrap(), Some(Tailed::Replaced));
}

/// Calls of this thread that read, and that write; `None` where the kernel does not count them.
fn calls() -> Option<[u64; 2]> {
    let counted = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let count =
        |name: &str| counted.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some([count("syscr:")?, count("syscw:")?])
}

#[test]
fn a_read_takes_two_system_calls_and_an_append_three() {
    if calls().is_none() {
        return skip("counting system calls", "this kernel does not count them");
    }
    let home = Home::new();
    let mut producer = RingOptions::new(8, 5000).io(Io::File).create(home.path()).unwrap();
    let ring = by_position(&home);
    let between = |[reads, writes]: [u64; 2], [later_reads, later_writes]: [u64; 2]| {
        [later_reads - reads, later_writes - writes]
    };
    let begun = calls().unwrap();
    for id in 0..2000_u64 {
        producer.append(&id.to_le_bytes()).unwrap();
    }
    let appended = between(begun, calls().unwrap());
    // A claim once a block, and now and then a wake, come on top.
    assert!((6000..6300).contains(&appended[1]), "{appended:?}");
    ring.read(0).unwrap();
    let begun = calls().unwrap();
    for id in 0..1000 {
        ring.read(id).unwrap().record().unwrap();
    }
    let read = between(begun, calls().unwrap());
    // The look at the count itself takes some.
    assert!((2000..2010).contains(&read[0]), "{read:?}");
    let begun = calls().unwrap();
    producer.append_batch(&records(2000)).unwrap();
    let batch = between(begun, calls().unwrap());
    // Eight pieces of 256 records, each with its claim.
    assert!((24..60).contains(&batch[1]), "{batch:?}");
}

#[test]
fn a_reader_that_waits_looks_less_and_less_often() {
    let home = Home::new();
    drop(RingOptions::new(8, 500).create(home.path()).unwrap());
    let mut tailer = by_position(&home).tailer(Start::Newest);
    let naps = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt")).unwrap();
        line.split_whitespace().last().unwrap().parse::<u32>().unwrap()
    };
    let before = naps();
    assert_eq!(tailer.next_timeout(Duration::from_millis(900)).unwrap(), None);
    // 1, 2, 4, .. 32 milliseconds, then 60 each.
    let naps = naps() - before;
    assert!((5..=30).contains(&naps), "{naps} naps");
}

#[test]
fn what_a_crash_left_unproven_is_stored_again_beside_new_records() {
    let home = Home::new();
    let options = ring_options(12, 2000).sync(SyncPolicy::EveryRecords(100));
    for _ in 0..30 {
        let mut producer = options.open_or_create(home.path()).unwrap();
        let ring = producer.ring();
        // The flusher stores every slot again, and overtakes the producer among them.
        let next = ring.next_id().unwrap();
        for id in next..next + 2000 {
            producer.append(&payload(id, 12)).unwrap();
        }
        for id in next..next + 2000 {
            assert_eq!(ring.read(id).unwrap(), Read::Record(payload(id, 12)), "{id}");
        }
        producer.set_sync(SyncPolicy::Never);
        producer.append_batch(&payloads(next + 2000..next + 5000, 12)).unwrap();
        producer.die();
    }
}
