//! All parts in a row.

use std::{io::Write, ops::Range, path::Path, sync::Arc};

use super::{
    content::{Content, Source},
    core::{Core, Got},
    drain::Drain,
};
use crate::{
    disk::{naming::make, seam::File},
    error::{Error, Result},
};

/// Anybody may read an output whom the user's mask lets.
const MODE: u32 = 0o666;
/// Bytes of pieces that are checked before they are copied.
const RUN_BYTES: u64 = 1 << 20;

/// Writes all parts that were not drained, in order, once they are complete: how many bytes.
pub(super) fn merge_into(core: &Core, out: &mut dyn Write) -> Result<u64> {
    let (mut at, mut bytes) = (core.next(), 0);
    let mut buffer = Vec::new();
    while let Some(Got { part, content }) = core.wait_for(at)? {
        for piece in (0..).map_while(|index| content.piece(index)) {
            let written = match &piece.source {
                Source::Memory(buffer) => out.write_all(buffer.bytes()),
                Source::Disk(offset) => {
                    content.read(&piece, *offset, &mut buffer)?;
                    out.write_all(&buffer)
                }
                Source::Gone => unreachable!("nothing goes that two have"),
            };
            written.map_err(|source| Error::Output { source })?;
            bytes += u64::from(piece.bytes);
        }
        at = part + 1;
    }
    out.flush().map_err(|source| Error::Output { source })?;
    Ok(bytes)
}

/// Makes a file of all parts that were not drained, in order, once they are complete, and lets go
/// of them when it is durable: how many bytes.
pub(super) fn merge_to_file(core: &Arc<Core>, path: &Path) -> Result<u64> {
    let _alone = Drain::begin(core)?;
    let mut bytes = 0;
    let made = make(&core.disk, path, MODE, |file, temporary| {
        let mut output = Output { file, path: temporary, bytes: 0 };
        while let Some(Got { content, .. }) = core.seal_next()? {
            output.add(&content)?;
        }
        bytes = output.bytes;
        Ok(())
    });
    made.inspect_err(|_| core.unseal())?;
    core.drain_sealed();
    Ok(bytes)
}

/// A file that parts are added to.
struct Output<'a> {
    file: &'a File,
    path: &'a Path,
    bytes: u64,
}

impl Output<'_> {
    fn add(&mut self, content: &Content) -> Result<()> {
        let mut buffer = Vec::new();
        let mut run = 0..0;
        for piece in (0..).map_while(|index| content.piece(index)) {
            match &piece.source {
                Source::Memory(bytes) => {
                    self.copy(content, &mut run)?;
                    self.filled(self.file.write_at(bytes.bytes(), self.bytes))?;
                    self.bytes += u64::from(piece.bytes);
                }
                Source::Disk(offset) => {
                    content.read(&piece, *offset, &mut buffer)?;
                    if *offset != run.end || run.end - run.start >= RUN_BYTES {
                        self.copy(content, &mut run)?;
                        run = *offset..*offset;
                    }
                    run.end += u64::from(piece.bytes);
                }
                Source::Gone => unreachable!("nothing goes that two have"),
            }
        }
        self.copy(content, &mut run)
    }

    /// The kernel copies what was checked: on some file systems that takes no space.
    fn copy(&mut self, content: &Content, run: &mut Range<u64>) -> Result<()> {
        if let Some(from) = content.file().filter(|_| !run.is_empty()) {
            self.filled(from.copy(run.clone(), self.file, self.bytes))?;
            self.bytes += run.end - run.start;
        }
        *run = 0..0;
        Ok(())
    }

    fn filled(&self, done: std::io::Result<()>) -> Result<()> {
        done.map_err(Error::filling("write", self.path, self.bytes))
    }
}
