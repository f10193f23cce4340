//! What the machine can do: items one behind the other in a plain file, with no frame, no checksum
//! and no place to go on from.
//!
//! Without syncs, writes and reads of 64 KiB; with them, one write and one `fdatasync` a push.

use std::{
    fs::File,
    io::{BufReader, BufWriter, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::super::side::{Failure, Guarantee, Peer, Result, Setup, Side};
use crate::table::Role;

const NAME: &str = "plain file";
const BUFFER_BYTES: usize = 64 << 10;

pub(crate) const SIDE: Side =
    Side { name: NAME, role: Role::Limit, has_groups: true, has_syncs: true, open };

struct Plain {
    path: PathBuf,
    writer: Mutex<BufWriter<File>>,
    /// Opened by the first one who takes.
    reader: Mutex<Option<BufReader<File>>>,
    item_bytes: usize,
    has_syncs: bool,
}

fn open(directory: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let path = directory.join("plain");
    let file = File::options().append(true).create(true).open(&path);
    let file = file.map_err(Failure::new(NAME, "open"))?;
    Ok(Box::new(Plain {
        path,
        writer: Mutex::new(BufWriter::with_capacity(BUFFER_BYTES, file)),
        reader: Mutex::new(None),
        item_bytes: setup.item_bytes,
        has_syncs: setup.guarantee == Guarantee::PowerCut,
    }))
}

impl Plain {
    fn write(&self, items: &[Vec<u8>]) -> std::io::Result<()> {
        let mut writer = self.writer.lock();
        if !self.has_syncs {
            return items.iter().try_for_each(|item| writer.write_all(item));
        }
        let mut file = writer.get_ref();
        match items {
            [item] => file.write_all(item)?,
            items => file.write_all(&items.concat())?,
        }
        file.sync_data()
    }

    fn read(&self) -> std::io::Result<Option<Vec<u8>>> {
        let mut reader = self.reader.lock();
        if reader.is_none() {
            self.writer.lock().flush()?;
        }
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => none.insert(BufReader::with_capacity(BUFFER_BYTES, File::open(&self.path)?)),
        };
        let mut item = vec![0; self.item_bytes];
        match reader.read_exact(&mut item) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|()| Some(item)),
        }
    }
}

impl Peer for Plain {
    fn push(&self, item: Vec<u8>) -> Result<()> {
        self.write(&[item]).map_err(Failure::new(NAME, "push"))
    }

    fn push_group(&self, items: Vec<Vec<u8>>) -> Result<()> {
        self.write(&items).map_err(Failure::new(NAME, "push"))
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        self.read().map_err(Failure::new(NAME, "take"))
    }

    fn take_group(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        (0..count).map_while(|_| self.take().transpose()).collect()
    }
}
