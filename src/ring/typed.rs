//! Records as values of one Rust type, for types that are their own bytes.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Range, RangeBounds},
    path::Path,
    time::SystemTime,
};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    options::RingOptions,
    producer::{CloseError, Producer},
    range::RangeCursor,
    read::Read,
    reader::Ring,
    schema::Schema,
};
use crate::error::{Error, Result};

/// A type whose bytes are a record: without padding, and any bytes are a value of it.
///
/// The traits come from the crate [zerocopy](https://docs.rs/zerocopy), which derives them and
/// refuses types that do not fit. Its little-endian types (`zerocopy::little_endian::F32` and so
/// on) need no alignment, so that fields can stand in any order, and are what [`TypedRing::view`]
/// needs.
///
/// # Examples
///
/// ```
/// use ringkeep::TypedRecord;
/// use zerocopy::little_endian::{F32, I64, U16};
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};
///
/// #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
/// #[repr(C)]
/// struct Sample {
///     t: I64,
///     temp: F32,
///     rpm: U16,
/// }
///
/// impl TypedRecord for Sample {
///     const SCHEMA: Option<&'static str> = Some("t:time_ns, temp:f32[C], rpm:u16");
/// }
/// ```
pub trait TypedRecord: FromBytes + IntoBytes + KnownLayout + Immutable {
    /// Its fields as the text of a [`Schema`]. Default: none, then only its size is checked.
    const SCHEMA: Option<&'static str> = None;
}

/// A reader that gives values of `T`. A [`Ring`] whose record size and columns were checked.
///
/// # Examples
///
/// ```
/// # use ringkeep::{RingOptions, TypedRecord};
/// use ringkeep::{Read, TypedProducer, TypedRing};
/// use zerocopy::little_endian::{F32, I64};
/// # use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};
/// # #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
/// # #[repr(C)]
/// # struct Sample { t: I64, temp: F32 }
/// # impl TypedRecord for Sample {
/// #     const SCHEMA: Option<&'static str> = Some("t:time_ns, temp:f32[C]");
/// # }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// let producer = RingOptions::of_type::<Sample>(1000).create(&path)?;
/// let mut producer = TypedProducer::of(producer)?;
/// let id = producer.append(&Sample { t: I64::new(0), temp: F32::new(21.5) })?;
///
/// let ring = TypedRing::<Sample>::open(&path)?;
/// assert_eq!(ring.read(id)?.record()?.temp.get(), 21.5);
/// assert_eq!(ring.view(id, |sample| sample.temp.get())?, Read::Record(21.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedRing<T> {
    ring: Ring,
    record: PhantomData<fn() -> T>,
}

