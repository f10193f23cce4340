//! What the operating system refuses: permissions, space, read-only and network file systems, and a
//! lock that is held. Root can bring these about; without root they are skipped loudly.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use ringkeep::{Error, ReadOptions, RingOptions, SimDisk};
use rustix::{io::Errno, thread::Uid};

use crate::support::{
    Home, assert_keeps, open_producer, open_ring, payload, payloads, read_options, ring_options,
    skip, state_of,
};

fn options() -> RingOptions {
    ring_options(12, 30).shards(3)
}

fn fill(path: &Path) {
    let mut producer = options().create(path).expect("a ring");
    producer.append_batch(&payloads(0..50, 12)).expect("a batch");
    producer.close().expect("a clean close");
}

/// Whether this process may do what nobody else may.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Runs `attempt` in a thread that belongs to nobody; `None` where this process is not root.
fn as_nobody<T: Send>(attempt: impl FnOnce() -> T + Send) -> Option<T> {
    let attempt = || {
        let nobody = Uid::from_raw(65_534);
        // The kernel's credentials are a thread's own; the others stay root.
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).ok()?;
        Some(attempt())
    };
    if !is_root() {
        return None;
    }
    thread::scope(|scope| scope.spawn(attempt).join().expect("the attempt returns"))
}

/// A small file system in memory; unmounted with the value.
struct Mount {
    at: PathBuf,
    _home: Home,
}

impl Mount {
    /// `None` where this process may not mount.
    fn new(options: &str) -> Option<Self> {
        let home = Home::on_disk();
        let at = home.directory().join("mount");
        fs::create_dir(&at).expect("a directory");
        run("mount", &["-t", "tmpfs", "-o", options, "none", &at.to_string_lossy()])
            .then_some(Self { at, _home: home })
    }

    fn remount(&self, options: &str) -> bool {
        let options = format!("remount,{options}");
        run("mount", &["-o", &options, &self.at.to_string_lossy()])
    }

