//! What docs/FORMAT.md says of a queue's files, read without the library.

use std::fs;

use ringkeep::{Bytes, Mode, QueueOptions, SyncPolicy};

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn crc(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

#[test]
fn the_files_of_a_queue_are_as_their_document_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never)).tag("orders");
    let queue = options.open(directory.path()).expect("a queue");
    queue.push(b"first".to_vec()).expect("there is room");
    queue.sync().expect("nothing fails");
    queue.push_batch(vec![b"second".to_vec(), Vec::new(), b"4".to_vec()]).expect("there is room");
    queue.pop().expect("an item");
    drop(queue);

    let mark = fs::read(directory.path().join("mark")).expect("a mark");
    let copies = [0, 4096, 8192].map(|at| &mark[at..at + 512]);
    let is_whole =
        |copy: &&&[u8]| copy[..8] == *b"ringkpmk" && word(copy, 508) == crc(0, &copy[..508]);
    let newest = copies.iter().filter(is_whole).max_by_key(|copy| long(copy, 8)).expect("a copy");
    assert_eq!((long(newest, 32), long(newest, 40)), (1, 4));
    let synced = copies.iter().filter(is_whole).find(|copy| long(copy, 8) == long(newest, 64));
    assert!(synced.is_some_and(|synced| long(synced, 8) < long(newest, 8)));

    let segment = directory.path().join("00000000000000000000.seg");
    let bytes = fs::read(segment).expect("a segment");
    assert_eq!((&bytes[..8], word(&bytes, 8)), (&b"ringkpsg"[..], 1));
    assert_eq!(bytes[16..32], newest[16..32], "of one log");
    assert_eq!((long(&bytes, 32), long(&bytes, 40), word(&bytes, 56)), (0, 0, 1));
    assert_eq!((&bytes[64..70], &bytes[128..135]), (&b"bytes\0"[..], &b"orders\0"[..]));
    assert_eq!(word(&bytes, 60), 0, "not compressed");
    assert_eq!(word(&bytes, 508), crc(0, &bytes[..508]));

    let salt = word(&bytes, 12);
    let (mut at, mut frames) = (20480, Vec::new());
    while at < bytes.len() {
        let frame = &bytes[at..];
        assert_eq!(&frame[..4], b"RKfr");
        assert_eq!(word(frame, 4), crc(salt, &frame[8..48]));
        let (count, body) = (word(frame, 32) as usize, &frame[48..][..word(frame, 36) as usize]);
        assert_eq!(word(frame, 40), crc(0, body));
        let mut rest = &body[4 * count..];
        let items: Vec<_> = (0..count)
            .map(|item| {
                let (item, later) = rest.split_at(word(body, 4 * item) as usize);
                rest = later;
                String::from_utf8_lossy(item).into_owned()
            })
            .collect();
        frames.push((long(frame, 8), long(frame, 16), items.join(",")));
        at += (48 + body.len()).next_multiple_of(8);
    }
    assert_eq!(frames, [(0, 0, "first".into()), (1, 1, "second,,4".into())]);
}
