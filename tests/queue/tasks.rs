//! Tasks of tokio that push and receive.

use std::{
    collections::BTreeMap,
    future::Future,
    thread,
    time::{Duration, Instant},
};

use ringkeep::{Bytes, Error, Mode, Queue, QueueOptions, SyncPolicy, WhenFull};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::timeout,
};

const LONG: Duration = Duration::from_secs(60);

/// One thread for all tasks: one of them that blocked would stop the others.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// What does not end in time fails, and does not hang.
fn run<R>(future: impl Future<Output = R>) -> R {
    runtime().block_on(async { timeout(LONG, future).await.expect("it hangs") })
}

fn item(producer: u64, number: u64) -> Vec<u8> {
    let mut bytes = [producer.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.resize(1_000, 7);
    bytes
}

fn read(bytes: &[u8]) -> (u64, u64) {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    (number(0), number(8))
}

#[test]
fn many_tasks_push_and_receive_everything_once_and_in_order() {
    const COUNT: u64 = 2_000;
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::EveryRecords(100))] {
        let directory = tempfile::tempdir().expect("a directory");
        let options = QueueOptions::new(Bytes).mode(mode).memory_bytes(128 << 10).items_max(500);
        let queue = options.open(directory.path()).expect("a queue");
        let mut found = run(async {
            let mut producers = JoinSet::new();
            for producer in 0..3 {
                let queue = queue.clone();
                producers.spawn(async move {
                    for number in 0..COUNT {
                        queue.push_async(item(producer, number)).await.expect("there is room");
                    }
                });
            }
            let mut consumers = JoinSet::new();
            for _ in 0..3 {
                let queue = queue.clone();
                consumers.spawn(async move {
                    let mut found = Vec::new();
                    loop {
                        match queue.recv_async().await {
                            Ok(delivery) => {
                                let number = delivery.number();
                                found.push((number, delivery.ack_async().await));
                            }
                            Err(Error::Closed) => return found,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
            producers.join_all().await;
            queue.close().expect("nothing fails");
            consumers.join_all().await.concat()
        });
        found.sort_unstable();
        assert!(found.iter().map(|(number, _)| *number).eq(0..3 * COUNT), "{mode:?}");
        let mut next = BTreeMap::new();
        for (_, bytes) in found {
            let (producer, number) = read(&bytes);
            let expected = next.entry(producer).or_insert(0);
            assert_eq!(number, *expected, "{mode:?}: producer {producer}");
            *expected += 1;
        }
    }
}

#[test]
fn a_receiver_that_is_cancelled_has_received_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = QueueOptions::new(Bytes).memory_bytes(64 << 10).open(directory.path());
    let queue = queue.expect("a queue");
    run(async {
        let producer = tokio::spawn({
            let queue = queue.clone();
            async move {
                for number in 0..3_000 {
                    queue.push_async(item(0, number)).await.expect("there is room");
                    if number % 100 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            }
        });
        let (mut next, mut cancelled) = (0, 0);
        while next < 3_000 {
            // Now and then it is cancelled at its first wait.
            let patience = Duration::from_micros(next % 3 * 50);
            match timeout(patience, queue.recv_async()).await {
                Ok(received) => {
                    assert_eq!(read(&received.expect("an item").ack()), (0, next));
                    next += 1;
                }
                Err(_) => cancelled += 1,
            }
        }
        assert!(cancelled > 0);
        producer.await.expect("no panic");
    });
    assert!(queue.is_empty());
}

#[test]
fn a_wake_up_of_a_cancelled_receiver_goes_to_another_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path()).expect("a queue");
    run(async {
        for round in 0..200 {
            let mut first = Box::pin(queue.recv_async());
            let mut second = Box::pin(queue.recv_async());
            for waiting in [&mut first, &mut second] {
                assert!(timeout(Duration::ZERO, waiting).await.is_err());
            }
            queue.push(item(0, round)).expect("there is room");
            // It was told, and goes without a look.
            drop(first);
            assert_eq!(read(&second.await.expect("an item").ack()), (0, round));
        }
    });
}

#[test]
fn threads_and_tasks_wait_for_each_other() {
    const COUNT: u64 = 5_000;
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).items_max(3);
    let queue: Queue<Vec<u8>, Bytes> = options.open(directory.path()).expect("a queue");
    let received = thread::scope(|scope| {
        let by_thread = scope.spawn(|| std::iter::from_fn(|| queue.pop().ok()).count() as u64);
        scope.spawn(|| {
            for number in 0..COUNT {
                queue.push(item(1, number)).expect("there is room");
            }
        });
        let by_task = run(async {
            let pushing = async {
                for number in 0..COUNT {
                    queue.push_async(item(0, number)).await.expect("there is room");
                }
                while queue.stats().pushed < 2 * COUNT {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                queue.close().expect("nothing fails");
            };
            let receiving = async {
                let mut count = 0;
                while let Ok(delivery) = queue.recv_async().await {
                    delivery.ack();
                    count += 1;
                }
                count
            };
            tokio::join!(pushing, receiving).1
        });
        by_task + by_thread.join().expect("no panic")
    });
    assert_eq!(received, 2 * COUNT);
}

#[test]
fn a_push_waits_for_room_or_is_told_that_there_is_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).items_max(1);
    let queue = options.open(directory.path()).expect("a queue");
    run(async {
        queue.push_async(vec![0]).await.expect("there is room");
        let began = Instant::now();
        let popping = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            queue.try_pop().expect("an item")
        };
        let (pushed, popped) = tokio::join!(queue.push_async(vec![1]), popping);
        assert_eq!((pushed.expect("there is room now"), popped), (Some(1), vec![0]));
        assert!(began.elapsed() >= Duration::from_millis(20));
        queue.close().expect("nothing fails");
        let refused = queue.push_async(vec![2]).await.expect_err("it is closed");
        assert!(matches!(*refused.source, Error::Closed) && refused.item == Some(vec![2]));
        let refused = queue.push_batch_async(vec![vec![2], vec![3]]).await;
        assert_eq!(refused.expect_err("it is closed").item, Some(vec![vec![2], vec![3]]));
        assert_eq!(queue.push_batch_async(vec![]).await.expect("nothing to do"), None);
        assert_eq!(queue.recv_batch_async(5).await.expect("one is left").len(), 1);
    });
    let rejecting = options.when_full(WhenFull::Reject);
    let queue = rejecting.open(directory.path().join("other")).expect("a queue");
    run(async {
        queue.push_async(vec![0]).await.expect("there is room");
        let refused = queue.push_async(vec![1]).await.expect_err("there is none");
        assert!(matches!(*refused.source, Error::Full) && refused.item == Some(vec![1]));
    });
}

#[test]
fn a_runtime_that_shuts_down_takes_no_item_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    let queue = options.open(directory.path()).expect("a queue");
    let runtime = runtime();
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let pushed = handle.block_on(queue.push_async(vec![1])).expect("there is room");
    assert_eq!((pushed, queue.len()), (Some(0), 1));
}
