//! The files of a queue, looked at from outside: whole, damaged, torn, and while they change.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use ringkeep::{
    Bytes, Codec, CodecError, Compression, Error, Foreign, Mode, QueueDamage, QueueFiles,
    QueueKind, QueueOptions, QueueVerifyEvent, QueueVerifyReport, RingOptions, SyncPolicy,
};
use tempfile::TempDir;

use crate::damage::{FRAME, FRAMES, ITEMS, filled, item, options, segments, spoil};

fn look(directory: &TempDir) -> QueueFiles {
    QueueFiles::open(directory.path()).expect("a queue")
}

fn first_of(path: &Path) -> u64 {
    let name = path.file_stem().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).expect("a number")
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

/// Numbers of the items that can be read, and the damage between them.
fn read(files: &QueueFiles) -> (Vec<u64>, Vec<QueueDamage>) {
    let (mut numbers, mut damages) = (Vec::new(), Vec::new());
    for found in files.items() {
        match found {
            Ok(found) => {
                assert_eq!(found.bytes, item(found.number));
                numbers.push(found.number);
            }
            Err(damage) => damages.push(damage),
        }
    }
    (numbers, damages)
}

fn verified(files: &QueueFiles) -> (QueueVerifyReport, Vec<QueueDamage>) {
    let (mut damages, mut last) = (Vec::new(), None);
    let report = files.verify(|event| match event {
        QueueVerifyEvent::Damaged(damage) => damages.push(damage),
        QueueVerifyEvent::Progress { checked, total } => last = Some((checked, total)),
        _ => {}
    });
    assert!(last.is_none_or(|(checked, total)| checked == total), "{last:?}");
    (report.expect("it can be read"), damages)
}

#[test]
fn what_a_queue_is_can_be_seen_while_it_is_open_and_after() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let options = options().tag("orders").compression(Compression::Lz4);
    let before = SystemTime::now() - Duration::from_secs(1);
    let queue = options.open(directory.path()).expect("a queue");
    let files = look(&directory);
    assert_eq!((files.kind(), files.codec(), files.numbers()), (QueueKind::Durable, None, 0..0));
    assert_eq!(files.stats().expect("it can be read").oldest, None);
    for number in 0..ITEMS {
        queue.push(item(number)).expect("there is room");
    }
    queue.pop().expect("an item");
    let mut queue = Some(queue);
    for is_open in [true, false] {
        let files = look(&directory);
        assert_eq!(files.is_open().expect("a lock"), is_open);
        assert_eq!((files.kind(), files.tag()), (QueueKind::Durable, Some("orders")));
        assert_eq!((files.codec(), files.numbers()), (Some("bytes"), 1..ITEMS));
        assert_eq!(files.durable(), ITEMS);
        let stats = files.stats().expect("it can be read");
        assert_eq!(stats.segments, segments(&directory).len() as u64);
        assert_eq!((stats.compressions, stats.set_aside), (vec![Compression::Lz4], vec![]));
        let (oldest, newest) = (stats.oldest.expect("an item"), stats.newest.expect("an item"));
        assert!(before < oldest && oldest <= newest, "{oldest:?} {newest:?}");
        assert!(read(&files).0.into_iter().eq(1..ITEMS));
        drop(queue.take());
    }
}

#[test]
fn a_look_changes_nothing_not_even_a_torn_mark() {
    let directory = filled();
    spoil(&directory.path().join("mark"), 4096 + 40);
    spoil(&segments(&directory)[1], FRAMES + 60);
    let contents = || {
        let entries = fs::read_dir(directory.path()).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut all: Vec<_> = paths.map(|path| (fs::read(&path).expect("a file"), path)).collect();
        all.sort_unstable_by(|one, other| one.1.cmp(&other.1));
        all
    };
    let before = contents();
    let files = look(&directory);
    let _ = (files.stats().expect("it can be read"), read(&files), verified(&files));
    assert!(contents() == before);
}

#[derive(Debug, Clone)]
struct Words;

impl Codec<String> for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn encode(&self, item: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(item.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        Ok(String::from_utf8(bytes.to_vec())?)
    }
}

