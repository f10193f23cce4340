//! What a queue tells about itself, for whoever collects metrics: feature `metrics`.

use std::iter::zip;

use metrics::{
    Counter, Gauge, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};

use super::{
    Queue,
    stats::{QueueLatencies, QueueStats},
};
use crate::disk::{codec::Codec, latency::Latency};

/// Tells a queue's [stats](Queue::stats) and [latencies](Queue::latencies) to the recorder that the
/// program has installed for the `metrics` crate (feature `metrics`).
///
/// The label `queue` has the name. A recorder is told when [`publish`](Self::publish) is called:
/// once a second, say, or whenever somebody asks for metrics.
///
/// | gauge | what |
/// |---|---|
/// | `ringkeep_queue_items` | items that are not acknowledged |
/// | `ringkeep_queue_leased_items` | of these, items that are handed out |
/// | `ringkeep_queue_disk_items` | of these, items that are on the disk and not in memory |
/// | `ringkeep_queue_memory_bytes` | memory that items take |
/// | `ringkeep_queue_disk_bytes` | disk that segments take |
/// | `ringkeep_queue_segments` | files that they are |
///
/// | counter, since the queue was opened | what |
/// |---|---|
/// | `ringkeep_queue_pushed_items_total` | items taken in |
/// | `ringkeep_queue_received_items_total` | items handed out, some more than once |
/// | `ringkeep_queue_acknowledged_items_total` | items done with |
/// | `ringkeep_queue_returned_items_total` | items that came back |
/// | `ringkeep_queue_dropped_items_total` | items for which there was no room |
/// | `ringkeep_queue_dead_items_total` | items that went to the dead letters |
/// | `ringkeep_queue_lost_items_total` | items that were passed over as damaged |
/// | `ringkeep_queue_raw_bytes_total` | bytes of items that were stored |
/// | `ringkeep_queue_stored_bytes_total` | bytes of disk that they were stored in |
/// | `ringkeep_queue_errors_total` | writes, reads and syncs that failed |
///
/// | histogram, exact to a factor of two | what |
/// |---|---|
/// | `ringkeep_queue_push_wait_seconds` | pushes that waited for room |
/// | `ringkeep_queue_receive_wait_seconds` | receivers that waited for an item |
/// | `ringkeep_queue_write_seconds` | frames that were written |
/// | `ringkeep_queue_read_seconds` | frames that were read |
/// | `ringkeep_queue_sync_seconds` | syncs |
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueMetrics, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Bytes).open(directory.path())?;
/// let mut metrics = QueueMetrics::new("orders");
/// queue.push(b"item".to_vec())?;
/// metrics.publish(&queue);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct QueueMetrics {
    gauges: Vec<(Gauge, Value)>,
    counters: Vec<(Counter, Value)>,
    histograms: Vec<(Histogram, Times)>,
    /// What the histograms were told.
    told: QueueLatencies,
}

type Value = fn(&QueueStats) -> u64;
type Times = fn(&QueueLatencies) -> &Latency;
/// Name, unit, what it is, and where it is.
type Row<F> = (&'static str, Unit, &'static str, F);

const GAUGES: &[Row<Value>] = &[
    ("ringkeep_queue_items", Unit::Count, "items that are not acknowledged", |s| s.items),
    ("ringkeep_queue_leased_items", Unit::Count, "items that are handed out", |s| s.leased),
    ("ringkeep_queue_disk_items", Unit::Count, "items that are not in memory", |s| s.items_on_disk),
    ("ringkeep_queue_memory_bytes", Unit::Bytes, "memory that items take", |s| s.memory_bytes),
    ("ringkeep_queue_disk_bytes", Unit::Bytes, "disk that segments take", |s| s.disk_bytes),
    ("ringkeep_queue_segments", Unit::Count, "files on the disk", |s| s.segments),
];

