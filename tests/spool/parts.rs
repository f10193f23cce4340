//! Parts one by one: what is refused, who waits for what, and what is told.

use std::{
    io::{self, Read as _, Write as _},
    sync::{Arc, OnceLock},
    thread,
};

use parking_lot::Mutex;
use ringkeep::{Error, GapPolicy, PartState, Spool, SpoolOptions, Storage};

fn text(spool: &Spool, part: u64) -> String {
    io::read_to_string(spool.reader(part).expect("it is ready")).expect("text")
}

#[test]
fn a_part_that_is_written_twice_is_the_one_that_became_complete_last() {
    let spool = Spool::new();
    let (mut one, mut other) = (spool.part(0).expect("a part"), spool.part(0).expect("a part"));
    one.write_all(b"one").expect("there is room");
    other.write_all(b"other").expect("there is room");
    other.commit().expect("it can come");
    assert_eq!((text(&spool, 0).as_str(), spool.state(0)), ("other", PartState::Ready));
    let before = spool.reader(0).expect("it is ready");
    one.commit().expect("it can come");
    drop(spool.part(0).expect("it can come"));
    assert_eq!(text(&spool, 0), "one");
    assert_eq!(io::read_to_string(before).expect("text"), "other", "as it was then");
    assert_eq!(spool.stats().parts_ready, 1);
}

#[test]
fn what_cannot_come_is_refused_by_its_number() {
    let spool = Spool::new();
    spool.put(0, b"first").expect("it can come");
    spool.put(5, b"last").expect("it can come");
    let refused = spool.finish(5).expect_err("there is a part 5");
    assert!(matches!(refused, Error::PartOutOfRange { part: 5, total: 5 }), "{refused:?}");
    spool.finish(6).expect("up to it");
    let refused = spool.put(6, b"more").expect_err("there are 6");
    assert_eq!(
        refused.to_string(),
        "part 6 is none of the 6 of this spool: number parts from 0, or finish it with more"
    );
    drop(spool.drain().expect("alone").next_part().expect("it is ready"));
    for refused in [spool.put(0, b"late"), spool.fail(0), spool.reader(0).map(drop)] {
        assert!(matches!(refused, Err(Error::PartDrained { part: 0 })), "{refused:?}");
    }
    let refused = spool.reader(3).expect_err("nobody wrote it");
    let expected = "part 3 is absent: write it, or choose a GapPolicy that does without it";
    assert_eq!(refused.to_string(), expected);
    let late = spool.part(1).expect("it can come");
    spool.put(1, b"in time").expect("it can come");
    drop(spool.drain().expect("alone").next_part().expect("it is ready"));
    let refused = late.commit().expect_err("it is drained");
    assert!(matches!(*refused.source, Error::PartDrained { part: 1 }), "{refused:?}");
    assert!(spool.missing().eq(2..5));
    let last = u64::MAX - 1;
    let wide = Spool::new();
    wide.put(last, b"the very last").expect("it can come");
    assert_eq!((wide.missing().next(), wide.state(last)), (Some(0), PartState::Ready));
    wide.put(u64::MAX, b"one more").expect_err("no spool has as many");
}

#[test]
fn a_failure_behind_the_end_is_no_part_and_a_long_gap_is_passed_at_once() {
    let spool = SpoolOptions::new().gaps(GapPolicy::Skip).build();
    let far = 1 << 60;
    spool.put(far, b"far").expect("it can come");
    spool.fail(far + 1).expect("somebody looks for the end");
    spool.finish(far + 1).expect("it is there");
    assert_eq!(spool.state(far + 1), PartState::Absent);
    let mut drain = spool.drain().expect("alone");
    assert_eq!(drain.next_part().expect("no gap").map(|part| part.part()), Some(far));
    assert!(drain.next_part().expect("no gap").is_none());
    assert_eq!(spool.stats().parts_skipped, far);
}

#[test]
fn whoever_waits_is_told_when_nobody_is_left_to_bring_a_part() {
    for gaps in [GapPolicy::Error, GapPolicy::Skip, GapPolicy::Wait] {
        let spool = SpoolOptions::new().gaps(gaps).build();
        let mut drain = spool.drain().expect("alone");
        let mut writer = spool.part(0).expect("it can come");
        drop(spool);
        writer.write_all(b"bytes").expect("there is room");
        writer.commit().expect("a writer is left");
        assert!(drain.next_part().expect("it is there").is_some());
        let refused = drain.next_part().map(drop).expect_err("nobody is left");
        let is_told = matches!(refused, Error::PartMissing { part: 1, state: PartState::Absent });
        assert!(is_told, "{gaps:?}: {refused:?}");
    }
}

/// Drains in a thread; the text of all parts, or the error.
fn drained(spool: &Spool) -> thread::JoinHandle<Result<String, Error>> {
    let spool = spool.clone();
    thread::spawn(move || {
        let (mut text, mut drain) = (String::new(), spool.drain()?);
        while let Some(mut part) = drain.next_part()? {
            part.read_to_string(&mut text).map_err(|source| Error::Output { source })?;
        }
        Ok(text)
    })
}

#[test]
fn a_drain_waits_for_parts_that_may_come_and_ends_with_the_last_one() {
    let spool = Spool::new();
    let drain = drained(&spool);
    spool.put(1, b"one ").expect("it can come");
    let mut two = spool.part(2).expect("it can come");
    drop(spool.part(0).expect("whoever gives up says nothing"));
    spool.put(0, b"zero ").expect("it can come");
    spool.finish(3).expect("there are three");
    two.write_all(b"two").expect("there is room");
    two.commit().expect("it can come");
    assert_eq!(drain.join().expect("no panic").expect("no gap"), "zero one two");
    assert_eq!(spool.stats().parts_drained, 3);
}

