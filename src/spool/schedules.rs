//! Goal: whatever the order in which the threads of a spool take their steps, each part comes out
//! as it was written, in its place, and nobody waits for ever.
//!
//! Method: the real spool on the simulated disk under the model checker shuttle, as
//! src/disk/locks/schedules.rs says.

use std::io::{Read, Write};

use shuttle::thread;

use super::{
    Spool,
    options::{GapPolicy, SpoolOptions},
};
use crate::{
    disk::{locks::schedules::check, sim::SimDisk},
    error::{Error, PartState},
};

/// Nothing stays in memory.
fn spool(gaps: GapPolicy) -> Spool {
    SpoolOptions::new().memory_bytes(0).gaps(gaps).on(&SimDisk::reliable(1)).build()
}

fn bytes(part: u64, time: u8) -> Vec<u8> {
    vec![part.to_le_bytes()[0] * 16 + time; 20]
}

fn spawn<T: Send + 'static>(
    spool: &Spool,
    body: impl FnOnce(&Spool) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let spool = spool.clone();
    thread::spawn(move || body(&spool))
}

/// All parts of a finished spool, or the first gap.
fn drained(spool: &Spool) -> Result<Vec<Vec<u8>>, Error> {
    let (mut parts, mut drain) = (Vec::new(), spool.drain()?);
    while let Some(mut part) = drain.next_part()? {
        assert_eq!(part.part(), parts.len() as u64);
        let mut found = Vec::new();
        part.read_to_end(&mut found).expect("it can be read");
        parts.push(found);
    }
    Ok(parts)
}

#[test]
fn parts_that_two_write_come_out_in_order_while_they_are_read_and_written_again() {
    check(&["the drain waits", "a part is given up", "a reader reads", "too late"], |met| {
        let spool = spool(GapPolicy::Wait);
        let drain = spawn(&spool, |spool| drained(spool).expect("there is no gap"));
        let even = spawn(&spool, |spool| {
            for part in [2, 0] {
                let mut writer = spool.part(part).expect("it can come");
                writer.write_all(b"given up").expect("there is room");
                drop(writer);
                spool.put(part, &bytes(part, 0)).expect("it can come");
            }
        });
        let odd = spawn(&spool, |spool| {
            spool.put(1, &bytes(1, 0)).expect("it can come");
            match spool.put(1, &bytes(1, 1)) {
                Ok(()) => false,
                Err(Error::PartDrained { part: 1 }) => true,
                Err(other) => panic!("{other:?}"),
            }
        });
        if let Ok(mut reader) = spool.reader(2) {
            let mut found = Vec::new();
            reader.read_to_end(&mut found).expect("it can be read");
            assert_eq!(found, bytes(2, 0));
            met.count("a reader reads", true);
        }
        met.count("a part is given up", spool.state(0) == PartState::Absent);
        even.join().expect("no panic");
        let is_late = odd.join().expect("no panic");
        met.count("too late", is_late);
        spool.finish(3).expect("there are three");
        let parts = drain.join().expect("no panic");
        let odd = [bytes(1, 0), bytes(1, 1)];
        assert_eq!((&parts[0], &parts[2]), (&bytes(0, 0), &bytes(2, 0)));
        assert!(parts[1] == odd[1] || is_late && parts[1] == odd[0]);
        met.count("the drain waits", spool.core().waits() > 0);
        let stats = spool.stats();
        assert_eq!((stats.resident_bytes, stats.disk_bytes, parts.len()), (0, 0, 3));
    });
}

#[test]
fn whoever_waits_for_a_part_that_does_not_come_is_told() {
    check(&["it fails first", "somebody waits", "it came in time"], |met| {
        let spool = spool(GapPolicy::Error);
        let drain = spawn(&spool, drained);
        let merge = spawn(&spool, |spool| spool.merge_into(std::io::sink()));
        let writer = spawn(&spool, |spool| {
            let never = spool.part(1).expect("it can come");
            spool.put(0, &bytes(0, 0)).expect("it can come");
            spool.finish(2).expect("there are two");
            drop(never);
        });
        let second = spawn(&spool, |spool| {
            // It is begun once more, before or after whoever waits was told.
            spool.put(1, &bytes(1, 0)).is_ok()
        });
        writer.join().expect("no panic");
        let came = second.join().expect("no panic");
        let drained = drain.join().expect("no panic");
        let merged = merge.join().expect("no panic");
        met.count("it fails first", drained.is_err());
        met.count("it came in time", drained.is_ok());
        met.count("somebody waits", spool.core().waits() > 0);
        match drained {
            Ok(parts) => assert!(came && parts == [bytes(0, 0), bytes(1, 0)]),
            Err(Error::PartMissing { part: 1, state: PartState::Absent }) => {}
            Err(other) => panic!("{other:?}"),
        }
        match merged {
            Ok(length) => assert!(length <= 40),
            Err(Error::PartMissing { part: 1, .. } | Error::PartDrained { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    });
}
