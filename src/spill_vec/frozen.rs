//! Vectors in files that stay, for any number of readers.

use std::{fmt, iter::FusedIterator, marker::PhantomData, ops::RangeBounds, path::Path, sync::Arc};

use parking_lot::Mutex;

use super::{
    bounds,
    frames::{Ahead, FrameReader, Frames},
    frozen_header::{ENTRY_BYTES, FrozenHeader, HEADER_BYTES, NotFrozen, VERSION, decode_entry},
    index::Index,
    options::SpillVecOptions,
    walk::{Walk, decode},
};
use crate::{
    disk::{
        codec::{Codec, Postcard},
        seam::{Access, Disk, File, FileKind},
    },
    error::{Corruption, Error, Foreign, Result},
};

/// Bytes of the index that are read at once.
const INDEX_BYTES: u64 = 64 << 10;

/// A vector that [`SpillVec::persist`](crate::SpillVec::persist) wrote, and that nobody changes any
/// more.
///
/// Opening reads the header and the index, half a byte for an item of 200 bytes, and checks them;
/// an item is checked when it is read. Clones share the file, and any number of threads and
/// processes read it at once, by position: a file that is cut short meanwhile is an error.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// use ringkeep::{FrozenVec, SpillVec};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("frozen");
/// SpillVec::try_from_iter((0..1000_u64).map(|number| number * number))?.persist(&path)?;
/// let squares: FrozenVec<u64> = FrozenVec::open(&path)?;
/// assert_eq!((squares.len(), squares.get(30)?), (1000, Some(900)));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrozenVec<T, C: Codec<T> = Postcard> {
    shared: Arc<Shared<C>>,
    items: PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct Shared<C> {
    codec: C,
    frames: Frames,
    /// The frame that was read last.
    last: Mutex<FrameReader>,
}

impl<T> FrozenVec<T, Postcard>
where
    Postcard: Codec<T>,
{
    /// Opens a file without a tag. With another codec, or a tag, see
    /// [`SpillVecOptions::open_frozen`](crate::SpillVecOptions::open_frozen).
    ///
    /// # Errors
    ///
    /// As `open_frozen`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// ringkeep::SpillVec::try_from_iter([7_u64])?.persist(&path)?;
    /// assert_eq!(ringkeep::FrozenVec::<u64>::open(&path)?.len(), 1);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        SpillVecOptions::new(Postcard).open_frozen(path)
    }
}

