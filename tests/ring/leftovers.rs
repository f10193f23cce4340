//! What earlier creations, or a lost first file, have left beside a new archive.

use std::{fs, os::unix::fs::symlink};

use ringkeep::{Error, RingOptions};

use crate::support::{
    Home, assert_keeps, open_producer, open_ring, payloads, poke, ring_options, slots_offset,
};

const SIZE: usize = 12;

fn options() -> RingOptions {
    ring_options(SIZE, 30).shards(4)
}

/// Requires that a creation is refused, and that it changes nothing.
#[track_caller]
fn assert_refused(home: &Home, is_right: impl Fn(&Error) -> bool) {
    let before = home.state();
    for options in [options(), ring_options(SIZE, 30), ring_options(1, 1)] {
        let error = options.create(home.path()).expect_err("there are leftovers");
        assert!(is_right(&error), "{error:?}");
        let after = home.state();
        let names = |state: &std::collections::BTreeMap<_, _>| format!("{:?}", state.keys());
        assert_eq!(names(&after), names(&before));
        assert!(after == before, "a file was changed");
    }
}

#[test]
fn empty_shards_of_a_creation_that_died_are_cleared_away() {
    let home = Home::on_disk();
    options().create(home.path()).unwrap().close().unwrap();
    fs::remove_file(home.path()).unwrap();
    let mut producer = ring_options(SIZE, 30).create(home.path()).unwrap();
    assert_eq!(home.names(), ["cache.dat"]);
    producer.append_batch(&payloads(0..50, SIZE)).unwrap();
    assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
}

#[test]
fn temporary_files_are_cleared_away() {
    let home = Home::on_disk();
    for name in ["cache.dat.ringkeep-new", "cache.dat.1.ringkeep-new", "cache.dat.9.ringkeep-new"] {
        fs::write(home.directory().join(name), vec![0xAA; 100_000]).unwrap();
    }
    let others = ["cache.dat.bak", "cache.dat.01", "other.dat.1", "cache.dat2.ringkeep-new"];
    for name in others {
        fs::write(home.directory().join(name), "somebody else's").unwrap();
    }
    let mut producer = options().create(home.path()).unwrap();
    producer.append_batch(&payloads(0..50, SIZE)).unwrap();
    assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
    let mut expected: Vec<_> = others.map(String::from).into();
    expected.extend((0..4).map(|index| match index {
        0 => "cache.dat".to_owned(),
        _ => format!("cache.dat.{index}"),
    }));
    expected.sort();
    assert_eq!(home.names(), expected);
    for name in others {
        let content = fs::read_to_string(home.directory().join(name)).unwrap();
        assert_eq!(content, "somebody else's");
    }
}

#[test]
fn shards_with_records_are_kept_when_their_first_file_is_gone() {
    let home = Home::on_disk();
    let mut producer = options().create(home.path()).unwrap();
    producer.append_batch(&payloads(0..30, SIZE)).unwrap();
    producer.close().unwrap();
    fs::remove_file(home.path()).unwrap();
    assert_refused(&home, |error| matches!(error, Error::LeftoverShard { .. }));
}

/// Goal: a refused creation takes nothing away, so that a first file that comes back (from a copy)
/// finds all its shards. Method: one of them holds a record; the other ones are empty, as leftovers
/// of a creation are.
#[test]
fn an_archive_whose_first_file_comes_back_is_whole() {
    let home = Home::on_disk();
    let mut producer = options().create(home.path()).unwrap();
    producer.append_batch(&payloads(0..9, SIZE)).unwrap();
    producer.close().unwrap();
    for with_record in 1..4 {
        let record = slots_offset(with_record, SIZE) + 3;
        poke(&home.shard(with_record), record, &[1]);
        let aside = home.directory().join("aside");
        fs::rename(home.path(), &aside).unwrap();
        let expected = home.shard(with_record);
        assert_refused(
            &home,
            |error| matches!(error, Error::LeftoverShard { path } if *path == expected),
        );
        fs::rename(&aside, home.path()).unwrap();
        assert_keeps(&open_ring(home.path()).unwrap(), 0..9);
        poke(&home.shard(with_record), record, &[0]);
    }
}

#[test]
fn a_foreign_file_under_the_name_of_a_shard_is_refused_and_kept() {
    for content in ["", "a letter", "RINGKEEP is what it says"] {
        let home = Home::on_disk();
        fs::write(home.shard(1), content).unwrap();
        assert_refused(
            &home,
            |error| matches!(error, Error::AlreadyExists { path } if *path == home.shard(1)),
        );
    }
    let home = Home::on_disk();
    fs::create_dir(home.shard(2)).unwrap();
    assert_refused(&home, |error| matches!(error, Error::AlreadyExists { .. }));
}

#[test]
fn a_dangling_link_is_not_replaced() {
    let home = Home::on_disk();
    symlink(home.directory().join("elsewhere"), home.path()).unwrap();
    let refused = options().create(home.path());
    assert!(matches!(refused, Err(Error::AlreadyExists { .. })), "{refused:?}");
    assert_eq!(home.names(), ["cache.dat"]);
    assert!(fs::symlink_metadata(home.path()).unwrap().is_symlink());
}

#[test]
fn a_temporary_name_that_is_a_link_is_not_followed() {
    let home = Home::on_disk();
    let precious = home.directory().join("precious");
    fs::write(&precious, "do not touch").unwrap();
    symlink(&precious, home.directory().join("cache.dat.ringkeep-new")).unwrap();
    assert!(options().create(home.path()).is_err());
    assert_eq!(fs::read_to_string(&precious).unwrap(), "do not touch");
}

#[test]
fn an_archive_opens_through_a_link() {
    let home = Home::on_disk();
    let mut producer = ring_options(SIZE, 30).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..50, SIZE)).unwrap();
    let link = home.directory().join("link");
    symlink(home.path(), &link).unwrap();
    assert_keeps(&open_ring(&link).unwrap(), 20..50);
    let locked = open_producer(&link);
    assert!(matches!(locked, Err(Error::Locked { .. })), "{locked:?}");
}
