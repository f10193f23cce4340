//! Buckets whose keys and values have types.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Bound, RangeBounds},
    path::Path,
};

use super::{
    bucket::{Bucket, BucketRead, Entries, ReadBucket},
    key::OrderedKey,
    names::SCHEMAS,
    transactions::{ReadTx, WriteTx},
};
use crate::{
    disk::{codec::Codec, segment::check_name},
    error::{CodecError, Error, Result, StoreError},
};

/// What a bucket of typed keys and values is called, and how its values become bytes.
///
/// The name of the codec and the tag are stored with the bucket: it is opened with no others. A
/// new layout of the values wants a new tag.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// use ringkeep::{BucketSchema, Postcard, Store};
///
/// let readings: BucketSchema<(u32, u64), f64, _> =
///     BucketSchema::new("readings", Postcard).tag("celsius by sensor and second");
/// let store = Store::in_memory()?;
/// store.write(|tx| {
///     let mut bucket = tx.typed(&readings)?;
///     bucket.put(&(7, 1000), &21.5)?;
///     bucket.put(&(7, 1001), &21.6)?;
///     bucket.put(&(8, 1000), &3.0)
/// })?;
/// store.read(|tx| {
///     let bucket = tx.typed(&readings)?;
///     assert_eq!(bucket.get(&(7, 1001))?, Some(21.6));
///     let of_sensor: Result<Vec<_>, _> = bucket.range((7, 0)..(8, 0))?.collect();
///     assert_eq!(of_sensor?, [((7, 1000), 21.5), ((7, 1001), 21.6)]);
///     Ok(())
/// })?;
/// # }
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct BucketSchema<K, V, C> {
    name: Box<str>,
    tag: Box<str>,
    codec: C,
    types: PhantomData<fn(K) -> V>,
}

impl<K: OrderedKey, V, C: Codec<V>> BucketSchema<K, V, C> {
    /// A bucket of this name.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketSchema, Bytes};
    ///
    /// let pictures = BucketSchema::<u64, Vec<u8>, _>::new("pictures", Bytes);
    /// # let _ = pictures;
    /// ```
    pub fn new(name: &str, codec: C) -> Self {
        Self { name: name.into(), tag: "".into(), codec, types: PhantomData }
    }

    /// What the values are; at most 64 bytes, and no zero among them. Default: nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketSchema, Bytes};
    ///
    /// let pictures = BucketSchema::<u64, Vec<u8>, _>::new("pictures", Bytes).tag("jpeg");
    /// # let _ = pictures;
    /// ```
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = tag.into();
        self
    }

    /// The bucket's name.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketSchema, Bytes};
    ///
    /// let pictures = BucketSchema::<u64, Vec<u8>, _>::new("pictures", Bytes);
    /// assert_eq!(pictures.name(), "pictures");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Codec and tag, as they are stored.
    fn id(&self) -> Result<String> {
        check_name(self.codec.name())?;
        check_name(&self.tag)?;
        Ok(format!("{}\0{}", self.codec.name(), self.tag))
    }

    fn encode_value(&self, value: &V) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.codec.encoded_bytes(value).unwrap_or(0));
        self.codec.encode(value, &mut bytes).map_err(|source| {
            Error::from(StoreError::Encode { bucket: self.name.clone(), source })
        })?;
        Ok(bytes)
    }

    fn undecodable(&self, key: &[u8]) -> impl FnOnce(CodecError) -> Error {
        let (bucket, key) = (self.name.clone(), key.to_vec());
        move |source| StoreError::Decode { bucket, key, source }.into()
    }

    fn decode_value(&self, key: &[u8], value: &[u8]) -> Result<V> {
        self.codec.decode(value).map_err(self.undecodable(key))
    }

    fn mismatch(&self, path: &Path, found: &[u8]) -> Result<()> {
        let expected = self.id()?;
        if found == expected.as_bytes() {
            return Ok(());
        }
        let shown = |id: &str| id.trim_end_matches('\0').replace('\0', " ").into();
        Err(Error::CodecMismatch {
            path: path.into(),
            found: match found {
                [] => "a bucket without a schema".into(),
                id => shown(&String::from_utf8_lossy(id)),
            },
            expected: shown(&expected),
        })
    }
}

impl<K, V, C> fmt::Debug for BucketSchema<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("BucketSchema");
        debug.field("name", &self.name).field("tag", &self.tag).finish_non_exhaustive()
    }
}

