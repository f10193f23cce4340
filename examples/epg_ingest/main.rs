//! A television guide that is larger than memory: reads playlists (M3U) and guides (XMLTV), joins
//! the channels of the ones with the programmes of the others, sorts by start, and writes NDJSON.
//! It makes large playlists and guides itself too:
//!
//! ```sh
//! cargo build --release --example epg_ingest
//! PATH=target/release/examples:$PATH
//! epg_ingest generate --channels 50000 --days 7 --playlist list.m3u --guide guide.xml
//! epg_ingest --playlist list.m3u --guide guide.xml --memory 64MiB --out programmes.ndjson
//! ```
//!
//! Of 50,000 channels with 16.8 million programmes, from 5 GB of XML, at most 39 MiB were resident.
//!
//! Entries of playlists and programmes are in a `SpillVec` each, which moves to the disk when its
//! part of the memory is used up; `join.rs` divides it. What is read is read as a stream: `m3u.rs`
//! and `xmltv.rs` hold a line, and a programme.

mod arguments;
mod generate;
mod input;
mod join;
mod m3u;
mod report;
mod time;
mod xmltv;

use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use arguments::{Generate, Ingest, Order, USAGE};
use report::Report;

/// What ends the program: a sentence to be told, or the error of a pipe that nobody reads any more.
type Failure = Box<dyn Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let done = match arguments::read(&arguments) {
        Ok(Order::Help) => help(),
        Ok(Order::Ingest(order)) => ingest(&order),
        Ok(Order::Generate(order)) => generate(&order),
        Err(wrong) => {
            // Where nobody reads it, nobody needs it.
            let _ = writeln!(io::stderr(), "epg_ingest: {wrong} (--help tells more)");
            return ExitCode::from(2);
        }
    };
    match done {
        Err(failure) if !is_broken_pipe(&failure) => {
            let _ = writeln!(io::stderr(), "epg_ingest: {failure}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Whether the reader of what is written has seen enough, as `head` has after ten lines.
fn is_broken_pipe(failure: &Failure) -> bool {
    failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn help() -> Result<()> {
    Ok(io::stdout().write_all(USAGE.as_bytes())?)
}

fn ingest(order: &Ingest) -> Result<()> {
    let mut report = Report::new(order.memory_bytes);
    let joined = join::join(order, &mut report)?;
    write_to(&order.out, |out| {
        report.lines = joined.write(out)?;
        Ok(())
    })?;
    let _ = io::stderr().write_all(report.to_string().as_bytes());
    Ok(())
}

fn generate(order: &Generate) -> Result<()> {
    if let Some(path) = &order.playlist {
        write_to(path, |out| Ok(generate::playlist(order.channels, out)?))?;
    }
    if let Some(path) = &order.guide {
        let mut programmes = 0;
        write_to(path, |out| {
            programmes = generate::guide(order.channels, order.days, out)?;
            Ok(())
        })?;
        let _ = writeln!(io::stderr(), "{} channels, {programmes} programmes", order.channels);
    }
    Ok(())
}

/// Opens this file, or standard output for `-`, and has it written.
fn write_to(path: &OsStr, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let named = |failure: Failure| match failure.downcast_ref::<io::Error>() {
        Some(_) if !is_broken_pipe(&failure) => {
            format!("cannot write {}: {failure}", path.display()).into()
        }
        _ => failure,
    };
    let out: Box<dyn Write> = if path == "-" {
        Box::new(io::stdout())
    } else {
        Box::new(File::create(path).map_err(|error| named(error.into()))?)
    };
    let mut out = BufWriter::with_capacity(64 << 10, out);
    write(&mut out).map_err(named)?;
    out.flush().map_err(|error| named(error.into()))
}
