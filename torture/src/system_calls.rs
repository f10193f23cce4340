//! Every system call of the command fails in turn (F5): the Nth one, N = 1 to the end, once and
//! for good, under every verb, on real files. `strace` makes them fail.
//!
//! A verb ends with an exit code of the table, and with a sentence about it unless that is 0. With
//! 0 its work is done. Afterwards nothing that was there is lost, nothing is corrupt, no leftover
//! is in the way, and readers have written nothing.

mod verbs;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ringkeep::{Producer, Read, ReadOptions, RingOptions};
use tempfile::TempDir;

use crate::{report::Report, work};
use verbs::{CALLS, CLASSES, Call, Kind, VERBS, Verb};

const SIZE: usize = 12;
const NO_CALL_FAILS: &str = "no call fails";
const IN_SPITE: &str = "succeeds in spite of the fault";
/// Trials of the command at the same time.
const THREADS: usize = 2;
/// A verb that takes longer than this many seconds hangs.
const SECONDS_MAX: &str = "20";
/// Calls of one name in a run; a recorder never makes so many.
const CALLS_MAX: u64 = 2000;

/// All of it, on the command with this path.
///
/// Without `strace`, or where it may not trace, there are no trials, and standard error says so.
#[must_use]
pub fn run(command: &Path) -> Report {
    let mut report = Report::default();
    if let Err(reason) = try_strace(command) {
        eprintln!("SKIPPED: no system call was made to fail: {reason}");
        return report;
    }
    let directory = match tempfile::tempdir() {
        Ok(directory) => directory,
        Err(error) => {
            report.fail(format!("a temporary directory: {error}"));
            return report;
        }
    };
    let case = |number: u64| {
        let index = usize::try_from(number).unwrap_or(0);
        let (verb, call) = (&VERBS[index % VERBS.len()], &CALLS[index / VERBS.len()]);
        let case = Case::new(command, &directory, number, verb, call);
        case.map_or_else(broken, |case| case.every_call())
    };
    let cases = 0..(VERBS.len() * CALLS.len()) as u64;
    report = work::all(THREADS, cases, case, |_| false);
    report.require(&CLASSES);
    report
}

fn broken(reason: String) -> Report {
    let mut report = Report::default();
    report.fail(reason);
    report
}

/// Whether system calls can be made to fail here.
fn try_strace(command: &Path) -> Result<(), String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "--trace=msync", "--inject=msync:error=EIO"]);
    let output = strace.arg(command).arg("--version").output();
    let output = output.map_err(|error| format!("strace cannot be started: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(stderr.trim().to_owned()) }
}

/// The one content that an id ever has here: its time in seconds, and a number.
fn payload(id: u64) -> [u8; SIZE] {
    let mut payload = [0; SIZE];
    payload[..8].copy_from_slice(&id.to_le_bytes());
    payload[8..].copy_from_slice(&number_of(id).to_le_bytes()[..4]);
    payload
}

fn number_of(id: u64) -> u64 {
    id * 7 + 1
}

fn payloads(ids: Range<u64>) -> Vec<u8> {
    ids.flat_map(payload).collect()
}

fn rows(ids: Range<u64>) -> String {
    ids.fold("t,n\n".to_owned(), |rows, id| rows + &format!("{id},{}\n", number_of(id)))
}

/// The Nth call fails, or all from the Nth one on.
#[derive(Debug, Clone, Copy)]
struct Fault {
    code: &'static str,
    nth: u64,
    for_good: bool,
}

/// What a run of the command came to.
#[derive(Debug)]
struct Ran {
    /// None if a signal ended it.
    code: Option<i32>,
    stderr: String,
    stdout: Vec<u8>,
    hits: usize,
}

/// What is kept: ids and payloads, and where the archive stands.
struct Kept {
    records: BTreeMap<u64, Vec<u8>>,
    next: u64,
    durable: u64,
}

/// One verb, of which one call fails.
struct Case<'a> {
    command: &'a Path,
    verb: &'a Verb,
    call: &'a Call,
    /// Where the trace and the output go.
    beside: PathBuf,
    /// Where the archive is.
    directory: PathBuf,
}

impl<'a> Case<'a> {
    fn new(
        command: &'a Path,
        root: &TempDir,
        number: u64,
        verb: &'a Verb,
        call: &'a Call,
    ) -> Result<Self, String> {
        let beside = root.path().join(number.to_string());
        let directory = beside.join("archive");
        fs::create_dir_all(&directory).map_err(told("a directory"))?;
        Ok(Self { command, verb, call, beside, directory })
    }

    fn archive(&self) -> PathBuf {
        self.directory.join("a.dat")
    }

    /// The next id before the verb, and the ids that it appends.
    fn next(&self) -> u64 {
        self.verb.capacity * 5 / 3
    }