pub(super) fn key_bytes(key: &impl OrderedKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode_key(&mut bytes);
    bytes
}

impl ReadTx {
    /// A typed bucket; an empty one if there is none of this name.
    ///
    /// # Errors
    ///
    /// `CodecMismatch`: it was written with another codec or tag, or without any. `InvalidTag`, and
    /// what [`bucket`](Self::bucket) says.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketSchema, Bytes, Store};
    ///
    /// let pictures = BucketSchema::<u64, Vec<u8>, _>::new("pictures", Bytes);
    /// let tx = Store::in_memory()?.begin_read()?;
    /// assert_eq!(tx.typed(&pictures)?.get(&7)?, None);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn typed<'tx, K, V, C>(
        &'tx self,
        schema: &'tx BucketSchema<K, V, C>,
    ) -> Result<TypedBucket<'tx, ReadBucket<'tx>, K, V, C>>
    where
        K: OrderedKey,
        C: Codec<V>,
    {
        let bucket = self.bucket(&schema.name)?;
        if bucket.table.is_some() {
            let schemas = self.table(SCHEMAS)?;
            let found = schemas.get(schema.name())?;
            let unnamed = found.is_none() && bucket.is_empty()?;
            if !unnamed {
                schema.mismatch(bucket.path, found.as_deref().unwrap_or(b""))?;
            }
        }
        Ok(TypedBucket { bucket, schema })
    }
}

impl WriteTx {
    /// A typed bucket to read from and write to; it is made if there is none of this name.
    ///
    /// # Errors
    ///
    /// As [`ReadTx::typed`] and [`bucket`](Self::bucket).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketSchema, Bytes, Error, Store};
    ///
    /// let schema = |tag| BucketSchema::<u64, Vec<u8>, _>::new("pictures", Bytes).tag(tag);
    /// let store = Store::in_memory()?;
    /// store.write(|tx| tx.typed(&schema("jpeg"))?.put(&7, &vec![0xFF, 0xD8]))?;
    /// let refused = store.write(|tx| tx.typed(&schema("png"))?.put(&8, &vec![0x89]));
    /// assert!(matches!(refused, Err(Error::CodecMismatch { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn typed<'tx, K, V, C>(
        &'tx self,
        schema: &'tx BucketSchema<K, V, C>,
    ) -> Result<TypedBucket<'tx, Bucket<'tx>, K, V, C>>
    where
        K: OrderedKey,
        C: Codec<V>,
    {
        let id = schema.id()?;
        let bucket = self.bucket(&schema.name)?;
        let _alone = self.shared().schemas.lock();
        let mut schemas = self.table(SCHEMAS)?;
        let found = schemas.get(schema.name())?.map(|found| found.to_vec());
        if found.is_none() && bucket.is_empty()? {
            schemas.put(schema.name(), id)?;
        } else {
            schema.mismatch(bucket.path, &found.unwrap_or_default())?;
        }
        drop(schemas);
        Ok(TypedBucket { bucket, schema })
    }

    /// A bucket that is made again may have another schema.
    pub(super) fn forget_schema(&self, bucket: &str) -> Result<()> {
        let _alone = self.shared().schemas.lock();
        self.table(SCHEMAS)?.remove(bucket).map(drop)
    }
}

/// A bucket of typed keys and values: over a [`ReadBucket`] it reads, over a [`Bucket`] it writes
/// too.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketSchema, Bytes, Store};
///
/// let pictures = BucketSchema::<u64, Vec<u8>, _>::new("pictures", Bytes);
/// let store = Store::in_memory()?;
/// store.write(|tx| {
///     let mut bucket = tx.typed(&pictures)?;
///     bucket.put(&7, &vec![1, 2, 3])?;
///     assert_eq!(bucket.len()?, 1);
///     assert!(bucket.remove(&7)?);
///     Ok(())
/// })?;
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct TypedBucket<'tx, B, K, V, C> {
    bucket: B,
    schema: &'tx BucketSchema<K, V, C>,
}

