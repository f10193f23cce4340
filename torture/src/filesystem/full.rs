//! Disks that are full: a ring that does not fit leaves nothing behind, and one that fits works on
//! when others have taken the rest.

use std::{
    ffi::OsString,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use ringkeep::{Error, Read, ReadOptions, RingOptions, SyncPolicy, WriteOptions};

use super::{
    mounts::{Mounted, succeed},
    plan::archive_at,
    trial::Bench,
};
use crate::{
    form::{Form, InForm as _},
    report::Report,
};

const RECORD_SIZE: usize = 508;
const SLOT: u64 = RECORD_SIZE as u64 + 4;

/// Fills a tmpfs of 1 MiB and an ext4 of 8 MiB.
pub(super) fn run(bench: &Bench<'_>, report: &mut Report) -> io::Result<()> {
    for form in Form::ALL {
        for shards in [1, 3] {
            let at = bench.directory("full")?;
            let mounted = Mounted::tmpfs(&at, "1m")?;
            fill(&at, form, shards, &format!("tmpfs {form:?} {shards}"), report);
            mounted.unmount()?;
            let image = bench.home.join("full-image");
            fs::File::create(&image)?.set_len(8 << 20)?;
            let arguments = ["-q", "-F", "-b", "1024", "-J", "size=1"].map(OsString::from);
            succeed("mkfs.ext4", arguments.into_iter().chain([image.clone().into_os_string()]))?;
            let mounted = Mounted::image(&image, &at, "ext4", "data=ordered")?;
            fill(&at, form, shards, &format!("ext4 {form:?} {shards}"), report);
            mounted.unmount()?;
            fs::remove_file(&image)?;
        }
    }
    Ok(())
}

fn fill(mount: &Path, form: Form, shards: u32, place: &str, report: &mut Report) {
    let mut found = Report::default();
    if let Err(error) = refuse_too_large(mount, form, shards, &mut found) {
        found.fail(error.to_string());
    }
    if let Err(error) = work_on_a_full_disk(mount, form, shards, &mut found) {
        found.fail(error.to_string());
    }
    report.join(found.at(&format!("full {place}")));
}

fn options(form: Form, shards: u32, capacity: u64) -> RingOptions {
    let options = RingOptions::new(RECORD_SIZE, capacity).shards(shards);
    options.sync(SyncPolicy::EveryRecords(500)).in_form(form)
}

fn names(mount: &Path) -> io::Result<Vec<OsString>> {
    let mut names: Vec<_> =
        fs::read_dir(mount)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn free_bytes(mount: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(mount)?;
    Ok(found.f_bfree * found.f_frsize)
}

/// Around the size that just fits, and far beyond it.
fn refuse_too_large(
    mount: &Path,
    form: Form,
    shards: u32,
    report: &mut Report,
) -> Result<(), Box<dyn std::error::Error>> {
    let path = archive_at(mount);
    let (before, free) = (names(mount)?, free_bytes(mount)?);
    let near = (0..24).map(|step| free - (64 << 10) + step * (4 << 10));
    let far = [free * 2, free * 16, 1 << 40];
    for bytes in near.chain(far) {
        let capacity = bytes / SLOT;
        match options(form, shards, capacity).create(&path) {
            Ok(producer) => {
                producer.close()?;
                remove_archive(&path, shards)?;
                report.count("full disk: just fits");
            }
            Err(Error::NoSpace { .. }) => {
                report.count("full disk: refused, and nothing left behind");
            }
            Err(error) => report.fail(format!("{bytes} bytes are refused with {error:?}")),
        }
        let after = names(mount)?;
        if after != before {
            report.fail(format!("{before:?} became {after:?} after {bytes} bytes"));
        }
        let now = free_bytes(mount)?;
        if now + (64 << 10) < free {
            report.fail(format!("{free} bytes were free, and {now} after {bytes} bytes"));
        }
    }
    Ok(())
}

fn remove_archive(path: &Path, shards: u32) -> io::Result<()> {
    for shard in 1..shards {
        fs::remove_file(shard_of(path, shard))?;
    }
    fs::remove_file(path)
}

fn shard_of(path: &Path, shard: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{shard}"));
    name.into()
}

/// Writes files until nothing goes any more.
fn take_the_rest(mount: &Path) -> io::Result<()> {
    for size in [64 << 10, 4096, 512] {
        let mut file = fs::File::create(mount.join(format!("filler-{size}")))?;
        let bytes = vec![1; size];
        while file.write_all(&bytes).is_ok() {}
        // What was only reserved is allocated now.
        let _ = file.sync_all();
        while file.write_all(&bytes).is_ok() {}
    }
    Ok(())
}

fn payload(id: u64, version: u8) -> [u8; RECORD_SIZE] {
    let mut payload = [version; RECORD_SIZE];
    payload[..8].copy_from_slice(&id.to_le_bytes());
    payload
}

fn work_on_a_full_disk(
    mount: &Path,
    form: Form,
    shards: u32,
    report: &mut Report,
) -> Result<(), Box<dyn std::error::Error>> {
    let path = archive_at(mount);
    let capacity = free_bytes(mount)? / 2 / SLOT;
    let options = options(form, shards, capacity);
    let mut producer = options.create(&path)?;
    producer.append(&payload(0, 0))?;
    take_the_rest(mount)?;
    let before = names(mount)?;
    let other = options.create(mount.join("other.dat"));
    if !matches!(other, Err(Error::NoSpace { .. })) || names(mount)? != before {
        report.fail(format!("a full disk takes another ring: {other:?}"));
    }
    for writer in Form::ALL {
        let next = producer.ring().next_id()?;
        for id in next..next + capacity + capacity / 2 {
            producer.append(&payload(id, 0))?;
        }
        let next = producer.ring().next_id()?;
        producer.append_at(next + 3, &payload(next + 3, 0))?;
        for id in next - 10..next {
            producer.update(id, &payload(id, 1))?;
            producer.flush()?;
        }
        producer.delete(next - 11)?;
        producer.close()?;
        let ring = ReadOptions::new().open(&path)?;
        let verified = ring.verify(|_| {})?;
        if verified.good != capacity - 4 || verified.absent != 4 {
            report.fail(format!("{capacity} records on a full disk: {verified:?}"));
        }
        if ring.read(next - 1)? != Read::Record(payload(next - 1, 1).to_vec()) {
            report.fail("an update on a full disk is not there");
        }
        producer = WriteOptions::new().in_form(writer).open(&path)?;
        report.count("full disk: a ring went on");
    }
    producer.close()?;
    Ok(())
}
