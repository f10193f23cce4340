//! Looking at records in place: soundly beside the producer, and never waiting for oneself.

use std::sync::mpsc;

use ringkeep::{Error, Producer, Read};

use crate::support::{
    Home, assert_keeps, eventually, open_producer, open_ring, payload, payloads, ring_options,
    shows_in_place,
};

fn filled(home: &Home, size: usize) -> Producer {
    let mut producer = ring_options(size, 100).create(home.path()).expect("a ring");
    producer.append_batch(&payloads(0..150, size)).expect("a batch");
    producer
}

/// Where a payload lies in memory.
fn address(payload: &[u8]) -> usize {
    payload.as_ptr().addr()
}

#[test]
fn a_view_in_the_producers_process_is_in_place() {
    if !shows_in_place() {
        return;
    }
    let home = Home::new();
    let producer = filled(&home, 12);
    let ring = producer.ring();
    let at = |id| ring.view(id, address).unwrap().record().unwrap();
    // Slots of 16 bytes lie back to back; a copy would not.
    for id in 60..80 {
        assert_eq!(at(id), at(60) + 16 * usize::try_from(id - 60).unwrap());
    }
}

#[test]
fn a_view_shows_what_a_read_copies_with_every_outcome() {
    for size in [1, 12, 4092, 5000] {
        let home = Home::new();
        let mut producer = filled(&home, size);
        producer.delete(70).unwrap();
        let inside = producer.ring();
        let outside = open_ring(home.path()).unwrap();
        producer.close().unwrap();
        let producer = open_producer(home.path()).unwrap();
        for ring in [&inside, &outside, &producer.ring()] {
            for id in (50..150).chain([0, 49, 150, u64::MAX]) {
                let seen = ring.view(id, <[u8]>::to_vec).unwrap();
                assert_eq!(seen, ring.read(id).unwrap(), "id {id}");
                assert_eq!(seen == Read::Absent, id == 70);
            }
        }
    }
}

#[test]
fn views_nest_over_any_records() {
    let home = Home::new();
    let producer = filled(&home, 12);
    let ring = producer.ring();
    // Next to each other, on one stripe, the very same record, and far apart.
    for (one, two) in [(60, 61), (60, 124), (60, 60), (149, 50)] {
        let both = ring.view(one, |first| {
            let nested = ring.view(two, |second| [first, second].concat());
            nested.unwrap().record().unwrap()
        });
        let expected = [payload(one, 12), payload(two, 12)].concat();
        assert_eq!(both.unwrap().record().unwrap(), expected);
    }
}

#[test]
fn reads_go_on_inside_a_view() {
    let home = Home::new();
    let producer = filled(&home, 4092);
    let ring = producer.ring();
    let look = |_: &[u8]| {
        assert_keeps(&ring, 50..150);
        ring.verify(|_| {}).expect("a verification").good
    };
    assert_eq!(ring.view(60, look).unwrap().record().unwrap(), 100);
}

#[test]
fn a_producer_called_from_inside_a_view_of_its_ring_is_refused() {
    if !shows_in_place() {
        return;
    }
    let home = Home::new();
    let mut producer = filled(&home, 12);
    let ring = producer.ring();
    let refused = |result: ringkeep::Result<()>| {
        assert!(matches!(result, Err(Error::InsideView)), "{result:?}");
    };
    let record = payload(150, 12);
    let look = |_: &[u8]| {
        refused(producer.append(&record).map(drop));
        refused(producer.append_durable(&record).map(drop));
        refused(producer.append_batch(&record).map(drop));
        refused(producer.append_at(200, &record));
        refused(producer.update(60, &record));
        refused(producer.delete(60));
        refused(producer.flush());
        refused(ring.wait_durable(60, std::time::Duration::ZERO).map(drop));
        // An inner view that is over does not end the outer one.
        ring.view(61, address).expect("a view").record().expect("a record");
        refused(producer.append(&record).map(drop));
        refused(producer.ring().view(60, |_| producer.delete(70)).expect("a view").record()?);
        let failed = producer.close().expect_err("a view is open");
        refused(Err(failed.source));
        Ok::<_, Error>(failed.producer)
    };
    let mut producer = ring.view(60, look).unwrap().record().unwrap().unwrap();
    assert_keeps(&ring, 50..150);
    assert_eq!(producer.append(&record).unwrap(), 150, "afterwards it works on");
    producer.close().unwrap();
    assert_keeps(&ring, 51..151);
}

