//! The other process: this program once more, with a reader. On its standard output it says how far
//! it has come, or when it woke.

use std::{
    fmt::Display,
    io::{self, BufRead as _, BufReader, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
};

use clap::{Args, ValueEnum};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::{
    Result,
    follow::steps,
    pace::Wait,
    records::Records,
    sides::{SIDES, Setup, Side, Syncs},
    wake,
};

/// What the other process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Job {
    /// Follows the producer through all ids.
    Follow,
    /// Sleeps until the next id comes, and notes when it woke.
    Wake,
}

/// What the other process is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Child {
    #[arg(long, value_enum)]
    job: Job,
    #[arg(long)]
    side: String,
    #[arg(long)]
    place: PathBuf,
    #[arg(long)]
    record_bytes: usize,
    #[arg(long)]
    capacity: u64,
    #[arg(long)]
    first: u64,
    #[arg(long)]
    end: u64,
}

impl Child {
    pub(super) fn new(
        job: Job,
        side: &Side,
        place: &Path,
        setup: &Setup,
        ids: &Range<u64>,
    ) -> Self {
        Self {
            job,
            side: side.name.to_owned(),
            place: place.to_owned(),
            record_bytes: setup.record_bytes,
            capacity: setup.capacity,
            first: ids.start,
            end: ids.end,
        }
    }

    /// Starts the other process, and waits until it is ready.
    pub(super) fn start(&self) -> Result<Started> {
        let job = self.job.to_possible_value().ok_or("a job has a name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["ring-reader", "--job", job.get_name(), "--side", &self.side]).arg("--place");
        command.arg(&self.place);
        let record_bytes = self.record_bytes as u64;
        for (name, number) in [
            ("--record-bytes", record_bytes),
            ("--capacity", self.capacity),
            ("--first", self.first),
            ("--end", self.end),
        ] {
            command.args([name, &number.to_string()]);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(process.stdout.take().ok_or("it has no output")?);
        let stdin = process.stdin.take().ok_or("it has no input")?;
        let mut started = Started { process, stdin, lines };
        started.hear(self.first)?;
        Ok(started)
    }

    /// In the other process.
    pub(crate) fn run(&self) -> Result<()> {
        // Nobody waits for what a producer that died does not append.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let ids = self.first..self.end;
        let setup =
            Setup { record_bytes: self.record_bytes, capacity: self.capacity, syncs: Syncs::Never };
        let side = SIDES.iter().find(|side| side.name == self.side).ok_or("it is no side")?;
        match self.job {
            Job::Wake => wake::sleep(side, &self.place, &setup, &ids),
            Job::Follow => {
                let watch = side.watch.ok_or("it has no reader in another process")?;
                watch(&self.place, &setup, &mut |reader| {
                    let records = Records::new(setup.record_bytes);
                    // What is there already is mapped or cached before anything is timed.
                    reader.scan(ids.start - setup.capacity..ids.start, &records)?;
                    say(ids.start)?;
                    let wait = Wait::new();
                    steps(&setup, &ids).try_for_each(|ids| {
                        reader.follow(ids.clone(), &records, &wait)?;
                        say(ids.end)
                    })
                })
            }
        }
    }
}

/// A line for the process that started this one.
pub(super) fn say(what: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}

/// The other process, from here. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Started {
    process: process::Child,
    pub(super) stdin: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Started {
    /// The next number that it says.
    pub(super) fn listen(&mut self) -> Result<u64> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let said = line.trim().parse();
        said.map_err(|_| format!("the other process said {line:?}").into())
    }

    /// Waits until it says this.
    pub(super) fn hear(&mut self, expected: u64) -> Result<()> {
        let said = self.listen()?;
        if said == expected { Ok(()) } else { Err(format!("{said} instead of {expected}").into()) }
    }

    /// It has done everything.
    pub(super) fn end(mut self) -> Result<()> {
        if self.process.wait()?.success() { Ok(()) } else { Err("the other process failed".into()) }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended already but where something failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
