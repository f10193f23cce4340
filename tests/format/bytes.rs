//! The document's tables and arithmetic, on the bytes of files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use ringkeep::{Error, Producer, Ring, RingOptions};

use super::{
    archives::{Shape, copy, hex, payload_of},
    document::{self, Field, block_starts, crc32, fields},
};

const PAGE: usize = 4096;

/// One block of a file, and which of its fields were looked at.
struct Block {
    bytes: Vec<u8>,
    fields: BTreeMap<String, Field>,
    unseen: BTreeSet<String>,
}

impl Block {
    /// The block under this heading, which begins at `start`; rows named zeros are held to it.
    fn new(heading: &str, file: &[u8], start: usize, length: usize, record_size: usize) -> Self {
        let bytes = file[start..start + length].to_vec();
        let (zeros, named): (Vec<_>, Vec<_>) = fields(heading, record_size, length)
            .into_iter()
            .partition(|field| field.name == "zeros");
        for Field { offset, size, .. } in zeros {
            let all = bytes[offset..offset + size].iter().all(|&byte| byte == 0);
            assert!(all, "{heading} is not zero from {offset} on");
        }
        let fields: BTreeMap<_, _> =
            named.into_iter().map(|field| (field.name.clone(), field)).collect();
        Self { bytes, unseen: fields.keys().cloned().collect(), fields }
    }

    fn bytes(&mut self, name: &str) -> &[u8] {
        self.unseen.remove(name);
        let field = self.fields.get(name).unwrap_or_else(|| panic!("no row for {name}"));
        &self.bytes[field.offset..field.offset + field.size]
    }

    /// A number of 4 or 8 bytes.
    fn number(&mut self, name: &str) -> u64 {
        let bytes = self.bytes(name);
        assert!(matches!(bytes.len(), 4 | 8), "{name} is a number");
        bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// The bytes before a field.
    fn before(&self, name: &str) -> &[u8] {
        &self.bytes[..self.fields[name].offset]
    }

    fn is_used_up(&self) {
        assert!(self.unseen.is_empty(), "nobody looked at {:?}", self.unseen);
    }
}

fn identity_of(file: &Path) -> Block {
    let mut page = [0; PAGE];
    let file = fs::File::open(file).expect("a shard");
    file.read_exact_at(&mut page, 0).expect("a page");
    Block::new("Identity page", &page, 0, PAGE, 0)
}

fn hot_page_of(file: &[u8]) -> Block {
    Block::new("Hot page", file, block_starts()["hot page"], PAGE, 0)
}

/// Both checkpoint pages, the older one first.
fn checkpoints_of(file: &[u8]) -> [Block; 2] {
    let page = |name: &str| Block::new("Checkpoint pages", file, block_starts()[name], PAGE, 0);
    let [mut a, mut b] = ["checkpoint page A", "checkpoint page B"].map(page);
    if a.number("sequence") > b.number("sequence") { [b, a] } else { [a, b] }
}

fn shard_file(path: &Path, shard: u64) -> PathBuf {
    match shard {
        0 => path.into(),
        _ => format!("{}.{shard}", path.display()).into(),
    }
}

/// What the document's arithmetic needs of an archive.
pub(crate) struct Layout {
    path: PathBuf,
    salt: u32,
    record_size: u64,
    slots: u64,
    slots_per_shard: u64,
    slots_offsets: Vec<u64>,
}

impl Layout {
    pub(crate) fn of(path: &Path) -> Self {
        let mut page = identity_of(path);
        let offset = |shard| identity_of(&shard_file(path, shard)).number("slots_offset");
        Self {
            path: path.into(),
            salt: page.number("salt").try_into().expect("4 bytes"),
            record_size: page.number("record_size"),
            slots: page.number("slots"),
            slots_per_shard: page.number("slots_per_shard"),
            slots_offsets: (0..page.number("shards")).map(offset).collect(),
        }
    }

    /// File and byte offset of an id's slot.
    pub(crate) fn place_of(&self, id: u64) -> (PathBuf, u64) {
        let slot = id % self.slots;
        let (shard, index) = (slot / self.slots_per_shard, slot % self.slots_per_shard);
        let slots_offset = self.slots_offsets[usize::try_from(shard).expect("few shards")];
        let offset = slots_offset + index * (self.record_size + 4);
        (shard_file(&self.path, shard), offset)
    }

