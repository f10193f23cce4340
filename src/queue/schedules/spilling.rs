//! Queues that only spill, and what all queues have in common.

use std::time::Duration;

use shuttle::thread;

use super::{
    Bytequeue, Met, Numbered, PATH, acknowledge, assert_all_once, assert_in_order, check, consume,
    draw, item, join, join_all, name, open, options, produce, spawn,
};
use crate::{
    disk::{locks::let_time_pass, sim::SimDisk, sync::SyncPolicy},
    error::{Error, PushError},
    queue::options::{Mode, WhenFull},
};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn items_of_two_producers_come_out_once_and_in_order_through_memory_and_disk() {
    check(&["some overflow", "a receiver waits", "both receive"], |met| {
        let queue = open(|options| options);
        let consumers = [spawn(&queue, consume), spawn(&queue, consume)];
        let producers = [0, 1].map(|at| spawn(&queue, move |queue| produce(queue, at, 4)));
        let pushed = join_all(producers);
        queue.close().expect("a close");
        let received = consumers.map(join);
        for received in &received {
            assert_in_order(received);
        }
        met.count("some overflow", queue.core.writer.lock().next() > 0);
        met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
        met.count("both receive", received.iter().all(|received| !received.is_empty()));
        assert_all_once(pushed, received.concat());
        assert!(queue.is_empty());
    });
}

#[test]
fn segments_go_only_when_all_of_their_items_are_acknowledged() {
    check(&["both receive", "segments go"], |met| {
        let queue = open(|options| options);
        let pushed = produce(&queue, 0, 12);
        let before = queue.core.log.count();
        queue.close().expect("a close");
        let received = [0, 1].map(|_| spawn(&queue, consume)).map(join);
        met.count("both receive", received.iter().all(|received| !received.is_empty()));
        met.count("segments go", queue.core.log.count() < before);
        assert_all_once(pushed, received.concat());
    });
}

#[test]
fn whoever_pushes_is_woken_by_whoever_takes() {
    check(&["a pusher waits", "a receiver waits"], |met| {
        let queue = open(|options| options.items_max(2));
        let producers = [0, 1].map(|at| spawn(&queue, move |queue| produce(queue, at, 3)));
        let consumer = spawn(&queue, |queue| {
            (0..3).map(|_| name(&queue.pop().expect("an item"))).collect::<Vec<_>>()
        });
        let mut received = Vec::new();
        while received.len() < 3 {
            let batch = queue.recv_batch(3 - received.len()).expect("items");
            received.extend(batch.into_iter().map(acknowledge));
        }
        assert_in_order(&received);
        let pushed = join_all(producers);
        let number = |item| pushed.iter().find(|(_, pushed)| *pushed == item).expect("it was").0;
        received.extend(join(consumer).into_iter().map(|item| (number(item), item)));
        assert_all_once(pushed, received);
        met.count("a pusher waits", queue.core.room.threads().waits() > 0);
        met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
    });
}

#[test]
fn whoever_pushes_to_a_full_disk_is_woken_when_a_segment_goes() {
    check(&["a pusher waits"], |met| {
        // Two segments, beside four items in memory.
        let queue = open(|options| options.disk_bytes_max(50_000));
        let producers = [0, 1].map(|at| spawn(&queue, move |queue| produce(queue, at, 7)));
        let received: Vec<_> =
            (0..14).map(|_| acknowledge(queue.recv().expect("an item"))).collect();
        assert_in_order(&received);
        assert_all_once(join_all(producers), received);
        met.count("a pusher waits", queue.core.room.threads().waits() > 0);
    });
}

#[test]
fn a_close_sends_everybody_home() {
    check(CLOSING, |met| close_beside_all(met, &open(|options| options.items_max(1))));
}

#[test]
fn a_close_of_a_durable_queue_sends_everybody_home() {
    check(CLOSING, |met| {
        let mode = Mode::Durable(SyncPolicy::Never);
        close_beside_all(met, &open(|options| options.mode(mode).items_max(1)));
    });
}

const CLOSING: &[&str] = &["pushes are refused", "a receiver waits", "a pusher waits"];

