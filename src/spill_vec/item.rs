//! An item that was read.

use std::ops::Deref;

/// An item of a [`SpillVec`](crate::SpillVec): borrowed while it is in memory, and one of its own
/// if it came from the disk.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// let mut vec = ringkeep::SpillVec::new();
/// vec.push(String::from("seven"))?;
/// let item = vec.get(0)?.expect("there is one");
/// assert_eq!(item.len(), 5);
/// assert_eq!(item.into_owned(), "seven");
/// # }
/// # Ok::<(), ringkeep::Error>(())
/// ```
#[derive(Debug)]
pub struct ItemRef<'a, T>(Held<'a, T>);

#[derive(Debug)]
enum Held<'a, T> {
    Borrowed(&'a T),
    Owned(T),
}

impl<'a, T> ItemRef<'a, T> {
    #[inline]
    pub(super) fn borrowed(item: &'a T) -> Self {
        Self(Held::Borrowed(item))
    }

    #[inline]
    pub(super) fn owned(item: T) -> Self {
        Self(Held::Owned(item))
    }

    /// The item itself: cloned if it is in memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([7_u64])?;
    /// assert_eq!(vec.get(0)?.map(|item| item.into_owned()), Some(7));
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn into_owned(self) -> T
    where
        T: Clone,
    {
        match self.0 {
            Held::Borrowed(item) => item.clone(),
            Held::Owned(item) => item,
        }
    }

    /// Whether it was in memory, so that nothing was read for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([7_u64])?;
    /// assert!(vec.get(0)?.is_some_and(|item| item.is_borrowed()));
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self.0, Held::Borrowed(_))
    }
}

impl<T> Deref for ItemRef<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Held::Borrowed(item) => item,
            Held::Owned(item) => item,
        }
    }
}