    /// A record's checksum.
    pub(crate) fn crc_of(&self, id: u64, payload: &[u8]) -> u32 {
        let seed = u128::from(id) * 0x9E37_79B9_7F4A_7C15 % (1 << 64) / (1 << 32);
        let seed = self.salt ^ u32::try_from(seed).expect("32 bits are left");
        crc32(payload, seed).clamp(1, 0xFFFF_FFFE)
    }
}

#[test]
fn every_field_of_the_identity_page_is_where_the_document_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    let shape = Shape { record_size: 7, capacity: 100, shards: 3 };
    let geometry = shape.create(&path).ring().geometry();
    let mut ids = BTreeSet::new();
    for shard in 0..geometry.shards {
        let mut page = identity_of(&shard_file(&path, shard.into()));
        assert_eq!(page.bytes("magic"), b"RINGKEEP");
        assert_eq!(page.number("version"), 1);
        assert_eq!((page.number("compatible"), page.number("incompatible")), (0, 0));
        assert_eq!(page.number("shard_index"), u64::from(shard));
        assert_eq!(page.number("shards"), u64::from(geometry.shards));
        assert_eq!(page.number("record_size"), 7);
        assert_eq!(page.number("capacity"), 100);
        assert_eq!(page.number("slots"), geometry.slots);
        assert_eq!(page.number("slots_per_shard"), geometry.slots_per_shard);
        let offset = if shard == 0 { 20480 } else { 4096 };
        assert_eq!(page.number("slots_offset"), offset);
        let schema_bytes = usize::try_from(page.number("schema_bytes")).expect("a length");
        let (schema, rest) = page.bytes("schema").split_at(schema_bytes);
        assert!(schema.starts_with(b"bytes:bytes"));
        assert!(rest.iter().all(|&byte| byte == 0));
        let crc = crc32(page.before("crc"), 0);
        assert_eq!(page.number("crc"), u64::from(crc));
        ids.insert((page.number("salt"), page.bytes("archive_id").to_vec()));
        page.is_used_up();
    }
    assert_eq!(ids.len(), 1, "the files share salt and archive id");
    archive_id_is_the_one_in_messages(&path, &ids.pop_first().expect("one").1);
}

/// The library tells an archive id only where shards are mixed up.
fn archive_id_is_the_one_in_messages(path: &Path, expected: &[u8]) {
    fs::copy(shard_file(path, 1), shard_file(path, 2)).expect("a copy");
    match Ring::open(path) {
        Err(Error::MixedShards { found, expected_index: 2, .. }) => assert_eq!(found.0, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_of_the_hot_page_is_where_the_document_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    let mut producer = RingOptions::new(12, 100).create(&path).expect("an archive");
    for id in 0..250 {
        producer.append(&payload_of(id, 0, 12)).expect("an append");
    }
    producer.flush().expect("a flush");
    producer.append_at(1000, &payload_of(1000, 0, 12)).expect("a jump");
    let before = fs::read(&path).expect("the archive");
    let stats = producer.ring().stats().expect("stats");
    let mut page = hot_page_of(&before);
    assert_eq!((page.number("next"), page.number("touched")), (1001, 1001));
    assert_eq!((page.number("next"), page.number("durable")), (stats.next, stats.durable));
    assert_eq!((page.number("durable"), page.number("kept")), (250, 1000));
    let (claim, limit) = (page.number("claim"), producer.limit());
    assert!(1001 <= claim && claim <= limit, "1001 <= {claim} <= {limit}");
    assert_eq!(page.number("clock_step"), 0);
    assert_eq!(page.number("epoch"), stats.epoch);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let turned: Vec<_> = page.bytes("boot").iter().rev().copied().collect();
    assert_eq!(hex(&turned), boot.trim().replace('-', ""));
    let metadata = fs::metadata(&path).expect("the archive");
    assert_eq!(page.number("device"), metadata.dev());
    assert_eq!(page.number("inode"), metadata.ino());
    let newest = checkpoints_of(&before).map(|mut page| page.number("sequence"));
    assert_eq!(Some(page.number("proven")), newest.into_iter().max());
    assert_eq!(page.bytes("proven_boot"), turned.iter().rev().copied().collect::<Vec<_>>());
    let (counter, futex) = (page.number("counter"), page.number("futex"));
    assert!(counter.is_multiple_of(2));
    page.is_used_up();

    producer.update(1000, &payload_of(1000, 1, 12)).expect("an update");
    producer.append(&payload_of(1001, 0, 12)).expect("an append");
    producer.close().expect("a close wakes readers");
    let mut page = hot_page_of(&fs::read(&path).expect("the archive"));
    assert_eq!(page.number("counter"), counter + 2);
    assert_ne!(page.number("futex"), futex);
    assert_eq!(page.number("claim"), 1002, "a clean close gives back what was claimed");
}

#[test]
fn every_field_of_the_checkpoint_pages_is_where_the_document_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, copied) = (directory.path().join("cache.dat"), directory.path().join("copy.dat"));
    let mut producer = RingOptions::new(12, 100).create(&path).expect("an archive");
    producer.append_at(500, &payload_of(500, 0, 12)).expect("a jump");
    producer.flush().expect("a flush");
    producer.append_at(700, &payload_of(700, 0, 12)).expect("a jump");
    producer.append(&payload_of(701, 0, 12)).expect("an append");
    copy(&path, &copied);
    let limit = producer.limit();
    // Without its hot page the copy is recovered as after a power cut: durable to limit is open.
    let producer = Producer::open(&copied).expect("a producer");
    let salt = Layout::of(&copied).salt;
    let [mut older, mut newer] = checkpoints_of(&fs::read(&copied).expect("the archive"));
    assert_eq!(newer.number("sequence"), older.number("sequence") + 1);
    assert_eq!((newer.number("limit"), newer.number("durable")), (limit, limit));
    assert_eq!(newer.number("limit"), producer.limit());
    assert_eq!(newer.number("kept"), 700);
    assert_eq!(producer.ring().oldest().expect("oldest"), 700);
    assert_eq!(newer.number("clock_step"), 0);
    assert_eq!(newer.number("range_count"), 1);
    let ranges = newer.bytes("ranges").to_vec();
    let crashed = [older.number("durable").to_le_bytes(), limit.to_le_bytes()].concat();
    assert_eq!((&ranges[..16], older.number("durable")), (&crashed[..], 501));
    assert!(ranges[16..].iter().all(|&byte| byte == 0));
    for page in [&mut older, &mut newer] {
        assert_eq!(page.bytes("magic"), b"RKCHECK1");
        let crc = crc32(page.before("crc"), salt);
        assert_eq!(page.number("crc"), u64::from(crc));
    }
    newer.is_used_up();
}