const COUNTERS: &[Row<Value>] = &[
    ("ringkeep_queue_pushed_items_total", Unit::Count, "items taken in", |s| s.pushed),
    ("ringkeep_queue_received_items_total", Unit::Count, "items handed out", |s| s.received),
    ("ringkeep_queue_acknowledged_items_total", Unit::Count, "items done with", |s| s.acknowledged),
    ("ringkeep_queue_returned_items_total", Unit::Count, "items that came back", |s| s.returned),
    ("ringkeep_queue_dropped_items_total", Unit::Count, "items without room", |s| s.dropped),
    ("ringkeep_queue_dead_items_total", Unit::Count, "dead letters", |s| s.dead),
    ("ringkeep_queue_lost_items_total", Unit::Count, "items lost to damage", |s| s.lost),
    ("ringkeep_queue_raw_bytes_total", Unit::Bytes, "bytes of stored items", |s| s.raw_bytes),
    ("ringkeep_queue_stored_bytes_total", Unit::Bytes, "bytes that were stored", |s| {
        s.stored_bytes
    }),
    ("ringkeep_queue_errors_total", Unit::Count, "calls of the disk that failed", |s| s.errors),
];

const HISTOGRAMS: &[Row<Times>] = &[
    ("ringkeep_queue_push_wait_seconds", Unit::Seconds, "pushes that waited", |l| &l.push_wait),
    ("ringkeep_queue_receive_wait_seconds", Unit::Seconds, "receivers that waited", |l| {
        &l.receive_wait
    }),
    ("ringkeep_queue_write_seconds", Unit::Seconds, "frames written", |l| &l.write),
    ("ringkeep_queue_read_seconds", Unit::Seconds, "frames read", |l| &l.read),
    ("ringkeep_queue_sync_seconds", Unit::Seconds, "syncs", |l| &l.sync),
];

impl QueueMetrics {
    /// Metrics of the queue with this name, for the recorder that is installed now.
    ///
    /// # Examples
    ///
    /// ```
    /// let metrics = ringkeep::QueueMetrics::new("orders");
    /// # let _ = metrics;
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = SharedString::from(name.into());
        let gauges = GAUGES.iter().map(|&(metric, unit, what, value)| {
            describe_gauge!(metric, unit, what);
            (gauge!(metric, "queue" => name.clone()), value)
        });
        let counters = COUNTERS.iter().map(|&(metric, unit, what, value)| {
            describe_counter!(metric, unit, what);
            (counter!(metric, "queue" => name.clone()), value)
        });
        let histograms = HISTOGRAMS.iter().map(|&(metric, unit, what, value)| {
            describe_histogram!(metric, unit, what);
            (histogram!(metric, "queue" => name.clone()), value)
        });
        Self {
            gauges: gauges.collect(),
            counters: counters.collect(),
            histograms: histograms.collect(),
            told: QueueLatencies::default(),
        }
    }

    /// Tells how the queue is now.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueMetrics, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// QueueMetrics::new("orders").publish(&queue);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish<T, C: Codec<T>>(&mut self, queue: &Queue<T, C>) {
        let (stats, latencies) = (queue.stats(), queue.latencies());
        for (gauge, value) in &self.gauges {
            // Beyond 2^53 the last bits are lost.
            #[expect(clippy::cast_precision_loss, reason = "the facade has no other numbers")]
            gauge.set(value(&stats) as f64);
        }
        for (counter, value) in &self.counters {
            counter.absolute(value(&stats));
        }
        for (histogram, value) in &self.histograms {
            let (now, mut told) = (value(&latencies), value(&self.told));
            let nothing = Latency::default();
            if zip(now.buckets(), told.buckets()).any(|((_, now), (_, told))| now < told) {
                // The queue was opened anew, and counts from 0 on.
                told = &nothing;
            }
            for ((below, count), (_, told)) in zip(now.buckets(), told.buckets()) {
                // The middle of the bucket, which begins at half of its end.
                let seconds = below.as_secs_f64() * 0.75;
                histogram.record_many(seconds, usize::try_from(count - told).unwrap_or(usize::MAX));
            }
        }
        self.told = latencies;
    }
}

impl std::fmt::Debug for QueueMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueMetrics").finish_non_exhaustive()
    }
}
