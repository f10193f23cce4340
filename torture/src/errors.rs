//! Every call of the disk fails in turn (F5): the Nth one, N = 1 to the end, once and for good,
//! under every public operation of the ring and in every form of an archive.
//!
//! The operation ends in a value or a typed error. What was there before is there afterwards, in
//! this process, in another one, and after a power cut what was durable; and the next producer goes
//! on with ids that nobody had.

mod works;

use std::{ops::Range, path::Path};

use ringkeep::{
    Error, Producer, Read, ReadOptions, Result, Ring, RingOptions, SimDisk, WriteOptions,
};

use crate::{
    form::{Form, InForm as _},
    report::Report,
    work::{self, without_panic},
};
use works::{ON_DISK, ON_PRODUCER, ON_READER, Work};

const PATH: &str = "/sim/cache.dat";
const SIZE: usize = 12;
const CAPACITY: u64 = 60;
/// Ids there are before the operation, and those of them that are durable.
const NEXT: u64 = 100;
const DURABLE: u64 = 80;

/// Errors of the operating system, and what they are called in the outcomes.
pub const CODES: [(i32, &str); 4] = [(5, "EIO"), (12, "ENOMEM"), (24, "EMFILE"), (28, "ENOSPC")];

/// The end of a row of faults: the operation makes fewer calls.
const NO_CALL_FAILS: &str = "no call fails";

fn ring(form: Form, disk: &SimDisk) -> RingOptions {
    RingOptions::new(SIZE, CAPACITY).shards(3).schema("t:time_s, n:u32").on(disk).in_form(form)
}

fn writer(form: Form, disk: &SimDisk) -> WriteOptions {
    WriteOptions::new().on(disk).in_form(form)
}

fn reader(form: Form, disk: &SimDisk) -> ReadOptions {
    ReadOptions::new().on(disk).in_form(form)
}

/// The one content that an id ever has here.
fn payload(id: u64) -> [u8; SIZE] {
    let mut payload = [0; SIZE];
    payload[..8].copy_from_slice(&id.to_le_bytes());
    payload[8..].copy_from_slice(&(id * 7 + 1).to_le_bytes()[..4]);
    payload
}

fn payloads(ids: Range<u64>) -> Vec<u8> {
    ids.flat_map(payload).collect()
}

/// What fails, and how.
#[derive(Debug, Clone, Copy)]
struct Fault {
    after: u64,
    for_good: bool,
    code: i32,
}

