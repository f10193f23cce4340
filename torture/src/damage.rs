//! Damaged files (F4, F6): flipped bits, every prefix, blocks that are zeroed, swapped, stale or of
//! another archive, shards that are swapped or missing, and fields at their boundary values.
//!
//! Whatever is served is what was written under that id. Nothing panics, and nothing allocates more
//! than the archive can explain. A slot that is damaged is `Corrupt` at its place, alone.

use std::{ops::Range, path::Path};

use allocation_counter::measure;
use ringkeep::{Error, Io, Read, ReadOptions, Ring, RingOptions, SimDisk, WriteOptions};

use crate::{
    report::Report,
    work::{self, without_panic},
};

const PATH: &str = "/sim/cache.dat";
const PAGE: usize = 4096;
/// Kinds of pages before the slots: identity, hot, two checkpoints, redo.
const PAGES: usize = 5;
/// More than all files of the largest archive here.
const ALLOCATED_MAX: u64 = 16 << 20;

/// An archive to be damaged, and what it holds.
struct Subject {
    disk: SimDisk,
    record_size: usize,
    /// Ids that are kept.
    ids: Range<u64>,
    salt: u64,
}

/// Which record size makes how many bytes, roughly.
fn shape(bytes: usize) -> (usize, u64) {
    let record_size = 60;
    (record_size, ((bytes - PAGES * PAGE) / (record_size + 4)).max(16) as u64 * 8 / 9)
}

impl Subject {
    /// An archive of about so many bytes, written once round and a half, and closed.
    fn new(seed: u64, bytes: usize, shards: u32) -> Self {
        let (record_size, capacity) = shape(bytes);
        let disk = SimDisk::reliable(seed);
        let options = RingOptions::new(record_size, capacity).shards(shards).on(&disk);
        let mut producer = options.create(PATH).expect("nothing fails");
        let next = capacity * 3 / 2;
        for id in 0..next {
            producer.append(&payload(seed, id, record_size)).expect("nothing fails");
        }
        producer.close().expect("nothing fails");
        Self { disk, record_size, ids: next - capacity..next, salt: seed }
    }

    fn copy(&self) -> Self {
        Self { disk: self.disk.copy(), ids: self.ids.clone(), ..*self }
    }

    fn open(&self, io: Io) -> ringkeep::Result<Ring> {
        ReadOptions::new().io(io).on(&self.disk.other_process()).open(PATH)
    }

    /// Whatever an archive in this state serves is genuine, to readers and beside a producer.
    fn judge(&self) -> Judged {
        let mut judged = Ok("");
        let allocated = measure(|| judged = without_panic(|| self.judge_once()).flatten());
        match allocated.bytes_max {
            bytes if bytes > ALLOCATED_MAX => Err(format!("it allocates {bytes} bytes")),
            _ => judged,
        }
    }

    fn judge_once(&self) -> Judged {
        let mut outcome = "refused";
        for io in [Io::Mapped, Io::File] {
            if let Ok(ring) = self.open(io) {
                outcome = "opens";
                self.judge_records(&ring)?;
            }
        }
        let writing = WriteOptions::new().on(&self.disk.other_process()).open(PATH);
        if let Ok(mut producer) = writing {
            let next = producer.ring().next_id().map_err(told)?;
            let appended = payload(self.salt, next, self.record_size);
            if producer.append(&appended).is_ok() {
                let read = producer.ring().read(next).map_err(told)?;
                if read != Read::Record(appended) {
                    return Err(format!("{next} was appended, and reads {read:?}"));
                }
            }
            self.judge_records(&producer.ring())?;
            producer.die();
        }
        Ok(outcome)
    }