impl<T: TypedRecord> TypedRing<T> {
    /// Opens an archive for reading and checks its columns.
    ///
    /// # Errors
    ///
    /// As [`Ring::open`] and [`TypedRing::of`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl ringkeep::TypedRecord for Byte {}
    /// assert!(ringkeep::TypedRing::<Byte>::open("/nonexistent").is_err());
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::of(Ring::open(path)?)
    }

    /// Takes a reader whose records are values of `T`.
    ///
    /// # Errors
    ///
    /// [`Error::TypeSize`] if they have another size; [`Error::SchemaMismatch`], with the fields in
    /// two columns, if both sides have a schema and the two differ; [`Error::InvalidSchema`] or
    /// [`Error::SchemaSize`] if the schema of `T` is none of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl ringkeep::TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// let producer = ringkeep::RingOptions::new(2, 9).create(directory.path().join("x"))?;
    /// let refused = ringkeep::TypedRing::<Byte>::of(producer.ring());
    /// assert!(matches!(refused, Err(ringkeep::Error::TypeSize { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(ring: Ring) -> Result<Self> {
        let (record_size, type_bytes) = (ring.geometry().record_size, size_of::<T>());
        if record_size != type_bytes {
            let path = ring.path().into();
            return Err(Error::TypeSize { path, record_size, type_bytes });
        }
        if let (Some(expected), Some(found)) = (T::SCHEMA, ring.schema_text()) {
            let columns = Schema::of_records(expected, type_bytes)?;
            if ring.archive().schema != Some(columns) {
                let (path, found, expected) = (ring.path().into(), found.into(), expected.into());
                return Err(Error::SchemaMismatch { path, found, expected });
            }
        }
        Ok(Self { ring, record: PhantomData })
    }

    /// Reads a record by value.
    ///
    /// # Errors
    ///
    /// As [`Ring::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// let id = producer.append(&Byte(7))?;
    /// assert_eq!(producer.ring().read(id)?.record()?, Byte(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, id: u64) -> Result<Read<T>> {
        let mut value = T::new_zeroed();
        let read = self.ring.read_into(id, value.as_mut_bytes())?;
        Ok(read.map(|()| value))
    }

    /// Looks at a record, without a copy in the producer's process; see [`Ring::view`].
    ///
    /// # Errors
    ///
    /// As [`Ring::view`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// let id = producer.append(&Byte(7))?;
    /// assert_eq!(producer.ring().view(id, |byte| byte.0)?.record()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn view<R>(&self, id: u64, look: impl FnOnce(&T) -> R) -> Result<Read<R>>
    where
        T: Unaligned,
    {
        self.ring.view(id, |payload| match T::ref_from_bytes(payload) {
            Ok(value) => look(value),
            Err(_) => unreachable!("the size was checked, and any address will do"),
        })
    }

    /// The values under these ids, oldest first, and what became of those that are none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// producer.append_batch(&[Byte(1), Byte(2), Byte(3)])?;
    /// let mut sum = 0;
    /// for found in producer.ring().range(0..3) {
    ///     let (_, read) = found?;
    ///     sum += read.record()?.0;
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn range(&self, ids: Range<u64>) -> TypedRecords<T> {
        TypedRecords { cursor: self.ring.range(ids), record: PhantomData }
    }

    /// The values with a time in `times`; see [`Ring::range_by_time`].
    ///
    /// # Errors
    ///
    /// As [`Ring::range_by_time`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[repr(transparent)]
    /// # struct Tick(zerocopy::little_endian::I64);
    /// # impl TypedRecord for Tick { const SCHEMA: Option<&'static str> = Some("t:time_s"); }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Tick>(9).create(&path)?;
    /// # let mut producer = ringkeep::TypedProducer::of(producer)?;
    /// # producer.append(&Tick(5.into()))?;
    /// let since = std::time::UNIX_EPOCH;
    /// assert_eq!(producer.ring().range_by_time(since..)?.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn range_by_time(&self, times: impl RangeBounds<SystemTime>) -> Result<TypedRecords<T>> {
        Ok(TypedRecords { cursor: self.ring.range_by_time(times)?, record: PhantomData })
    }

    /// The reader of bytes, for everything else. A tailer's payload becomes a value by
    /// `T::read_from_bytes`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// let next = producer.ring().ring().next_id()?;
    /// assert_eq!(next, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }
}

/// Iterates over ids and their values. Made by [`TypedRing::range`] and
/// [`TypedRing::range_by_time`].
///
/// # Examples
///
/// ```
/// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes)]
/// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
/// # #[repr(transparent)]
/// # struct Byte(u8);
/// # impl ringkeep::TypedRecord for Byte {}
/// # let directory = tempfile::tempdir()?;
/// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
/// let ring = ringkeep::TypedRing::<Byte>::of(producer.ring())?;
/// assert_eq!(ring.range(0..0).count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedRecords<T> {
    cursor: RangeCursor,
    record: PhantomData<fn() -> T>,
}

impl<T: TypedRecord> Iterator for TypedRecords<T> {
    type Item = Result<(u64, Read<T>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = |payload: &[u8]| match T::read_from_bytes(payload) {
            Ok(value) => value,
            Err(_) => unreachable!("the size was checked"),
        };
        let found = self.cursor.next().transpose()?;
        Some(found.map(|(id, read)| (id, read.map(value))))
    }
}

