//! Files that are damaged, missing, or of another queue.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use ringkeep::{Bytes, Codec, CodecError, Error, Mode, Queue, QueueOptions, Recovery, SyncPolicy};
use tempfile::TempDir;

pub(super) const ITEMS: u64 = 200;
/// Where the frames of a segment begin, and the bytes of each here.
pub(super) const FRAMES: u64 = 20480;
pub(super) const FRAME: u64 = 48 + 4 + 100;

pub(super) fn options() -> QueueOptions<Bytes> {
    QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always)).segment_bytes(8192)
}

pub(super) fn item(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % 251).expect("a byte"); 100]
}

/// A queue of several segments, all of it durable.
pub(super) fn filled() -> TempDir {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let queue = options().open(directory.path()).expect("a queue");
    for number in 0..ITEMS {
        queue.push(item(number)).expect("there is room");
    }
    assert!(segments(&directory).len() > 3);
    directory
}

pub(super) fn segments(directory: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.path()).expect("a directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

pub(super) fn spoil(path: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(path).expect("a segment");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("a store");
}

/// All that can be received, and the first error other than that there is no more.
fn received(queue: &Queue<Vec<u8>, Bytes>) -> (Vec<u64>, Option<Error>) {
    received_as(queue, item)
}

/// The same, where the items are these.
fn received_as(
    queue: &Queue<Vec<u8>, Bytes>,
    item: impl Fn(u64) -> Vec<u8>,
) -> (Vec<u64>, Option<Error>) {
    let mut numbers = Vec::new();
    loop {
        match queue.try_recv() {
            Ok(delivery) => {
                assert_eq!(*delivery, item(delivery.number()));
                numbers.push(delivery.number());
                delivery.ack();
            }
            Err(Error::Empty) => return (numbers, None),
            Err(error) => return (numbers, Some(error)),
        }
    }
}

#[test]
fn a_flipped_bit_in_the_middle_is_told_or_passed_over() {
    let directory = filled();
    spoil(&segments(&directory)[1], FRAMES + 3 * FRAME + 60);
    let queue = options().open(directory.path()).expect("the last segment is whole");
    let (numbers, error) = received(&queue);
    let at = numbers.len() as u64;
    assert!(numbers.into_iter().eq(0..at));
    assert!(matches!(error, Some(Error::Damaged { .. })), "{error:?}");
    // It stays told: nothing is lost in silence.
    assert!(matches!(queue.try_recv(), Err(Error::Damaged { .. })));
    drop(queue);
    let queue = options().recovery(Recovery::SkipCorrupt).open(directory.path());
    let queue = queue.expect("it goes on");
    let (numbers, error) = received(&queue);
    assert!(error.is_none() && numbers.into_iter().eq(at + 1..ITEMS), "{error:?}");
    assert_eq!(queue.stats().lost, 1);
}

#[test]
fn damage_in_the_last_segment_is_told_at_opening() {
    let directory = filled();
    let path = segments(&directory).pop().expect("a segment");
    spoil(&path, FRAMES + FRAME + 60);
    let refused = options().open::<Vec<u8>>(directory.path());
    assert!(matches!(&refused, Err(Error::Damaged { path: at, .. }) if *at == path), "{refused:?}");
    let first: u64 = path.file_stem().expect("a name").to_str().expect("digits").parse().unwrap();
    for (recovery, lost, kept) in [
        (Recovery::SkipCorrupt, first + 1..first + 2, ITEMS - 1),
        (Recovery::TruncateTail, first + 1..ITEMS, first + 1),
    ] {
        let queue = options().recovery(recovery).open(directory.path()).expect("it opens");
        assert_eq!(queue.recovery().lost, [lost], "{recovery:?}");
        assert_eq!(queue.recovery().kept, kept, "{recovery:?}");
    }
    // What was cut off is told once.
    let queue = options().open(directory.path()).expect("it opens");
    assert_eq!((queue.recovery().lost.len(), queue.recovery().kept), (0, first + 1));
    assert_eq!(received(&queue).0.len() as u64, first + 1);
}

#[test]
fn damage_to_what_is_acknowledged_is_none() {
    for at in [0, 2] {
        let directory = filled();
        let path = segments(&directory).pop().expect("a segment");
        let first: u64 =
            path.file_stem().expect("a name").to_str().expect("digits").parse().unwrap();
        let queue = options().open(directory.path()).expect("a queue");
        for _ in 0..first + 4 {
            queue.pop().expect("an item");
        }
        drop(queue);
        spoil(&path, FRAMES + at * FRAME + 60);
        let queue = options().open(directory.path()).expect("what is needed is whole");
        let (numbers, error) = received(&queue);
        assert!(error.is_none() && numbers.into_iter().eq(first + 4..ITEMS), "{at}: {error:?}");
    }
}

#[test]
fn numbers_that_were_durable_and_are_lost_are_not_given_again() {
    let directory = filled();
    let path = segments(&directory).pop().expect("a segment");
    let file = fs::File::options().write(true).open(&path).expect("a segment");
    let length = file.metadata().expect("a length").len();
    let gone = vec![0; usize::try_from(length - 4096).expect("a length")];
    file.write_all_at(&gone, 4096).expect("a store");
    let options = options().recovery(Recovery::SkipCorrupt);
    let queue = options.open(directory.path()).expect("it goes on");
    let lost = queue.recovery().lost.last().expect("a loss").clone();
    assert_eq!((lost.end, queue.recovery().kept), (ITEMS, lost.start));
    assert_eq!(queue.push(item(ITEMS)).expect("there is room"), Some(ITEMS));
    drop(queue);
    let queue = options.open(directory.path()).expect("it goes on");
    let (numbers, error) = received(&queue);
    assert!(error.is_none(), "{error:?}");
    assert!(numbers.into_iter().eq((0..lost.start).chain([ITEMS])));
    assert_eq!(queue.stats().lost, ITEMS - lost.start);
}

#[test]
fn a_forged_mark_behind_which_numbers_would_end_is_refused() {
    let directory = filled();
    let path = directory.path().join("mark");
    let mut mark = fs::read(&path).expect("a mark");
    for copy in mark.chunks_mut(4096).filter(|copy| copy.starts_with(b"ringkpmk")) {
        copy[32..40].copy_from_slice(&((1_u64 << 62) - 1).to_le_bytes());
        let checksum = crc32fast::hash(&copy[..508]);
        copy[508..512].copy_from_slice(&checksum.to_le_bytes());
    }
    fs::write(&path, &mark).expect("a store");
    for recovery in [Recovery::Fail, Recovery::TruncateTail, Recovery::SkipCorrupt] {
        let refused = options().recovery(recovery).open::<Vec<u8>>(directory.path());
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    }
}

#[test]
fn a_missing_segment_is_told_or_passed_over() {
    let directory = filled();
    let paths = segments(&directory);
    fs::remove_file(&paths[1]).expect("a segment");
    let queue = options().open(directory.path()).expect("the last segment is whole");
    let (numbers, error) = received(&queue);
    assert!(matches!(error, Some(Error::Damaged { .. })), "{error:?}");
    drop(queue);
    let queue = options().recovery(Recovery::SkipCorrupt).open(directory.path());
    let (rest, error) = received(&queue.expect("it goes on"));
    assert!(error.is_none(), "{error:?}");
    let gap = numbers.len() as u64..rest[0];
    assert!(gap.end - gap.start > 10, "{gap:?}");
    assert!(rest.into_iter().eq(gap.end..ITEMS));
}

#[test]
fn a_missing_first_segment_is_told() {
    let directory = filled();
    fs::remove_file(&segments(&directory)[0]).expect("a segment");
    let refused = options().open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::MissingItems { first: 0, .. })), "{refused:?}");
    let queue = options().recovery(Recovery::SkipCorrupt).open::<Vec<u8>>(directory.path());
    assert_eq!(queue.expect("it goes on").recovery().lost.len(), 1);
}