#[test]
fn every_field_of_the_redo_slot_and_of_a_slot_is_where_the_document_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    let mut producer = RingOptions::new(11, 10).create(&path).expect("an archive");
    for id in 0..6 {
        producer.append(&payload_of(id, 0, 11)).expect("an append");
    }
    let layout = Layout::of(&path);
    let redo = || {
        let file = fs::read(&path).expect("the archive");
        Block::new("Redo slot", &file, block_starts()["redo slot"], PAGE, 11)
    };
    assert_eq!(redo().number("word"), 0, "empty");
    producer.update(4, &payload_of(4, 1, 11)).expect("an update");
    let mut page = redo();
    assert_eq!(page.number("word"), 5);
    assert_eq!(page.bytes("payload"), payload_of(4, 1, 11));
    assert_eq!(page.number("crc"), u64::from(layout.crc_of(4, &payload_of(4, 1, 11))));
    page.is_used_up();
    producer.flush().expect("a flush");
    producer.delete(4).expect("a delete");
    let mut page = redo();
    assert_eq!(page.number("word"), 5 | 1 << 63);
    let marker = !layout.crc_of(4, &[0; 11]);
    assert_eq!(page.bytes("payload"), [0; 11]);
    assert_eq!(page.number("crc"), u64::from(marker));

    for (id, payload, crc) in [
        (4, vec![0; 11], marker),
        (5, payload_of(5, 0, 11), layout.crc_of(5, &payload_of(5, 0, 11))),
    ] {
        let (file, offset) = layout.place_of(id);
        let (file, offset) = (fs::read(file).expect("a shard"), offset.try_into().expect("small"));
        let mut slot = Block::new("Slots", &file, offset, 15, 11);
        assert_eq!(slot.bytes("payload"), payload);
        assert_eq!(slot.number("crc"), u64::from(crc));
        slot.is_used_up();
    }
    producer.close().expect("a close");
    assert_eq!(redo().number("word"), 0, "a clean close clears it");
}

#[test]
fn the_limits_are_the_documented_ones() {
    let refused = |record_size, capacity| {
        let options = RingOptions::new(record_size, capacity).shard_bytes(1 << 40);
        options.geometry().is_err()
    };
    assert!(!refused(16 << 20, 1) && refused((16 << 20) + 1, 1) && refused(0, 1));
    assert!(!refused(1, (1 << 40) - 256) && refused(1, (1 << 40) - 255));
    assert!(!refused((1 << 16) - 4, 1 << 37) && refused(1 << 20, 1 << 37));
    let shards = |count| RingOptions::new(1, 1 << 20).shards(count).geometry().is_err();
    assert!(!shards(16384) && shards(16385));
    let limits = document::section("Limits");
    for number in ["16 MiB", "2^40 - 256", "2^56", "16384", "2^62 - 1", "2048", "24"] {
        assert!(limits.contains(number), "{number}");
    }
}
