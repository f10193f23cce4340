//! Budgets, address spaces and disks that are smaller or worse than they should be.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ringkeep::RingOptions;

use super::place::{Ended, Place, RINGKEEP, Running};

const BUDGET: &str = "RINGKEEP_RESIDENT_BUDGET";

/// An archive of 4 MiB, full.
fn four_mebibytes() -> Place {
    let place = Place::with_archive(1020, 4096);
    place.append(&vec![b'x'; 1020 * 5000]);
    place
}

#[test]
fn a_budget_is_taken_by_every_verb_from_the_option_or_the_environment() {
    let place = four_mebibytes();
    for verb in [
        &["stat", "cache.dat"][..],
        &["get", "cache.dat", "4000"],
        &["cat", "cache.dat", "--last", "3"],
        &["tail", "cache.dat", "-n", "3"],
        &["verify", "cache.dat"],
        &["append", "cache.dat", "--format", "raw"],
        &["record", "telemetry.dat", "--for", "30ms", "--every", "10ms"],
    ] {
        for io in ["mmap", "file"] {
            let with = |budget: &str| {
                let option = ["--io", io, "--resident-budget", budget];
                place.run(verb.iter().chain(&option))
            };
            with("1M").succeeded();
            with("64M").succeeded();
            with("plenty").failed(2, &["plenty", "--resident-budget"]);
            let from_environment = |budget: &str| {
                let mut command = place.command(verb.iter().chain(&["--io", io]));
                Ended::from(command.env(BUDGET, budget).output().expect("the binary runs"))
            };
            from_environment("1M").succeeded();
            from_environment("plenty").failed(2, &["plenty", "--resident-budget"]);
            // A page is too little, whatever it reads or writes.
            if verb[0] != "record" {
                with("4K").failed(2, &["budget", "cache.dat", "4096"]);
                from_environment("4K").failed(2, &["budget"]);
            }
        }
    }
    assert_eq!(place.stat("cache.dat")["next"], "5000");
    let create = ["create", "new.dat", "--record-size", "1020", "--capacity", "4096"];
    let with = |budget| place.run(create.iter().chain(&["--resident-budget", budget]));
    with("4K").failed(2, &["budget", "new.dat"]);
    with("1M").succeeded();
}

#[test]
fn stat_shows_what_the_archive_takes_of_memory() {
    let place = four_mebibytes();
    let budget = ["stat", "cache.dat", "--resident-budget", "1M"];
    let json = place.run(budget.iter().chain(&["--json"])).succeeded().json();
    assert_eq!(json["resident_budget"], 1 << 20);
    // By position nothing is mapped; the page cache and its dirty bytes older kernels do not tell.
    assert_eq!(json["resident_bytes"], 0);
    assert!(json["cached_bytes"].is_null() || json["cached_bytes"].as_u64() > Some(0), "{json}");
    let mapped = ["stat", "cache.dat", "--io", "mmap", "--json"];
    let mapped = place.run(mapped).succeeded().json();
    assert!(mapped["resident_bytes"].as_u64() > Some(0), "{mapped}");
    assert!(mapped["resident_budget"].is_null());
    let text = place.run(budget).succeeded();
    for line in
        ["budget        1.0 MiB", "resident      0 B in this command", "page_cache", "dirty"]
    {
        assert!(text.text().contains(line), "{line} in {text:?}");
    }
    let text = place.run(["stat", "cache.dat"]).succeeded();
    assert!(text.text().contains("budget        none\n"), "{text:?}");
}

#[test]
fn an_archive_larger_than_the_address_space_is_read_and_written_all_the_same() {
    let place = Place::with_archive(4092, 100_000);
    let limited = |arguments: &str, input: &[u8]| {
        let script = format!("ulimit -v 262144; exec {RINGKEEP} {arguments} --io mmap");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(place.path("."));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        child.stdin.take().expect("a pipe").write_all(input).expect("all of it is read");
        Ended::from(child.wait_with_output().expect("it ends")).succeeded()
    };
    let record = [b'x'; 4092];
    limited("append cache.dat --format raw", &record.repeat(100));
    assert_eq!(limited("verify cache.dat --json", b"").json()["good"], 100);
    let out = limited("cat cache.dat --from 99 --format raw", b"").stdout;
    assert!(out == record);
    limited("record telemetry.dat --for 50ms --every 10ms --disk 512M", b"");
}

