//! The spool of a download: part 0 is its label, and part `n + 1` is segment `n`.

use std::{fmt::Write as _, io::Read as _, sync::Arc};

use ringkeep::{PartState, Spool, SpoolOptions, Storage};

use super::{
    Failure,
    options::{Options, Unfinished},
    playlist::Media,
    progress::Progress,
};

/// The part that says which segments the others are: those of another playlist are refused.
const LABEL: u64 = 0;

/// Makes the spool of these segments, or opens the one that an earlier run has left. What is to be
/// fetched is what it calls missing.
pub(crate) fn open(
    options: &Options,
    media: &Media,
    progress: &Arc<Progress>,
) -> Result<Spool, Failure> {
    let label = label(media);
    let (total, label_bytes) = (media.segments.len() as u64, label.len() as u64);
    let shown = Arc::clone(progress);
    let spool_options = SpoolOptions::new()
        .memory_bytes(options.memory_bytes)
        // On the file system of the output: there a copy may take no space.
        .directory(options.directory())
        // The label is not counted.
        .on_progress(move |now| {
            shown.show(now.parts - 1, total, now.bytes - label_bytes, now.storage);
        });
    let spool = match options.unfinished {
        Unfinished::Gone => spool_options.build(),
        Unfinished::Kept => resume(&spool_options, options)?,
    };
    if spool.resumed().parts == 0 {
        spool.put(LABEL, label.as_bytes())?;
    }
    if !is_labelled(&spool, &label)? {
        let parts = options.parts();
        let what = "is of another playlist: remove it and its manifest, or choose another OUTPUT";
        return Err(format!("{} {what}", parts.display()).into());
    }
    // Out of the way. It was not read, so that the next run finds it again.
    drop(spool.drain()?.next_part()?);
    spool.finish(total + 1)?;
    let stats = spool.stats();
    let storage = if stats.disk_bytes > 0 { Storage::Disk } else { Storage::Memory };
    progress.show(stats.parts_ready, total, stats.ready_bytes, storage);
    Ok(spool)
}

fn resume(spool_options: &SpoolOptions, options: &Options) -> ringkeep::Result<Spool> {
    let spool = spool_options.resume(options.parts())?;
    if spool.state(LABEL) != PartState::Drained {
        return Ok(spool);
    }
    // An earlier run has made its output of all parts, and was killed before it removed the files.
    spool.discard()?;
    drop(spool);
    spool_options.resume(options.parts())
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

fn is_labelled(spool: &Spool, label: &str) -> Result<bool, Failure> {
    if spool.state(LABEL) != PartState::Ready {
        return Ok(false);
    }
    let mut found = Vec::new();
    spool.reader(LABEL)?.read_to_end(&mut found)?;
    Ok(found == label.as_bytes())
}