/// Every call fails with each of these errors, which are of [`CODES`].
#[must_use]
pub fn run(codes: &[(i32, &'static str)]) -> Report {
    let disk = ON_DISK.map(|(name, work)| (name, Work::Disk(work)));
    let reader = ON_READER.map(|(name, work)| (name, Work::Reader(work)));
    let producer = ON_PRODUCER.map(|(name, work)| (name, Work::Producer(work)));
    let works = [&disk[..], &reader, &producer].concat();
    let cases: Vec<_> =
        Form::ALL.iter().flat_map(|&form| works.iter().map(move |&work| (form, work))).collect();
    let case = |number: u64| {
        let (form, (name, work)) = cases[usize::try_from(number).unwrap_or(0)];
        every_call(codes, form, name, work)
    };
    let mut report = work::all(work::processors(), 0..cases.len() as u64, case, |_| false);
    report.require(&["fails", "succeeds in spite of it", "ends the producer", NO_CALL_FAILS]);
    for (_, name) in codes {
        report.require(&[name]);
    }
    report
}

/// An archive whose producer died with some records that are not durable.
fn prepared(form: Form) -> SimDisk {
    let disk = SimDisk::new(1, 512);
    let mut producer = ring(form, &disk).create(PATH).expect("nothing fails yet");
    producer.append_batch(&payloads(0..DURABLE)).expect("nothing fails yet");
    producer.flush().expect("nothing fails yet");
    producer.append_batch(&payloads(DURABLE..NEXT)).expect("nothing fails yet");
    disk.kill();
    drop(producer);
    disk
}

fn every_call(codes: &[(i32, &'static str)], form: Form, name: &str, work: Work) -> Report {
    let mut report = Report::default();
    let before = prepared(form);
    for &(code, code_name) in codes {
        for for_good in [false, true] {
            for after in 0.. {
                let fault = Fault { after, for_good, code };
                report.trials += 1;
                let trial = Trial { form, name, fault, disk: before.copy() };
                match without_panic(|| trial.run(work)).flatten() {
                    Ok(NO_CALL_FAILS) => {
                        report.count(NO_CALL_FAILS);
                        break;
                    }
                    Ok(outcome) => report.count(outcome),
                    Err(broken) => {
                        report.fail(format!("{form:?} {name}, {fault:?}: {broken}"));
                        break;
                    }
                }
                report.count(code_name);
            }
        }
    }
    report
}

struct Trial<'a> {
    form: Form,
    name: &'a str,
    fault: Fault,
    disk: SimDisk,
}

/// What the operation came to, or the promise that it broke.
type Judged = std::result::Result<&'static str, String>;

impl Trial<'_> {
    fn run(mut self, work: Work) -> Judged {
        let (result, producer, hits) = match work {
            Work::Disk(work) => {
                if self.name.starts_with("create") {
                    self.disk = SimDisk::new(2, 512);
                }
                let (result, hits) = self.with_fault(|trial| work(&trial.disk, trial.form));
                let (producer, result) = match result {
                    Ok(producer) => (producer, Ok(())),
                    Err(error) => (None, Err(error)),
                };
                (result, producer, hits)
            }
            Work::Reader(work) => {
                let ring = reader(self.form, &self.disk).open(PATH).map_err(told("opening"))?;
                let contents = self.disk.contents();
                let (result, hits) = self.with_fault(|_| work(&ring));
                if contents != self.disk.contents() {
                    return Err("a reader wrote".into());
                }
                (result, None, hits)
            }
            Work::Producer(work) => {
                let producer = writer(self.form, &self.disk).open(PATH).map_err(told("opening"))?;
                let mut producer = Some(producer);
                let (result, hits) = self.with_fault(|_| work(&mut producer, NEXT));
                (result, producer, hits)
            }
        };
        self.judge(&result, producer, hits)
    }

    fn with_fault<T>(&self, work: impl FnOnce(&Self) -> T) -> (T, u64) {
        let Fault { after, for_good, code } = self.fault;
        self.disk.fail_a_call(after, for_good, code);
        let result = work(self);
        (result, self.disk.mend_calls())
    }

    fn judge(&self, result: &Result<()>, producer: Option<Producer>, hits: u64) -> Judged {
        let outcome = match (result, hits) {
            (Ok(()), 0) => NO_CALL_FAILS,
            (Ok(()), _) => "succeeds in spite of it",
            (Err(error), 0) => return Err(format!("it fails by itself: {error:?}")),
            (Err(_), _) => "fails",
        };
        if self.name.starts_with("create") {
            drop(producer);
            return self.judge_creation(result.is_ok()).map(|()| outcome);
        }
        let mut outcome = outcome;
        if let Some(producer) = producer
            && self.judge_producer(producer, result)?
        {
            outcome = "ends the producer";
        }
        self.disk.kill();
        let other = self.disk.other_process();
        let ring = ReadOptions::new().on(&other).open(PATH).map_err(told("a reader"))?;
        self.judge_records(&ring)?;
        self.judge_power_cut(&ring)?;
        self.judge_next_producer(&other)?;
        Ok(outcome)
    }

    /// No archive, or a whole one; and no leftover is in the way of the next creation.
    fn judge_creation(&self, created: bool) -> std::result::Result<(), String> {
        let names = self.disk.contents();
        let is_there = names.iter().any(|(path, _)| path == Path::new(PATH));
        if created && !is_there {
            return Err("it says that it has made an archive".into());
        }
        // An empty file whose lock could not be taken may be somebody else's.
        let left = names.iter().filter(|(_, bytes)| !bytes.is_empty());
        let left: Vec<_> = left.map(|(path, _)| path).collect();
        if !created && !self.fault.for_good && !left.is_empty() {
            return Err(format!("it leaves {left:?} behind"));
        }
        self.disk.kill();
        let other = self.disk.other_process();
        let opened = ring(self.form, &other).open_or_create(PATH);
        let mut producer = opened.map_err(told("the next creation"))?;
        let next = producer.ring().next_id().map_err(told("next"))?;
        producer.append(&payload(next)).map_err(told("an append after it"))?;
        producer.close().map_err(|failed| format!("a close after it: {failed:?}"))
    }

    /// A producer that lives on goes on, or refuses whatever would change anything: then true.
    fn judge_producer(
        &self,
        mut producer: Producer,
        result: &Result<()>,
    ) -> std::result::Result<bool, String> {
        match writer(self.form, &self.disk.other_process()).open(PATH) {
            Err(Error::Locked { .. }) => {}
            other => return Err(format!("a second producer: {other:?}")),
        }
        let ring = producer.ring();
        self.judge_records(&ring)?;
        let next = ring.next_id().map_err(told("next"))?;
        let mut has_ended = false;
        match producer.append(&payload(next)) {
            Ok(id) if id == next => {}
            Ok(id) => return Err(format!("{id} follows {next}")),
            Err(Error::Poisoned { .. }) => {
                has_ended = true;
                for again in [
                    producer.append(&payload(next)).map(drop),
                    producer.update(next - 1, &payload(next - 1)),
                    producer.flush(),
                ] {
                    if !matches!(again, Err(Error::Poisoned { .. })) {
                        return Err(format!("the poison of {result:?} is gone: {again:?}"));
                    }
                }
            }
            Err(error) => return Err(format!("an append after {result:?} fails: {error:?}")),
        }
        self.judge_records(&ring)?;
        producer.die();
        Ok(has_ended)
    }

    /// Whatever shows is genuine; what was returned before shows, unless it was lapped or dropped.
    fn judge_records(&self, ring: &Ring) -> std::result::Result<(), String> {
        let (oldest, next) = bounds(ring)?;
        if next < NEXT {
            return Err(format!("next is {next}"));
        }
        if oldest > next.saturating_sub(CAPACITY) && !self.name.contains("jump") {
            return Err(format!("the oldest is {oldest}, and next {next}"));
        }
        for id in oldest..next {
            judge_read(id, ring.read(id), id < NEXT && self.name != "delete")?;
        }
        Ok(())
    }

    /// What was durable is there after a power cut, but for what the reservation gives up.
    fn judge_power_cut(&self, ring: &Ring) -> std::result::Result<(), String> {
        let durable = ring.durable().map_err(told("durable"))?;
        let disk = self.disk.copy();
        disk.cut_power();
        let ring = ReadOptions::new().on(&disk.other_process()).open(PATH);
        let ring = ring.map_err(told("a reader after a power cut"))?;
        let (oldest, next) = bounds(&ring)?;
        if next < NEXT.max(durable) {
            return Err(format!("after a power cut next is {next}"));
        }
        let owed = next.saturating_sub(CAPACITY);
        if oldest > owed && !self.name.contains("jump") {
            return Err(format!("after a power cut the oldest is {oldest}, and next {next}"));
        }
        for id in oldest..next {
            let is_owed = id < durable && self.name != "delete" && !self.name.contains("jump");
            judge_read(id, ring.read(id), is_owed)?;
        }
        Ok(())
    }

    fn judge_next_producer(&self, other: &SimDisk) -> std::result::Result<(), String> {
        let mut producer =
            writer(self.form, other).open(PATH).map_err(told("the next producer"))?;
        let ring = producer.ring();
        let next = ring.next_id().map_err(told("next"))?;
        let records = payloads(next..next + 5);
        producer.append_batch(&records).map_err(told("the next producer's appends"))?;
        self.judge_records(&ring)?;
        producer.close().map_err(|failed| format!("the next producer's close: {failed:?}"))?;
        self.judge_records(&ring)
    }
}

fn bounds(ring: &Ring) -> std::result::Result<(u64, u64), String> {
    Ok((ring.oldest().map_err(told("oldest"))?, ring.next_id().map_err(told("next"))?))
}

fn judge_read(
    id: u64,
    read: Result<Read<Vec<u8>>>,
    is_owed: bool,
) -> std::result::Result<(), String> {
    match read.map_err(told("a read"))? {
        Read::Record(found) if found == payload(id) => Ok(()),
        Read::Absent | Read::Lost if !is_owed => Ok(()),
        other => Err(format!("{id} reads {other:?}")),
    }
}

fn told(what: &str) -> impl FnOnce(Error) -> String {
    move |error| format!("{what}: {error:?}")
}