impl<T, C: Codec<T>> FrozenVec<T, C> {
    pub(super) fn open_with(disk: &Disk, path: &Path, codec: C, tag: &str) -> Result<Self> {
        let frames = open(disk, path, codec.name(), tag)?;
        let shared = Shared { codec, frames, last: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), items: PhantomData })
    }

    /// How many items there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// ringkeep::SpillVec::try_from_iter([7_u64])?.persist(&path)?;
    /// assert_eq!(ringkeep::FrozenVec::<u64>::open(&path)?.len(), 1);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.shared.frames.index.items()).unwrap_or(usize::MAX)
    }

    /// Whether there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// ringkeep::SpillVec::<u64>::new().persist(&path)?;
    /// assert!(ringkeep::FrozenVec::<u64>::open(&path)?.is_empty());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at this index, if there is one.
    ///
    /// # Errors
    ///
    /// `Damaged`, `Decode`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// ringkeep::SpillVec::try_from_iter([7_u64])?.persist(&path)?;
    /// let frozen = ringkeep::FrozenVec::<u64>::open(&path)?;
    /// assert_eq!((frozen.get(0)?, frozen.get(1)?), (Some(7), None));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, index: usize) -> Result<Option<T>> {
        if index >= self.len() {
            return Ok(None);
        }
        let Shared { codec, frames, last } = &*self.shared;
        let item = index as u64;
        let read = |reader: &mut FrameReader| {
            reader.seek(frames, item, Ahead::Nothing)?;
            decode(codec, item, reader.bytes(item)).map(Some)
        };
        // Other threads read too.
        match last.try_lock() {
            Some(mut reader) => read(&mut reader),
            None => read(&mut FrameReader::default()),
        }
    }

    /// All items, from both ends. After an error there are no more.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// ringkeep::SpillVec::try_from_iter([7_u64, 8])?.persist(&path)?;
    /// let frozen = ringkeep::FrozenVec::<u64>::open(&path)?;
    /// assert_eq!(frozen.iter().next_back().transpose()?, Some(8));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> FrozenIter<'_, T, C> {
        self.range(..)
    }

    /// The items in a range of indexes, from both ends.
    ///
    /// # Panics
    ///
    /// If the range ends behind the last item, or before it begins.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// ringkeep::SpillVec::try_from_iter(0..100_u64)?.persist(&path)?;
    /// let frozen = ringkeep::FrozenVec::<u64>::open(&path)?;
    /// let some: Result<Vec<u64>, _> = frozen.range(10..12).collect();
    /// assert_eq!(some?, [10, 11]);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn range(&self, indexes: impl RangeBounds<usize>) -> FrozenIter<'_, T, C> {
        let (begin, end) = bounds(&indexes, self.len());
        let walk = Walk::of_frames(&self.shared.frames, begin as u64..end as u64);
        FrozenIter { codec: &self.shared.codec, walk, items: PhantomData }
    }

    /// Reads and checks every frame, without making items of their bytes.
    ///
    /// # Errors
    ///
    /// `Damaged` with the first frame that is; `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// ringkeep::SpillVec::try_from_iter(0..100_u64)?.persist(&path)?;
    /// ringkeep::FrozenVec::<u64>::open(&path)?.verify()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self) -> Result<()> {
        let frames = &self.shared.frames;
        let mut reader = FrameReader::default();
        (0..frames.index.frames()).try_for_each(|frame| {
            reader.seek(frames, frames.index.place(frame).items.start, Ahead::Forward)
        })
    }
}

impl<T, C: Codec<T>> Clone for FrozenVec<T, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), items: PhantomData }
    }
}

impl<T, C: Codec<T>> fmt::Debug for FrozenVec<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.shared.frames.path;
        let mut out = f.debug_struct("FrozenVec");
        out.field("path", path).field("items", &self.len()).finish_non_exhaustive()
    }
}

impl<'a, T, C: Codec<T>> IntoIterator for &'a FrozenVec<T, C> {
    type Item = Result<T>;
    type IntoIter = FrozenIter<'a, T, C>;

    fn into_iter(self) -> FrozenIter<'a, T, C> {
        self.iter()
    }
}

/// Items of a [`FrozenVec`], from both ends. After an error there are no more.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("frozen");
/// ringkeep::SpillVec::try_from_iter([7_u64])?.persist(&path)?;
/// let frozen = ringkeep::FrozenVec::<u64>::open(&path)?;
/// let iter: ringkeep::FrozenIter<'_, u64, _> = frozen.iter();
/// assert_eq!(iter.len(), 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrozenIter<'a, T, C> {
    codec: &'a C,
    walk: Walk<'a>,
    items: PhantomData<fn() -> T>,
}

impl<T, C: Codec<T>> Iterator for FrozenIter<'_, T, C> {
    type Item = Result<T>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next(self.codec)
    }

    fn nth(&mut self, count: usize) -> Option<Self::Item> {
        self.walk.skip(count as u64);
        self.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.walk.len(), Some(self.walk.len()))
    }
}

impl<T, C: Codec<T>> DoubleEndedIterator for FrozenIter<'_, T, C> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.walk.next_back(self.codec)
    }
}

impl<T, C: Codec<T>> ExactSizeIterator for FrozenIter<'_, T, C> {}

impl<T, C: Codec<T>> FusedIterator for FrozenIter<'_, T, C> {}

impl<T, C: Codec<T>> fmt::Debug for FrozenIter<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrozenIter").field("items", &self.len()).finish_non_exhaustive()
    }
}

