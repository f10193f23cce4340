//! Files that are no archive, or not a whole one, or not this one: a typed error that says what was
//! found and expected; never a panic; and not a byte or a time on the disk changes.

use std::{fs, path::Path};

use ringkeep::{ArchiveId, Corruption, Error, Foreign, RingOptions};

use crate::support::{
    Home, PAGE, assert_keeps, flip, open_producer, open_ring, payloads, peek, poke, ring_options,
    shard_of,
};

const SIZE: usize = 12;

fn options() -> RingOptions {
    ring_options(SIZE, 30).shards(3)
}

/// A closed archive of three files with ids 20..50, on a real disk.
fn archive() -> Home {
    let home = Home::on_disk();
    fill(&home.path());
    home
}

fn fill(path: &Path) {
    let mut producer = options().create(path).expect("a ring");
    producer.append_batch(&payloads(0..50, SIZE)).expect("a batch");
    producer.close().expect("a clean close");
}

/// Requires that every way to open the archive is refused with an error that `is_right` knows, that
/// its message names a file, and that nothing on the disk changes.
#[track_caller]
fn assert_refused(home: &Home, is_right: impl Fn(&Error) -> bool) {
    let before = home.state();
    let path = home.path();
    let attempts = [
        ("a reader", open_ring(&path).err()),
        ("a producer", open_producer(&path).err()),
        ("options", options().open(&path).err()),
        ("open or create", options().open_or_create(&path).err()),
    ];
    for (who, error) in attempts {
        let Some(error) = error else { panic!("{who} opened it") };
        assert!(is_right(&error), "{who}: {error:?}");
        let message = error.to_string();
        assert!(message.contains("cache.dat"), "{message}");
    }
    let after = home.state();
    for (path, state) in &before {
        let same = after.get(path) == Some(state);
        assert!(same, "{} was changed", path.display());
    }
    assert_eq!(after.len(), before.len());
}

/// Repairs the checksum of an identity page, which is the CRC-32 of what is before it.
fn fix_crc(path: &Path) {
    let crc = crc32fast::hash(&peek(path, 0, 4092));
    poke(path, 4092, &crc.to_le_bytes());
}

fn archive_id(path: &Path) -> ArchiveId {
    ArchiveId(peek(path, 32, 16).try_into().expect("16 bytes"))
}

#[test]
fn a_missing_archive_is_not_found_by_name() {
    let home = Home::on_disk();
    let path = home.path();
    for error in [open_ring(&path).err(), open_producer(&path).err(), options().open(&path).err()] {
        let found = matches!(&error, Some(Error::NotFound { path: p }) if *p == path);
        assert!(found, "{error:?}");
    }
    assert!(home.names().is_empty());
    let below = home.directory().join("nowhere/cache.dat");
    assert!(matches!(open_ring(&below), Err(Error::NotFound { .. })));
    assert!(matches!(options().create(&below), Err(Error::Io { .. })));
    assert!(home.names().is_empty());
}

#[test]
fn a_directory_is_no_archive() {
    let home = Home::on_disk();
    fs::create_dir(home.path()).unwrap();
    let found = Foreign::Directory;
    assert_refused(
        &home,
        |error| matches!(error, Error::NotAnArchive { found: f, .. } if *f == found),
    );
    assert!(matches!(options().create(home.path()), Err(Error::AlreadyExists { .. })));
}

#[test]
fn a_fifo_is_no_archive_and_stops_nobody() {
    let home = Home::on_disk();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, home.path(), mode).unwrap();
    assert_refused(&home, |error| matches!(error, Error::NotAnArchive { .. }));
}

#[test]
fn an_empty_file_and_a_text_file_are_no_archives() {
    let cases: [(&[u8], Foreign); 4] = [
        (b"", Foreign::Empty),
        (b"R", Foreign::File),
        (b"RINGKEE", Foreign::File),
        (include_bytes!("refused_files.rs"), Foreign::File),
    ];
    for (content, expected) in cases {
        let home = Home::on_disk();
        fs::write(home.path(), content).unwrap();
        assert_refused(&home, |error| {
            matches!(error, Error::NotAnArchive { found, path }
                if *found == expected && *path == home.path())
        });
        let created = options().create(home.path());
        assert!(matches!(created, Err(Error::AlreadyExists { .. })), "{created:?}");
    }
}

