//! Goal: what is no store, or somebody else's, is refused with a sentence that helps, and is left
//! as it was; a store appears whole or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
    process::id,
    sync::mpsc,
    time::Duration,
};

use ringkeep::{
    BucketRead, Error, Foreign, SimDisk, Store, StoreError, StoreFile, StoreOptions, SyncPolicy,
};

fn at_once() -> StoreOptions {
    StoreOptions::new().lock_wait(Duration::ZERO)
}

fn refusals(path: &Path) -> [Error; 3] {
    [
        at_once().open(path).map(drop).expect_err("it is no store"),
        at_once().open_existing(path).map(drop).expect_err("it is no store"),
        StoreFile::open(path).map(drop).expect_err("it is no store"),
    ]
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().expect("a directory");
    let path = |name: &str| home.path().join(name);
    let header = b"redb\x1A\x0A\xA9\x0D\x0A";
    let files: [(&str, Vec<u8>, Foreign); 4] = [
        ("empty", vec![], Foreign::Empty),
        ("text", b"a text\n".repeat(1000), Foreign::File),
        ("short", header.to_vec(), Foreign::File),
        ("zeros", vec![0; 1 << 20], Foreign::File),
    ];
    for (name, bytes, expected) in files {
        fs::write(path(name), &bytes).expect("a file");
        for refused in refusals(&path(name)) {
            let Error::Store(StoreError::NotAStore { found, .. }) = refused else {
                panic!("{name}: {refused:?}")
            };
            assert_eq!(found, expected, "{name}");
        }
        assert!(fs::read(path(name)).expect("it is there") == bytes);
    }
    for refused in refusals(home.path()) {
        let directory =
            StoreError::NotAStore { path: home.path().into(), found: Foreign::Directory };
        assert_eq!(refused.to_string(), directory.to_string());
    }
    for refused in refusals(Path::new("/dev/null")) {
        let Error::Store(StoreError::NotAStore { found, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(found, Foreign::Special);
    }
    let missing = path("missing");
    let refused = at_once().open_existing(&missing).map(drop).expect_err("there is none");
    assert!(refused.to_string().starts_with("there is no store "), "{refused}");
    assert!(!missing.exists());
    let refused = at_once().open(path("no directory/store")).map(drop).expect_err("it cannot be");
    assert!(matches!(refused, Error::Io { .. }), "{refused:?}");
}

/// What redb's design document calls the version of the primary slot.
fn set_version(path: &Path, version: u8) {
    let mut bytes = fs::read(path).expect("a file");
    let slot = if bytes[9] & 1 == 0 { 64 } else { 192 };
    assert_eq!(bytes[slot], 3);
    bytes[slot] = version;
    fs::write(path, bytes).expect("a file");
}

#[test]
fn another_version_of_the_format_is_told_from_damage() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("store");
    drop(Store::open(&path).expect("a store"));
    for version in [2, 4] {
        set_version(&path, version);
        for refused in refusals(&path) {
            let Error::Store(StoreError::OtherVersion { found, supported: 3, .. }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(found, version);
        }
        let mut bytes = fs::read(&path).expect("a file");
        let slot = if bytes[9] & 1 == 0 { 64 } else { 192 };
        bytes[slot] = 3;
        fs::write(&path, bytes).expect("a file");
    }
    assert!(Store::open(&path).is_ok());
}

#[test]
fn a_store_that_is_open_is_locked_and_its_holder_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("store");
    let store = Store::open(&path).expect("a store");
    for refused in refusals(&path) {
        assert!(
            matches!(&refused, Error::Locked { holder: Some(holder), .. } if *holder == id()),
            "{refused:?}"
        );
        assert!(refused.to_string().ends_with("is locked: this process has it open"), "{refused}");
    }
    // Somebody waits for it, and gets it.
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || Store::open(path).map(drop)
    });
    std::thread::park_timeout(Duration::from_millis(50));
    drop(store);
    waiting.join().expect("no panic").expect("it was free in time");
    // Who only looks keeps writers out, and no others that look.
    let looking = StoreFile::open(&path).expect("nobody writes");
    let beside = StoreFile::open(&path).expect("nobody writes");
    assert!(matches!(at_once().open(&path), Err(Error::Locked { .. })));
    drop((looking, beside));
    assert!(at_once().open(&path).is_ok());
}