/// The frames of a file, with an index that agrees with it.
fn open(disk: &Disk, path: &Path, codec: &str, tag: &str) -> Result<Frames> {
    let file = disk.open(path, Access::Read).map_err(Error::io("open", path))?;
    let found_bytes = check_kind(&file, path)?;
    let header = read_header(&file, path)?;
    let expected_bytes = header.file_bytes().unwrap_or(u64::MAX);
    if found_bytes < expected_bytes {
        return Err(Error::Truncated { path: path.into(), found_bytes, expected_bytes });
    }
    if (&*header.codec, &*header.tag) != (codec, tag) {
        let of = |codec: &str, tag: &str| format!("items of codec {codec:?} and tag {tag:?}");
        let (found, expected) = (of(&header.codec, &header.tag), of(codec, tag));
        let (path, found, expected) = (path.into(), found.into(), expected.into());
        return Err(Error::CodecMismatch { path, found, expected });
    }
    let index = read_index(&file, path, &header)?;
    let (salt, compression) = (header.salt, header.compression);
    Ok(Frames { file: Arc::new(file), path: path.into(), salt, compression, index })
}

/// Its length, if it is a file that has one.
fn check_kind(file: &File, path: &Path) -> Result<u64> {
    let foreign = |found| Error::NotAFrozenVec { path: path.into(), found };
    match file.kind().map_err(Error::io("look at", path))? {
        FileKind::Regular => {}
        FileKind::Directory => return Err(foreign(Foreign::Directory)),
        FileKind::Special => return Err(foreign(Foreign::Special)),
    }
    let length = file.length().map_err(Error::io("look at", path))?;
    match length {
        0 => Err(foreign(Foreign::Empty)),
        short if short < HEADER_BYTES as u64 => Err(foreign(Foreign::File)),
        _ => Ok(length),
    }
}

fn read_header(file: &File, path: &Path) -> Result<FrozenHeader> {
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(&mut bytes, 0).map_err(Error::io("read", path))?;
    FrozenHeader::decode(&bytes).map_err(|why| match why {
        NotFrozen::Foreign => Error::NotAFrozenVec { path: path.into(), found: Foreign::File },
        NotFrozen::Newer(found) => {
            Error::NewerFormat { path: path.into(), found, supported: VERSION }
        }
        NotFrozen::UnknownCompression(found) => {
            Error::UnknownCompression { path: path.into(), found }
        }
        NotFrozen::Damaged(source) => Error::damaged(path, 0)(source),
    })
}

fn read_index(file: &File, path: &Path, header: &FrozenHeader) -> Result<Index> {
    let damaged = |field, value| {
        Error::damaged(path, header.index_offset)(Corruption::Field { field, value })
    };
    let mut index = Index::new(HEADER_BYTES as u64);
    let mut checksum = crc32fast::Hasher::new();
    let (mut offset, end) = (header.index_offset, header.file_bytes().unwrap_or(0));
    let mut piece = Vec::new();
    while offset < end {
        let length = INDEX_BYTES.min(end - offset);
        piece.resize(usize::try_from(length).unwrap_or(0), 0);
        file.read_at(&mut piece, offset).map_err(Error::io("read", path))?;
        checksum.update(&piece);
        for entry in piece.chunks_exact(ENTRY_BYTES) {
            let entry = std::array::from_fn(|at| entry[at]);
            let (items, bytes) =
                decode_entry(entry).map_err(Error::damaged(path, header.index_offset))?;
            if index.end_offset() + bytes > header.index_offset {
                return Err(damaged("bytes of a frame", bytes));
            }
            index.push(items, bytes);
        }
        offset += length;
    }
    let (found, expected) = (header.index_checksum, checksum.finalize());
    if found != expected {
        let source = Corruption::Checksum { found, expected };
        return Err(Error::damaged(path, header.index_offset)(source));
    }
    if index.end_offset() != header.index_offset || index.items() != header.items {
        return Err(damaged("items", header.items));
    }
    Ok(index)
}
