//! The command: runs a layer of the torture, tells progress on standard error and the outcomes on
//! standard output. Exit 1 on a violation, 2 on wrong usage.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{
    Parser, Subcommand,
    builder::{PossibleValuesParser, RangedI64ValueParser},
    value_parser,
};
#[cfg(feature = "filesystem")]
use ringkeep_torture::filesystem;
use ringkeep_torture::{
    damage, errors,
    kill::{self, child},
    outgrow, planted, pour,
    power_cut::{self, Plan, exhaustive},
    queue::{
        self,
        stress::{self, Load},
    },
    report::Report,
    store, system_calls, work,
};

/// Breaks ringkeep in every way that a machine can break, and judges what is left.
#[derive(Debug, Parser)]
#[command(name = "ringkeep-torture", version)]
struct Arguments {
    #[command(subcommand)]
    layer: Layer,
    /// The last line on standard output is one of JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Layer {
    /// Deaths and power cuts at any step, on a simulated disk (F1, F2, F3).
    PowerCut {
        /// Crashes to be made. An archive takes several.
        #[arg(long, default_value_t = 20_000)]
        trials: u64,
        /// Of the first archive; that of the next one is larger by 1.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// One archive, told step by step on standard error.
        #[arg(long)]
        trace: bool,
    },
    /// Real producers killed at any moment, with readers that live through it (F1, F7).
    Kill {
        /// Kills to be made.
        #[arg(long, default_value_t = 200)]
        trials: u64,
        /// Of the first archive; that of the next one is larger by 1.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Short scripts on a ring of eight slots: every cut, and of each every outcome (F2).
    Exhaustive {
        /// One script of so many, beginning with the first.
        #[arg(long, default_value_t = 1)]
        share: usize,
    },
    /// Every call of the disk fails in turn, under every public operation (F5).
    Errors,
    /// Every system call of the command fails in turn, under every verb, by strace (F5).
    SystemCalls {
        /// The command, built for release.
        #[arg(long, default_value = "target/release/ringkeep")]
        command: PathBuf,
    },
    /// Flipped bits, prefixes, spoilt blocks, mixed-up shards, bent fields (F4, F6).
    Damage {
        /// Bytes of the archive that is damaged.
        #[arg(long, default_value_t = 64 << 10)]
        bytes: usize,
    },
    /// Queues: crashes on a simulated disk, kills of real processes, and each call of the disk
    /// failing in turn (F1, F2, F3, F5).
    Queue {
        /// Crashes to be made.
        #[arg(long, default_value_t = 10_000)]
        trials: u64,
        /// Kills to be made.
        #[arg(long, default_value_t = 100)]
        kills: u64,
        /// Of the first queue; that of the next one is larger by 1.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Stores: crashes on a simulated disk, and each call of the disk failing in turn (F1, F2, F5).
    Store {
        /// Crashes to be made.
        #[arg(long, default_value_t = 10_000)]
        trials: u64,
        /// Of the first store; that of the next one is larger by 1.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Many threads on a queue that spills and on a durable one, on real files in TMPDIR: order,
    /// contents, counts, and memory as the kernel counts it.
    Stress {
        /// How long they push, on each of the two.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// MiB of memory that the queue may take.
        #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = up_to(1024))]
        budget: u16,
        /// Threads that push.
        #[arg(long, default_value_t = 10, value_parser = up_to(1000))]
        producers: u16,
        /// Threads that receive.
        #[arg(long, default_value_t = 5, value_parser = up_to(1000))]
        consumers: u16,
    },
    /// A vector many times as large as its memory, on real files in TMPDIR: contents, order, and
    /// memory as the kernel counts it.
    Outgrow {
        /// Items of 200 bytes.
        #[arg(long, default_value_t = 20_000_000)]
        items: u64,
        /// MiB of memory that they may take; the process may take twice as much.
        #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = up_to(1024))]
        budget: u16,
    },
    /// A spool that is given many times as much as its memory, on a real file in TMPDIR: contents,
    /// order, and memory and disk as the kernel counts them.
    Pour {
        /// Parts of 4 MiB.
        #[arg(long, default_value_t = 512)]
        parts: u64,
        /// MiB of memory that they may take; the process may take twice as much.
        #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = up_to(1024))]
        budget: u16,
        /// Threads that write.
        #[arg(long, default_value_t = 8, value_parser = up_to(64))]
        writers: u16,
    },
    /// Known bugs, one at a time, and which layer catches each. Builds with cargo.
    Planted {
        /// Only these.
        #[arg(value_parser = PossibleValuesParser::new(planted::BUGS.map(|bug| bug.0)))]
        names: Vec<String>,
    },
    /// Power cuts on real file systems, under rings, stores and queues, disks that fail, and full
    /// ones (F2, F3, F5). As root, with FUSE and loop devices.
    #[cfg(feature = "filesystem")]
    Filesystem {
        /// Power cuts on ext4, of rings.
        #[arg(long, default_value_t = 1_000)]
        trials: u64,
        /// Power cuts on xfs, of each kind that is tried on ext4.
        #[arg(long, default_value_t = 100)]
        xfs: u64,
        /// Power cuts on ext4, of stores.
        #[arg(long, default_value_t = 400)]
        stores: u64,
        /// Power cuts on ext4, of queues.
        #[arg(long, default_value_t = 400)]
        queues: u64,
        /// Of the first run of the workload; that of the next one is larger by 1.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// What `filesystem` starts by itself.
    #[cfg(feature = "filesystem")]
    #[command(hide = true)]
    FilesystemWorker { mount: PathBuf, notes: PathBuf, purpose: String, seed: u64 },
}

/// From 1 to so many.
fn up_to(most: i64) -> RangedI64ValueParser<u16> {
    value_parser!(u16).range(1..=most)
}

fn main() -> ExitCode {
    // The children of a layer are this very binary.
    if let Some((role, arguments)) = child::role() {
        let is_played = kill::plays(&role, &arguments) || queue::plays(&role, &arguments);
        return if is_played { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let arguments = Arguments::parse();
    let report = match &arguments.layer {
        Layer::PowerCut { trials, seed, trace } => cut_power(*trials, *seed, *trace),
        Layer::Kill { trials, seed } => kill::run(*trials, *seed),
        Layer::Exhaustive { share } => exhaust(*share),
        Layer::Errors => errors::run(&errors::CODES),
        Layer::SystemCalls { command } => system_calls::run(command),
        Layer::Damage { bytes } => damage::run((*bytes).max(32 << 10)),
        Layer::Queue { trials, kills, seed } => try_queues(*trials, *kills, *seed),
        Layer::Store { trials, seed } => try_stores(*trials, *seed),
        &Layer::Stress { seconds, budget, producers, consumers } => {
            let budget_bytes = usize::from(budget) << 20;
            let (producers, consumers) = (producers.into(), consumers.into());
            stress::run(&Load { seconds, budget_bytes, producers, consumers })
        }
        &Layer::Outgrow { items, budget } => {
            outgrow::run(&outgrow::Load { items, budget_bytes: u64::from(budget) << 20 })
        }
        &Layer::Pour { parts, budget, writers } => {
            let (budget_bytes, writers) = (u64::from(budget) << 20, writers.into());
            pour::run(&pour::Load { parts, part_bytes: 4 << 20, budget_bytes, writers })
        }
        Layer::Planted { names } => plant(names),
        #[cfg(feature = "filesystem")]
        &Layer::Filesystem { trials: ext4, xfs, stores, queues, seed } => {
            let program = None;
            filesystem::run(&filesystem::Options { ext4, xfs, stores, queues, seed, program })
        }
        #[cfg(feature = "filesystem")]
        Layer::FilesystemWorker { mount, notes, purpose, seed } => {
            return done(filesystem::work(mount, notes, purpose, *seed));
        }
    };
    match tell(&report, arguments.json) {
        Ok(()) if report.violations.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(feature = "filesystem")]
fn done(result: io::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn tell(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (class, count) in &report.outcomes {
        writeln!(out, "{count:>12}  {class}")?;
    }
    for violation in &report.violations {
        eprintln!("VIOLATION: {violation}");
    }
    writeln!(out, "{} trials, {} violations", report.trials, report.violations.len())?;
    if json { writeln!(out, "{}", report.to_json()) } else { Ok(()) }
}

fn cut_power(trials: u64, seed: u64, trace: bool) -> Report {
    if trace {
        return power_cut::archive(seed, true);
    }
    power_cut::run(&Plan { first: seed, step: 1, trials, threads: work::processors() })
}

fn try_queues(trials: u64, kills: u64, seed: u64) -> Report {
    let mut report = queue::crash(trials, seed, work::processors());
    eprintln!("crashes are done");
    report.join(queue::kill(kills, seed));
    eprintln!("kills are done");
    report.join(queue::fail());
    report
}

fn try_stores(trials: u64, seed: u64) -> Report {
    let mut report = store::crash(trials, seed, work::processors());
    eprintln!("crashes are done");
    report.join(store::fail(1));
    report
}

fn exhaust(share: usize) -> Report {
    let scripts = (0..exhaustive::scripts()).step_by(share.max(1));
    let mut report = work::all(work::processors(), scripts, exhaustive::script, |_| false);
    report.require(&exhaustive::CLASSES);
    report
}

fn plant(names: &[String]) -> Report {
    planted::run(names).unwrap_or_else(|error| {
        let violations = vec![format!("nothing was planted: {error}")];
        Report { violations, ..Report::default() }
    })
}
