//! What the command line asks for.

use std::ffi::OsString;

pub(crate) const USAGE: &str = "\
usage: epg_ingest --playlist FILE --guide FILE [--memory SIZE] [--temp DIR] [--out FILE]
       epg_ingest generate --channels N --days N [--playlist FILE] [--guide FILE]

Joins the channels of playlists (M3U) with the programmes of guides (XMLTV), and writes a line of
JSON for each programme of each channel, sorted by start, then by channel. A FILE that is - is
standard input or output: zcat guide.xml.gz | epg_ingest --playlist list.m3u --guide -

  --playlist FILE   read this playlist; may be given several times
  --guide FILE      read this guide; may be given several times
  --memory SIZE     memory that the process takes at most (default: 64MiB; no less than 24MiB)
  --temp DIR        where the rest goes: no file with a name (default: the system's, TMPDIR)
  --out FILE        write to this file (default: -)

An entry belongs to the channel of its tvg-id. One without goes by its tvg-name, or else its name,
and belongs to the channel that has it as an id or as a display-name.

generate writes a playlist and a guide of its own making, the same ones for the same numbers.

A programme of a channel that no playlist has, or with a time that is none, is skipped and counted;
so is an entry of a playlist without a URL. Files that are damaged end it: exit code 1.
";

/// Less would not hold the program itself, what it reads with, and what it sorts with.
pub(crate) const MEMORY_BYTES_MIN: u64 = 24 << 20;
const MEMORY_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) enum Order {
    Help,
    Ingest(Ingest),
    Generate(Generate),
}

#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) playlists: Vec<OsString>,
    pub(crate) guides: Vec<OsString>,
    pub(crate) memory_bytes: u64,
    /// Where a vector goes that does not fit; none is where the system has temporary files.
    pub(crate) temp: Option<OsString>,
    pub(crate) out: OsString,
}

#[derive(Debug)]
pub(crate) struct Generate {
    pub(crate) channels: u64,
    pub(crate) days: u64,
    pub(crate) playlist: Option<OsString>,
    pub(crate) guide: Option<OsString>,
}

/// What is wrong with the arguments is a sentence.
pub(crate) fn read(arguments: &[OsString]) -> Result<Order, String> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(Order::Help);
    }
    match arguments {
        [first, flags @ ..] if first == "generate" => generate(flags).map(Order::Generate),
        flags => ingest(flags).map(Order::Ingest),
    }
}

fn ingest(flags: &[OsString]) -> Result<Ingest, String> {
    let mut order = Ingest {
        playlists: Vec::new(),
        guides: Vec::new(),
        memory_bytes: MEMORY_BYTES,
        temp: None,
        out: "-".into(),
    };
    for_each_flag(flags, |flag, value| {
        match flag {
            "--playlist" => order.playlists.push(value.clone()),
            "--guide" => order.guides.push(value.clone()),
            "--memory" => order.memory_bytes = memory(value)?,
            "--temp" => order.temp = Some(value.clone()),
            "--out" => order.out.clone_from(value),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if order.playlists.is_empty() || order.guides.is_empty() {
        return Err("a --playlist and a --guide are needed".into());
    }
    let inputs = order.playlists.iter().chain(&order.guides);
    if inputs.filter(|path| *path == "-").count() > 1 {
        return Err("standard input can be read once".into());
    }
    Ok(order)
}

fn generate(flags: &[OsString]) -> Result<Generate, String> {
    let mut order = Generate { channels: 0, days: 0, playlist: None, guide: None };
    for_each_flag(flags, |flag, value| {
        match flag {
            "--channels" => order.channels = number(value)?,
            "--days" => order.days = number(value)?,
            "--playlist" => order.playlist = Some(value.clone()),
            "--guide" => order.guide = Some(value.clone()),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let outputs = [&order.playlist, &order.guide];
    match outputs.into_iter().flatten().filter(|path| *path == "-").count() {
        _ if order.channels == 0 || order.days == 0 => {
            Err("how many --channels and --days are needed".into())
        }
        _ if outputs == [&None, &None] => Err("a --playlist or a --guide is needed".into()),
        2 => Err("standard output can be written once".into()),
        _ => Ok(order),
    }
}

/// Hands over each flag with its value, to be told whether there is such a flag.
fn for_each_flag(
    arguments: &[OsString],
    mut take: impl FnMut(&str, &OsString) -> Result<bool, String>,
) -> Result<(), String> {
    for pair in arguments.chunks(2) {
        let flag = pair[0].to_string_lossy();
        let value = pair.get(1).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("{flag} needs a value"))?;
        if !take(&flag, value).map_err(|wrong| format!("{flag}: {wrong}"))? {
            return Err(format!("there is no {flag}"));
        }
    }
    Ok(())
}

fn number(value: &OsString) -> Result<u64, String> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| {
        let value = value.display();
        format!("{value} is not a number from 1 to 1000000")
    })
}

/// A size such as `64MiB`, `64M` or `67108864`.
fn memory(value: &OsString) -> Result<u64, String> {
    let text = value.to_string_lossy();
    let (count, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let scale = match unit {
        "" => Some(1),
        "K" | "KiB" => Some(1 << 10),
        "M" | "MiB" => Some(1 << 20),
        "G" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = scale.and_then(|scale| count.parse::<u64>().ok()?.checked_mul(scale));
    match bytes {
        None => Err(format!("{text} is not a size such as 64MiB")),
        Some(bytes) if bytes < MEMORY_BYTES_MIN => {
            Err(format!("{text} is less than {} MiB", MEMORY_BYTES_MIN >> 20))
        }
        Some(bytes) => Ok(bytes),
    }
}
