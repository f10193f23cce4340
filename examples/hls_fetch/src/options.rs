//! The command line.

use std::{
    ffi::{OsStr, OsString},
    num::NonZero,
    path::{Path, PathBuf},
    time::Duration,
};

use super::Failure;

pub(crate) const USAGE: &str = "usage: hls_fetch [OPTIONS] URL OUTPUT   (--help tells more)";

pub(crate) const HELP: &str = "\
Fetches an HTTP live stream (HLS) that is complete: the segments of URL, one behind the other, in
the new file OUTPUT. It speaks plain HTTP, and takes AES-128 off. Sound and subtitles that have
playlists of their own are left out.

usage: hls_fetch [OPTIONS] URL OUTPUT

  --parallel N        segments that are fetched at the same time (default: 4)
  --retries N         further attempts, of each segment (default: 3)
  --timeout SECONDS   the longest silence of the server (default: 30)
  --memory BYTES      memory for segments, like 32MiB; others wait on the disk (default: 64MiB)
  --bandwidth WHICH   highest or lowest, where there are several streams (default: highest)
  --mp4               make OUTPUT an MP4 file, by `ffmpeg -c copy`
  --resume            keep segments in files OUTPUT.parts* until OUTPUT is complete: the next run
                      with --resume fetches only what is missing
  --help              print this
";

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) output: PathBuf,
    pub(crate) parallel: NonZero<u32>,
    pub(crate) retries: u32,
    pub(crate) timeout: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) bandwidth: Bandwidth,
    pub(crate) format: Format,
    pub(crate) unfinished: Unfinished,
}

/// Which of several streams.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bandwidth {
    Highest,
    Lowest,
}

/// What the output is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    /// The segments as they are.
    Segments,
    Mp4,
}

/// What becomes of the segments of a run that does not come to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unfinished {
    Gone,
    /// For the next run.
    Kept,
}

impl Options {
    /// `None`: help is wanted.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            url: String::new(),
            output: PathBuf::new(),
            parallel: NonZero::new(4).ok_or("no workers")?,
            retries: 3,
            timeout: Duration::from_secs(30),
            memory_bytes: 64 << 20,
            bandwidth: Bandwidth::Highest,
            format: Format::Segments,
            unfinished: Unfinished::Gone,
        };
        let mut names = Vec::new();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next().and_then(|value| value.into_string().ok());
                value.ok_or_else(|| format!("{} needs a value", argument.display()))
            };
            match argument.to_str() {
                Some("--help") => return Ok(None),
                Some("--mp4") => options.format = Format::Mp4,
                Some("--resume") => options.unfinished = Unfinished::Kept,
                Some("--parallel") => options.parallel = number(&value()?)?,
                Some("--retries") => options.retries = number(&value()?)?,
                Some("--timeout") => {
                    let seconds: NonZero<u32> = number(&value()?)?;
                    options.timeout = Duration::from_secs(seconds.get().into());
                }
                Some("--memory") => options.memory_bytes = bytes(&value()?)?,
                Some("--bandwidth") => options.bandwidth = bandwidth(&value()?)?,
                Some(unknown) if unknown.starts_with('-') => {
                    return Err(format!("there is no option {unknown}").into());
                }
                _ => names.push(argument),
            }
        }
        let [url, output] = &names[..] else { return Err("it takes a URL and an OUTPUT".into()) };
        options.url = url.to_str().ok_or("the URL is not text")?.into();
        options.output = output.into();
        if options.output.file_name().is_none() {
            return Err("OUTPUT has to be the name of a file".into());
        }
        Ok(Some(options))
    }

    /// Where the output and everything temporary is made.
    pub(crate) fn directory(&self) -> &Path {
        let parent = self.output.parent().filter(|parent| *parent != OsStr::new(""));
        parent.unwrap_or(Path::new("."))
    }

    /// Where segments wait for the next run.
    pub(crate) fn parts(&self) -> PathBuf {
        let mut name = self.output.clone().into_os_string();
        name.push(".parts");
        name.into()
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| format!("{text} is not a number that fits here").into())
}

/// Bytes, as a number alone or in KiB, MiB or GiB.
fn bytes(text: &str) -> Result<u64, Failure> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("{unit} is neither KiB nor MiB nor GiB").into()),
    };
    let bytes = number::<u64>(digits)?.checked_mul(unit);
    bytes.ok_or_else(|| format!("{text} are too many").into())
}

fn bandwidth(text: &str) -> Result<Bandwidth, Failure> {
    match text {
        "highest" => Ok(Bandwidth::Highest),
        "lowest" => Ok(Bandwidth::Lowest),
        _ => Err(format!("a bandwidth is highest or lowest, not {text}").into()),
    }
}
