//! Goal: a reader beside a producer gets what the protocol promises, in whatever order the two take
//! their steps, and however late each word arrives at the other side.
//!
//! Method: the real producer and the real reader, of two processes on the simulated disk, under the
//! model checker loom (`torture/sanitizers loom`; src/disk/raw/modelled.rs says how). It watches
//! the hot page, the redo slot and the slots. Each test lists all outcomes that its reader may
//! have; loom tries every execution of the two threads, and each outcome has to occur.
//!
//! The checkpoint pages are plain memory here: they are seen whole and at once. A hot page that is
//! filled anew is not among the scenarios: its readers look at a dozen words twice, each of them
//! old or new, which is too much to try.

use std::{
    fmt::Debug,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    batch::ReadBatch,
    layout::{REDO, hot},
    opening::{ReadOptions, WriteOptions},
    options::RingOptions,
    pages,
    producer::Producer,
    read::Read,
    reader::Ring,
    tailer::{Start, Tailed},
};
use crate::disk::{raw::watch, sim::SimDisk};

const PATH: &str = "/data/cache.dat";
/// A slot is two words: the first part of the payload; the second one, and the CRC.
const OLD: &[u8] = b"old in whole";
const NEW: &[u8] = b"NEW, COMPLET";
const STACK_WORDS: usize = 1 << 14;

/// Runs `read` beside `write` in every execution, each after `prepare`: it returns what is expected
/// and nothing else, and each of that at least once.
fn check<W: Send + 'static, T: PartialEq + Debug + Send + Sync + 'static>(
    prepare: fn(&SimDisk) -> W,
    write: fn(W),
    read: fn(&Ring) -> T,
    expected: Vec<T>,
) {
    let counts: Arc<[AtomicU64]> = expected.iter().map(|_| AtomicU64::new(0)).collect();
    let mut model = loom::model::Builder::new();
    model.max_branches = 100_000;
    let counted = Arc::clone(&counts);
    model.check(move || {
        let (writing, ring) = prepared(prepare);
        watch_shared_words(&ring);
        let writer = loom::thread::Builder::new().stack_size(STACK_WORDS);
        let writer = writer.spawn(move || write(writing)).expect("loom has threads");
        let outcome = read(&ring);
        writer.join().expect("the writer does not panic");
        let place = expected.iter().position(|one| *one == outcome);
        let place = place.unwrap_or_else(|| panic!("{outcome:?} must not be"));
        counted[place].fetch_add(1, Relaxed);
    });
    let _ = writeln!(std::io::stdout(), "executions by outcome: {counts:?}");
    assert!(counts.iter().all(|count| count.load(Relaxed) > 0), "an outcome did not occur");
}

/// On a stack of its own: those of loom's threads are small.
fn prepared<W: Send + 'static>(prepare: fn(&SimDisk) -> W) -> (W, Ring) {
    let prepared = std::thread::spawn(move || {
        let disk = SimDisk::reliable(1);
        let writing = prepare(&disk);
        let ring = ReadOptions::new().on(&disk.other_process()).open(PATH).expect("it is there");
        // Where the hot page is believed, the reader relies on it from now on.
        ring.next_id().expect("pages that make sense");
        (writing, ring)
    });
    prepared.join().expect("a model can be prepared")
}

fn watch_shared_words(ring: &Ring) {
    let archive = ring.archive();
    let pages = archive.pages.mapping().expect("the pages are mapped").start;
    let redo = pages::redo(archive.geometry().record_size);
    let mut ranges = archive.shards.mappings();
    ranges.push(pages + hot::CLAIM..pages + hot::FUTEX + 4);
    ranges.push(pages + REDO..pages + redo.end);
    watch(ranges);
}

// Preparations.

fn empty(disk: &SimDisk) -> Producer {
    RingOptions::new(OLD.len(), 1).on(disk).create(PATH).expect("there is room")
}

/// With one record, which is all that the ring keeps.
fn with_one(disk: &SimDisk) -> Producer {
    let mut producer = empty(disk);
    producer.append(OLD).expect("an append");
    producer
}

/// The same, and a power cut would not take it.
fn with_one_durable(disk: &SimDisk) -> Producer {
    let mut producer = with_one(disk);
    producer.flush().expect("a sync");
    producer
}

/// Its record was rewritten, and the redo slot still holds that.
fn with_one_rewritten(disk: &SimDisk) -> Producer {
    let mut producer = with_one_durable(disk);
    producer.update(0, NEW).expect("an update");
    producer
}

/// With room for more, handed out two by two.
fn empty_with_blocks(disk: &SimDisk) -> Producer {
    RingOptions::new(OLD.len(), 16).on(disk).create(PATH).expect("there is room")
}

/// With one record of a producer that died. Another process is to open it.
fn with_one_left(disk: &SimDisk) -> SimDisk {
    with_one(disk).die();
    disk.other_process()
}

// The producer's side. What only a destructor would do is left out.

fn append_one(mut producer: Producer) {
    producer.append(NEW).expect("an append");
    std::mem::forget(producer);
}

