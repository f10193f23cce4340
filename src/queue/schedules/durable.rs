//! Queues whose items survive: what a push promised, and who waits for a sync.

use std::time::Duration;

use shuttle::thread;

use super::{
    Bytequeue, MEMORY_BYTES, PATH, assert_all_once, assert_in_order, check, consume, draw, item,
    join, join_all, options, produce, spawn,
};
use crate::{
    disk::{locks::let_time_pass, sim::SimDisk, sync::SyncPolicy},
    error::{Error, PushError, Result},
    queue::options::Mode,
};

const HOUR: Duration = Duration::from_secs(3600);
const SECTOR_BYTES: usize = 512;

fn open(disk: &SimDisk, policy: SyncPolicy) -> Bytequeue {
    options(disk).mode(Mode::Durable(policy)).open(PATH).expect("an empty disk")
}

/// How many items there are after a power cut now that takes all that it may.
fn count_after_power_cut(disk: &SimDisk) -> u64 {
    let disk = disk.copy();
    disk.cut_power_to(&vec![0; disk.versions_in_flight().len()]);
    let queue = open(&disk.other_process(), SyncPolicy::Never);
    let mut count = 0;
    while let Ok(delivery) = queue.try_recv() {
        assert_eq!(delivery.number(), count);
        delivery.ack();
        count += 1;
    }
    count
}

#[test]
fn whatever_always_returned_survives_a_power_cut_whoever_synced_it() {
    check(&["somebody waits for another's sync", "a sync is shared"], |met| {
        let disk = SimDisk::new(1, SECTOR_BYTES);
        let queue = open(&disk, SyncPolicy::Always);
        let syncing = spawn(&queue, |queue| queue.sync().expect("a sync"));
        let producers = [0, 1].map(|producer| {
            let disk = disk.clone();
            spawn(&queue, move |queue| {
                let push = |count| {
                    let number = queue.push(item(producer, count)).expect("a push");
                    let end = number.expect("nothing is dropped") + 1;
                    // Of the first push: was it made durable by the sync of the other producer?
                    let durable = queue.durable();
                    assert!(durable >= end && count_after_power_cut(&disk) >= end, "{end}");
                    durable > end
                };
                (0..2).map(push).collect::<Vec<_>>()
            })
        });
        let shared = join_all(producers);
        join(syncing);
        met.count("somebody waits for another's sync", queue.core.synced.waits() > 0);
        met.count("a sync is shared", shared.contains(&true));
    });
}

#[test]
fn a_group_is_synced_when_it_is_full_and_whoever_waits_for_it_is_told() {
    check(&["a group is not full", "somebody waits for a sync"], |met| {
        let disk = SimDisk::new(1, SECTOR_BYTES);
        let queue = open(&disk, SyncPolicy::EveryRecords(2));
        let waiting = spawn(&queue, |queue| queue.wait_durable(3, HOUR).expect("a sync"));
        let producers = [0, 1].map(|at| spawn(&queue, move |queue| produce(queue, at, 3)));
        join_all(producers);
        let durable = queue.durable();
        assert!((5..=6).contains(&durable), "{durable} of 6, in groups of two");
        assert!(count_after_power_cut(&disk) >= durable);
        assert!(join(waiting), "time stands still");
        met.count("a group is not full", durable == 5);
        met.count("somebody waits for a sync", queue.core.synced.waits() > 0);
    });
}

#[test]
fn those_who_sync_at_the_same_time_all_return() {
    check(&["somebody waits for another's sync", "somebody gives up"], |met| {
        let_time_pass(true);
        let disk = SimDisk::new(1, SECTOR_BYTES);
        let queue = open(&disk, SyncPolicy::Never);
        let waiting = {
            let disk = disk.clone();
            spawn(&queue, move |queue| {
                let is_durable = queue.wait_durable(3, HOUR).expect("a sync");
                assert!(!is_durable || count_after_power_cut(&disk) == 4);
                is_durable
            })
        };
        let producers = [0, 1].map(|producer| {
            let disk = disk.clone();
            spawn(&queue, move |queue| {
                let numbered = produce(queue, producer, 2);
                queue.sync().expect("a sync");
                let (last, _) = *numbered.last().expect("two items");
                assert!(count_after_power_cut(&disk) > last);
                disk.advance(HOUR);
                numbered
            })
        });
        join_all(producers);
        met.count("somebody gives up", !join(waiting));
        met.count("somebody waits for another's sync", queue.core.synced.waits() > 0);
        assert_eq!(queue.durable(), 4);
    });
}

