//! What a vector tells about itself.

/// A [`SpillVec`](crate::SpillVec) at one moment.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// let mut vec = ringkeep::SpillVec::try_from_iter([1_u64, 2, 3])?;
/// assert_eq!((vec.stats().items, vec.stats().items_on_disk), (3, 0));
/// vec.spill()?;
/// assert_eq!((vec.stats().items_on_disk, vec.stats().frames), (3, 1));
/// # }
/// # Ok::<(), ringkeep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SpillVecStats {
    /// Items that there are.
    pub items: u64,
    /// Of these, items whose bytes are on the disk.
    pub items_on_disk: u64,
    /// Memory that items take, places and heap; those that are encoded and wait for others count
    /// among the buffers.
    pub memory_bytes: u64,
    /// Whether that is counted. Else what items have on the heap is known of some of them, by the
    /// bytes that they are encoded in.
    pub is_exact: bool,
    /// Memory that the index of what is on the disk takes.
    pub index_bytes: u64,
    /// Memory for what is on its way to the disk and back.
    pub buffer_bytes: u64,
    /// Frames on the disk.
    pub frames: u64,
    /// Disk that the temporary file takes.
    pub disk_bytes: u64,
    /// Disk that frames take: compressed, with headers.
    pub stored_bytes: u64,
    /// Bytes of items that were stored since the vector moved to the disk, each with 4 bytes for
    /// its length.
    pub raw_bytes: u64,
}
