//! The spool of a download: part `n` is segment `n`.

use std::sync::Arc;

use ringkeep::{Error, PartState, Spool, SpoolOptions, Storage};

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
        .tag(tag(media))
        .on_progress(move |now| shown.show(now.parts, total, now.bytes, now.storage));
    let spool = match options.unfinished {
        Unfinished::Gone => spool_options.build(),
        Unfinished::Kept => resume(&spool_options, options)?,
    };
    spool.finish(total)?;
    let stats = spool.stats();
    let storage = if stats.disk_bytes > 0 { Storage::Disk } else { Storage::Memory };
    progress.show(stats.parts_ready, total, stats.ready_bytes, storage);
    Ok(spool)
}

/// Opens what an earlier run has left, unless that is of another playlist.
fn resume(spool_options: &SpoolOptions, options: &Options) -> Result<Spool, Failure> {
    let parts = options.parts();
    let mut spool = spool_options.resume(&parts).map_err(|error| match error {
        Error::CodecMismatch { .. } => {
            let parts = parts.display();
            format!("{parts} is of another playlist: remove {parts}*, or choose another OUTPUT")
                .into()
        }
        error => Failure::from(error),
    })?;
    if spool.state(0) == PartState::Drained {
        // That run has made its output, and was killed before it removed the files.
        spool.discard()?;
        drop(spool);
        spool = spool_options.resume(&parts)?;
    }
    Ok(spool)
}

/// What tells one playlist from another one. What is behind a `?` may be a pass that has changed.
fn tag(media: &Media) -> String {
    let mut list = crc32fast::Hasher::new();
    for segment in &media.segments {
        let resource = segment.url.split('?').next();
        list.update(format!("{resource:?} {:?}", segment.range).as_bytes());
    }
    format!("{} segments, checksum {:08x}", media.segments.len(), list.finalize())
}