#[test]
fn items_pass_through_a_small_disk_beside_syncs() {
    check(&["a pusher waits", "a receiver waits", "all are received"], |met| {
        let disk = SimDisk::reliable(1);
        let mode = Mode::Durable(SyncPolicy::EveryRecords(2));
        let options = options(&disk).mode(mode).disk_bytes_max(50_000);
        let queue = options.open(PATH).expect("an empty disk");
        let producers = [0, 1].map(|at| spawn(&queue, move |queue| produce(queue, at, 5)));
        let consumers = [spawn(&queue, consume), spawn(&queue, consume)];
        let syncing = spawn(&queue, |queue| queue.sync().expect("a sync"));
        let pushed = join_all(producers);
        queue.close().expect("a close");
        join(syncing);
        let received = consumers.map(join);
        for received in &received {
            assert_in_order(received);
        }
        assert_all_once(pushed, received.concat());
        met.count("a pusher waits", queue.core.room.threads().waits() > 0);
        met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
        met.count("all are received", queue.is_empty());
    });
}

#[test]
fn whoever_pushes_is_woken_by_the_segment_that_goes_last() {
    check(&["a pusher waits"], |met| {
        let disk = SimDisk::reliable(1);
        let options = options(&disk).mode(Mode::Durable(SyncPolicy::Never));
        let queue = options.disk_bytes_max(50_000).open(PATH).expect("an empty disk");
        while queue.try_push(item(0, 0)).is_ok() {}
        let pusher = spawn(&queue, |queue| produce(queue, 1, 1));
        let segments = queue.core.log.count();
        while queue.core.log.count() == segments {
            receive(&queue).expect("an item");
        }
        join(pusher);
        met.count("a pusher waits", queue.core.room.threads().waits() > 0);
    });
}

/// Whether it is the failure of the disk, and not that of somebody else.
fn is_first_to_know(error: &Error) -> bool {
    match error {
        Error::Io { .. } => true,
        Error::Poisoned { .. } => false,
        error => panic!("{error}"),
    }
}

#[test]
fn a_sync_that_fails_is_told_to_everybody() {
    check(&["a pusher waits for room", "somebody waits for the sync", "a time-out"], |met| {
        let_time_pass(true);
        let disk = SimDisk::new(1, SECTOR_BYTES);
        let options = options(&disk).mode(Mode::Durable(SyncPolicy::Always)).items_max(2);
        let queue = options.open(PATH).expect("an empty disk");
        disk.fail_next_sync(true);
        let waiting =
            spawn(&queue, |queue| queue.wait_durable(0, HOUR).map(|_| ()).expect_err("a failure"));
        let pushers = [0, 1, 2].map(|at| {
            spawn(&queue, move |queue| -> Error {
                queue.push(item(at, 0)).expect_err("one").into()
            })
        });
        let mut errors = Vec::from(pushers.map(join));
        errors.push(join(waiting));
        let known = errors.iter().filter(|error| is_first_to_know(error)).count();
        assert_eq!((known, queue.durable()), (1, 0), "{errors:?}");
        // Another sync could report success.
        assert!(matches!(queue.sync(), Err(Error::Poisoned { .. })));
        met.count("a pusher waits for room", queue.core.room.threads().waits() > 0);
        met.count("somebody waits for the sync", queue.core.synced.waits() > 0);
        met.count("a time-out", queue.core.synced.time_outs() > 0);
    });
}