    fn appended(&self) -> Range<u64> {
        self.next()..self.next() + self.verb.capacity / 2
    }

    fn every_call(&self) -> Report {
        let mut report = Report::default();
        if let Err(reason) = self.try_every_call(&mut report) {
            let told = format!("{}, {}: {reason}", self.verb.line, self.call.name);
            eprintln!("{told}");
            report.fail(told);
        }
        if let Err(error) = fs::remove_dir_all(&self.beside) {
            report.fail(format!("{}: {error}", self.beside.display()));
        }
        report
    }

    fn try_every_call(&self, report: &mut Report) -> Result<(), String> {
        // Readers never write, so that they all find the same archive.
        let is_reader = matches!(self.verb.kind, Kind::Read | Kind::Stat);
        if is_reader {
            self.prepare(false)?;
        }
        let expected = if is_reader { self.plain()?.stdout } else { Vec::new() };
        let once = self.call.codes.iter().map(|&code| (code, false));
        let for_good = self.call.codes.iter().take(1).map(|&code| (code, true));
        for (code, for_good) in once.chain(for_good) {
            for nth in 1..CALLS_MAX {
                let fault = Fault { code, nth, for_good };
                report.trials += 1;
                let outcome = self.trial(fault, &expected);
                let outcome = outcome.map_err(|reason| format!("{fault:?}: {reason}"))?;
                report.count(outcome);
                if outcome == NO_CALL_FAILS {
                    break;
                }
                report.count(code);
            }
            if self.call_count(report) == 0 {
                break;
            }
        }
        Ok(())
    }

    /// How many trials of this case had a call that failed.
    fn call_count(&self, report: &Report) -> u64 {
        self.call.codes.iter().filter_map(|code| report.outcomes.get(code)).sum()
    }

