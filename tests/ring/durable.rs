//! What is durable when, under each policy, and who can wait for it.

use std::{thread, time::Duration};

use ringkeep::{Error, Producer, Ring, SyncPolicy};

use ringkeep_torture::form::Form;

use crate::support::{
    Home, PATIENCE, assert_keeps, form, open_producer, open_ring, payload, payloads, ring_options,
};

const MOMENT: Duration = Duration::from_millis(5);

fn ring_with(home: &Home, policy: SyncPolicy) -> (Producer, [Ring; 2]) {
    let options = ring_options(8, 50).shards(3).sync(policy);
    let producer = options.create(home.path()).expect("a ring");
    let rings = [producer.ring(), open_ring(home.path()).expect("a reader")];
    (producer, rings)
}

#[track_caller]
fn assert_durable(rings: &[Ring; 2], durable: u64) {
    for ring in rings {
        assert_eq!(ring.durable().expect("a look"), durable);
    }
}

#[test]
fn under_never_only_a_flush_and_a_close_make_records_durable() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::Never);
    for id in 0..120 {
        producer.append(&payload(id, 8)).unwrap();
        assert_durable(&rings, 0);
    }
    for ring in &rings {
        assert!(!ring.wait_durable(119, MOMENT).unwrap());
        assert!(!ring.wait_durable(70, Duration::ZERO).unwrap());
    }
    producer.flush().unwrap();
    assert_durable(&rings, 120);
    producer.flush().unwrap();
    producer.append_at(130, &payload(130, 8)).unwrap();
    assert_durable(&rings, 120);
    assert_eq!(producer.append_durable(&payload(131, 8)).unwrap(), 131);
    assert_durable(&rings, 132);
    producer.append(&payload(132, 8)).unwrap();
    assert_durable(&rings, 132);
    producer.close().unwrap();
    assert_durable(&rings, 133);
}

#[test]
fn under_always_everything_is_durable_on_return() {
    let one_each = [SyncPolicy::Always, SyncPolicy::EveryRecords(1), SyncPolicy::EveryRecords(0)];
    for policy in one_each {
        let home = Home::new();
        let (mut producer, rings) = ring_with(&home, policy);
        for id in 0..10 {
            producer.append(&payload(id, 8)).unwrap();
            assert_durable(&rings, id + 1);
        }
        producer.append_batch(&payloads(10..200, 8)).unwrap();
        assert_durable(&rings, 200);
        producer.append_at(220, &payload(220, 8)).unwrap();
        assert_durable(&rings, 221);
        producer.append_at(1000, &payload(1000, 8)).unwrap();
        assert_durable(&rings, 1001);
        for ring in &rings {
            assert!(ring.wait_durable(1000, Duration::ZERO).unwrap());
        }
        producer.die();
        assert_durable(&rings, 1001);
    }
}

#[test]
fn every_group_of_records_is_synced_in_the_background() {
    for group in [2, 3, 10, 64] {
        let home = Home::new();
        let (mut producer, rings) = ring_with(&home, SyncPolicy::EveryRecords(group));
        for id in 0..group * 6 {
            producer.append(&payload(id, 8)).unwrap();
            let durable = rings[1].durable().unwrap();
            assert!(durable <= id + 1);
            // The group being filled, and the one that is synced.
            assert!(id + 1 < durable + 2 * group, "{durable} durable after {id}");
        }
        for ring in &rings {
            assert!(ring.wait_durable(group * 6 - 1, PATIENCE).unwrap());
            assert_eq!(ring.durable().unwrap(), group * 6);
        }
    }
}

#[test]
fn a_group_that_is_not_full_is_not_synced() {
    for group in [2, 3, 10, 64] {
        let home = Home::new();
        let (mut producer, rings) = ring_with(&home, SyncPolicy::EveryRecords(group));
        for id in 0..group - 1 {
            producer.append(&payload(id, 8)).unwrap();
        }
        for ring in &rings {
            assert!(!ring.wait_durable(0, MOMENT).unwrap());
        }
        assert_durable(&rings, 0);
    }
}

#[test]
fn the_last_group_of_a_batch_is_synced_too() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::EveryRecords(10));
    producer.append_batch(&payloads(0..500, 8)).unwrap();
    assert!(rings[1].wait_durable(489, PATIENCE).unwrap());
    producer.append_at(530, &payload(530, 8)).unwrap();
    assert!(rings[1].wait_durable(519, PATIENCE).unwrap());
}

