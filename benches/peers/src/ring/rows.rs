//! What the works are called.

/// The work, and which way or part of it.
pub(super) type Name = (&'static str, &'static str);

pub(super) const CREATE: Name = ("create", "making the files, by the records they are for");
pub(super) const FRESH: Name = ("fresh", "appends that fill it for the first time");
pub(super) const OVERWRITE: Name = ("overwrite", "appends to a full ring");
pub(super) const WRITEBACK: Name = ("writeback", "appends to a full ring after a sync");
pub(super) const DURABLE64: Name = ("durable64", "appends with a sync for each 64");
pub(super) const RANDOM_READ: Name = ("random_read", "reads in any order, one at a time");
pub(super) const READ_MANY: Name = ("read_many", "reads in any order, 64 at once");
pub(super) const SCAN: Name = ("scan", "by iterator");
pub(super) const READ_RANGE: Name = ("scan", "by read_range");
pub(super) const COLD_SCAN: Name = ("cold_scan", "by iterator, nothing in the page cache");

/// All records that readers get, by the time of all.
pub(super) const FOLLOW: [(u32, Name); 3] = [
    (1, ("tail_follow", "1 thread behind a producer")),
    (2, ("tail_follow", "2 threads behind a producer, records of both")),
    (4, ("tail_follow", "4 threads behind a producer, records of all")),
];
pub(super) const FOLLOW_ELSEWHERE: [(u32, Name); 3] = [
    (1, ("tail_follow", "1 process behind a producer")),
    (2, ("tail_follow", "2 processes behind a producer, records of both")),
    (4, ("tail_follow", "4 processes behind a producer, records of all")),
];

/// The median, and what one in a hundred and one in a thousand takes.
pub(super) type Percentiles = [Name; 3];

pub(super) const LATENCY_ALONE: Percentiles =
    [("latency", "alone, p50"), ("latency", "alone, p99"), ("latency", "alone, p99.9")];
pub(super) const LATENCY_BESIDE: Percentiles = [
    ("latency", "beside a producer, p50"),
    ("latency", "beside a producer, p99"),
    ("latency", "beside a producer, p99.9"),
];
pub(super) const LATENCY_BESIDE_SYNCS: Percentiles = [
    ("latency", "beside a producer that syncs each 64, p50"),
    ("latency", "beside a producer that syncs each 64, p99"),
    ("latency", "beside a producer that syncs each 64, p99.9"),
];
pub(super) const WAKE_QUIET: Percentiles = [
    ("wake", "a process that sleeps, appends 5 ms apart, p50"),
    ("wake", "a process that sleeps, appends 5 ms apart, p99"),
    ("wake", "a process that sleeps, appends 5 ms apart, p99.9"),
];
pub(super) const WAKE_BUSY: Percentiles = [
    ("wake", "a process that sleeps, appends 1 ms apart, p50"),
    ("wake", "a process that sleeps, appends 1 ms apart, p99"),
    ("wake", "a process that sleeps, appends 1 ms apart, p99.9"),
];