fn close_beside_all(met: &Met, queue: &Bytequeue) {
    let consumers = [spawn(queue, consume), spawn(queue, consume)];
    let producers = [0, 1].map(|at| {
        spawn(queue, move |queue| {
            let push = |count| match queue.push(item(at, count)) {
                Ok(number) => Some((number.expect("nothing is dropped"), (at, count))),
                Err(PushError { item: Some(back), source }) => {
                    assert!(matches!(*source, Error::Closed), "{source}");
                    assert_eq!(name(&back), (at, count));
                    None
                }
                Err(refused) => panic!("{refused:?}"),
            };
            (0..2).filter_map(push).collect::<Vec<_>>()
        })
    });
    let closer = spawn(queue, |queue| queue.close().expect("a close"));
    let pushed = join_all(producers);
    join(closer);
    met.count("pushes are refused", pushed.len() < 4);
    assert_all_once(pushed, join_all(consumers));
    met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
    met.count("a pusher waits", queue.core.room.threads().waits() > 0);
}

#[test]
fn an_item_that_comes_back_wakes_whoever_waits_for_one() {
    check(&["an item comes back", "a receiver waits"], |met| {
        let queue = open(|options| options);
        // These take one each and go.
        let loans = [0, 1].map(|_| {
            spawn(&queue, |queue| match queue.try_recv() {
                Ok(delivery) => delivery.nack(),
                Err(error) => assert!(matches!(error, Error::Empty | Error::Closed), "{error}"),
            })
        });
        let consumer = spawn(&queue, consume);
        let pushed = produce(&queue, 0, 2);
        queue.close().expect("a close");
        loans.into_iter().for_each(join);
        let received = join(consumer);
        let order: Vec<_> = received.iter().map(|(number, _)| *number).collect();
        met.count("an item comes back", order == [1, 0] || queue.stats().returned > 0);
        met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
        assert_all_once(pushed, received);
        let stats = queue.stats();
        assert_eq!((stats.items, stats.leased, stats.memory_bytes), (0, 0, 0));
    });
}

#[test]
fn a_queue_whose_last_items_go_to_the_dead_letters_is_over() {
    check(&["a receiver waits", "a letter is dead", "an item is acknowledged"], |met| {
        let queue = open(|options| options);
        let dead = open(|options| options);
        let letters = dead.clone();
        let take = move |item| letters.try_push(item).map(|_| ()).map_err(|_| Vec::new());
        assert!(queue.dead_letters(2, take));
        let failing = spawn(&queue, |queue| {
            while let Ok(delivery) = queue.recv() {
                delivery.nack();
            }
        });
        let consumer = spawn(&queue, consume);
        produce(&queue, 0, 2);
        queue.close().expect("a close");
        join(failing);
        let received = join(consumer).len() as u64;
        assert_eq!((received + dead.len(), queue.len()), (2, 0));
        met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
        met.count("a letter is dead", !dead.is_empty());
        met.count("an item is acknowledged", received > 0);
    });
}