#[test]
fn a_file_cut_short_at_any_length_is_refused() {
    let whole = archive();
    for shard in 0..3 {
        let bytes = fs::read(whole.shard(shard)).unwrap();
        let length = bytes.len() as u64;
        let pages = (0..length).step_by(4096);
        let cuts = pages.flat_map(|page| [page, page + 1, page + 8, page + 100, page + 4095]);
        for cut in cuts.chain([length - 1]).filter(|&cut| cut < length) {
            let file = fs::OpenOptions::new().write(true).open(whole.shard(shard)).unwrap();
            file.set_len(cut).unwrap();
            assert_refused(&whole, |error| match error {
                Error::NotAnArchive { found: Foreign::Empty, .. } => cut == 0,
                Error::NotAnArchive { found: Foreign::File, .. } => cut < 8,
                Error::Truncated { path, found_bytes, expected_bytes } => {
                    // Of a page cut short, what is missing may have been zeros.
                    let is_right = |bytes: u64| bytes == length || bytes == PAGE && cut < PAGE;
                    let right_lengths = *found_bytes == cut && is_right(*expected_bytes);
                    *path == whole.shard(shard) && right_lengths
                }
                _ => false,
            });
            fs::write(whole.shard(shard), &bytes).unwrap();
        }
    }
    assert_keeps(&open_ring(whole.path()).unwrap(), 20..50);
}

#[test]
fn a_file_with_something_behind_it_opens() {
    let home = archive();
    for shard in 0..3 {
        let length = fs::metadata(home.shard(shard)).unwrap().len();
        poke(&home.shard(shard), length, &[7; 5000]);
    }
    assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
    assert_keeps(&open_producer(home.path()).unwrap().ring(), 20..50);
}

#[test]
fn a_missing_shard_is_named() {
    for shard in [1, 2] {
        let home = archive();
        let missing = home.shard(shard);
        fs::remove_file(&missing).unwrap();
        assert_refused(
            &home,
            |error| matches!(error, Error::MissingShard { path, shards: 3 } if *path == missing),
        );
    }
}

#[test]
fn shards_of_two_archives_are_told_apart() {
    let home = archive();
    let other = home.directory().join("other.dat");
    fill(&other);
    for shard in [1, 2] {
        let kept = fs::read(home.shard(shard)).unwrap();
        fs::copy(shard_of(&other, shard), home.shard(shard)).unwrap();
        let ids = (archive_id(&other), archive_id(&home.path()));
        assert_refused(&home, |error| match error {
            Error::MixedShards { path, found, found_index, expected, expected_index } => {
                *path == home.shard(shard)
                    && (*found, *expected) == ids
                    && (*found_index, *expected_index) == (shard, shard)
            }
            _ => false,
        });
        fs::write(home.shard(shard), kept).unwrap();
    }
    // The first file is the other one's: its shards are not what lies beside it.
    fs::copy(&other, home.path()).unwrap();
    assert_refused(&home, |error| {
        matches!(error, Error::MixedShards { found_index: 1, expected_index: 1, expected, .. }
            if *expected == archive_id(&other))
    });
}

#[test]
fn shards_in_each_others_places_are_told_apart() {
    let home = archive();
    let aside = home.directory().join("aside");
    for (one, two) in [(1, 2), (0, 1), (0, 2)] {
        let swap = || {
            fs::rename(home.shard(one), &aside).unwrap();
            fs::rename(home.shard(two), home.shard(one)).unwrap();
            fs::rename(&aside, home.shard(two)).unwrap();
        };
        swap();
        assert_refused(&home, |error| {
            matches!(error, Error::MixedShards { found_index, expected_index, found, expected, .. }
                if found == expected && found_index != expected_index)
        });
        swap();
    }
    assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
}

#[test]
fn a_shard_in_the_place_of_the_first_file_is_refused() {
    for shards in [2, 3] {
        let home = Home::on_disk();
        let options = ring_options(SIZE, 30).shards(shards);
        options.create(home.path()).unwrap().close().unwrap();
        for shard in 1..shards {
            fs::copy(home.shard(shard), home.path()).unwrap();
            assert_refused(&home, |error| {
                matches!(error, Error::MixedShards { found_index, expected_index: 0, .. }
                    if *found_index == shard)
            });
        }
        // And opened by its own name.
        let opened = open_ring(home.shard(1));
        let is_right =
            matches!(&opened, Err(Error::MixedShards { found_index: 1, expected_index: 0, .. }));
        assert!(is_right, "{opened:?}");
    }
}

