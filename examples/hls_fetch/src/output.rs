//! From a spool to the output.

use std::{
    fs::{self, Permissions},
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use ringkeep::Spool;

use super::{
    Failure,
    options::{Format, Options, Unfinished},
};

/// Finds out before the download what would be in the way after it.
pub(crate) fn check(options: &Options) -> Result<(), Failure> {
    let output = options.output.display();
    match fs::symlink_metadata(&options.output) {
        Ok(_) => return Err(format!("{output} exists already").into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(format!("cannot make {output}: {error}").into()),
    }
    // It has no name, and is gone at once.
    let made = tempfile::tempfile_in(options.directory());
    made.map_err(|error| format!("cannot make {output}: {error}"))?;
    if let Format::Mp4 = options.format {
        let version = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status();
        version.map_err(|error| format!("--mp4 needs ffmpeg, which cannot be run: {error}"))?;
    }
    Ok(())
}

/// Makes the output of all segments; there is none after an error.
pub(crate) fn make(spool: &Spool, options: &Options) -> Result<(), Failure> {
    match options.format {
        Format::Segments => {
            spool.merge_to_file(&options.output)?;
        }
        Format::Mp4 => remux(spool, options)?,
    }
    if let Unfinished::Kept = options.unfinished {
        spool.discard()?;
    }
    Ok(())
}

/// Has ffmpeg make an MP4 file. It has to go back in what it has written, so it needs a file; that
/// one gets the name of the output when it is complete.
fn remux(spool: &Spool, options: &Options) -> Result<(), Failure> {
    let mode = Permissions::from_mode(0o666);
    let mut builder = tempfile::Builder::new();
    let temporary = builder.suffix(".mp4").permissions(mode).tempfile_in(options.directory())?;
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i", "pipe:0", "-c", "copy", "-f", "mp4"])
        .arg(temporary.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let merged = spool.merge_into(ffmpeg.stdin.take().ok_or("ffmpeg has no pipe")?);
    let status = ffmpeg.wait()?;
    if !status.success() {
        return Err(format!("ffmpeg could not make an MP4 file: {status}").into());
    }
    merged?;
    temporary.persist_noclobber(&options.output)?;
    Ok(())
}