#[test]
fn an_interval_syncs_an_idle_producer_too() {
    for interval in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(20)] {
        let home = Home::new();
        let (mut producer, rings) = ring_with(&home, SyncPolicy::Interval(interval));
        for round in 1..5 {
            producer.append_batch(&payloads(7 * (round - 1)..7 * round, 8)).unwrap();
            for ring in &rings {
                assert!(ring.wait_durable(7 * round - 1, PATIENCE).unwrap(), "{interval:?}");
            }
        }
        let syncs = producer.ring().stats().unwrap().syncs;
        // A batch of 7 is shown in two pieces of up to a block, 6; in four of 2 under the budget.
        let pieces = if form() == Form::Windowed { 4 } else { 2 };
        assert!((1..=4 * pieces).contains(&syncs), "{syncs} syncs of 4 batches");
        thread::park_timeout(Duration::from_millis(60));
        let after = producer.ring().stats().unwrap().syncs;
        assert_eq!(after, syncs, "an idle producer that was synced writes nothing");
    }
}

#[test]
fn a_long_interval_is_cut_short_by_a_flush_and_by_a_close() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::Interval(Duration::MAX));
    producer.append(&payload(0, 8)).unwrap();
    producer.flush().unwrap();
    producer.append(&payload(1, 8)).unwrap();
    producer.flush().unwrap();
    assert_durable(&rings, 2);
    producer.append(&payload(2, 8)).unwrap();
    producer.close().unwrap();
    assert_durable(&rings, 3);
}

#[test]
fn after_the_longest_interval_other_policies_still_work() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::Interval(Duration::MAX));
    producer.append_durable(&payload(0, 8)).unwrap();
    producer.set_sync(SyncPolicy::EveryRecords(2));
    producer.append_batch(&payloads(1..3, 8)).unwrap();
    assert!(rings[1].wait_durable(2, PATIENCE).unwrap(), "the flusher is gone");
}

#[test]
fn a_policy_can_be_changed_on_the_way() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::Never);
    producer.append_batch(&payloads(0..5, 8)).unwrap();
    // Now: a sync of the interval that has begun may come late, and cover more.
    assert!(!rings[1].wait_durable(4, MOMENT).unwrap());
    producer.set_sync(SyncPolicy::Interval(Duration::from_millis(1)));
    assert!(rings[1].wait_durable(4, PATIENCE).unwrap());
    producer.set_sync(SyncPolicy::Always);
    producer.append(&payload(5, 8)).unwrap();
    assert_durable(&rings, 6);
    producer.set_sync(SyncPolicy::EveryRecords(2));
    producer.append_batch(&payloads(6..8, 8)).unwrap();
    assert!(rings[1].wait_durable(7, PATIENCE).unwrap());
}

#[test]
fn a_flush_wakes_those_who_wait_for_it() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::Never);
    producer.append_batch(&payloads(0..5, 8)).unwrap();
    thread::scope(|scope| {
        let waits = rings.each_ref().map(|ring| scope.spawn(|| ring.wait_durable(4, PATIENCE)));
        producer.flush().unwrap();
        for wait in waits {
            assert!(wait.join().unwrap().unwrap());
        }
    });
    assert!(rings[0].wait_durable(0, Duration::ZERO).unwrap());
}

#[test]
fn an_id_that_was_durable_stays_so_when_it_is_lapped() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::Always);
    producer.append_batch(&payloads(0..200, 8)).unwrap();
    for ring in &rings {
        assert!(ring.wait_durable(3, Duration::ZERO).unwrap());
    }
}

#[test]
fn stats_tell_where_the_archive_stands() {
    let home = Home::new();
    let (mut producer, rings) = ring_with(&home, SyncPolicy::Never);
    let needed = rings[0].geometry().bytes_on_disk();
    producer.append_batch(&payloads(0..70, 8)).unwrap();
    producer.flush().unwrap();
    producer.append_batch(&payloads(70..80, 8)).unwrap();
    for ring in &rings {
        let stats = ring.stats().unwrap();
        assert_eq!((stats.oldest, stats.next, stats.durable), (30, 80, 70));
        assert!(stats.writer_live);
        assert!(stats.bytes_on_disk >= needed, "{} of {needed}", stats.bytes_on_disk);
    }
    assert_eq!(rings[0].stats().unwrap().syncs, 1);
    assert_eq!(rings[1].stats().unwrap().syncs, 0, "another process cannot know");
    let refused = open_producer(home.path());
    assert!(matches!(refused, Err(Error::Locked { .. })), "the question took no lock");
    producer.close().unwrap();
    for ring in &rings {
        let stats = ring.stats().unwrap();
        assert!(!stats.writer_live);
        assert_eq!((stats.oldest, stats.next, stats.durable), (30, 80, 80));
    }
    let producer = open_producer(home.path()).unwrap();
    assert!(rings[0].stats().unwrap().writer_live);
    producer.die();
    assert!(!rings[1].stats().unwrap().writer_live);
    assert_keeps(&rings[1], 30..80);
}