#[test]
fn a_header_that_is_gone_costs_its_segment_and_the_file_is_kept() {
    let directory = filled();
    let path = segments(&directory).pop().expect("a segment");
    spoil(&path, 40);
    let spoilt = fs::read(&path).expect("a segment");
    let refused = options().open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::MissingItems { .. })), "{refused:?}");
    let queue = options().recovery(Recovery::TruncateTail).open::<Vec<u8>>(directory.path());
    let report = queue.expect("it goes on").recovery().clone();
    assert_eq!((report.lost.len(), report.set_aside.len()), (1, 1));
    assert!(fs::read(&report.set_aside[0]).expect("it is kept") == spoilt);
}

/// A durable queue of three items in one segment; its file, and what is in it.
fn of_three(directory: &TempDir) -> (PathBuf, Vec<u8>) {
    let queue = options().open(directory.path()).expect("a queue");
    queue.push_batch(vec![item(0), item(1)]).expect("there is room");
    queue.push(item(2)).expect("there is room");
    drop(queue);
    let path = directory.path().join("00000000000000000000.seg");
    let bytes = fs::read(&path).expect("a segment");
    (path, bytes)
}

/// How many items it opens with, if it does.
fn opens_with(directory: &TempDir) -> Option<usize> {
    let queue = options().open(directory.path()).ok()?;
    let items: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).collect();
    assert!(items.iter().all(|delivery| **delivery == item(delivery.number())));
    Some(items.len())
}

