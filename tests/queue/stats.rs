//! What a queue tells about itself: counts, times, and metrics of both.

use std::{collections::BTreeMap, thread, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use ringkeep::{
    Bytes, Compression, Mode, QueueLatencies, QueueMetrics, QueueOptions, SimDisk, SyncPolicy,
};
use rustix::io::Errno;

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn waiting_is_told_apart_from_the_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = QueueOptions::new(Bytes).items_max(1).open(directory.path()).expect("a queue");
    assert!(queue.recv_timeout(SHORT).is_err());
    assert!(queue.try_recv().is_err(), "which does not wait");
    queue.push(vec![1]).expect("there is room");
    assert!(queue.push_timeout(vec![2], SHORT).is_err());
    assert!(queue.try_push(vec![2]).is_err(), "which does not wait");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::park_timeout(SHORT);
            queue.pop()
        });
        queue.push(vec![2]).expect("there is room soon");
    });
    let QueueLatencies { push_wait, receive_wait, write, read, sync, .. } = queue.latencies();
    // The second one only if the thread was not faster.
    assert!((1..=2).contains(&push_wait.count()) && receive_wait.count() == 1);
    assert!(receive_wait.total() >= SHORT && receive_wait.quantile(1.0) >= SHORT);
    assert!(push_wait.total() >= SHORT);
    assert_eq!((write.count(), read.count(), sync.count()), (0, 0, 0));
}

#[test]
fn what_the_disk_does_is_counted_and_so_are_its_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes)
        .mode(Mode::Durable(SyncPolicy::EveryRecords(10)))
        .memory_bytes(64 << 10)
        .compression(Compression::Lz4);
    let queue = options.open(directory.path()).expect("a queue");
    for _ in 0..100 {
        queue.push(vec![7; 2_000]).expect("there is room");
    }
    while queue.try_pop().is_ok() {}
    let (stats, times) = (queue.stats(), queue.latencies());
    assert_eq!((stats.raw_bytes, stats.errors), (100 * 2_004, 0));
    assert!((100 * 48..20_000).contains(&stats.stored_bytes), "{}", stats.stored_bytes);
    assert_eq!((times.write.count(), times.sync.count()), (100, 10));
    assert!((1..100).contains(&times.read.count()), "a part of it was in memory");
    assert!(times.write.total() > Duration::ZERO && times.sync.total() > Duration::ZERO);
    assert_eq!((times.push_wait.count(), times.receive_wait.count()), (0, 0));
}

#[test]
fn calls_that_fail_are_counted() {
    let disk = SimDisk::reliable(1);
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always)).on(&disk);
    let queue = options.open("/sim/queue").expect("a queue");
    queue.push(vec![1]).expect("there is room");
    disk.fail_next_sync(true);
    assert!(queue.push(vec![2]).is_err());
    assert_eq!(queue.stats().errors, 1);
    assert!(queue.push(vec![3]).is_err(), "it is poisoned");
    assert_eq!(queue.stats().errors, 1, "and asks the disk for nothing");
}

#[test]
fn a_segment_that_cannot_be_removed_is_counted_and_goes_with_the_next_one() {
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
        let disk = SimDisk::reliable(1);
        let options = QueueOptions::new(Bytes).mode(mode).memory_bytes(64 << 10);
        let queue = options.segment_bytes(16 << 10).on(&disk).open("/sim/queue").expect("a queue");
        for _ in 0..200 {
            queue.push(vec![7; 1_000]).expect("there is room");
        }
        let segments = queue.stats().segments;
        while queue.stats().errors == 0 {
            let delivery = queue.try_recv().expect("an item");
            // A mark is stored, and synced, before that.
            let after = if mode == Mode::Spill { 0 } else { 2 };
            disk.fail_a_call(after, true, Errno::IO.raw_os_error());
            delivery.ack();
            let _ = disk.mend_calls();
        }
        assert_eq!(queue.stats().segments, segments, "{mode:?}");
        queue.push(vec![8]).expect("there is room");
        while queue.try_pop().is_ok() {}
        assert_eq!((queue.stats().segments, queue.stats().errors), (1, 1), "{mode:?}");
    }
}

#[test]
fn metrics_go_on_with_a_queue_that_was_opened_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always));
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let mut metrics = QueueMetrics::new("orders");
        for pushes in [5, 2] {
            let queue = options.open(directory.path()).expect("a queue");
            for _ in 0..pushes {
                queue.push(vec![1]).expect("there is room");
            }
            metrics.publish(&queue);
        }
    });
    let found = snapshotter.snapshot().into_vec();
    let syncs = found.into_iter().find(|(key, ..)| key.key().name().ends_with("_sync_seconds"));
    let Some((.., DebugValue::Histogram(samples))) = syncs else { panic!("no histogram") };
    assert_eq!(samples.len(), 7);
}

#[test]
fn metrics_have_what_stats_and_latencies_have() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = QueueOptions::new(Bytes).memory_bytes(64 << 10).open(directory.path());
    let queue = queue.expect("a queue");
    for _ in 0..200 {
        queue.push(vec![7; 1_000]).expect("there is room");
    }
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let mut metrics = QueueMetrics::new("orders");
        metrics.publish(&queue);
        for _ in 0..150 {
            queue.pop().expect("an item");
        }
        metrics.publish(&queue);
        metrics.publish(&queue);
    });
    let mut found = BTreeMap::new();
    for (key, unit, help, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|it| (it.key(), it.value())).collect();
        assert_eq!(labels, [("queue", "orders")]);
        assert!(unit.is_some() && help.is_some());
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(value) => value.into_inner().to_string(),
            DebugValue::Histogram(samples) => samples.len().to_string(),
        };
        found.insert(key.key().name().to_owned(), value);
    }
    let (stats, times) = (queue.stats(), queue.latencies());
    let expected = [
        ("items", 50),
        ("leased_items", 0),
        ("disk_items", stats.items_on_disk),
        ("memory_bytes", stats.memory_bytes),
        ("disk_bytes", stats.disk_bytes),
        ("segments", stats.segments),
        ("pushed_items_total", 200),
        ("received_items_total", 150),
        ("acknowledged_items_total", 150),
        ("returned_items_total", 0),
        ("dropped_items_total", 0),
        ("dead_items_total", 0),
        ("lost_items_total", 0),
        ("raw_bytes_total", stats.raw_bytes),
        ("stored_bytes_total", stats.stored_bytes),
        ("errors_total", 0),
        ("push_wait_seconds", 0),
        ("receive_wait_seconds", 0),
        ("write_seconds", times.write.count()),
        ("read_seconds", times.read.count()),
        ("sync_seconds", 0),
    ];
    let expected = expected.map(|(name, it)| (format!("ringkeep_queue_{name}"), it.to_string()));
    let expected = BTreeMap::from(expected);
    assert_eq!(found, expected);
    assert!(times.write.count() > 0 && times.read.count() > 0 && stats.raw_bytes > 0);
}