#[test]
fn a_gap_is_an_error_or_passed_over_or_waited_for_as_the_policy_says() {
    for (gaps, expected) in [
        (GapPolicy::Error, None),
        (GapPolicy::Skip, Some("one three")),
        (GapPolicy::Wait, Some("zero one two three")),
    ] {
        let spool = SpoolOptions::new().gaps(gaps).build();
        let drain = drained(&spool);
        spool.put(1, b"one ").expect("it can come");
        spool.put(3, b"three").expect("it can come");
        spool.fail(0).expect("it can fail");
        spool.finish(4).expect("there are four");
        if gaps == GapPolicy::Wait {
            spool.put(2, b"two ").expect("it can come after all");
            spool.put(0, b"zero ").expect("it can come after all");
        }
        match (drain.join().expect("no panic"), expected) {
            (Ok(text), Some(expected)) => assert_eq!(text, expected),
            (Err(Error::PartMissing { part: 0, state: PartState::Failed }), None) => {
                spool.put(0, b"zero ").expect("it can come after all");
                let again = drained(&spool).join().expect("no panic");
                let refused = again.expect_err("the next gap");
                assert!(matches!(refused, Error::PartMissing { part: 2, .. }), "{refused:?}");
            }
            (found, _) => panic!("{gaps:?}: {found:?}"),
        }
        assert_eq!(spool.stats().parts_skipped, if gaps == GapPolicy::Skip { 2 } else { 0 });
    }
}

#[test]
fn a_gap_that_a_writer_leaves_after_the_end_wakes_whoever_waits() {
    let spool = Spool::new();
    let writer = spool.part(0).expect("it can come");
    spool.finish(1).expect("there is one");
    let drain = drained(&spool);
    drop(writer);
    let refused = drain.join().expect("no panic").expect_err("nobody writes it");
    let is_gap = matches!(refused, Error::PartMissing { part: 0, state: PartState::Absent });
    assert!(is_gap, "{refused:?}");
}

#[test]
fn progress_tells_each_part_and_when_parts_move_to_the_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let spool = SpoolOptions::new()
        .memory_bytes(300_000)
        .directory(directory.path())
        .on_progress(move |now| {
            list.lock().push((now.parts, now.bytes, now.total, now.storage));
        })
        .build();
    spool.put(0, &vec![7; 100_000]).expect("there is room");
    spool.put(0, &vec![7; 90_000]).expect("there is room");
    let mut part = spool.part(1).expect("it can come");
    part.write_all(&vec![7; 400_000]).expect("there is room");
    assert!(spool.stats().disk_bytes > 0);
    spool.finish(2).expect("there are two");
    part.commit().expect("it can come");
    drop(spool.drain().expect("alone").next_part().expect("it is ready"));
    let expected = [
        (1, 100_000, None, Storage::Memory),
        (1, 90_000, None, Storage::Memory),
        (1, 90_000, None, Storage::Disk),
        (2, 490_000, Some(2), Storage::Disk),
    ];
    assert_eq!(*told.lock(), expected);
}

#[test]
fn whoever_is_told_of_progress_may_use_the_spool() {
    let spool = Arc::new(OnceLock::<Spool>::new());
    let (own, told) = (Arc::clone(&spool), Arc::new(Mutex::new(Vec::new())));
    let list = Arc::clone(&told);
    let options = SpoolOptions::new().on_progress(move |now| {
        let spool = own.get().expect("it was set");
        if now.parts == 1 {
            spool.put(1, b"from within").expect("it can come");
        }
        list.lock().push((now.parts, spool.stats().parts_ready));
    });
    spool.set(options.build()).expect("it was not set");
    spool.get().expect("it was set").put(0, b"bytes").expect("it can come");
    assert_eq!(*told.lock(), [(2, 2), (1, 2)]);
}

#[test]
fn small_parts_take_little_memory_and_an_empty_one_is_a_part() {
    let spool = SpoolOptions::new().memory_bytes(100_000).build();
    for part in 0..1000 {
        spool.put(part, b"bytes").expect("there is room");
    }
    let stats = spool.stats();
    assert_eq!((stats.resident_bytes, stats.disk_bytes), (5_000, 0));
    assert!(stats.index_bytes < 200 * 1000, "{stats:?}");
    spool.put(1000, b"").expect("there is room");
    assert_eq!((text(&spool, 1000), spool.stats().parts_ready), (String::new(), 1001));
}

#[test]
fn a_part_that_was_taken_out_unread_is_there_for_the_next_process_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kept");
    let spool = SpoolOptions::new().resume(&path).expect("a spool");
    spool.put(0, b"before").expect("it can come");
    let mut again = spool.part(0).expect("it can come again");
    again.write_all(b"too late").expect("there is room");
    drop(spool.drain().expect("alone").next_part().expect("it is ready"));
    let refused = again.commit().expect_err("it was taken out");
    assert!(matches!(*refused.source, Error::PartDrained { part: 0 }), "{refused:?}");
    drop((refused, spool));
    let next = SpoolOptions::new().resume(&path).expect("nobody has it");
    assert_eq!((next.resumed().parts, text(&next, 0).as_str()), (1, "before"));
}