#[test]
fn items_of_any_codec_come_as_bytes_from_any_number_on() {
    for compression in [Compression::None, Compression::Lz4] {
        let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let options = QueueOptions::new(Words).mode(Mode::Durable(SyncPolicy::Never));
        let queue = options.compression(compression).open(directory.path()).expect("a queue");
        let word = |number: u64| "word ".repeat(usize::try_from(number % 40).expect("a few"));
        for first in (0..100).step_by(10) {
            queue.push_batch((first..first + 10).map(word).collect()).expect("there is room");
        }
        for _ in 0..13 {
            queue.pop().expect("an item");
        }
        let files = look(&directory);
        assert_eq!(files.codec(), Some("words"));
        for (from, first) in [(0, 13), (13, 13), (14, 14), (20, 20), (99, 99), (100, 100)] {
            let items = files.items_from(from).map(|item| item.expect("it is whole"));
            let items: Vec<_> = items.map(|item| (item.number, item.bytes)).collect();
            assert!(items.into_iter().eq((first..100).map(|at| (at, word(at).into_bytes()))));
        }
        let (report, _) = verified(&files);
        let bytes = (13..100).map(|number| word(number).len() as u64).sum();
        assert_eq!((report.frames, report.items, report.bytes), (9, 87, bytes));
    }
}

#[test]
fn a_flipped_bit_costs_one_item_and_is_told_with_its_place() {
    let directory = filled();
    let path = segments(&directory)[1].clone();
    let (spoilt, offset) = (first_of(&path) + 3, FRAMES + 3 * FRAME);
    spoil(&path, offset + 60);
    let files = look(&directory);
    let (numbers, damages) = read(&files);
    assert!(numbers.into_iter().eq((0..ITEMS).filter(|&number| number != spoilt)));
    let [damage] = &damages[..] else { panic!("{damages:?}") };
    assert_eq!((&damage.items, &damage.path), (&(spoilt..spoilt + 1), &path));
    assert_eq!(damage.offset, offset);
    assert!(matches!(*damage.source, Error::Damaged { .. }), "{damage}");
    let (report, damages) = verified(&files);
    assert_eq!((report.items, report.damaged, report.missing), (ITEMS - 1, 1, 1));
    assert_eq!((damages.len(), report.frames, report.torn_bytes), (1, ITEMS - 1, 0));
}

/// Takes something away; the items that are gone with it.
type Take = fn(&TempDir) -> std::ops::Range<u64>;

#[test]
fn what_was_durable_and_is_gone_is_told_wherever_it_was() {
    let gone: [(&str, Take); 5] = [
        ("the first segment", |directory| {
            let paths = segments(directory);
            fs::remove_file(&paths[0]).expect("a segment");
            0..first_of(&paths[1])
        }),
        ("a segment in the middle", |directory| {
            let paths = segments(directory);
            fs::remove_file(&paths[1]).expect("a segment");
            first_of(&paths[1])..first_of(&paths[2])
        }),
        ("a header in the middle", |directory| {
            let paths = segments(directory);
            spoil(&paths[1], 40);
            first_of(&paths[1])..first_of(&paths[2])
        }),
        ("the last header", |directory| {
            let paths = segments(directory);
            spoil(paths.last().expect("a segment"), 40);
            first_of(paths.last().expect("a segment"))..ITEMS
        }),
        ("all segments", |directory| {
            for path in segments(directory) {
                fs::remove_file(path).expect("a segment");
            }
            0..ITEMS
        }),
    ];
    for (what, take) in gone {
        let directory = filled();
        let lost = take(&directory);
        let files = look(&directory);
        let (numbers, damages) = read(&files);
        let expected = (0..ITEMS).filter(|number| !lost.contains(number));
        assert!(numbers.into_iter().eq(expected), "{what}");
        let [damage] = &damages[..] else { panic!("{what}: {damages:?}") };
        assert_eq!(damage.items, lost, "{what}");
        let report = verified(&files).0;
        assert_eq!((report.damaged, report.missing), (1, lost.end - lost.start), "{what}");
        assert_eq!(files.numbers(), 0..ITEMS, "{what}");
    }
}

#[test]
fn what_a_crash_left_behind_the_last_item_is_no_damage() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    let queue = options.open(directory.path()).expect("a queue");
    for number in 0..10 {
        queue.push(item(number)).expect("there is room");
    }
    let copy = copied(directory.path());
    let files = look(&copy);
    assert_eq!((files.numbers(), files.durable()), (0..10, 0));
    assert_eq!(verified(&files).0.torn_bytes, 0);
    // The last frame in part.
    spoil(&segments(&copy)[0], FRAMES + 9 * FRAME + 60);
    let files = look(&copy);
    assert_eq!(files.numbers(), 0..9);
    let (report, damages) = verified(&files);
    assert!(damages.is_empty(), "{damages:?}");
    assert_eq!((report.items, report.torn_bytes), (9, FRAME));
    assert_eq!(options.open::<Vec<u8>>(copy.path()).expect("it opens").len(), 9);
}

