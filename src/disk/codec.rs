//! Codecs: how items become bytes, and bytes items.

use crate::error::CodecError;

/// Makes bytes of items, and items of bytes.
///
/// Its name is stored with the items: what was written by one codec is not read by another. It is
/// called while a queue holds locks: it must not use the queue that it belongs to.
///
/// # Examples
///
/// ```
/// use ringkeep::{Codec, CodecError};
///
/// /// A frame of video: when it was taken, and its picture.
/// struct Frame {
///     time_us: u64,
///     picture: Vec<u8>,
/// }
///
/// struct Frames;
///
/// impl Codec<Frame> for Frames {
///     fn name(&self) -> &'static str {
///         "frames"
///     }
///     fn encode(&self, item: &Frame, out: &mut Vec<u8>) -> Result<(), CodecError> {
///         out.extend_from_slice(&item.time_us.to_le_bytes());
///         out.extend_from_slice(&item.picture);
///         Ok(())
///     }
///     fn decode(&self, bytes: &[u8]) -> Result<Frame, CodecError> {
///         let (time, picture) = bytes.split_first_chunk().ok_or("less than 8 bytes")?;
///         Ok(Frame { time_us: u64::from_le_bytes(*time), picture: picture.to_vec() })
///     }
///     fn encoded_bytes(&self, item: &Frame) -> Option<usize> {
///         Some(8 + item.picture.len())
///     }
/// }
///
/// let mut bytes = Vec::new();
/// Frames.encode(&Frame { time_us: 7, picture: vec![1, 2] }, &mut bytes)?;
/// assert_eq!(Frames.decode(&bytes)?.picture, [1, 2]);
/// # Ok::<(), CodecError>(())
/// ```
pub trait Codec<T>: Send + Sync + 'static {
    /// Stored with the items; at most 64 bytes of it count.
    fn name(&self) -> &'static str;

    /// Appends the bytes of an item to `out`.
    ///
    /// # Errors
    ///
    /// What cannot be stored; the item stays with the caller.
    fn encode(&self, item: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The item that these bytes were made of.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError>;

    /// How many bytes `encode` would append, if that can be told without doing it. Default: `None`,
    /// and the item is encoded to find out.
    fn encoded_bytes(&self, item: &T) -> Option<usize> {
        let _ = item;
        None
    }
}

/// Items that are bytes already.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Bytes).open(directory.path())?;
/// queue.push(b"any bytes".to_vec())?;
/// assert_eq!(queue.pop()?, b"any bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes;

impl Codec<Vec<u8>> for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn encode(&self, item: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(item);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }

    fn encoded_bytes(&self, item: &Vec<u8>) -> Option<usize> {
        Some(item.len())
    }
}

/// Items of any type that serde knows, in the compact format of the `postcard` crate: the feature
/// `postcard` brings it.
///
/// The format has no names and no types in it: name what the items are with
/// [`QueueOptions::tag`](crate::QueueOptions::tag), and change that name with their type.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// use ringkeep::{Postcard, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Postcard).tag("job 1").open(directory.path())?;
/// queue.push((7_u32, String::from("seven")))?;
/// assert_eq!(queue.pop()?, (7, String::from("seven")));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Postcard;

#[cfg(feature = "postcard")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Postcard {
    fn name(&self) -> &'static str {
        "postcard"
    }

    fn encode(&self, item: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        // Taken out, because that is how it is given back.
        *out = postcard::to_extend(item, std::mem::take(out))?;
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        Ok(postcard::from_bytes(bytes)?)
    }
}

/// Items of any type that serde knows, each as a line of JSON: to look at what is on the disk with
/// `strings` or a pager while one searches for a mistake. The feature `json` brings it.
///
/// It takes more time and disk than [`Postcard`] does, and what is compressed is not to be read by
/// eye. Not all values come back: JSON has no NaN and no infinities, so it has `null` in their
/// place, which a float cannot be decoded from, and which an `Option` takes for `None`. A map whose
/// keys are neither text nor numbers cannot be encoded.
///
/// # Examples
///
/// ```
/// use ringkeep::{JsonLines, SpillVecOptions};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("frozen");
/// let options = SpillVecOptions::new(JsonLines);
/// let mut vec = options.build()?;
/// vec.push((7_u32, String::from("seven")))?;
/// vec.persist(&path)?;
/// let file = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
/// assert!(file.contains("[7,\"seven\"]\n"));
/// assert_eq!(options.open_frozen(&path)?.get(0)?, Some((7_u32, String::from("seven"))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "json")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonLines;

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for JsonLines {
    fn name(&self) -> &'static str {
        "json lines"
    }

    fn encode(&self, item: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        serde_json::to_writer(&mut *out, item)?;
        out.push(b'\n');
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