impl<B: BucketRead, K: OrderedKey, V, C: Codec<V>> TypedBucket<'_, B, K, V, C> {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`Decode`](StoreError::Decode), and what [`BucketRead::get`] says.
    ///
    /// # Examples
    ///
    /// See [`TypedBucket`].
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        let key = key_bytes(key);
        let value = self.bucket.get(&key)?;
        value.map(|value| self.schema.decode_value(&key, &value)).transpose()
    }

    /// How many keys there are.
    ///
    /// # Errors
    ///
    /// As [`BucketRead::len`].
    ///
    /// # Examples
    ///
    /// See [`TypedBucket`].
    pub fn len(&self) -> Result<u64> {
        self.bucket.len()
    }

    /// Whether there is no key.
    ///
    /// # Errors
    ///
    /// As [`BucketRead::is_empty`].
    ///
    /// # Examples
    ///
    /// See [`TypedBucket`].
    pub fn is_empty(&self) -> Result<bool> {
        self.bucket.is_empty()
    }

    /// All entries, from either end.
    ///
    /// # Errors
    ///
    /// As [`BucketRead::iter`].
    ///
    /// # Examples
    ///
    /// See [`BucketSchema`].
    #[expect(clippy::iter_not_returning_iterator, reason = "a damaged file is told first")]
    pub fn iter(&self) -> Result<TypedEntries<'_, K, V, C>> {
        Ok(TypedEntries { entries: self.bucket.iter()?, schema: self.schema })
    }

    /// The entries whose keys are within these bounds, from either end.
    ///
    /// # Errors
    ///
    /// As [`BucketRead::range`].
    ///
    /// # Examples
    ///
    /// See [`BucketSchema`].
    pub fn range(&self, bounds: impl RangeBounds<K>) -> Result<TypedEntries<'_, K, V, C>> {
        let bytes = |bound: Bound<&K>| bound.map(key_bytes);
        let range = (bytes(bounds.start_bound()), bytes(bounds.end_bound()));
        Ok(TypedEntries { entries: self.bucket.range(range)?, schema: self.schema })
    }

    /// The bucket as it is stored.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, BucketSchema, Bytes, Store};
    ///
    /// let pictures = BucketSchema::<u64, Vec<u8>, _>::new("pictures", Bytes);
    /// let tx = Store::in_memory()?.begin_read()?;
    /// assert!(tx.typed(&pictures)?.as_bytes().is_empty()?);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &B {
        &self.bucket
    }
}

impl<K: OrderedKey, V, C: Codec<V>> TypedBucket<'_, Bucket<'_>, K, V, C> {
    /// Stores a value under a key, in place of the one that it has.
    ///
    /// # Errors
    ///
    /// [`Encode`](StoreError::Encode): nothing was stored; and what [`Bucket::put`] says.
    ///
    /// # Examples
    ///
    /// See [`TypedBucket`].
    pub fn put(&mut self, key: &K, value: &V) -> Result<()> {
        let value = self.schema.encode_value(value)?;
        self.bucket.put(key_bytes(key), value)
    }

    /// Removes a key and its value; whether it was there.
    ///
    /// # Errors
    ///
    /// As [`Bucket::remove`].
    ///
    /// # Examples
    ///
    /// See [`TypedBucket`].
    pub fn remove(&mut self, key: &K) -> Result<bool> {
        self.bucket.remove(key_bytes(key))
    }
}

impl<B: fmt::Debug, K, V, C> fmt::Debug for TypedBucket<'_, B, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bucket, schema) = (&self.bucket, &self.schema);
        f.debug_struct("TypedBucket").field("bucket", bucket).field("schema", schema).finish()
    }
}

/// Typed entries in the order of their keys.
///
/// An entry that cannot be decoded is an error, and the next ones follow.
///
/// # Examples
///
/// See [`BucketSchema`].
pub struct TypedEntries<'a, K, V, C> {
    entries: Entries<'a>,
    schema: &'a BucketSchema<K, V, C>,
}

impl<K: OrderedKey, V, C: Codec<V>> TypedEntries<'_, K, V, C> {
    fn typed(
        schema: &BucketSchema<K, V, C>,
        entry: <Entries<'_> as Iterator>::Item,
    ) -> Result<(K, V)> {
        let (key, value) = entry?;
        let value = schema.decode_value(&key, &value)?;
        Ok((K::decode_key(&key).map_err(schema.undecodable(&key))?, value))
    }
}

impl<K: OrderedKey, V, C: Codec<V>> Iterator for TypedEntries<'_, K, V, C> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|entry| Self::typed(self.schema, entry))
    }
}

impl<K: OrderedKey, V, C: Codec<V>> DoubleEndedIterator for TypedEntries<'_, K, V, C> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries.next_back().map(|entry| Self::typed(self.schema, entry))
    }
}

impl<K, V, C> fmt::Debug for TypedEntries<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedEntries").field("schema", &self.schema).finish_non_exhaustive()
    }
}