    fn judge_records(&self, ring: &Ring) -> std::result::Result<(), String> {
        let (Ok(oldest), Ok(next)) = (ring.oldest(), ring.next_id()) else { return Ok(()) };
        let ends = [oldest..next.min(oldest.saturating_add(40)), next.saturating_sub(40)..next];
        for id in ends.into_iter().flatten().chain(self.ids.clone().step_by(7)) {
            match ring.read(id) {
                Ok(Read::Record(found)) if found != payload(self.salt, id, self.record_size) => {
                    return Err(format!("{id} is served, and is not what was written"));
                }
                Ok(Read::Absent) => return Err(format!("{id} was never deleted")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Differs for each archive, id and place.
fn payload(salt: u64, id: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(salt << 32 ^ id);
    let mut payload: Vec<u8> = (0..size).map(|_| random.u8(..)).collect();
    payload[..8].copy_from_slice(&id.to_le_bytes());
    payload
}

type Judged = std::result::Result<&'static str, String>;

fn told(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// All of it, on archives of about so many bytes, until a kind of damage breaks a promise.
#[must_use]
pub fn run(bytes: usize) -> Report {
    let subject = Subject::new(1, bytes, 1);
    let threads = work::processors();
    let words =
        || (0..PAGES * PAGE / 8).filter(|word| word % (PAGE / 8) < 80).map(|word| word as u64);
    // The short ones first.
    let kinds: [&dyn Fn() -> Report; 6] = [
        &|| mix_shards(bytes),
        &|| spoil_blocks(bytes),
        &|| work::all(threads, words(), |word| bend_word(&subject, word), |_| false),
        &|| cut_short(&subject),
        &|| flip_slots(&subject),
        &|| {
            let bytes = 0..(PAGES * PAGE) as u64;
            work::all(threads, bytes, |at| flip_page_byte(&subject, at), |_| false)
        },
    ];
    let mut report = Report::default();
    for kind in kinds {
        report.join(kind());
        if !report.violations.is_empty() {
            return report;
        }
    }
    report.require(&[
        "bit of a slot: that record alone is corrupt",
        "bit of a page: opens",
        "bit of a page: refused",
        "prefix: refused",
        "block: opens",
        "shards: refused",
        "field: opens",
        "field: refused",
    ]);
    report
}

/// Every bit of every slot: the record in it is corrupt at its place, its neighbours are not.
fn flip_slots(subject: &Subject) -> Report {
    let mut report = Report::default();
    let ring = subject.open(Io::Mapped).expect("it is whole");
    for id in subject.ids.clone() {
        let (path, begin) = ring.locate(id);
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        for bit in 0..(subject.record_size + 4) * 8 {
            report.trials += 1;
            let at = begin + bit / 8;
            flip(&subject.disk, &path, at, bit % 8);
            let corrupt = Read::Corrupt { path: path.clone(), id, offset: begin as u64 };
            let found = ring.read(id).map_err(told);
            let neighbour = if id + 1 < subject.ids.end { id + 1 } else { id - 1 };
            let beside = ring.read(neighbour).map_err(told);
            flip(&subject.disk, &path, at, bit % 8);
            let whole = Read::Record(payload(subject.salt, neighbour, subject.record_size));
            if found == Ok(corrupt) && beside == Ok(whole) {
                report.count("bit of a slot: that record alone is corrupt");
            } else {
                report.fail(format!("bit {bit} of {id}: {found:?}, beside it {beside:?}"));
            }
        }
    }
    report
}

fn flip(disk: &SimDisk, path: &Path, at: usize, bit: usize) {
    let mut byte = [0];
    disk.peek(path, at, &mut byte);
    disk.poke(path, at, &[byte[0] ^ (1 << bit)]);
}

/// Every bit of one byte before the slots.
fn flip_page_byte(subject: &Subject, at: u64) -> Report {
    let mut report = Report::default();
    let at = usize::try_from(at).unwrap_or(0);
    for bit in 0..8 {
        let bent = subject.copy();
        flip(&bent.disk, Path::new(PATH), at, bit);
        let classes = ["bit of a page: opens", "bit of a page: refused"];
        tell(&mut report, bent.judge(), classes, || format!("bit {bit} of byte {at}"));
    }
    report
}

fn tell(
    report: &mut Report,
    judged: Judged,
    classes: [&'static str; 2],
    what: impl Fn() -> String,
) {
    report.trials += 1;
    match judged {
        Ok("opens") => report.count(classes[0]),
        Ok(_) => report.count(classes[1]),
        Err(broken) => report.fail(format!("{}: {broken}", what())),
    }
}

/// Every length that is shorter: refused, by readers and by a producer.
fn cut_short(subject: &Subject) -> Report {
    let mut report = Report::default();
    let path = Path::new(PATH);
    let whole = subject.disk.contents()[0].1.len();
    for length in 0..whole {
        report.trials += 1;
        subject.disk.set_length(path, length);
        let disk = subject.disk.other_process();
        let results = [
            subject.open(Io::Mapped).map(drop),
            subject.open(Io::File).map(drop),
            WriteOptions::new().on(&disk).open(PATH).map(drop),
        ];
        for result in results {
            match result {
                Err(
                    Error::Truncated { .. } | Error::NotAnArchive { .. } | Error::Damaged { .. },
                ) => report.count("prefix: refused"),
                other => report.fail(format!("{length} bytes of {whole}: {other:?}")),
            }
        }
    }
    subject.disk.set_length(path, whole);
    report
}

/// Each block of 512 bytes and of a page: zeros, the next one, an earlier one, another archive's.
fn spoil_blocks(bytes: usize) -> Report {
    let subject = Subject::new(2, bytes, 1);
    let other = Subject::new(3, bytes, 1).disk.contents().remove(0).1;
    let stale = earlier(bytes);
    let own = subject.disk.contents().remove(0).1;
    let mut jobs = Vec::new();
    for size in [512, PAGE] {
        for begin in (0..own.len() - size).step_by(size) {
            let next = (begin + size) % (own.len() - size) / size * size;
            jobs.push((begin, vec![0; size]));
            jobs.push((begin, own[next..next + size].to_vec()));
            jobs.push((begin, stale[begin..begin + size].to_vec()));
            jobs.push((begin, other[begin..begin + size].to_vec()));
        }
    }
    let spoil = |number: u64| {
        let (begin, block) = &jobs[usize::try_from(number).unwrap_or(0)];
        let mut report = Report::default();
        let bent = subject.copy();
        bent.disk.poke(Path::new(PATH), *begin, block);
        let what = || format!("block {number} at {begin}");
        tell(&mut report, bent.judge(), ["block: opens", "block: refused"], what);
        report
    };
    work::all(work::processors(), 0..jobs.len() as u64, spoil, |_| false)
}

/// The archive of `spoil_blocks`, a third of a lap before.
fn earlier(bytes: usize) -> Vec<u8> {
    let (record_size, capacity) = shape(bytes);
    let disk = SimDisk::reliable(2);
    let options = RingOptions::new(record_size, capacity).on(&disk);
    let mut producer = options.create(PATH).expect("nothing fails");
    for id in 0..capacity * 7 / 6 {
        producer.append(&payload(2, id, record_size)).expect("nothing fails");
    }
    producer.close().expect("nothing fails");
    disk.contents().remove(0).1
}

/// Files that are missing, or lie under another one's name.
fn mix_shards(bytes: usize) -> Report {
    let mut report = Report::default();
    let (subject, other) = (Subject::new(4, bytes, 3), Subject::new(5, bytes, 3));
    let (own, foreign) = (subject.disk.contents(), other.disk.contents());
    for (place, (path, _)) in own.iter().enumerate() {
        for (_, bytes) in own.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, it)| it) {
            mixed(&mut report, &subject, path, bytes);
        }
        mixed(&mut report, &subject, path, &foreign[place].1);
    }
    for (path, _) in &own[1..] {
        report.trials += 1;
        let disk = SimDisk::reliable(6);
        for (kept, bytes) in own.iter().filter(|(kept, _)| kept != path) {
            disk.put_file(kept, bytes);
        }
        match ReadOptions::new().on(&disk).open(PATH) {
            Err(Error::MissingShard { path: named, .. }) if named == *path => {
                report.count("shards: refused");
            }
            other => report.fail(format!("without {}: {other:?}", path.display())),
        }
    }
    report
}

fn mixed(report: &mut Report, subject: &Subject, path: &Path, bytes: &[u8]) {
    report.trials += 1;
    let disk = subject.disk.copy();
    disk.put_file(path, bytes);
    match ReadOptions::new().on(&disk).open(PATH) {
        Err(Error::MixedShards { .. }) => report.count("shards: refused"),
        other => report.fail(format!("another file as {}: {other:?}", path.display())),
    }
}

/// One word of the pages at its boundary values, with the checksums made right again.
fn bend_word(subject: &Subject, word: u64) -> Report {
    let at = usize::try_from(word).unwrap_or(0) * 8;
    let mut report = Report::default();
    let path = Path::new(PATH);
    let mut bytes = [0; 8];
    subject.disk.peek(path, at, &mut bytes);
    let word = u64::from_le_bytes(bytes);
    let near = [word.wrapping_add(1), word.wrapping_sub(1), word << 32, word ^ (1 << 63)];
    let far = [0, 1, 255, u64::from(u32::MAX), 1 << 32, 1 << 40, 1 << 62, 1 << 63, u64::MAX];
    for value in near.into_iter().chain(far).filter(|&value| value != word) {
        let bent = subject.copy();
        bent.disk.poke(path, at, &value.to_le_bytes());
        mend_checksums(&bent.disk);
        let what = || format!("{value:#x} at {at}, with right checksums");
        tell(&mut report, bent.judge(), ["field: opens", "field: refused"], what);
    }
    report
}

/// Identity pages have theirs at 4092; checkpoint pages at 508, seeded by the salt at 28.
fn mend_checksums(disk: &SimDisk) {
    let path = Path::new(PATH);
    let mut salt = [0; 4];
    disk.peek(path, 28, &mut salt);
    let salt = u32::from_le_bytes(salt);
    for (start, length, seed) in [(0, PAGE, 0), (2 * PAGE, 512, salt), (3 * PAGE, 512, salt)] {
        let mut page = vec![0; length - 4];
        disk.peek(path, start, &mut page);
        let mut hasher = crc32fast::Hasher::new_with_initial(seed);
        hasher.update(&page);
        disk.poke(path, start + length - 4, &hasher.finalize().to_le_bytes());
    }
}
