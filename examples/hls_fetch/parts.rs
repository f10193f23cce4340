//! The spool of a download: part `n` is segment `n`.

use std::{fmt::Write as _, fs, io::ErrorKind, path::PathBuf, sync::Arc};

use ringkeep::{PartState, Spool, SpoolOptions, Storage};

use super::{
    Failure,
    options::{Options, Unfinished},
    playlist::Media,
    progress::Progress,
};

/// Makes the spool of these segments, or opens the one that an earlier run has left. What is to be
/// fetched is what it calls missing.
pub(crate) fn open(
    options: &Options,
    media: &Media,
    progress: &Arc<Progress>,
) -> Result<Spool, Failure> {
    let (total, shown) = (media.segments.len() as u64, Arc::clone(progress));
    let spool_options = SpoolOptions::new()
        .memory_bytes(options.memory_bytes)
        // On the file system of the output: there a copy may take no space.
        .directory(options.directory())
        .on_progress(move |now| shown.show(now.parts, total, now.bytes, now.storage));
    let spool = match options.unfinished {
        Unfinished::Gone => spool_options.build(),
        Unfinished::Kept => resume(&spool_options, options, &label(media))?,
    };
    spool.finish(total)?;
    let stats = spool.stats();
    let storage = if stats.disk_bytes > 0 { Storage::Disk } else { Storage::Memory };
    progress.show(stats.parts_ready, total, stats.ready_bytes, storage);
    Ok(spool)
}

/// Opens what an earlier run has left, unless that is of another playlist.
fn resume(spool_options: &SpoolOptions, options: &Options, label: &str) -> Result<Spool, Failure> {
    let parts = options.parts();
    let mut spool = spool_options.resume(&parts)?;
    if spool.state(0) == PartState::Drained {
        // That run has made its output, and was killed before it removed the files.
        spool.discard()?;
        spool = spool_options.resume(&parts)?;
    }
    // Nobody else is here: the spool is locked.
    if spool.resumed().parts == 0 {
        fs::write(label_path(options), label)?;
    } else if !fs::read(label_path(options)).is_ok_and(|found| found == label.as_bytes()) {
        let parts = parts.display();
        let told =
            format!("{parts} is of another playlist: remove {parts}*, or choose another OUTPUT");
        return Err(told.into());
    }
    Ok(spool)
}

/// Removes what was for the next run.
pub(crate) fn discard(spool: &Spool, options: &Options) -> Result<(), Failure> {
    spool.discard()?;
    match fs::remove_file(label_path(options)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The file that says which segments the parts are.
fn label_path(options: &Options) -> PathBuf {
    let mut name = options.parts().into_os_string();
    name.push(".playlist");
    name.into()
}

/// What tells one playlist from another one. What is behind a `?` may be a pass that has changed.
fn label(media: &Media) -> String {
    let mut label = String::new();
    for segment in &media.segments {
        let resource = segment.url.split('?').next();
        let _ = writeln!(label, "{resource:?} {:?}", segment.range);
    }
    label
}