#[test]
fn a_process_at_work_is_never_taken_for_damage() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let options = options().mode(Mode::Durable(SyncPolicy::EveryRecords(8))).segment_bytes(4096);
    let queue = options.open(directory.path()).expect("a queue");
    let look_on = || {
        let (mut seen, mut firsts) = (0, BTreeSet::new());
        for _ in 0..300 {
            let files = look(&directory);
            let numbers = files.numbers();
            let (found, damages) = read(&files);
            assert!(damages.is_empty(), "{damages:?} of {numbers:?}");
            assert!(found.iter().all(|number| numbers.contains(number)));
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
            seen += found.len();
            firsts.insert(numbers.start);
            let (report, damages) = verified(&files);
            assert!(damages.is_empty() && report.torn_bytes == 0, "{damages:?} {report:?}");
            files.stats().expect("it can be read");
        }
        (seen, firsts)
    };
    let (seen, firsts) = thread::scope(|scope| {
        let looker = scope.spawn(look_on);
        let mut number = 0;
        while !looker.is_finished() {
            queue.push(item(number)).expect("there is room");
            number += 1;
            if queue.len() > 150 {
                (0..100).for_each(|_| drop(queue.pop().expect("an item")));
            }
        }
        looker.join().expect("it looks on")
    });
    assert!(seen > 1000 && firsts.len() > 10, "{seen} items behind {} marks", firsts.len());
}

#[test]
fn what_is_done_with_since_the_look_is_not_missing() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let queue = options().segment_bytes(4096).open(directory.path()).expect("a queue");
    for number in 0..ITEMS {
        queue.push(item(number)).expect("there is room");
    }
    let files = look(&directory);
    for _ in 0..100 {
        queue.pop().expect("an item");
    }
    let first = first_of(&segments(&directory)[0]);
    assert!((1..=100).contains(&first), "segments are gone: {first}");
    let (numbers, damages) = read(&files);
    assert!(damages.is_empty() && numbers.into_iter().eq(first..ITEMS), "{damages:?}");
    let (report, damages) = verified(&files);
    assert!(damages.is_empty(), "{damages:?}");
    assert_eq!((report.items, report.missing), (ITEMS - first, 0));
}

#[test]
fn of_a_queue_that_spills_the_files_are_seen() {
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let options = QueueOptions::new(Bytes).memory_bytes(1).segment_bytes(8192);
    let queue = options.open(directory.path()).expect("a queue");
    assert_eq!(look(&directory).kind(), QueueKind::Spill);
    for number in 0..5000 {
        queue.push(item(number)).expect("there is room");
    }
    let on_disk = queue.stats().items_on_disk;
    assert!(on_disk > 1000, "{on_disk}");
    let files = look(&directory);
    assert_eq!((files.kind(), files.codec()), (QueueKind::Spill, Some("bytes")));
    assert!(files.is_open().expect("a lock"));
    let (numbers, damages) = read(&files);
    assert!(damages.is_empty() && numbers.len() as u64 >= on_disk, "{damages:?}");
    for number in 0..4000 {
        assert_eq!(queue.pop().expect("an item"), item(number));
    }
    // Some of what is gone was in the look.
    let (_, damages) = read(&files);
    assert!(damages.is_empty(), "{damages:?}");
    drop(queue);
    assert_eq!(look(&directory).items().count(), 0);
}

#[test]
fn what_is_no_queue_is_refused_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let refused = |name| match QueueFiles::open(path(name)) {
        Err(Error::NotAQueue { found, .. }) => Some(found),
        Err(Error::NoQueue { .. }) => None,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(refused("gone"), None);
    fs::create_dir_all(path("other/lock")).expect("a directory");
    fs::create_dir(path("empty")).expect("a directory");
    fs::write(path("file"), "some text, and more of it").expect("a file");
    fs::write(path("nothing"), "").expect("a file");
    RingOptions::new(4, 4).create(path("cache.dat")).expect("an archive");
    assert_eq!(refused("empty"), Some(Foreign::EmptyDirectory));
    assert_eq!(refused("other"), Some(Foreign::OtherDirectory));
    assert_eq!(refused("file"), Some(Foreign::File));
    assert_eq!(refused("nothing"), Some(Foreign::Empty));
    assert_eq!(refused("cache.dat"), Some(Foreign::Archive));
    // A mark that is none refuses to be looked at, as it refuses to be opened.
    fs::write(path("empty/mark"), "short").expect("a file");
    assert!(matches!(QueueFiles::open(path("empty")), Err(Error::Damaged { .. })));
}
