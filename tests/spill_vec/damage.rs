//! Goal: no damage to a file makes a wrong item, and none ends in a panic.
//!
//! Method: every byte flipped and every prefix cut, of what a vector has on the disk and of frozen
//! files; fields that are forged with the right checksums; files that are something else.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ringkeep::{
    Bytes, Compression, Corruption, Error, Foreign, FrozenVec, Postcard, SimDisk, SpillVec,
    SpillVecOptions,
};

const PATH: &str = "/sim/frozen";
const COMPRESSIONS: [Compression; 2] = [Compression::None, Compression::Lz4];

fn item(number: u32) -> Vec<u8> {
    let mut item = vec![7; 20 + number as usize % 5];
    item[..4].copy_from_slice(&number.to_be_bytes());
    item
}

fn options(disk: &SimDisk, compression: Compression) -> SpillVecOptions<Bytes> {
    let options = SpillVecOptions::new(Bytes).memory_bytes(0).tag("items");
    options.frame_bytes(300).compression(compression).on(disk)
}

fn spilled(disk: &SimDisk, compression: Compression) -> SpillVec<Vec<u8>, Bytes> {
    let mut vec = options(disk, compression).build().expect("a vector");
    vec.try_extend((0..60).map(item)).expect("there is room");
    vec.spill().expect("there is room");
    vec
}

/// Reads all items in every way: how many ways failed.
fn failures(vec: &SpillVec<Vec<u8>, Bytes>) -> usize {
    let judge = |(number, found): (u32, ringkeep::Result<Vec<u8>>)| match found {
        Ok(found) => {
            assert_eq!(found, item(number));
            0
        }
        Err(Error::Damaged { .. } | Error::Io { .. }) => 1,
        Err(other) => panic!("{other:?}"),
    };
    let owned = |found: ringkeep::Result<ringkeep::ItemRef<'_, Vec<u8>>>| {
        found.map(ringkeep::ItemRef::into_owned)
    };
    let forward: usize = (0..).zip(vec.iter().map(owned)).map(judge).sum();
    let backward: usize = (0..60).rev().zip(vec.iter().rev().map(owned)).map(judge).sum();
    let one_by_one = (0..60_u32).map(|number| {
        let found = vec.get(number as usize).map(|found| found.expect("an index").into_owned());
        judge((number, found))
    });
    let singles: usize = one_by_one.sum();
    assert_eq!((forward > 0, backward > 0), (singles > 0, singles > 0));
    singles
}

#[test]
fn every_flipped_byte_of_a_spilled_vector_is_told_and_costs_its_frame_only() {
    for compression in COMPRESSIONS {
        let disk = SimDisk::reliable(1);
        let vec = spilled(&disk, compression);
        let stats = vec.stats();
        let stored = usize::try_from(stats.stored_bytes).expect("a few bytes");
        assert!(stats.frames >= 5 && stored > 500, "{stats:?}");
        for at in 0..stored {
            disk.flip_unnamed(at, u32::try_from(at % 8).expect("a bit"));
            let failed = failures(&vec);
            assert!((1..=14).contains(&failed), "byte {at}: {failed} items");
            disk.flip_unnamed(at, u32::try_from(at % 8).expect("a bit"));
        }
        assert_eq!(failures(&vec), 0);
    }
}

#[test]
fn every_prefix_of_a_spilled_vector_is_told() {
    let disk = SimDisk::reliable(1);
    let vec = spilled(&disk, Compression::None);
    let stored = usize::try_from(vec.stats().stored_bytes).expect("a few bytes");
    let mut failed = 0;
    for length in (0..stored).rev() {
        disk.cut_unnamed(length);
        let now = failures(&vec);
        assert!(now > 0 && now >= failed, "{length} bytes: {now} items");
        failed = now;
    }
    assert_eq!(failed, 60);
}