/// A disk that loses everything behind its first half while it is in use: a file system on a loop
/// device that is made smaller. Gone with the value.
struct FaultyDisk {
    home: Place,
    device: String,
}

const UNREADABLE: [&str; 3] = ["cannot read", "cache.dat", "Input/output error"];
const IMAGE_BYTES: u64 = 64 << 20;

impl FaultyDisk {
    /// `None` where this process may not make one.
    fn new() -> Option<Self> {
        let home = Place::new();
        let (image, mount) = (home.path("image"), home.path("mount"));
        fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES)).expect("a file");
        fs::create_dir(&mount).expect("a directory");
        let found = run("losetup", &["-f".as_ref(), "--show".as_ref(), &image])?;
        let device = String::from_utf8(found.stdout).expect("a name").trim().to_owned();
        let disk = Self { home, device };
        let device = Path::new(&disk.device);
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), device])?;
        run("mount", &[device, &mount])?;
        Some(disk)
    }

    fn archive(&self) -> PathBuf {
        self.home.path("mount/cache.dat")
    }

    /// What is read or written there from now on fails, unless it is in the page cache.
    fn lose_the_second_half(&self) {
        let image = fs::OpenOptions::new().write(true).open(self.home.path("image"));
        image.and_then(|image| image.set_len(IMAGE_BYTES / 2)).expect("a smaller image");
        run("losetup", &["-c".as_ref(), Path::new(&self.device)]).expect("a smaller device");
        let archive = fs::File::open(self.archive()).expect("the archive");
        rustix::fs::fadvise(&archive, 0, None, rustix::fs::Advice::DontNeed).expect("an advice");
    }
}

impl Drop for FaultyDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l".as_ref(), &self.home.path("mount")]);
        let _ = run("losetup", &["-d".as_ref(), Path::new(&self.device)]);
    }
}

fn run(program: &str, arguments: &[&Path]) -> Option<Output> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then_some(output)
}

#[test]
fn a_disk_that_cannot_be_read_is_an_error_and_no_signal() {
    let Some(disk) = FaultyDisk::new() else {
        let why = "it takes root, loop devices and mkfs.ext4";
        let _ = writeln!(std::io::stderr(), "SKIPPED: a disk that cannot be read: {why}");
        return;
    };
    // 40 of 64 MiB: it begins before the half that is lost, and ends in it.
    let options = RingOptions::new(4092, 10_000);
    let mut producer = options.create(disk.archive()).unwrap();
    producer.append_batch(&vec![b'x'; 4092 * 10_000]).unwrap();
    producer.close().unwrap();
    let (archive, place) = (disk.archive().display().to_string(), Place::new());
    // Two that were at work when it happened, and wait for whoever reads what they print.
    let begin = |verb: &[&str]| {
        let command = place.command(verb.iter().chain(&[&archive[..], "--format", "raw"]));
        let mut running = Running::start(command);
        let mut output = BufReader::new(running.output());
        assert!(!output.fill_buf().unwrap().is_empty());
        (running, output)
    };
    let at_work = [begin(&["cat"]), begin(&["tail", "-f", "-n", "10000"])];
    disk.lose_the_second_half();
    for (running, mut output) in at_work {
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        running.ended().failed(3, &UNREADABLE);
    }
    for verb in [
        &["cat", &archive, "--last", "1"][..],
        &["get", &archive, "9999"],
        &["tail", &archive, "-n", "1"],
        &["verify", &archive],
    ] {
        place.run(verb).failed(3, &UNREADABLE);
    }
    // What lies before the fault stays readable.
    place.run(["get", &archive, "0"]).succeeded();
    // A writer is told too, without a mapping.
    let append = ["append", &archive, "--format", "raw", "--io", "file"];
    place.feed(append, &[b'y'; 4092]).failed(3, &["cache.dat", "Input/output error"]);
}