    fn trial(&self, fault: Fault, expected: &[u8]) -> Result<&'static str, String> {
        match self.verb.kind {
            Kind::Append => self.prepare(fault.nth.is_multiple_of(2))?,
            Kind::Create | Kind::Record => self.clear()?,
            Kind::Read | Kind::Stat => {}
        }
        let before = self.files()?;
        let ran = self.strace(fault)?;
        let outcome = self.judge_exit(&ran)?;
        match self.verb.kind {
            Kind::Create => self.judge_creation(&ran)?,
            Kind::Append => self.judge_append(&ran)?,
            Kind::Record => self.judge_recording(&ran)?,
            Kind::Read | Kind::Stat if self.files()? != before => {
                return Err("a reader wrote".into());
            }
            Kind::Stat if ran.code == Some(0) && ran.stdout.is_empty() => {
                return Err("it says that it is fine, and nothing else".into());
            }
            Kind::Read if ran.code == Some(0) && ran.stdout != expected => {
                return Err("it says that it is fine, and its output is another one".into());
            }
            Kind::Read | Kind::Stat => {}
        }
        Ok(outcome)
    }

    /// An archive whose producer has closed it, or has died before its last records were durable.
    fn prepare(&self, died: bool) -> Result<(), String> {
        self.clear()?;
        let (next, capacity) = (self.next(), self.verb.capacity);
        let options = RingOptions::new(SIZE, capacity).shards(3).schema("t:time_s,n:u32");
        let mut producer = options.create(self.archive()).map_err(told("create"))?;
        let durable = next - capacity / 3;
        producer.append_batch(&payloads(0..durable)).map_err(told("append"))?;
        producer.flush().map_err(told("flush"))?;
        producer.append_batch(&payloads(durable..next)).map_err(told("append"))?;
        end(producer, died)?;
        let ids = self.appended();
        let csv = self.directory.join("records.csv");
        fs::write(csv, rows(ids.clone())).map_err(told("input"))?;
        fs::write(self.directory.join("records.raw"), payloads(ids)).map_err(told("input"))
    }

    fn clear(&self) -> Result<(), String> {
        fs::remove_dir_all(&self.directory).map_err(told("remove"))?;
        fs::create_dir(&self.directory).map_err(told("make"))
    }

    /// All files of the archive's directory, by name.
    fn files(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>, String> {
        let list = || -> io::Result<_> {
            fs::read_dir(&self.directory)?
                .map(|entry| {
                    let path = entry?.path();
                    Ok((path.clone(), fs::read(path)?))
                })
                .collect()
        };
        list().map_err(told("list"))
    }

    /// The words of a line, with the directory in its place.
    fn words(&self, line: &str) -> Vec<String> {
        let directory = self.directory.to_string_lossy();
        line.split(' ').map(|word| word.replace('@', &directory)).collect()
    }

    /// Runs the verb, without a fault.
    fn plain(&self) -> Result<Ran, String> {
        self.obeyed(self.verb.line)
    }

    /// Runs a line without a fault; it has to be fine.
    fn obeyed(&self, line: &str) -> Result<Ran, String> {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", SECONDS_MAX]).arg(self.command).args(self.words(line));
        let ran = self.ran(&mut command)?;
        if ran.code == Some(0) { Ok(ran) } else { Err(format!("{line} without a fault: {ran:?}")) }
    }

    fn strace(&self, fault: Fault) -> Result<Ran, String> {
        let Call { name, is_of_a_file, beside, .. } = *self.call;
        let Fault { code, nth, for_good } = fault;
        let mut command = Command::new("timeout");
        command.args(["-k", "1", SECONDS_MAX, "strace", "-f", "--seccomp-bpf", "-qq", "-o"]);
        command.arg(self.log());
        let all_after = if for_good { "+" } else { "" };
        command.arg(format!("--trace={name}"));
        command.arg(format!("--inject={name}:error={code}:when={nth}{all_after}"));
        command.args(beside.map(|beside| format!("--inject={beside}")));
        if is_of_a_file {
            for path in self.paths() {
                command.arg("-P").arg(path);
            }
        }
        let ran = self.ran(command.arg(self.command).args(self.words(self.verb.line)))?;
        let log = fs::read_to_string(self.log()).map_err(told("the trace"))?;
        let is_hit = |line: &&str| line.ends_with("(INJECTED)") && line.contains(name);
        Ok(Ran { hits: log.lines().filter(is_hit).count(), ..ran })
    }

    fn log(&self) -> PathBuf {
        self.beside.join("log")
    }

    /// Whatever a verb may open, but for libraries and what it samples.
    fn paths(&self) -> Vec<PathBuf> {
        let names = ["a.dat", "a.dat.1", "a.dat.2", "records.csv", "records.raw"];
        let temporary = names[..3].iter().map(|name| format!("{name}.ringkeep-new"));
        let names = names.iter().map(|&name| name.to_owned()).chain(temporary);
        let paths = names.map(|name| self.directory.join(name));
        let boot = PathBuf::from("/proc/sys/kernel/random/boot_id");
        paths.chain([boot, self.directory.clone(), self.beside.join("out")]).collect()
    }

    fn ran(&self, command: &mut Command) -> Result<Ran, String> {
        let out = self.beside.join("out");
        let stdout = File::create(&out).map_err(told("output"))?;
        let output = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).output();
        let output = output.map_err(told("starting the command"))?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let stdout = fs::read(out).map_err(told("output"))?;
        Ok(Ran { code: output.status.code(), stderr, stdout, hits: 0 })
    }

    /// A code of the table; a sentence with it that names the file, unless it is 0.
    fn judge_exit(&self, ran: &Ran) -> Result<&'static str, String> {
        let file = self.directory.to_string_lossy();
        let says = |words: &str| ran.stderr.contains(words);
        match (ran.code, ran.hits) {
            _ if says("panicked") => Err(format!("it panics: {ran:?}")),
            // A busy machine makes a recorder leave samples out.
            (Some(1), 0) if self.verb.kind == Kind::Record => Ok(NO_CALL_FAILS),
            (Some(0), 0) => Ok(NO_CALL_FAILS),
            (Some(0), _) => Ok(IN_SPITE),
            (Some(1..=3), 0) => Err(format!("it fails by itself: {ran:?}")),
            (Some(1..=3), _) if !says("ringkeep: ") => Err(format!("it says nothing: {ran:?}")),
            (Some(1..=3), _) if says(&file) || says("standard output") => Ok(self.verb.fails),
            // A thread that cannot be started has no file.
            (Some(1..=3), _) if !self.call.is_of_a_file && says("cannot ") => Ok(self.verb.fails),
            (Some(1..=3), _) => Err(format!("it does not name the file: {ran:?}")),
            _ => Err(format!("that is no exit code of the table: {ran:?}")),
        }
    }

    /// No archive, or a whole one; and no leftover is in the way of the next creation.
    fn judge_creation(&self, ran: &Ran) -> Result<(), String> {
        let is_there = self.archive().exists();
        // It was made, and only telling so failed.
        let is_untold = self.call.name == "write" && ran.code != Some(0);
        if is_there != (ran.code == Some(0) || is_untold) {
            return Err(format!("whether the archive is there is {is_there}: {ran:?}"));
        }
        if !is_there {
            self.plain()?;
        }
        let names: Vec<_> = self.files()?.into_keys().collect();
        let shards = ["a.dat", "a.dat.1", "a.dat.2"].map(|name| self.directory.join(name));
        if names != shards {
            return Err(format!("{names:?} are there in the end: {ran:?}"));
        }
        fs::write(self.directory.join("records.raw"), payload(0)).map_err(told("input"))?;
        self.obeyed("append @/a.dat @/records.raw --format raw")?;
        let kept = self.kept()?;
        if kept.records == BTreeMap::from([(0, payload(0).to_vec())]) && kept.durable == 1 {
            return Ok(());
        }
        Err(format!("its first record is not there: {ran:?}"))
    }

    /// What was there is there, and what was said to be appended. The next producer goes on with
    /// ids that nobody had.
    fn judge_append(&self, ran: &Ran) -> Result<(), String> {
        let is_told = ran.code == Some(0) || ran.stderr.contains("ringkeep: appended ");
        let is_empty = ran.stderr.contains("appended no records");
        let appended = self.appended();
        let owed = if is_told && !is_empty { appended.end } else { appended.start };
        let kept = self.kept().and_then(|kept| self.judge_records(kept, owed));
        let kept = kept.map_err(|reason| format!("{reason}: {ran:?}"))?;
        if ran.code == Some(0) && (kept.next, kept.durable) != (owed, owed) {
            return Err(format!("next {}, durable {}: {ran:?}", kept.next, kept.durable));
        }
        self.obeyed("verify @/a.dat")?;
        let raw = payload(kept.next);
        fs::write(self.directory.join("records.raw"), raw).map_err(told("input"))?;
        self.obeyed("append @/a.dat @/records.raw --format raw")?;
        self.judge_next(kept.next, &raw, owed).map_err(|reason| format!("then {reason}: {ran:?}"))
    }

    /// One more record is there, under an id that nobody had. An append that failed may have cost
    /// its own ids.
    fn judge_next(&self, next: u64, appended: &[u8], owed: u64) -> Result<(), String> {
        let mut after = self.kept()?;
        let newest = after.next.saturating_sub(1);
        if newest < next || after.durable != after.next {
            return Err(format!("{newest} comes after {next}, durable {}", after.durable));
        }
        match after.records.remove(&newest) {
            Some(found) if found == appended => self.judge_records(after, owed).map(drop),
            found => Err(format!("{newest} reads {found:?}")),
        }
    }

    /// All that is there is genuine; nothing below `owed` is missing that is not lapped.
    fn judge_records(&self, kept: Kept, owed: u64) -> Result<Kept, String> {
        let is_foreign = |(id, found): &(&u64, &Vec<u8>)| payload(**id) != found[..];
        if let Some((id, found)) = kept.records.iter().find(is_foreign) {
            return Err(format!("{id} reads {found:?}"));
        }
        let oldest = kept.next.saturating_sub(self.verb.capacity);
        match (oldest..owed).find(|id| !kept.records.contains_key(id)) {
            Some(id) => Err(format!("{id} is gone")),
            None => Ok(kept),
        }
    }

    /// What was recorded is there, and a recording goes on after it.
    fn judge_recording(&self, ran: &Ran) -> Result<(), String> {
        let before = if self.archive().exists() { Some(self.kept()?) } else { None };
        if ran.code == Some(0) && before.as_ref().is_none_or(|kept| kept.records.is_empty()) {
            return Err(format!("nothing is recorded: {ran:?}"));
        }
        let mut command = Command::new("timeout");
        command.args(["-k", "1", SECONDS_MAX]).arg(self.command);
        let again = self.ran(command.args(self.words(self.verb.line)))?;
        // A busy machine makes it leave samples out.
        if !matches!(again.code, Some(0 | 1)) {
            return Err(format!("the next recording: {again:?}, after {ran:?}"));
        }
        self.obeyed("verify @/a.dat")?;
        let after = self.kept()?;
        let Some(before) = before else { return Ok(()) };
        let is_kept = |(id, found)| after.records.get(id) == Some(found);
        if !before.records.iter().all(is_kept) || after.next <= before.next {
            return Err(format!("a record is gone: {ran:?}"));
        }
        Ok(())
    }

    /// Everything that the archive has now; nothing may be corrupt.
    fn kept(&self) -> Result<Kept, String> {
        let ring = ReadOptions::new().open(self.archive()).map_err(told("open"))?;
        let ids = ring.oldest().map_err(told("oldest"))?..ring.next_id().map_err(told("next"))?;
        let mut records = BTreeMap::new();
        for id in ids.clone() {
            match ring.read(id).map_err(told("read"))? {
                Read::Record(found) => drop(records.insert(id, found)),
                Read::Lost | Read::Absent => {}
                other => return Err(format!("{id} reads {other:?}")),
            }
        }
        let durable = ring.durable().map_err(told("durable"))?;
        Ok(Kept { records, next: ids.end, durable })
    }
}

fn end(producer: Producer, died: bool) -> Result<(), String> {
    if died {
        producer.die();
        return Ok(());
    }
    producer.close().map_err(|error| format!("close: {:?}", error.source))
}

fn told<E: std::fmt::Debug>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error:?}")
}
