//! Ratios to other crates that do the same job: `cargo run --release -p ringkeep-peers -- ring`,
//! `-- queue`, `-- spill` or `-- store`. `-- picture FILE` draws what `-- ring --json` printed.
//!
//! All sides run in one process, in one directory, in rounds that alternate their order, so that a
//! noisy machine disturbs all of them alike. What counts is the ratio to ringkeep within a round:
//! the median of the rounds, and the spread beside it. Every consumer checks what comes out. Exit 1
//! where a side fails or something is missing, 2 on wrong usage. A goal that is not met is told,
//! and is no failure.

mod lmdb;
mod queue;
mod ring;
mod rounds;
mod scratch;
mod spill;
mod store;
mod table;

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use serde_json::Value;

use self::{
    queue::Scenario,
    ring::{Child, Choice},
    table::Report,
};

/// Measures ringkeep beside other crates that do the same job.
#[derive(Debug, Parser)]
#[command(name = "ringkeep-peers", version)]
struct Arguments {
    #[command(subcommand)]
    structure: Structure,
    /// Less data and fewer rounds: for a look, not for a record.
    #[arg(long, global = true)]
    quick: bool,
    /// The last line on standard output is one of JSON; the ring has one for each figure.
    #[arg(long, global = true)]
    json: bool,
    /// Where the files are made, and removed afterwards. Default: where temporary files go.
    #[arg(long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Structure {
    /// The ring, beside the limit of the machine, a plain file, LMDB, redb, SQLite and fjall.
    Ring(Choice),
    /// The other process of the ring's benchmark, started by itself.
    #[command(hide = true)]
    RingReader(Child),
    /// Draws what `ring --json` has printed, as SVG on standard output.
    Picture { results: PathBuf },
    /// The queue, beside yaque, queue-file, persistent-queue, `disk_backed_queue` and a locked
    /// `VecDeque`.
    Queue {
        /// Only this scenario.
        #[arg(long, value_enum)]
        scenario: Option<Scenario>,
    },
    /// The spill vector, beside `Vec`, extsort, a plain file of encoded items, and JSON lines with
    /// their offsets.
    Spill,
    /// The store, beside redb as it is, fjall and LMDB.
    Store,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    match &arguments.structure {
        Structure::RingReader(child) => child.run().map_err(unsent),
        Structure::Picture { results } => {
            let printed = fs::read_to_string(results)
                .map_err(|error| format!("cannot read {}: {error}", results.display()))?;
            let picture = ring::draw(&printed).map_err(unsent)?;
            Ok(write!(io::stdout(), "{picture}")?)
        }
        structure => measure(structure, arguments),
    }
}

/// The ring's errors may go to another thread; here that is of no use.
fn unsent(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error> {
    error
}

fn measure(structure: &Structure, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let parent = arguments.directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = scratch::make(&parent)
        .map_err(|error| format!("cannot make a directory in {}: {error}", parent.display()))?;
    let mut report = Report::new(&parent);
    match structure {
        Structure::Ring(choice) => {
            ring::run(directory.path(), arguments.quick, choice, &mut report).map_err(unsent)?;
        }
        Structure::RingReader(_) | Structure::Picture { .. } => {}
        Structure::Queue { scenario } => {
            queue::run(directory.path(), arguments.quick, *scenario, &mut report)?;
        }
        Structure::Spill => spill::run(directory.path(), arguments.quick, &mut report)?,
        Structure::Store => store::run(directory.path(), arguments.quick, &mut report)?,
    }
    let lines = match structure {
        _ if !arguments.json => Vec::new(),
        Structure::Ring(_) => report.json_lines(ring::LIMIT).collect(),
        _ => vec![report.to_json()],
    };
    tell(&report, &lines).map_err(|error| format!("cannot print the table: {error}"))?;
    Ok(())
}

fn tell(report: &Report, lines: &[Value]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{report}")?;
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}
