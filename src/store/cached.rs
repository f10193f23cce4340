//! Objects in memory over a bucket: read once, changed at will, written together.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    fmt,
    hash::Hash,
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    Store,
    key::OrderedKey,
    typed::{BucketSchema, key_bytes},
};
use crate::{
    disk::{codec::Codec, mem_size::MemSize},
    error::{Error, Result},
};

/// What a map takes for an entry beside the key and the slot, about.
const ENTRY_BYTES: usize = 32;

/// Objects over a typed bucket that are kept decoded in memory: what is put there is written
/// later, all of it in one transaction.
///
/// [`flush`](Self::flush) writes what was changed; so does a change that finds half of the bound
/// taken by what was not written yet, and a drop. What was not flushed ends with the process. What
/// is in memory stays below the bound: clean objects that were not used for the longest time go.
/// The bucket belongs to this cache: changes that others make to it are not seen.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// use ringkeep::{BucketSchema, Cached, Postcard, Store};
///
/// let store = Store::in_memory()?;
/// let positions: Cached<String, u64, _> =
///     Cached::new(&store, BucketSchema::new("positions", Postcard), 1 << 20);
/// for record in 0..1000 {
///     positions.put(&"follower".into(), record)?;
/// }
/// assert_eq!(positions.get(&"follower".into())?.as_deref(), Some(&999));
/// assert_eq!(positions.flush()?, 1);
/// # }
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct Cached<K, V, C>
where
    K: OrderedKey + Hash + Eq + Clone + MemSize,
    V: MemSize,
    C: Codec<V>,
{
    store: Store,
    schema: BucketSchema<K, V, C>,
    bytes_max: usize,
    state: Mutex<State<K, V>>,
    /// Held while changes are written: one flush at a time.
    flushing: Mutex<()>,
}

struct State<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// Each key once: a clock goes round them and lets go of those that nobody has used since.
    clock: VecDeque<K>,
    bytes: usize,
    dirty_bytes: usize,
    /// Of the last change.
    version: u64,
    hits: u64,
    misses: u64,
    flushes: u64,
}

struct Slot<V> {
    /// `None`: there is no such key.
    value: Option<Arc<V>>,
    bytes: usize,
    /// Which change made it, if that was not written yet.
    dirty: Option<u64>,
    is_used: bool,
}

/// What a cache holds, and how well it does.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketSchema, Bytes, Cached, Store};
///
/// let store = Store::in_memory()?;
/// let cache = Cached::<u64, Vec<u8>, _>::new(&store, BucketSchema::new("b", Bytes), 1 << 20);
/// cache.put(&7, vec![1, 2, 3])?;
/// cache.get(&7)?;
/// let stats = cache.stats();
/// assert_eq!((stats.objects, stats.hits, stats.misses), (1, 1, 0));
/// assert_eq!(stats.bytes, stats.dirty_bytes);
/// # Ok::<(), ringkeep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedStats {
    /// Objects in memory; keys that are known to be missing count too.
    pub objects: usize,
    /// Bytes that they take, about.
    pub bytes: usize,
    /// Those of them that were not written yet.
    pub dirty_bytes: usize,
    /// Reads that found their object in memory.
    pub hits: u64,
    /// Reads that asked the store.
    pub misses: u64,
    /// Transactions that wrote.
    pub flushes: u64,
}