#[test]
fn a_view_that_panics_is_over() {
    let home = Home::new();
    let mut producer = filled(&home, 12);
    let ring = producer.ring();
    let look = || ring.view(60, |_| panic!("on purpose"));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
    assert!(panicked.is_err());
    producer.append_batch(&payloads(150..400, 12)).unwrap();
    producer.close().unwrap();
    assert_keeps(&ring, 300..400);
}

#[test]
fn a_producer_of_another_ring_works_inside_a_view() {
    let (home, other) = (Home::new(), Home::new());
    let source = filled(&home, 12);
    let mut copy = ring_options(12, 100).create(other.path()).unwrap();
    let ring = source.ring();
    copy.append_at(50, &payload(50, 12)).unwrap();
    for id in 51..150 {
        let copied = ring.view(id, |payload| copy.append(payload)).unwrap().record().unwrap();
        assert_eq!(copied.unwrap(), id);
    }
    ring.view(60, |_| copy.flush()).unwrap().record().unwrap().unwrap();
    assert_keeps(&copy.ring(), 50..150);
}

#[test]
fn a_view_elsewhere_never_stops_the_producer() {
    let home = Home::new();
    let mut producer = filled(&home, 12);
    let ring = open_ring(home.path()).unwrap();
    let look = |seen: &[u8]| {
        producer.append_batch(&payloads(150..500, 12)).expect("a batch");
        producer.flush().expect("a flush");
        assert_eq!(seen, payload(60, 12), "a copy stays as it was");
    };
    ring.view(60, look).unwrap().record().unwrap();
    assert_keeps(&ring, 400..500);
}

/// Goal: while a thread looks at a record, the producer goes on with other slots, waits before it
/// would overwrite this one, and goes on afterwards.
#[test]
fn a_held_view_keeps_its_bytes_while_the_producer_laps_it() {
    if !shows_in_place() {
        return;
    }
    let home = Home::new();
    let mut producer = filled(&home, 12);
    let ring = producer.ring();
    let (slots, looking) = (ring.geometry().slots, mpsc::channel());
    let appended = mpsc::channel::<u64>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let look = |seen: &[u8]| {
                looking.0.send(()).expect("the other side listens");
                // Some of what comes before this slot, then no more.
                let soon = std::time::Duration::from_millis(100);
                let last = std::iter::from_fn(|| appended.1.recv_timeout(soon).ok()).last();
                assert!(last < Some(60 + slots), "the slot was overwritten below a view: {last:?}");
                assert_eq!(seen, payload(60, 12));
            };
            ring.view(60, look).expect("a view").record().expect("a record");
            assert_eq!(appended.1.iter().last(), Some(59 + 2 * slots));
        });
        looking.1.recv().unwrap();
        for id in 150..60 + 2 * slots {
            producer.append(&payload(id, 12)).unwrap();
            if appended.0.send(id).is_err() {
                break;
            }
        }
        drop(appended.0);
    });
}

#[test]
fn a_producer_dropped_inside_a_view_loses_nothing() {
    let home = Home::new();
    let producer = filled(&home, 12);
    let ring = producer.ring();
    let look = |seen: &[u8]| {
        drop(producer);
        assert_eq!(seen, payload(60, 12));
    };
    ring.view(60, look).unwrap().record().unwrap();
    assert_keeps(&ring, 50..150);
    drop(ring);
    let mut next = None;
    eventually("the lock is let go", || {
        next = open_producer(home.path()).ok();
        next.is_some()
    });
    let mut producer = next.unwrap();
    assert_keeps(&producer.ring(), 50..150);
    assert_eq!(producer.append(&payload(150, 12)).unwrap(), 150);
}