#[test]
fn another_geometry_is_refused_and_both_are_told() {
    let home = archive();
    let before = home.state();
    let found = open_ring(home.path()).unwrap().geometry();
    for other in [
        ring_options(SIZE + 1, 30),
        ring_options(SIZE, 31),
        ring_options(SIZE, 30).shards(2),
        ring_options(SIZE, 30).shard_bytes(1 << 20),
    ] {
        for refused in [other.open(home.path()), other.open_or_create(home.path())] {
            let Err(Error::GeometryMismatch { path, found: f, expected }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!((path, f, expected), (home.path(), found, other.geometry().unwrap()));
        }
    }
    assert!(home.state() == before);
    assert_keeps(&ring_options(SIZE, 30).open(home.path()).unwrap().ring(), 20..50);
    assert_keeps(&options().open(home.path()).unwrap().ring(), 20..50);
}

#[test]
fn another_schema_is_refused_with_nothing_changed() {
    let home = archive();
    let before = home.state();
    let refused = options().schema("t:time_ns, temp:f32").open(home.path());
    assert!(
        matches!(&refused, Err(Error::SchemaMismatch { found, .. }) if found.is_empty()),
        "{refused:?}"
    );
    assert!(home.state() == before);
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    for version in [2_u32, 3, 1000, u32::MAX] {
        for shard in 0..3 {
            let home = archive();
            poke(&home.shard(shard), 8, &version.to_le_bytes());
            assert_refused(&home, |error| {
                matches!(error, Error::NewerFormat { path, found, supported: 1 }
                    if *found == version && *path == home.shard(shard))
            });
        }
    }
}

#[test]
fn a_feature_that_readers_must_know_is_refused_and_others_are_not() {
    let home = archive();
    poke(&home.path(), 12, &[0xFF; 4]);
    fix_crc(&home.path());
    assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
    for bit in 0..32 {
        let flags = 1_u32 << bit;
        poke(&home.path(), 16, &flags.to_le_bytes());
        fix_crc(&home.path());
        assert_refused(
            &home,
            |error| matches!(error, Error::NewerFormat { found, supported: 1, .. } if *found > 1),
        );
    }
}

#[test]
fn a_field_that_no_writer_stores_is_refused_by_its_name() {
    let fields: [(u64, u64, &str); 9] = [
        (20, 3, "shard_index"),
        (24, 4, "shards"),
        (48, 0, "record_size"),
        (48, u64::MAX, "record_size"),
        (56, 0, "capacity"),
        (64, 32, "slots"),
        (72, 10, "shards"),
        (80, 4096, "slots_offset"),
        (88, 5000, "schema_bytes"),
    ];
    let home = archive();
    let whole = fs::read(home.path()).unwrap();
    for (offset, value, name) in fields {
        let width = if offset < 32 { 4 } else { 8 };
        poke(&home.path(), offset, &value.to_le_bytes()[..width]);
        fix_crc(&home.path());
        assert_refused(&home, |error| match error {
            Error::Damaged { path, offset: 0, source: Corruption::Field { field, .. } } => {
                *field == name && *path == home.path()
            }
            _ => false,
        });
        fs::write(home.path(), &whole).unwrap();
    }
}

#[test]
fn every_byte_of_the_identity_pages_is_protected() {
    let home = archive();
    let before = home.state();
    for shard in [0, 2] {
        for offset in 0..4096 {
            flip(&home.shard(shard), offset, 1 << (offset % 8));
            let opened = open_ring(home.path());
            let path = home.shard(shard);
            let is_right = match &opened {
                Err(Error::NotAnArchive { found: Foreign::File, .. }) => offset < 8,
                Err(Error::NewerFormat { .. }) => (8..12).contains(&offset),
                Err(Error::Damaged { path: p, offset: 0, source: Corruption::Checksum { .. } }) => {
                    offset >= 8 && *p == path
                }
                _ => false,
            };
            assert!(is_right, "byte {offset}: {opened:?}");
            flip(&home.shard(shard), offset, 1 << (offset % 8));
        }
    }
    let content = |state: std::collections::BTreeMap<_, _>| state.into_keys().collect::<Vec<_>>();
    assert_eq!(content(home.state()), content(before));
    assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
}

#[test]
fn one_checkpoint_page_is_enough_and_none_is_refused() {
    let home = archive();
    let whole = fs::read(home.path()).unwrap();
    let pages = [2 * PAGE, 3 * PAGE];
    for page in pages {
        poke(&home.path(), page, &[0xAA; 512]);
        // Without the newest page the older one rules; nothing wrong is served.
        let ring = open_ring(home.path()).unwrap();
        for (id, read) in ring.range(20..50).records().map(Result::unwrap) {
            if let ringkeep::Read::Record(found) = read {
                assert_eq!(found, crate::support::payload(id, SIZE));
            }
        }
        fs::write(home.path(), &whole).unwrap();
    }
    for page in pages {
        poke(&home.path(), page, &[0; 512]);
    }
    assert_refused(&home, |error| {
        matches!(error, Error::Damaged { path, offset: 8192, source: Corruption::NoCheckpoint }
            if *path == home.path())
    });
}