#[test]
fn runs_leave_memory_and_come_back_beside_pushes_and_looks() {
    check(&["runs are moved", "a look waits", "items go to disk by pushes"], |met| {
        let queue = open(|options| options);
        let reliever = spawn(&queue, |queue| {
            [1, usize::MAX].map(|bytes| queue.relieve(bytes).expect("room on the disk"))
        });
        let looking = spawn(&queue, |queue| {
            for _ in 0..2 {
                match queue.peek(|item| name(item)) {
                    Ok(_) | Err(Error::Empty | Error::Closed) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let producer = spawn(&queue, |queue| produce(queue, 0, 7));
        let consumer = spawn(&queue, consume);
        let pushed = join(producer);
        queue.close().expect("a close");
        let moved = join(reliever);
        join(looking);
        let received = join(consumer);
        assert_in_order(&received);
        assert_all_once(pushed, received);
        met.count("runs are moved", moved.iter().any(|&bytes| bytes > 0));
        met.count("a look waits", queue.core.ready.threads().waits() > 0);
        met.count("items go to disk by pushes", queue.core.writer.lock().next() > 2);
    });
}

#[test]
fn what_is_dropped_is_the_oldest_and_nobody_receives_it() {
    check(&["items are dropped", "all are leased", "a receiver waits"], |met| {
        let queue = open(|options| options.items_max(2).when_full(WhenFull::DropOldest));
        let producers = [0, 1].map(|at| {
            spawn(&queue, move |queue| {
                let push = |count| match queue.push(item(at, count)) {
                    Ok(number) => Some((number.expect("it is in"), (at, count))),
                    // Every item is handed out: none can be dropped.
                    Err(refused) => {
                        assert!(matches!(*refused.source, Error::Full), "{refused:?}");
                        None
                    }
                };
                (0..4).filter_map(push).collect::<Vec<_>>()
            })
        });
        let consumers = [spawn(&queue, consume), spawn(&queue, consume)];
        let mut pushed = join_all(producers);
        queue.close().expect("a close");
        let received = consumers.map(join);
        for received in &received {
            assert_in_order(received);
        }
        let received = received.concat();
        let dropped = queue.stats().dropped;
        assert_eq!(pushed.len(), received.len() + usize::try_from(dropped).expect("a few"));
        met.count("all are leased", pushed.len() < 8);
        met.count("items are dropped", dropped > 0);
        met.count("a receiver waits", queue.core.ready.threads().waits() > 0);
        // The others were dropped.
        pushed.retain(|pushed| received.contains(pushed));
        assert_all_once(pushed, received);
    });
}

#[test]
fn whoever_gives_up_waiting_takes_no_wake_from_another() {
    check(&["somebody gives up", "nobody gives up", "a time-out"], |met| {
        let_time_pass(true);
        let disk = SimDisk::reliable(1);
        let queue = options(&disk).items_max(1).open(PATH).expect("an empty disk");
        let impatient = spawn(&queue, |queue| match queue.recv_timeout(HOUR) {
            Ok(delivery) => vec![acknowledge(delivery)],
            Err(Error::Empty | Error::Closed) => vec![],
            Err(error) => panic!("{error}"),
        });
        let patient = spawn(&queue, consume);
        let refused = spawn(&queue, |queue| match queue.push_timeout(item(1, 0), HOUR) {
            Ok(number) => vec![(number.expect("it is in"), (1, 0))],
            Err(refused) => {
                assert!(matches!(*refused.source, Error::Full | Error::Closed), "{refused:?}");
                vec![]
            }
        });
        let clock = thread::spawn(move || disk.advance(HOUR));
        let mut pushed: Vec<Numbered> = produce(&queue, 0, 3);
        pushed.extend(join(refused));
        queue.close().expect("a close");
        join(clock);
        let taken = join(impatient);
        met.count("somebody gives up", taken.is_empty() || pushed.len() < 4);
        met.count("nobody gives up", taken.len() == 1 && pushed.len() == 4);
        let time_outs =
            queue.core.ready.threads().time_outs() + queue.core.room.threads().time_outs();
        met.count("a time-out", time_outs > 0);
        let mut received = join(patient);
        received.extend(taken);
        assert_all_once(pushed, received);
    });
}

#[test]
fn a_disk_that_fails_once_keeps_nobody_waiting_and_takes_nothing() {
    check(&["a push fails", "a receive fails", "nothing fails"], |met| {
        let disk = SimDisk::reliable(1);
        let queue = options(&disk).open(PATH).expect("an empty disk");
        disk.fail_a_call(draw(40), false, libc::EIO);
        let producers = [0, 1].map(|at| {
            spawn(&queue, move |queue| {
                let push = |count| {
                    let number = queue.push(item(at, count)).ok()?;
                    Some((number.expect("nothing is dropped"), (at, count)))
                };
                (0..4).filter_map(push).collect::<Vec<_>>()
            })
        });
        let consumers = [0, 1].map(|_| spawn(&queue, consume_in_spite_of_errors));
        let pushed = join_all(producers);
        queue.close().expect("a close");
        let consumed = consumers.map(join);
        let failed: usize = consumed.iter().map(|(_, failed)| failed).sum();
        met.count("a push fails", pushed.len() < 8);
        met.count("a receive fails", failed > 0);
        met.count("nothing fails", pushed.len() == 8 && failed == 0);
        let received = consumed.map(|(received, _)| received).concat();
        assert_all_once(pushed, received);
    });
}

/// Until no more comes; and how often something else was wrong.
fn consume_in_spite_of_errors(queue: &Bytequeue) -> (Vec<Numbered>, usize) {
    let (mut received, mut failed) = (Vec::new(), 0);
    loop {
        match queue.recv() {
            Ok(delivery) => received.push(acknowledge(delivery)),
            Err(Error::Closed | Error::Poisoned { .. }) => return (received, failed),
            Err(Error::Io { .. }) => failed += 1,
            Err(error) => panic!("{error}"),
        }
    }
}