fn append_two(mut producer: Producer) {
    producer.append(NEW).expect("an append");
    producer.append(NEW).expect("an append");
    std::mem::forget(producer);
}

fn update(mut producer: Producer) {
    producer.update(0, NEW).expect("an update");
    std::mem::forget(producer);
}

fn delete(mut producer: Producer) {
    producer.delete(0).expect("a deletion");
    std::mem::forget(producer);
}

fn append_batch(mut producer: Producer) {
    producer.append_batch(&[OLD, NEW].concat()).expect("an append");
    std::mem::forget(producer);
}

fn close(producer: Producer) {
    producer.close().expect("a close");
}

#[expect(clippy::needless_pass_by_value, reason = "a thread gets what it works with")]
fn open(disk: SimDisk) {
    let producer = WriteOptions::new().on(&disk).open(PATH).expect("nobody has it open");
    std::mem::forget(producer);
}

#[expect(clippy::needless_pass_by_value, reason = "a thread gets what it works with")]
fn open_and_append(disk: SimDisk) {
    append_one(WriteOptions::new().on(&disk).open(PATH).expect("nobody has it open"));
}

/// As on a real disk, where the producer or its waker thread wakes.
fn append_and_wake(mut producer: Producer) {
    producer.append(NEW).expect("an append");
    producer.ring().archive().cursors().wake();
    std::mem::forget(producer);
}

fn flush(mut producer: Producer) {
    producer.flush().expect("a sync");
    std::mem::forget(producer);
}

// The reader's side.

fn read_first(ring: &Ring) -> Read<Vec<u8>> {
    ring.read(0).expect("an outcome")
}

/// As one of many.
fn read_first_together(ring: &Ring) -> Read<Vec<u8>> {
    let mut batch = ReadBatch::new();
    ring.read_many(&[0], &mut batch).expect("an outcome");
    let (_, read) = batch.iter().next().expect("an outcome");
    read.map(<[u8]>::to_vec)
}

/// The second of two records, then the first one.
fn read_backwards(ring: &Ring) -> [Read<Vec<u8>>; 2] {
    [1, 0].map(|id| ring.read(id).expect("an outcome"))
}

fn wait_for_a_record(ring: &Ring) -> Vec<u8> {
    let mut tailer = ring.tailer(Start::Id(0));
    match tailer.next_timeout(Duration::MAX).expect("an outcome") {
        Some(Tailed::Record { id: 0, payload }) => payload.to_vec(),
        other => panic!("{other:?} and no record"),
    }
}

fn wait_until_durable(ring: &Ring) -> bool {
    ring.wait_durable(0, Duration::MAX).expect("an outcome")
}

fn old() -> Read<Vec<u8>> {
    Read::Record(OLD.to_vec())
}

fn new() -> Read<Vec<u8>> {
    Read::Record(NEW.to_vec())
}

fn lapped(oldest: u64) -> Read<Vec<u8>> {
    Read::Lapped { oldest, missed: oldest }
}

#[test]
fn a_record_is_there_whole_once_next_shows_it() {
    check(empty, append_one, read_first, vec![Read::NotYet { next: 0 }, new()]);
}

#[test]
fn records_of_a_batch_show_together() {
    let none = || Read::NotYet { next: 0 };
    let expected = vec![[none(), none()], [none(), old()], [new(), old()]];
    check(empty_with_blocks, append_batch, read_backwards, expected);
}

#[test]
fn a_reader_of_a_slot_that_is_overwritten_gets_the_record_or_is_told_that_it_was_lapped() {
    check(with_one, append_two, read_first, vec![old(), lapped(1), lapped(2)]);
}

#[test]
fn a_reader_of_many_slots_is_told_of_each_that_was_lapped() {
    check(with_one, append_one, read_first_together, vec![old(), lapped(1)]);
}

#[test]
fn an_update_shows_a_reader_of_many_slots_the_old_record_or_the_new_one() {
    check(with_one_durable, update, read_first_together, vec![old(), new()]);
}

#[test]
fn an_update_shows_the_old_record_or_the_new_one() {
    check(with_one, update, read_first, vec![old(), new()]);
}

#[test]
fn an_update_of_a_durable_record_shows_the_old_record_or_the_new_one() {
    check(with_one_durable, update, read_first, vec![old(), new()]);
}

#[test]
fn a_deletion_shows_the_record_or_that_there_is_none() {
    check(with_one, delete, read_first, vec![old(), Read::Absent]);
}

#[test]
fn a_close_hides_nothing() {
    check(with_one_rewritten, close, read_first, vec![new()]);
}

#[test]
fn a_producer_that_opens_hides_nothing() {
    check(with_one_left, open, read_first, vec![old()]);
}

#[test]
fn a_producer_that_opens_and_appends_laps_like_any_other() {
    check(with_one_left, open_and_append, read_first, vec![old(), lapped(1)]);
}

#[test]
fn whoever_waits_for_a_record_is_woken_by_it() {
    check(empty, append_and_wake, wait_for_a_record, vec![NEW.to_vec()]);
}

#[test]
fn whoever_waits_for_a_sync_is_woken_by_it() {
    check(with_one, flush, wait_until_durable, vec![true]);
}
