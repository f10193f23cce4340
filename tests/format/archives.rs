//! Archives that the library writes, and what it reads from them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ringkeep::{Producer, Read, Ring, RingOptions};

/// The committed archives, format version 1; see docs/FORMAT.md.
pub(crate) const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-1");

/// Every id from the oldest to the newest, with what the library says about it.
pub(crate) fn read_all(ring: &Ring) -> Vec<(u64, Read<Vec<u8>>)> {
    let (oldest, next) = (ring.oldest().expect("oldest"), ring.next_id().expect("next"));
    let read = |id| (id, ring.read(id).expect("a read"));
    (oldest..next).map(read).collect()
}

/// The records among them, as the Python reader prints them.
pub(crate) fn record_lines(reads: &[(u64, Read<Vec<u8>>)]) -> Vec<String> {
    let line = |(id, read): &(u64, Read<Vec<u8>>)| match read {
        Read::Record(payload) => Some(format!("{id} {}", hex(payload))),
        _ => None,
    };
    reads.iter().filter_map(line).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble| char::from_digit(u32::from(nibble), 16);
    let digits = |&byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(digits).flatten().collect()
}

/// A payload that tells its id and its version.
pub(crate) fn payload_of(id: u64, version: u8, size: usize) -> Vec<u8> {
    let bytes = (0_u64..).map(|at| {
        let mixed = (id ^ u64::from(version) << 56).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ at;
        mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93).to_be_bytes()[0]
    });
    bytes.take(size).collect()
}

/// The shape of an archive to try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) record_size: usize,
    pub(crate) capacity: u64,
    pub(crate) shards: u32,
}

/// Small and large, odd and even, one file and several.
pub(crate) const SHAPES: [Shape; 6] = [
    Shape { record_size: 1, capacity: 1, shards: 1 },
    Shape { record_size: 7, capacity: 13, shards: 3 },
    Shape { record_size: 12, capacity: 100, shards: 2 },
    Shape { record_size: 124, capacity: 1000, shards: 7 },
    Shape { record_size: 1000, capacity: 64, shards: 1 },
    Shape { record_size: 5000, capacity: 20, shards: 4 },
];

impl Shape {
    pub(crate) fn create(self, path: &Path) -> Producer {
        let options = RingOptions::new(self.record_size, self.capacity).shards(self.shards);
        options
            .schema(&format!("bytes:bytes{}", self.record_size))
            .create(path)
            .expect("a new archive")
    }

    /// Records, skipped ids, and where there is room deleted and updated ones. `laps` rounds.
    pub(crate) fn fill(self, producer: &mut Producer, laps: u64) {
        let size = self.record_size;
        let first = producer.ring().next_id().expect("next");
        for id in first..first + laps * self.capacity {
            producer.append(&payload_of(id, 0, size)).expect("an append");
        }
        let next = producer.ring().next_id().expect("next");
        if self.capacity < 10 {
            return;
        }
        producer.append_at(next + 3, &payload_of(next + 3, 0, size)).expect("a gap");
        producer.delete(next - 2).expect("a delete");
        producer.update(next - 3, &payload_of(next - 3, 1, size)).expect("an update");
        producer.flush().expect("a flush");
        producer.update(next - 4, &payload_of(next - 4, 2, size)).expect("an update");
        producer.append(&payload_of(next + 4, 0, size)).expect("an append");
    }
}

/// Copies all files of an archive. The copy has other inodes, so its hot page is not believed.
pub(crate) fn copy(from: &Path, to: &Path) {
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let directory = from.parent().expect("a directory");
    for entry in fs::read_dir(directory).expect("a listing") {
        let path = entry.expect("an entry").path();
        if let Some(rest) = name(&path).strip_prefix(&name(from)) {
            let target: PathBuf = format!("{}{rest}", to.display()).into();
            fs::copy(&path, target).expect("a copy");
        }
    }
}

// The fixtures.

/// What the fixture's record `id` says.
pub(crate) fn fixture_text(id: u64) -> String {
    match id {
        20 => "update 00020".into(),
        _ => format!("record {id:05}"),
    }
}

/// `cache.dat`: two files, wrapped, with an update, a delete and skipped ids, closed cleanly.
/// `killed.dat`: its producer died and the hot page counts no more, so that a checkpoint rules.
pub(crate) fn write_fixtures(directory: &Path) -> ringkeep::Result<()> {
    let options = RingOptions::new(12, 20).shards(2).schema("text:str12");
    let mut producer = options.create(directory.join("cache.dat"))?;
    for id in 0..31 {
        producer.append(format!("record {id:05}").as_bytes())?;
    }
    producer.append_at(33, fixture_text(33).as_bytes())?;
    producer.update(20, fixture_text(20).as_bytes())?;
    producer.delete(22)?;
    producer.close()?;
    let mut killed = RingOptions::new(5, 40).create(directory.join("killed.dat"))?;
    for id in 0..50 {
        killed.append(format!("{id:05}").as_bytes())?;
    }
    killed.flush()?;
    killed.append(b"00050")?;
    killed.die();
    Ok(())
}
