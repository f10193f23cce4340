//! Goal: threads that write, read and drain at once lose nothing and never wait for ever.
//!
//! Method: many rounds with little memory. Some parts are given up and written again, some are
//! written by two at once; what is drained is held against what was written. One part of each round
//! is held back until the drain is at it and another part was read, so that both surely happen.

use std::{
    io::{self, Read as _, Write as _},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use ringkeep::{GapPolicy, PartState, Spool, SpoolOptions};

const ROUNDS: u64 = 30;
const WRITERS: u64 = 4;
const PARTS: u64 = 60;
const HELD_BACK: u64 = 30;
const MEMORY_BYTES: u64 = 1 << 20;

fn bytes(part: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(part);
    let mut bytes = vec![0; random.usize(..200_000)];
    random.fill(&mut bytes);
    bytes
}

type Shared<'a> = (&'a Spool, &'a AtomicU64, &'a AtomicU64, &'a AtomicU64);

/// Writes the parts that no other writer has begun.
fn write_parts((spool, next, read, aborted): Shared<'_>, round: u64, writer: u64) {
    let mut random = fastrand::Rng::with_seed(round * WRITERS + writer);
    loop {
        let part = next.fetch_add(1, Relaxed);
        if part >= PARTS {
            break;
        }
        while part == HELD_BACK
            && (spool.state(part - 1) != PartState::Drained || read.load(Relaxed) <= round)
        {
            thread::park_timeout(Duration::from_millis(1));
        }
        let all = bytes(part);
        if random.u8(..4) == 0 {
            let mut given_up = spool.part(part).expect("it can come");
            given_up.write_all(&all[..all.len() / 2]).expect("there is room");
            drop(given_up);
            spool.fail(part).expect("it can fail");
            aborted.fetch_add(1, Relaxed);
        }
        let mut once = spool.part(part).expect("it can come");
        let twice = (random.u8(..4) == 0).then(|| spool.part(part));
        for piece in all.chunks(random.usize(1..50_000)) {
            once.write_all(piece).expect("there is room");
        }
        once.commit().expect("it can come");
        if let Some(mut twice) = twice.transpose().expect("it can come") {
            twice.write_all(&all).expect("there is room");
            // It may be drained already.
            let _ = twice.commit();
        }
    }
}

#[test]
fn what_many_write_one_drains_while_others_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let (read, aborted) = (AtomicU64::new(0), AtomicU64::new(0));
    for round in 0..ROUNDS {
        let options = SpoolOptions::new().memory_bytes(MEMORY_BYTES).gaps(GapPolicy::Wait);
        let spool = options.directory(directory.path()).build();
        let next = AtomicU64::new(0);
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let shared = (&spool, &next, &read, &aborted);
                scope.spawn(move || write_parts(shared, round, writer));
            }
            let (spool, read) = (&spool, &read);
            scope.spawn(move || {
                // Up to the last one, which is there when all others are.
                while spool.state(PARTS - 1) != PartState::Drained {
                    let part = fastrand::u64(..PARTS);
                    if let Ok(reader) = spool.reader(part) {
                        let found: io::Result<Vec<u8>> = reader.bytes().collect();
                        assert!(found.expect("it can be read") == bytes(part));
                        read.fetch_add(1, Relaxed);
                    }
                }
            });
            let mut drain = spool.drain().expect("nobody else drains");
            for number in 0..PARTS {
                let mut part = drain.next_part().expect("no gap").expect("there are more");
                let mut found = Vec::new();
                part.read_to_end(&mut found).expect("it can be read");
                assert!(part.part() == number && found == bytes(number), "{number}");
            }
        });
        spool.finish(PARTS).expect("they are all");
        assert!(spool.drain().expect("alone").next_part().expect("no gap").is_none());
        let stats = spool.stats();
        assert!(stats.resident_bytes_peak <= MEMORY_BYTES, "{stats:?}");
        assert_eq!((stats.resident_bytes, stats.disk_bytes), (0, 0));
    }
    assert!(aborted.into_inner() > 0);
}