#[test]
fn a_damaged_vector_refuses_what_would_need_the_damage_and_is_still_there() {
    let disk = SimDisk::reliable(1);
    let vec = spilled(&disk, Compression::None);
    disk.flip_unnamed(60, 3);
    let refused = vec.persist(PATH).expect_err("a frame is damaged");
    assert!(matches!(refused, Error::Damaged { offset: 0, .. }), "{refused:?}");
    assert_eq!(disk.contents(), []);
    let refused = vec.sorted_by(Vec::cmp).expect_err("a frame is damaged");
    let refused = refused.vec.into_vec(1 << 20).expect_err("a frame is damaged");
    let mut vec = refused.vec;
    assert!(vec.truncate(3).is_err() && vec.len() == 60);
    vec.truncate(40).expect("another frame");
    vec.push(item(40)).expect("there is room");
    assert_eq!(vec.get(40).expect("it can be read").as_deref(), Some(&item(40)));
    disk.flip_unnamed(60, 3);
    assert!(vec.into_iter().map(|item| item.expect("mended")).eq((0..=40).map(item)));
}

/// A frozen file, and the disk it is on.
fn frozen(compression: Compression) -> (SimDisk, Vec<u8>) {
    let disk = SimDisk::reliable(1);
    spilled(&disk, compression).persist(PATH).expect("there is room");
    let (path, bytes) = disk.contents().pop().expect("a file");
    assert_eq!(path, Path::new(PATH));
    (disk, bytes)
}

/// Opens and reads all of it.
fn read(disk: &SimDisk, bytes: &[u8]) -> ringkeep::Result<Vec<Vec<u8>>> {
    disk.put_file(Path::new(PATH), bytes);
    let frozen = options(disk, Compression::None).open_frozen::<Vec<u8>>(PATH)?;
    frozen.verify()?;
    frozen.iter().collect()
}

#[test]
fn every_flipped_byte_of_a_frozen_file_is_told() {
    for compression in COMPRESSIONS {
        let (disk, bytes) = frozen(compression);
        assert!(read(&disk, &bytes).expect("it is whole").into_iter().eq((0..60).map(item)));
        let mut seen = [0; 3];
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            match read(&disk, &changed).expect_err("a byte is wrong") {
                Error::NotAFrozenVec { found: Foreign::File, .. } => seen[0] += 1,
                Error::Damaged { offset: 0, .. } => seen[1] += 1,
                Error::Damaged { .. } => seen[2] += 1,
                other => panic!("byte {at}: {other:?}"),
            }
        }
        assert!(seen[0] == 8 && seen[1] == 504 && seen[2] > 500, "{seen:?}");
    }
}

#[test]
fn every_prefix_of_a_frozen_file_is_told_and_bytes_behind_it_mean_nothing() {
    let (disk, mut bytes) = frozen(Compression::None);
    for length in 0..bytes.len() {
        match read(&disk, &bytes[..length]).expect_err("it is too short") {
            Error::NotAFrozenVec { found: Foreign::Empty, .. } => assert_eq!(length, 0),
            Error::NotAFrozenVec { found: Foreign::File, .. } => assert!(length < 512),
            Error::Truncated { found_bytes, expected_bytes, .. } => {
                assert_eq!((found_bytes, expected_bytes), (length as u64, bytes.len() as u64));
            }
            other => panic!("{length} bytes: {other:?}"),
        }
    }
    bytes.extend_from_slice(&[0xA5; 100]);
    assert_eq!(read(&disk, &bytes).expect("it is whole").len(), 60);
}

/// Stores a value and makes the checksum of the header right again.
fn forge(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
    let checksum = crc32fast::hash(&bytes[..508]);
    bytes[508..512].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn forged_headers_are_refused_by_name() {
    let (disk, bytes) = frozen(Compression::None);
    let forged = |at: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        forge(&mut bytes, at, value);
        read(&disk, &bytes).expect_err("it is forged")
    };
    assert!(matches!(forged(8, &[2]), Error::NewerFormat { found: 2, supported: 1, .. }));
    assert!(matches!(forged(44, &[9]), Error::UnknownCompression { found: 9, .. }));
    assert!(matches!(forged(64, b"other"), Error::CodecMismatch { .. }));
    assert!(matches!(forged(128, b"other"), Error::CodecMismatch { .. }));
    // Lengths that no file has, and such as this one has not.
    for value in [0_u64, 511, 520, 1 << 40, u64::MAX] {
        for at in [24, 32] {
            let error = forged(at, &value.to_le_bytes());
            let is_told = matches!(error, Error::Truncated { .. } | Error::Damaged { .. });
            assert!(is_told, "{value} at {at}: {error:?}");
        }
    }
    let error = forged(16, &61_u64.to_le_bytes());
    let source = Corruption::Field { field: "items", value: 61 };
    assert!(matches!(error, Error::Damaged { source: found, .. } if found == source), "{error:?}");
}