#[test]
fn no_flipped_bit_changes_an_item_and_the_page_that_was_copied_is_whole() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let (path, bytes) = of_three(&directory);
    let frames = usize::try_from(FRAMES).expect("an offset");
    // Every byte of the header, some of the copies, every byte of the frames.
    for at in (0..512).chain((512..frames).step_by(61)).chain(frames..bytes.len()) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).expect("a store");
        let expected = (at >= 512).then_some(3);
        assert_eq!(opens_with(&directory), expected, "byte {at}");
    }
}

#[test]
fn without_copies_a_flipped_bit_in_a_frame_is_told() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let (path, mut bytes) = of_three(&directory);
    let frames = usize::try_from(FRAMES).expect("an offset");
    bytes[4096..frames].fill(0);
    let mut passed = 0;
    for at in frames..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).expect("a store");
        let found = opens_with(&directory);
        assert!(found.is_none_or(|found| found == 3), "byte {at}: {found:?}");
        passed += u32::from(found.is_some());
    }
    assert!(passed < 16, "{passed} bytes are padding");
}

#[derive(Debug, Clone)]
struct Other;

impl Codec<Vec<u8>> for Other {
    fn name(&self) -> &'static str {
        "other"
    }

    fn encode(&self, item: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if item.is_empty() {
            return Err("nothing in it".into());
        }
        out.extend_from_slice(item);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        if bytes == b"bad" { Err("a bad one".into()) } else { Ok(bytes.to_vec()) }
    }
}

#[test]
fn another_codec_tag_or_mode_is_refused_and_changes_nothing() {
    for tag in ["a".repeat(65), "a\0b".into()] {
        let refused = options().tag(tag).open::<Vec<u8>>("/nonexistent");
        assert!(matches!(refused, Err(Error::InvalidTag { max_bytes: 64, .. })), "{refused:?}");
    }
    let directory = filled();
    let other = QueueOptions::new(Other).mode(Mode::Durable(SyncPolicy::Always));
    let refused = other.open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::CodecMismatch { .. })), "{refused:?}");
    let refused = options().tag("orders").open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::CodecMismatch { .. })), "{refused:?}");
    let refused = options().mode(Mode::Spill).open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::CodecMismatch { .. })), "{refused:?}");
    assert_eq!(options().open::<Vec<u8>>(directory.path()).expect("it opens").len(), ITEMS);
}

#[test]
fn an_item_that_cannot_be_decoded_is_handed_over_as_bytes_and_is_in_nobodys_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Other).mode(Mode::Durable(SyncPolicy::Never));
    let items = ["good", "bad", "better"].map(|item| item.as_bytes().to_vec());
    let queue = options.open(directory.path()).expect("a queue");
    queue.push_batch(items.to_vec()).expect("there is room");
    let refused = queue.push(Vec::new()).expect_err("it cannot be encoded");
    assert!(matches!(*refused.source, Error::Encode { .. }) && refused.item.is_some());
    drop(queue);
    let queue = options.open::<Vec<u8>>(directory.path()).expect("a queue");
    assert_eq!(queue.pop().expect("the first one"), items[0]);
    match queue.pop() {
        Err(Error::Decode { item: 1, bytes, .. }) => assert_eq!(bytes, items[1]),
        other => panic!("{other:?}"),
    }
    assert_eq!(queue.pop().expect("the third one"), items[2]);
    assert!(queue.is_empty());
}

#[test]
fn a_second_opening_is_refused_while_the_first_one_lives() {
    let directory = filled();
    let queue = options().open::<Vec<u8>>(directory.path()).expect("a queue");
    let refused = options().open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    let clone = queue.clone();
    drop(queue);
    assert!(options().open::<Vec<u8>>(directory.path()).is_err());
    drop(clone);
    assert!(options().open::<Vec<u8>>(directory.path()).is_ok());
}