#[test]
fn whoever_receives_is_told_that_nothing_more_comes() {
    check(&["a receiver waits", "an item is received"], |met| {
        let disk = SimDisk::new(1, SECTOR_BYTES);
        let queue = open(&disk, SyncPolicy::Always);
        disk.fail_next_sync(true);
        let consumers = [0, 1].map(|_| {
            spawn(&queue, |queue| {
                let mut count = 0;
                loop {
                    match receive(queue) {
                        Ok(_) => count += 1,
                        Err(Error::Poisoned { .. }) => return count,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        let refused = queue.push(item(0, 0)).expect_err("a failure");
        assert!(refused.item.is_none(), "it is in");
        let received: u64 = consumers.map(join).into_iter().sum();
        assert!(received <= 1);
        met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
        met.count("an item is received", received == 1);
    });
}

#[test]
fn whoever_cannot_receive_an_item_leaves_it_to_somebody_who_waits() {
    check(&["a receive fails", "both wait"], |met| {
        let disk = SimDisk::reliable(1);
        let queue = open(&disk, SyncPolicy::Never);
        let consumers = [0, 1].map(|_| spawn(&queue, receive));
        disk.fail_a_call(draw(12), false, libc::EIO);
        // Memory has no room for it.
        while queue.push(vec![0; MEMORY_BYTES]).is_err() {}
        while !queue.is_empty() {
            thread::yield_now();
        }
        met.count("both wait", queue.core.ready.threads().waits() > 1);
        let _ = queue.close();
        let received = consumers.map(join);
        let failed = received.iter().any(|received| matches!(received, Err(Error::Io { .. })));
        met.count("a receive fails", failed);
        assert!(received.iter().any(Result::is_ok));
    });
}

#[test]
fn a_disk_that_fails_at_any_call_keeps_nobody_waiting() {
    check(
        &["a push fails", "a push fails but is in", "a receive fails", "the close fails"],
        |met| {
            let disk = SimDisk::reliable(1);
            let options = options(&disk).mode(Mode::Durable(SyncPolicy::EveryRecords(2)));
            let queue = options.items_max(6).open(PATH).expect("an empty disk");
            disk.fail_a_call(draw(60), draw(2) == 0, libc::EIO);
            let producers = [0, 1].map(|at| {
                spawn(&queue, move |queue| {
                    (0..4).map(|count| queue.push(item(at, count))).collect::<Vec<_>>()
                })
            });
            let consumers = [0, 1].map(|_| spawn(&queue, consume_until_over));
            let pushes = join_all(producers);
            let closed = queue.close();
            let (received, failed): (Vec<_>, Vec<_>) = consumers.map(join).into_iter().unzip();
            let failed: u64 = failed.iter().sum();
            let is_in = |pushed: &&std::result::Result<_, PushError<_>>| {
                pushed.as_ref().map_or_else(|refused| refused.item.is_none(), |_| true)
            };
            let count = pushes.iter().filter(is_in).count();
            // A push that was on its way when the receivers were told comes in all the same.
            let left = queue.len();
            assert_eq!(received.concat().len() as u64 + left, count as u64);
            assert!(left == 0 || failed > 0 || closed.is_err(), "{left} items are left");
            let is_ok = pushes.iter().filter(|pushed| pushed.is_ok()).count();
            met.count("a push fails", count < 8);
            met.count("a push fails but is in", is_ok < count);
            met.count("a receive fails", failed > 0);
            met.count("the close fails", closed.is_err());
        },
    );
}

/// Until no more comes, or the disk has failed so often that it will not mend; and how often
/// that was.
fn consume_until_over(queue: &Bytequeue) -> (Vec<u64>, u64) {
    let (mut received, mut failed) = (Vec::new(), 0);
    while failed < 3 {
        match receive(queue) {
            Ok(number) => received.push(number),
            Err(Error::Closed | Error::Poisoned { .. }) => break,
            Err(Error::Io { .. }) => failed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (received, failed)
}

fn receive(queue: &Bytequeue) -> Result<u64> {
    let delivery = queue.recv()?;
    let number = delivery.number();
    delivery.ack();
    Ok(number)
}