impl<K, V, C> Cached<K, V, C>
where
    K: OrderedKey + Hash + Eq + Clone + MemSize,
    V: MemSize,
    C: Codec<V>,
{
    /// A cache of so many bytes over this bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketSchema, Bytes, Cached, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let cache = Cached::<u64, Vec<u8>, _>::new(&store, BucketSchema::new("b", Bytes), 1 << 20);
    /// assert_eq!(cache.get(&7)?, None);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn new(store: &Store, schema: BucketSchema<K, V, C>, bytes_max: usize) -> Self {
        Self {
            store: store.clone(),
            schema,
            bytes_max,
            state: Mutex::new(State::new()),
            flushing: Mutex::new(()),
        }
    }

    /// The object of a key.
    ///
    /// # Errors
    ///
    /// Where it is not in memory, what [`TypedBucket::get`](crate::TypedBucket::get) says.
    ///
    /// # Examples
    ///
    /// See [`Cached`].
    pub fn get(&self, key: &K) -> Result<Option<Arc<V>>> {
        let version = {
            let mut state = self.state.lock();
            if let Some(value) = state.find(key) {
                return Ok(value);
            }
            state.version
        };
        let value = self.store.read(|tx| tx.typed(&self.schema)?.get(key))?.map(Arc::new);
        let bytes = bytes_of(key, value.as_deref());
        let mut state = self.state.lock();
        // What was read may be older than what somebody has put, and written, meanwhile.
        if state.version == version && bytes <= self.bytes_max {
            state.keep(key, Slot { value: value.clone(), bytes, dirty: None, is_used: true });
            state.evict(self.bytes_max);
        }
        Ok(value)
    }

    /// Puts an object in memory, to be written by the next flush.
    ///
    /// # Errors
    ///
    /// `TooLarge`: it takes more than half of the bound. Where a flush must make room first, what
    /// that says. The object is not taken then.
    ///
    /// # Examples
    ///
    /// See [`Cached`].
    pub fn put(&self, key: &K, value: impl Into<Arc<V>>) -> Result<()> {
        self.change(key, Some(value.into()))
    }

    /// Removes a key, in memory, to be removed from the store by the next flush.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, BucketSchema, Bytes, Cached, Store};
    ///
    /// let store = Store::in_memory()?;
    /// store.write(|tx| tx.typed(&BucketSchema::new("b", Bytes))?.put(&7_u64, &vec![1]))?;
    /// let cache = Cached::<u64, Vec<u8>, _>::new(&store, BucketSchema::new("b", Bytes), 1 << 20);
    /// cache.remove(&7)?;
    /// assert_eq!(cache.get(&7)?, None);
    /// cache.flush()?;
    /// assert!(store.read(|tx| tx.bucket("b")?.is_empty())?);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn remove(&self, key: &K) -> Result<()> {
        self.change(key, None)
    }

    fn change(&self, key: &K, value: Option<Arc<V>>) -> Result<()> {
        let bytes = bytes_of(key, value.as_deref());
        let dirty_max = self.bytes_max / 2;
        if bytes > dirty_max {
            return Err(Error::TooLarge { found: bytes as u64, max: dirty_max as u64 });
        }
        let mut state = self.state.lock();
        while state.dirty_bytes + bytes > dirty_max {
            drop(state);
            self.flush()?;
            state = self.state.lock();
        }
        state.version += 1;
        let dirty = Some(state.version);
        state.keep(key, Slot { value, bytes, dirty, is_used: true });
        state.evict(self.bytes_max);
        Ok(())
    }

    /// Writes all changes in one transaction; how many keys were changed. It is durable when the
    /// store's [`SyncPolicy`](crate::SyncPolicy) says so.
    ///
    /// # Errors
    ///
    /// What [`Store::write`] says, and [`Encode`](crate::StoreError::Encode): all changes are still
    /// to be written then.
    ///
    /// # Examples
    ///
    /// See [`Cached`].
    pub fn flush(&self) -> Result<u64> {
        let _one = self.flushing.lock();
        let mut changes = self.state.lock().changes();
        if changes.is_empty() {
            return Ok(0);
        }
        changes.sort_by_cached_key(|(key, ..)| key_bytes(key));
        self.store.write(|tx| {
            let mut bucket = tx.typed(&self.schema)?;
            for (key, value, _version) in &changes {
                match value {
                    Some(value) => bucket.put(key, value)?,
                    None => drop(bucket.remove(key)?),
                }
            }
            Ok(())
        })?;
        let mut state = self.state.lock();
        state.flushes += 1;
        for (key, _value, version) in &changes {
            state.written(key, *version);
        }
        state.evict(self.bytes_max);
        Ok(changes.len() as u64)
    }

    /// What the cache holds, and how well it does.
    ///
    /// # Examples
    ///
    /// See [`CachedStats`].
    #[must_use]
    pub fn stats(&self) -> CachedStats {
        let state = self.state.lock();
        CachedStats {
            objects: state.slots.len(),
            bytes: state.bytes,
            dirty_bytes: state.dirty_bytes,
            hits: state.hits,
            misses: state.misses,
            flushes: state.flushes,
        }
    }
}