#[test]
fn a_log_whose_segments_are_all_gone_is_told() {
    let directory = filled();
    for path in segments(&directory) {
        fs::remove_file(path).expect("a segment");
    }
    let refused = options().open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    let queue = options().recovery(Recovery::SkipCorrupt).open(directory.path());
    let queue = queue.expect("it goes on");
    assert_eq!(queue.recovery().lost.first(), Some(&(0..ITEMS)));
    assert_eq!(queue.push(item(0)).expect("there is room"), Some(ITEMS), "no number comes twice");
}

/// What a directory holds while a queue has it open: as after the death of its process.
fn copied(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir_in("/dev/shm").expect("a directory");
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    copy
}

#[test]
fn a_spoilt_header_of_the_only_segment_is_told_after_a_death_too() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let queue = options().open(directory.path()).expect("a queue");
    for number in 0..10 {
        queue.push(item(number)).expect("there is room");
    }
    let copy = copied(directory.path());
    spoil(&copy.path().join("00000000000000000000.seg"), 40);
    let refused = options().open::<Vec<u8>>(copy.path());
    assert!(matches!(refused, Err(Error::MissingItems { .. })), "{refused:?}");
    let queue = options().recovery(Recovery::SkipCorrupt).open(copy.path()).expect("it goes on");
    assert!(!queue.recovery().lost.is_empty());
    let number = queue.push(item(0)).expect("there is room").expect("a number");
    let (numbers, error) = received_as(&queue, |_| item(0));
    assert!(error.is_none() && numbers == [number], "{numbers:?} {error:?}");
}

#[test]
fn damage_among_items_that_are_done_is_in_nobodys_way() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let queue = options().open(directory.path()).expect("a queue");
    for number in 0..10 {
        queue.push(item(number)).expect("there is room");
    }
    for _ in 0..5 {
        queue.pop().expect("an item");
    }
    drop(queue);
    spoil(&directory.path().join("00000000000000000000.seg"), FRAMES + 2 * FRAME + 60);
    let queue = options().recovery(Recovery::SkipCorrupt).open(directory.path());
    let (numbers, error) = received(&queue.expect("it goes on"));
    assert!(error.is_none() && numbers.into_iter().eq(5..10), "{error:?}");
}

#[test]
fn a_spilling_queue_leaves_a_durable_log_alone_that_has_lost_its_mark() {
    let directory = filled();
    fs::remove_file(directory.path().join("mark")).expect("a mark");
    let spilling = options().mode(Mode::Spill);
    let refused = spilling.open::<Vec<u8>>(directory.path());
    assert!(matches!(refused, Err(Error::CodecMismatch { .. })), "{refused:?}");
    let queue = options().open(directory.path()).expect("all of it is needed, then");
    assert!(received(&queue).0.into_iter().eq(0..ITEMS));
}

#[test]
fn a_mark_that_leaves_no_numbers_is_none() {
    let directory = filled();
    let path = directory.path().join("mark");
    let bytes = fs::read(&path).expect("a mark");
    for field in [8, 32, 40] {
        let mut changed = bytes.clone();
        for copy in [0, 4096, 8192] {
            changed[copy + field..copy + field + 8].fill(0xFF);
            let checksum = crc32fast::hash(&changed[copy..copy + 508]);
            changed[copy + 508..copy + 512].copy_from_slice(&checksum.to_le_bytes());
        }
        fs::write(&path, &changed).expect("a store");
        let queue = options().open::<Vec<u8>>(directory.path()).expect("the segments tell");
        assert_eq!(queue.len(), ITEMS, "{field}");
    }
}

#[test]
fn a_bad_item_in_a_batch_is_told_to_whoever_receives_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Other).mode(Mode::Durable(SyncPolicy::Never));
    let queue = options.open(directory.path()).expect("a queue");
    let items = ["one", "bad", "two"].map(|item| item.as_bytes().to_vec());
    queue.push_batch(items.to_vec()).expect("there is room");
    drop(queue);
    let queue = options.open::<Vec<u8>>(directory.path()).expect("a queue");
    assert_eq!(queue.recv_batch(10).expect("the first one").len(), 1);
    assert!(matches!(queue.try_recv(), Err(Error::Decode { item: 1, .. })));
    // The first one came back.
    assert_eq!(queue.recv_batch(10).expect("the others").len(), 2);
}