/// A producer that takes values of `T`. A [`Producer`] whose record size and columns were checked.
///
/// # Examples
///
/// ```
/// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
/// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes)]
/// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
/// # #[repr(transparent)]
/// # struct Byte(u8);
/// # impl TypedRecord for Byte {}
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
/// let mut producer = TypedProducer::<Byte>::of(producer)?;
/// producer.append(&Byte(7))?;
/// producer.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedProducer<T> {
    producer: Producer,
    ring: TypedRing<T>,
}

impl<T: TypedRecord> TypedProducer<T> {
    /// Takes a producer whose records are values of `T`.
    ///
    /// # Errors
    ///
    /// As [`TypedRing::of`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl ringkeep::TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// let mut producer = ringkeep::TypedProducer::of(producer)?;
    /// producer.append(&Byte(7))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(producer: Producer) -> Result<Self> {
        let ring = TypedRing::of(producer.ring())?;
        Ok(Self { producer, ring })
    }

    /// Appends a value and returns its id; see [`Producer::append`].
    ///
    /// # Errors
    ///
    /// As [`Producer::append`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// let id = producer.append(&Byte(7))?;
    /// assert_eq!(producer.ring().read(id)?.record()?, Byte(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(&mut self, value: &T) -> Result<u64> {
        self.producer.append(value.as_bytes())
    }

    /// Appends values and returns their ids; see [`Producer::append_batch`].
    ///
    /// # Errors
    ///
    /// As [`Producer::append_batch`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// assert_eq!(producer.append_batch(&[Byte(7), Byte(8)])?, 0..2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_batch(&mut self, values: &[T]) -> Result<Range<u64>> {
        self.producer.append_batch(values.as_bytes())
    }

    /// Writes another value under an id that is kept; see [`Producer::update`].
    ///
    /// # Errors
    ///
    /// As [`Producer::update`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// let id = producer.append(&Byte(7))?;
    /// producer.update(id, &Byte(8))?;
    /// assert_eq!(producer.ring().read(id)?.record()?, Byte(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&mut self, id: u64, value: &T) -> Result<()> {
        self.producer.update(id, value.as_bytes())
    }

    /// A reader in this process.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// let reader = producer.ring().clone();
    /// let id = producer.append(&Byte(7))?;
    /// assert_eq!(reader.read(id)?.record()?, Byte(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ring(&self) -> &TypedRing<T> {
        &self.ring
    }

    /// The producer of bytes, for everything else: `append_durable`, `append_at`, `delete`, ..
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// producer.append(&Byte(7))?;
    /// producer.producer().flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&mut self) -> &mut Producer {
        &mut self.producer
    }

    /// Syncs and closes the archive; see [`Producer::close`].
    ///
    /// # Errors
    ///
    /// As [`Producer::close`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let producer = RingOptions::of_type::<Byte>(9).create(&path)?;
    /// # let mut producer = TypedProducer::<Byte>::of(producer)?;
    /// producer.append(&Byte(7))?;
    /// producer.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(self) -> Result<(), CloseError> {
        self.producer.close()
    }
}

impl RingOptions {
    /// A ring that keeps the last `capacity` values of `T`, with the schema of `T` if it has one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{RingOptions, TypedProducer, TypedRecord};
    /// # #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, PartialEq, Debug)]
    /// # #[derive(zerocopy::KnownLayout, zerocopy::Immutable)]
    /// # #[derive(zerocopy::Unaligned)]
    /// # #[repr(transparent)]
    /// # struct Byte(u8);
    /// # impl TypedRecord for Byte {}
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// let producer = RingOptions::of_type::<Byte>(1000).create(&path)?;
    /// assert_eq!(producer.ring().geometry().record_size, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of_type<T: TypedRecord>(capacity: u64) -> Self {
        let options = Self::new(size_of::<T>(), capacity);
        match T::SCHEMA {
            Some(schema) => options.schema(schema),
            None => options,
        }
    }
}

impl<T> Clone for TypedRing<T> {
    fn clone(&self) -> Self {
        Self { ring: self.ring.clone(), record: PhantomData }
    }
}

impl<T> fmt::Debug for TypedRing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedRing").field("ring", &self.ring).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for TypedRecords<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedRecords").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for TypedProducer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedProducer").field("producer", &self.producer).finish_non_exhaustive()
    }
}
