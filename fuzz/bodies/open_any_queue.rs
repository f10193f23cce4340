//! What the fuzz target does with its bytes; the corpus is replayed by `tests/fuzz_corpus.rs`.
//!
//! The first byte says how the rest becomes files:
//!
//! * even: the rest is the first segment, as it is;
//! * odd: a small valid queue is made, and the rest edits it: `file, offset (2), count, bytes`.
//!   With bit 1 the checksums of its pages, frames and copies are made right again, so that the
//!   fields themselves are tried; with bit 2 its process has died instead of closing it; bit 3
//!   compresses it, bit 4 makes its segments small, bits 5.. fill it.

use std::{cell::RefCell, collections::BTreeMap, path::Path};

use ringkeep::{
    Bytes, Compression, Error, Mode, QueueFiles, QueueOptions, Recovery, Result, SimDisk,
    SyncPolicy,
};

use crate::{
    checksums::{mend_one, word},
    edits::{Files, apply},
};

const DIRECTORY: &str = "/sim/queue";
const SEGMENT: &str = "/sim/queue/00000000000000000000.seg";
const FRAMES_AT: usize = 20480;
const FRAME_HEADER: usize = 48;
const COPIES_AT: [usize; 2] = [4096, 12288];
const RECOVERIES: [Recovery; 3] = [Recovery::Fail, Recovery::TruncateTail, Recovery::SkipCorrupt];
/// More items than this are taken from no queue: a frame of empty ones is larger than its file.
const ITEMS_MAX: usize = 10_000;

thread_local! {
    /// Queues made so far: making one takes longer than trying it.
    static MADE: RefCell<BTreeMap<u8, Files>> = const { RefCell::new(BTreeMap::new()) };
}

/// Looks at the files that `data` describes, and opens them in every way.
pub(crate) fn open_any_queue(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let disk = SimDisk::reliable(how.into());
    if how % 2 == 0 {
        disk.put_file(Path::new(SEGMENT), rest);
    } else {
        for (path, bytes) in edited(how, rest) {
            disk.put_file(&path, &bytes);
        }
    }
    // Every result is fine, as long as there is one.
    let _ = look(&disk);
    for recovery in RECOVERIES {
        let disk = disk.copy();
        let _ = work(&disk, recovery);
        let _ = look(&disk);
    }
    let _ = QueueOptions::new(Bytes).on(&disk).open::<Vec<u8>>(DIRECTORY);
}

fn edited(how: u8, edits: &[u8]) -> Files {
    let mut files = MADE.with_borrow_mut(|made| {
        let make = || valid_queue(how).expect("nothing fails on a fresh disk");
        made.entry(how).or_insert_with(make).clone()
    });
    apply(&mut files, edits);
    if how & 2 != 0 {
        for (path, content) in &mut files {
            if path.extension().is_some() {
                mend_segment(content);
            } else {
                for page in content.chunks_mut(4096) {
                    mend_one(page, 508, 0, 0..508);
                }
            }
        }
    }
    files
}

fn valid_queue(how: u8) -> Result<Files> {
    let disk = SimDisk::reliable(7);
    let queue = QueueOptions::new(Bytes)
        .mode(Mode::Durable(SyncPolicy::EveryRecords(3)))
        .compression(if how & 8 == 0 { Compression::None } else { Compression::Lz4 })
        .segment_bytes(if how & 16 == 0 { 30_000 } else { 4096 })
        .on(&disk)
        .open(DIRECTORY)?;
    for count in 0..=how / 32 * 2 {
        queue.push_batch(vec![vec![count; 700], vec![count], Vec::new()])?;
    }
    queue.pop()?;
    if how & 4 == 0 {
        queue.close()?;
    } else {
        disk.kill();
    }
    drop(queue);
    Ok(disk.contents())
}

/// See docs/FORMAT.md.
fn mend_segment(content: &mut [u8]) {
    mend_one(content, 508, 0, 0..508);
    let Some(salt) = word(content, 12) else { return };
    for at in COPIES_AT {
        let Some(end) = word(content, at + 8).map(|end| end as usize) else { return };
        mend_one(content, at + 4, salt, at + 8..at + 16 + end % 4096);
    }
    let mut at = FRAMES_AT;
    while content.get(at..at + 4).is_some_and(|magic| magic == b"RKfr") {
        let Some(body) = word(content, at + 36).map(|body| body as usize) else { return };
        mend_one(content, at + 40, 0, at + FRAME_HEADER..at + FRAME_HEADER + body);
        mend_one(content, at + 4, salt, at + 8..at + FRAME_HEADER);
        at += (FRAME_HEADER + body).next_multiple_of(8);
    }
}

fn look(disk: &SimDisk) -> Result<()> {
    let files = QueueFiles::open_on(DIRECTORY, &disk.other_process())?;
    let numbers = files.numbers();
    let mut next = numbers.start;
    for item in files.items().take(ITEMS_MAX) {
        let items = match item {
            Ok(item) => item.number..item.number + 1,
            Err(damage) => damage.items,
        };
        assert!(items.start >= next && items.end <= numbers.end, "{items:?} of {numbers:?}");
        next = items.end;
    }
    files.verify(|_| {})?;
    files.stats().map(drop)
}

fn work(disk: &SimDisk, recovery: Recovery) -> Result<()> {
    let options = QueueOptions::new(Bytes)
        .mode(Mode::Durable(SyncPolicy::Never))
        .recovery(recovery)
        .segment_bytes(4096)
        .on(&disk.other_process());
    let queue = options.open::<Vec<u8>>(DIRECTORY)?;
    let next = queue.durable();
    for _ in 0..ITEMS_MAX / 100 {
        match queue.try_recv() {
            Ok(delivery) => drop(delivery.ack()),
            Err(_) => break,
        }
    }
    let pushed = vec![7; 100];
    assert_eq!(queue.push(pushed.clone())?, Some(next), "numbers go on");
    queue.close()?;
    drop(queue);
    // It is the last one, whatever is before it.
    let queue = options.recovery(Recovery::SkipCorrupt).open::<Vec<u8>>(DIRECTORY);
    let queue = queue.expect("it opened, and goes on");
    for _ in 0..ITEMS_MAX {
        match queue.try_pop() {
            Ok(item) if queue.is_empty() => {
                assert_eq!(item, pushed);
                return Ok(());
            }
            Ok(_) | Err(Error::Decode { .. }) => {}
            Err(error) => panic!("{error}, and the last item was not received"),
        }
    }
    Ok(())
}