#[test]
fn forged_entries_of_the_index_are_refused() {
    let (disk, bytes) = frozen(Compression::None);
    let index = u64::from_le_bytes(std::array::from_fn(|at| bytes[24 + at]));
    let index = usize::try_from(index).expect("a small file");
    for at in (index..bytes.len()).step_by(4) {
        for value in [0_u32, 1, 7, 8, 48, 4096, 1 << 30, u32::MAX] {
            let mut forged = bytes.clone();
            if forged[at..at + 4] == value.to_le_bytes() {
                continue;
            }
            forged[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let checksum = crc32fast::hash(&forged[index..]);
            forge(&mut forged, 40, &checksum.to_le_bytes());
            let refused = read(&disk, &forged).expect_err("it is forged");
            assert!(matches!(refused, Error::Damaged { .. }), "{value} at {at}: {refused:?}");
        }
    }
}

#[test]
fn what_is_no_frozen_vector_is_called_what_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    let open = |path: &Path| FrozenVec::<u64>::open(path).expect_err("it is none");
    assert!(matches!(open(&path), Error::Io { action: "open", .. }));
    let found = |error| match error {
        Error::NotAFrozenVec { found, .. } => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(open(directory.path())), Foreign::Directory);
    assert_eq!(found(open(Path::new("/dev/null"))), Foreign::Special);
    std::fs::write(&path, b"").expect("there is room");
    assert_eq!(found(open(&path)), Foreign::Empty);
    std::fs::write(&path, [7; 5000]).expect("there is room");
    assert_eq!(found(open(&path)), Foreign::File);
}

#[test]
fn a_name_that_is_taken_or_cannot_be_is_refused_and_nothing_is_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    let vec = SpillVec::try_from_iter(0..10_u64).expect("a vector");
    std::fs::write(&path, b"somebody's").expect("there is room");
    assert!(matches!(vec.persist(&path), Err(Error::AlreadyExists { .. })));
    assert_eq!(std::fs::read(&path).expect("it is there"), b"somebody's");
    assert!(vec.persist("/nonexistent/file").is_err() && vec.persist(directory.path()).is_err());
    std::fs::remove_file(&path).expect("it is there");
    vec.persist(&path).expect("there is room");
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1);
    // With another tag than it was written with, and a name that is too long.
    let options = SpillVecOptions::new(Postcard).tag("other");
    assert!(matches!(options.open_frozen::<u64>(&path), Err(Error::CodecMismatch { .. })));
    let long = SpillVecOptions::new(Bytes).tag("x".repeat(65));
    assert!(matches!(long.build::<Vec<u8>>(), Err(Error::InvalidTag { .. })));
}

#[test]
fn a_second_writer_of_a_file_is_refused_while_the_first_one_writes() {
    let disk = SimDisk::reliable(1);
    let vec = spilled(&disk, Compression::None);
    let other = disk.other_process();
    let second = spilled(&other, Compression::None);
    let told = Arc::new(AtomicU64::new(0));
    let (count, mut steps) = (Arc::clone(&told), 0);
    // The observer runs inside of each step of the first writer, which has its lock after a few.
    disk.observe(move |_| {
        steps += 1;
        if steps > 5 && matches!(second.persist(PATH), Err(Error::Locked { .. })) {
            count.fetch_add(1, Relaxed);
        }
    });
    vec.persist(PATH).expect("it was first");
    disk.observe(|_| {});
    let (_, bytes) = disk.contents().pop().expect("one of them wrote it");
    assert_eq!(read(&disk, &bytes).expect("it is whole").len(), 60);
    assert!(told.load(Relaxed) > 100);
}