    fn path(&self) -> PathBuf {
        self.at.join("cache.dat")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["-l", &self.at.to_string_lossy()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
}

/// Requires a refusal by the operating system for want of permission, which names the file.
#[track_caller]
fn assert_denied<T: std::fmt::Debug>(result: ringkeep::Result<T>, named: &Path) {
    match result {
        Err(Error::Io { source, path, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
            assert_eq!(path, named);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_without_permission_are_refused_and_read_permission_is_enough_to_read() {
    if !is_root() {
        return skip("an opening without permission", "this process is not root");
    }
    let home = Home::on_disk();
    fill(&home.path());
    allow(home.directory(), 0o755);
    let (path, shard) = (home.path(), home.shard(1));
    let set = |modes: [u32; 3]| (0..).zip(modes).for_each(|(i, mode)| allow(&home.shard(i), mode));
    let cases: [([u32; 3], Option<&Path>, &Path); 3] = [
        ([0o000, 0o000, 0o000], Some(&path), &path),
        ([0o444, 0o000, 0o444], Some(&shard), &path),
        ([0o444, 0o444, 0o444], None, &path),
    ];
    for (modes, refused_reader, refused_producer) in cases {
        set(modes);
        let before = home.state();
        let attempts = as_nobody(|| {
            let reader = open_ring(&path).map(|ring| assert_keeps(&ring, 20..50));
            (reader, open_producer(&path), options().open_or_create(&path))
        });
        let (reader, producer, made) = attempts.expect("root can become nobody");
        match refused_reader {
            Some(named) => assert_denied(reader, named),
            None => reader.unwrap(),
        }
        assert_denied(producer, refused_producer);
        assert_denied(made, refused_producer);
        assert!(home.state() == before);
    }
    // All but one file may be written: found out before anything is.
    set([0o666, 0o666, 0o444]);
    let before = home.state();
    assert_denied(as_nobody(|| open_producer(&path)).unwrap(), &home.shard(2));
    assert!(home.state() == before);
}

#[test]
fn a_directory_that_may_not_be_written_takes_no_archive() {
    let home = Home::on_disk();
    allow(home.directory(), 0o755);
    let path = home.path();
    let Some(created) = as_nobody(|| options().create(&path)) else {
        return skip("a creation without permission", "this process is not root");
    };
    assert_denied(created, &path);
    assert!(home.names().is_empty());
}

#[test]
fn new_files_have_the_mode_that_was_asked_for() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
    let modes = [None, Some(0o640), Some(0o600), Some(0o666)];
    for mode in modes {
        let home = Home::new();
        let options = mode.map_or(options(), |mode| options().mode(mode));
        options.create(home.path()).unwrap().close().unwrap();
        for shard in 0..3 {
            let found = fs::metadata(home.shard(shard)).unwrap().mode() & 0o777;
            assert_eq!(found, mode.unwrap_or(0o640) & !umask, "of shard {shard}");
        }
    }
}

#[test]
fn a_full_disk_refuses_a_new_archive_and_keeps_nothing_of_it() {
    let Some(mount) = Mount::new("size=128k") else {
        return skip("a creation without space", "this process may not mount");
    };
    fs::write(mount.at.join("other"), [7; 100]).unwrap();
    // Too much in one file; and in the fourth of many, with others complete by then.
    for options in [ring_options(4092, 100), ring_options(4092, 100).shards(20)] {
        let needed = options.geometry().unwrap().bytes_on_disk();
        for refused in [options.create(mount.path()), options.open_or_create(mount.path())] {
            match refused {
                Err(Error::NoSpace { path, needed_bytes, .. }) => {
                    assert_eq!((path, needed_bytes), (mount.path(), needed));
                }
                other => panic!("{other:?}"),
            }
        }
        let left: Vec<_> = state_of(&mount.at).into_keys().collect();
        assert_eq!(left, [mount.at.join("other")]);
    }
    // What it does hold is really there: a disk that is full later takes no record.
    let mut producer = ring_options(124, 200).create(mount.path()).unwrap();
    let mut hog = fs::File::create(mount.at.join("hog")).unwrap();
    while std::io::Write::write(&mut hog, &[1; 4096]).is_ok_and(|bytes| bytes > 0) {}
    producer.append_batch(&payloads(0..500, 124)).unwrap();
    producer.update(400, &payload(400, 124)).unwrap();
    producer.close().unwrap();
    assert_keeps(&open_producer(mount.path()).unwrap().ring(), 300..500);
}

#[test]
fn a_full_simulated_disk_refuses_and_keeps_nothing() {
    let disk = SimDisk::new(1, 512);
    disk.fill_up();
    let refused = options().on(&disk).create("/data/cache.dat");
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    assert!(disk.contents().is_empty());
}

#[test]
fn where_nothing_can_be_mapped_everything_goes_by_position() {
    let path = Path::new("/data/cache.dat");
    let options = RingOptions::new(12, 30).shards(3);
    let fill_and_read = |disk: &SimDisk| {
        let mut producer = options.clone().on(disk).open_or_create(path)?;
        let first = producer.ring().next_id()?;
        producer.append_batch(&payloads(first..first + 50, 12))?;
        producer.close()?;
        let ring = ReadOptions::new().on(disk).open(path)?;
        assert_keeps(&ring, first + 20..first + 50);
        Ok::<_, Error>(())
    };
    let disk = SimDisk::reliable(1);
    // A file system without mappings.
    disk.refuse_mappings(Some(Errno::NODEV.raw_os_error()));
    fill_and_read(&disk).unwrap();
    // Anything else is not hidden.
    disk.refuse_mappings(Some(Errno::IO.raw_os_error()));
    let refused = fill_and_read(&disk).unwrap_err();
    assert!(matches!(refused, Error::Io { .. }), "{refused:?}");
}

#[test]
fn a_read_only_file_system_is_for_readers() {
    let Some(mount) = Mount::new("size=1m") else {
        return skip("a read-only file system", "this process may not mount");
    };
    fill(&mount.path());
    if !mount.remount("ro") {
        return skip("a read-only file system", "it cannot be mounted again");
    }
    let before = state_of(&mount.at);
    assert_keeps(&open_ring(mount.path()).unwrap(), 20..50);
    let named = |error: Option<Error>, path: &Path| match error {
        Some(Error::ReadOnlyFileSystem { path: found }) => assert_eq!(found, path),
        other => panic!("{other:?}"),
    };
    named(open_producer(mount.path()).err(), &mount.path());
    named(options().open(mount.path()).err(), &mount.path());
    named(options().open_or_create(mount.path()).err(), &mount.path());
    let fresh = mount.at.join("new.dat");
    named(options().create(&fresh).err(), &fresh);
    assert!(state_of(&mount.at) == before);
    assert!(mount.remount("rw"));
    assert_keeps(&open_producer(mount.path()).unwrap().ring(), 20..50);
}

#[test]
fn network_file_systems_are_refused_by_name() {
    let path = "/data/cache.dat";
    for (kind, expected) in [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0x0102_1997, "9P")] {
        let disk = SimDisk::new(1, 512);
        let options = options().on(&disk);
        options.create(path).unwrap().close().unwrap();
        let before = disk.contents();
        disk.set_file_system_type(kind);
        for error in [
            options.create("/data/new.dat").err(),
            options.open(path).err(),
            options.open_or_create(path).err(),
            read_options().on(&disk).open(path).err(),
        ] {
            match error {
                Some(Error::NetworkFileSystem { name, .. }) => assert_eq!(name, expected),
                other => panic!("{other:?}"),
            }
        }
        assert!(disk.contents() == before);
    }
}

#[test]
fn a_second_producer_is_locked_out_at_once() {
    let home = Home::on_disk();
    let mut producer = options().create(home.path()).unwrap();
    producer.append_batch(&payloads(0..50, 12)).unwrap();
    producer.flush().unwrap();
    let before = home.settled_state();
    for refused in [
        open_producer(home.path()),
        options().open(home.path()),
        options().open_or_create(home.path()),
        ring_options(1, 1).open(home.path()),
    ] {
        let Err(Error::Locked { path, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(path, home.path());
    }
    let again = options().create(home.path());
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    assert!(home.state() == before);
    // The refusals took nothing from the one that has it.
    producer.append(&payload(50, 12)).unwrap();
    assert!(matches!(open_producer(home.path()), Err(Error::Locked { .. })));
    let ring = producer.ring();
    producer.close().unwrap();
    open_producer(home.path()).unwrap().die();
    assert_keeps(&open_producer(home.path()).unwrap().ring(), 21..51);
    assert_keeps(&ring, 21..51);
}

#[test]
fn a_creation_that_is_under_way_locks_others_out() {
    let home = Home::on_disk();
    let temporary = home.directory().join("cache.dat.ringkeep-new");
    let file = fs::File::create(&temporary).unwrap();
    let before = home.state();
    // A lock of this process: it ends when any descriptor of the file is closed, so that it comes
    // after the look at the files.
    let exclusive = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    rustix::fs::fcntl_lock(&file, exclusive).unwrap();
    let refused = options().create(home.path());
    let Err(Error::Locked { path, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(path, home.path());
    assert!(home.state() == before);
    drop(file);
    fill(&home.path());
    assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
}