#[test]
fn a_program_that_uses_redb_itself_is_kept_out_and_reads_the_file_later() {
    use redb::{Database, ReadableDatabase as _, TableDefinition};

    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("store");
    let store = Store::open(&path).expect("a store");
    store.write(|tx| tx.bucket("b")?.put("key", "value")).expect("it is written");
    assert!(matches!(Database::open(&path), Err(redb::DatabaseError::DatabaseAlreadyOpen)));
    drop(store);
    let table = TableDefinition::<&[u8], &[u8]>::new("b");
    let typed = TableDefinition::<u64, &str>::new("of another program");
    let database = Database::open(&path).expect("nobody has it");
    let found = database.begin_read().expect("one").open_table(table).expect("a table");
    assert_eq!(found.get(&b"key"[..]).expect("a read").expect("a value").value(), b"value");
    let tx = database.begin_write().expect("one");
    tx.open_table(typed).expect("a table").insert(7, "seven").expect("there is room");
    tx.commit().expect("there is room");
    assert!(matches!(at_once().open(&path), Err(Error::Locked { .. })));
    drop((found, database));
    let store = Store::open(&path).expect("nobody has it");
    let refused = store.read(|tx| tx.bucket("of another program").map(drop));
    let refused = refused.expect_err("it is no bucket of bytes");
    assert!(matches!(&refused, Error::Store(StoreError::ForeignBucket { .. })), "{refused:?}");
    assert_eq!(store.read(ringkeep::ReadTx::buckets).expect("a read").len(), 2);
}

#[test]
fn whoever_looks_changes_nothing_not_even_after_a_crash() {
    let disk = SimDisk::reliable(1);
    let path = PathBuf::from("/sim/store");
    let options = at_once().on(&disk);
    let store = options.open(&path).expect("a store");
    store.write(|tx| tx.bucket("b")?.put("key", "value")).expect("it is written");
    // As a process leaves it that ends without a word.
    disk.kill();
    let later = disk.other_process();
    let before = later.contents();
    let file =
        StoreFile::open_with(&at_once().on(&later), &path).expect("it is repaired in memory");
    assert_eq!(file.read(|tx| tx.bucket("b")?.len()).expect("a read"), 1);
    assert_eq!(file.stats().expect("a read").buckets[0].keys, 1);
    assert!(!file.verify().expect("it is whole").repaired);
    drop(file);
    assert!(later.contents() == before);
    assert!(at_once().on(&later).open(&path).is_ok());
    assert!(later.contents() != before, "it is repaired for good");
}

#[test]
fn two_that_open_a_new_store_at_once_open_the_same() {
    for _ in 0..20 {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("store");
        let add = |key: &str| {
            let store = Store::open(&path).expect("it is made once");
            store.write(|tx| tx.bucket("b")?.put(key, "")).expect("it is written");
        };
        std::thread::scope(|scope| {
            for key in ["one", "two", "three"] {
                scope.spawn(move || add(key));
            }
        });
        let store = Store::open(&path).expect("nobody has it");
        assert_eq!(store.read(|tx| tx.bucket("b")?.len()).expect("a read"), 3);
        let names = fs::read_dir(home.path()).expect("a directory").count();
        assert_eq!(names, 1, "nothing is left over");
    }
}

#[test]
fn commits_that_were_not_synced_are_there_after_a_drop() {
    for policy in [SyncPolicy::Never, SyncPolicy::EveryRecords(1000)] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("store");
        let store = StoreOptions::new().sync(policy).open(&path).expect("a store");
        for key in 0..10_u8 {
            store.write(|tx| tx.bucket("b")?.put([key], "value")).expect("it is written");
        }
        assert_eq!(store.stats().expect("a read").unsynced_commits, 10);
        drop(store);
        let store = Store::open(&path).expect("nobody has it");
        assert_eq!(store.read(|tx| tx.bucket("b")?.len()).expect("a read"), 10);
    }
}

#[test]
fn an_interval_syncs_by_itself() {
    let home = tempfile::tempdir().expect("a directory");
    let policy = SyncPolicy::Interval(Duration::from_millis(5));
    let options = StoreOptions::new().sync(policy);
    let store = options.open(home.path().join("store")).expect("a store");
    store.write(|tx| tx.bucket("b")?.put("key", "value")).expect("it is written");
    let mut looks = 0;
    while store.stats().expect("a read").unsynced_commits > 0 {
        looks += 1;
        assert!(looks < 2000, "nobody syncs");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_repair_is_told_and_ends_and_a_closed_store_needs_none() {
    let disk = SimDisk::reliable(1);
    let path = PathBuf::from("/sim/store");
    let store = at_once().on(&disk).open(&path).expect("a store");
    store.write(|tx| tx.bucket("b")?.put("key", "value")).expect("it is written");
    disk.kill();
    let later = disk.other_process();
    for is_repaired in [true, false] {
        let (tell, told) = mpsc::channel();
        let options = at_once().on(&later);
        let options = options.on_repair(move |done| tell.send(done).expect("somebody listens"));
        drop(options.open(&path).expect("it opens"));
        let told: Vec<f64> = told.try_iter().collect();
        assert_eq!(!told.is_empty(), is_repaired, "{told:?}");
        assert!(told.is_sorted() && told.iter().all(|done| (0.0..=1.0).contains(done)));
    }
}

#[test]
fn a_name_that_leads_nowhere_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("store");
    std::os::unix::fs::symlink(home.path().join("nowhere"), &path).expect("a link");
    let refused = at_once().open(&path).map(drop).expect_err("it cannot be made");
    assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused:?}");
    assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 1);
}