/// Key, object and number of each change.
type Changes<K, V> = Vec<(K, Option<Arc<V>>, u64)>;

impl<K: Hash + Eq + Clone, V> State<K, V> {
    fn new() -> Self {
        Self {
            slots: HashMap::new(),
            clock: VecDeque::new(),
            bytes: 0,
            dirty_bytes: 0,
            version: 0,
            hits: 0,
            misses: 0,
            flushes: 0,
        }
    }

    /// What is known of a key; `None` if nothing is.
    #[expect(clippy::option_option, reason = "a key that is known to be missing is known")]
    fn find(&mut self, key: &K) -> Option<Option<Arc<V>>> {
        let Some(slot) = self.slots.get_mut(key) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        slot.is_used = true;
        Some(slot.value.clone())
    }

    fn keep(&mut self, key: &K, slot: Slot<V>) {
        self.bytes += slot.bytes;
        self.dirty_bytes += slot.dirty.map_or(0, |_| slot.bytes);
        match self.slots.entry(key.clone()) {
            Entry::Occupied(mut occupied) => {
                let before = occupied.insert(slot);
                self.bytes -= before.bytes;
                self.dirty_bytes -= before.dirty.map_or(0, |_| before.bytes);
            }
            Entry::Vacant(vacant) => {
                vacant.insert(slot);
                self.clock.push_back(key.clone());
            }
        }
    }

    fn changes(&self) -> Changes<K, V> {
        let dirty = self.slots.iter().filter_map(|(key, slot)| {
            slot.dirty.map(|version| (key.clone(), slot.value.clone(), version))
        });
        dirty.collect()
    }

    /// This change was written; a later one of the same key was not.
    fn written(&mut self, key: &K, version: u64) {
        if let Some(slot) = self.slots.get_mut(key)
            && slot.dirty == Some(version)
        {
            slot.dirty = None;
            self.dirty_bytes -= slot.bytes;
        }
    }

    /// Lets go of clean objects until the rest is within the bound.
    fn evict(&mut self, bytes_max: usize) {
        // Twice around: the first time takes away the marks of those that were used.
        for _ in 0..2 * self.clock.len() {
            if self.bytes <= bytes_max {
                return;
            }
            let Some(key) = self.clock.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            if slot.dirty.is_some() || std::mem::take(&mut slot.is_used) {
                self.clock.push_back(key);
            } else {
                self.bytes -= slot.bytes;
                self.slots.remove(&key);
            }
        }
    }
}

/// What an object takes in memory, with its key in the map and in the clock.
fn bytes_of<K: MemSize, V: MemSize>(key: &K, value: Option<&V>) -> usize {
    let key_bytes = 2 * (size_of::<K>() + key.heap_bytes());
    let value_bytes = value.map_or(0, |value| size_of::<V>() + value.heap_bytes());
    key_bytes + value_bytes + size_of::<Slot<V>>() + ENTRY_BYTES
}

impl<K, V, C> Drop for Cached<K, V, C>
where
    K: OrderedKey + Hash + Eq + Clone + MemSize,
    V: MemSize,
    C: Codec<V>,
{
    fn drop(&mut self) {
        // Whoever wants to know calls `flush` before.
        let _ = self.flush();
    }
}

impl<K, V, C> fmt::Debug for Cached<K, V, C>
where
    K: OrderedKey + Hash + Eq + Clone + MemSize,
    V: MemSize,
    C: Codec<V>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
