//! The items in the files of a queue, one after the other.

use std::{ops::Range, path::PathBuf, time::SystemTime};

use super::inspect::time_of;
use crate::{
    disk::{
        frame::FrameHeader,
        log::look::{LogDamage, LogStep, LogWalk},
    },
    error::Error,
};

/// An item of a queue, as its codec made bytes of it.
///
/// # Examples
///
/// ```
/// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
/// # let directory = tempfile::tempdir()?;
/// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
/// options.open(directory.path())?.push(b"item".to_vec())?;
/// let item = QueueFiles::open(directory.path())?.items().next().expect("there is one")?;
/// assert_eq!((item.number, item.bytes), (0, b"item".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuedItem {
    /// What [`Queue::push`](crate::Queue::push) returned.
    pub number: u64,
    /// When it was written.
    pub time: SystemTime,
    /// As the codec made them.
    pub bytes: Vec<u8>,
}

/// Items of a queue that cannot be read.
///
/// # Examples
///
/// ```
/// use ringkeep::{Corruption, Error, QueueDamage};
///
/// let (path, offset) = (std::path::PathBuf::from("00000000000000000000.seg"), 20_480);
/// let source = Corruption::Checksum { found: 1, expected: 2 };
/// let source = Box::new(Error::Damaged { path: path.clone(), offset, source });
/// let damage = QueueDamage { items: 3..5, path, offset, source };
/// let sentence = "items 3..5 cannot be read: 00000000000000000000.seg byte 20480";
/// assert_eq!(damage.to_string(), sentence);
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {} byte {offset}", Items(items), path.display())]
pub struct QueueDamage {
    /// Their numbers; empty where what is damaged is acknowledged.
    pub items: Range<u64>,
    /// The file that they should be in, or that lies behind them.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What is wrong there.
    pub source: Box<Error>,
}

impl From<LogDamage> for QueueDamage {
    fn from(LogDamage { items, path, offset, source }: LogDamage) -> Self {
        Self { items, path, offset, source: source.into() }
    }
}

/// Numbers of items, in words.
struct Items<'a>(&'a Range<u64>);

impl std::fmt::Display for Items<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Range { start, end } = self.0;
        match end - start {
            0 => f.write_str("what is acknowledged"),
            1 => write!(f, "item {start}"),
            _ => write!(f, "items {start}..{end}"),
        }
    }
}

/// Goes through the items of [`QueueFiles`](crate::QueueFiles), in order, and past damage.
///
/// # Examples
///
/// ```
/// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
/// # let directory = tempfile::tempdir()?;
/// # let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
/// # options.open::<Vec<u8>>(directory.path())?;
/// for item in QueueFiles::open(directory.path())?.items() {
///     match item {
///         Ok(item) => println!("{}: {} bytes", item.number, item.bytes.len()),
///         Err(damage) => println!("{damage}"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct QueueItems<'a> {
    walk: LogWalk<'a>,
    frame: Option<Frame>,
}

/// A frame whose items are handed out.
#[derive(Debug)]
struct Frame {
    header: FrameHeader,
    /// Those that are left.
    items: Range<u64>,
    /// Where the bytes of the first one of these begin in the body.
    offset: usize,
}

impl<'a> QueueItems<'a> {
    pub(super) fn new(walk: LogWalk<'a>) -> Self {
        Self { walk, frame: None }
    }

    fn next_of_frame(&mut self) -> Option<QueuedItem> {
        let Frame { header, items, offset } = self.frame.as_mut()?;
        let number = items.next()?;
        let place = number - header.first;
        let bytes = FrameHeader::item(self.walk.body(), place, *offset).to_vec();
        *offset += bytes.len();
        Some(QueuedItem { number, time: time_of(header.time_ns), bytes })
    }
}

impl Iterator for QueueItems<'_> {
    type Item = Result<QueuedItem, QueueDamage>;

    /// The next item, or where items are that cannot be read: the next call goes on behind them.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.next_of_frame() {
                return Some(Ok(item));
            }
            self.frame = None;
            match self.walk.step()? {
                LogStep::Frame(header, items) => {
                    let offset = header.offset_of(self.walk.body(), items.start - header.first);
                    self.frame = Some(Frame { header, items, offset });
                }
                LogStep::Damage(damage) if damage.items.is_empty() => {}
                LogStep::Damage(damage) => return Some(Err(damage.into())),
            }
        }
    }
}
