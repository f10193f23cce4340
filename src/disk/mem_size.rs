//! How much memory a value takes beside its own size.

use std::mem::needs_drop;

/// Tells how many bytes a value has on the heap, so that a vector need not guess.
///
/// [`SpillVecOptions::build_exact`](crate::SpillVecOptions::build_exact) takes items of such types.
///
/// # Examples
///
/// ```
/// use ringkeep::MemSize;
///
/// struct Programme {
///     title: String,
///     start: u64,
/// }
///
/// impl MemSize for Programme {
///     fn heap_bytes(&self) -> usize {
///         self.title.heap_bytes()
///     }
/// }
///
/// let programme = Programme { title: "News".into(), start: 7 };
/// assert_eq!(programme.heap_bytes(), 4);
/// ```
pub trait MemSize {
    /// Bytes of memory that the value owns beside its own `size_of`.
    fn heap_bytes(&self) -> usize;
}

macro_rules! without_heap {
    ($($name:ty),*) => {
        $(impl MemSize for $name {
            fn heap_bytes(&self) -> usize {
                0
            }
        })*
    };
}

without_heap!((), bool, char, f32, f64, i8, i16, i32, i64, i128, isize);
without_heap!(u8, u16, u32, u64, u128, usize);

impl MemSize for String {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl MemSize for Box<str> {
    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

impl<T: MemSize> MemSize for Vec<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + heap_bytes_of(self)
    }
}

impl<T: MemSize> MemSize for Box<[T]> {
    fn heap_bytes(&self) -> usize {
        size_of_val::<[T]>(self) + heap_bytes_of(self)
    }
}

impl<T: MemSize> MemSize for Box<T> {
    fn heap_bytes(&self) -> usize {
        size_of::<T>() + (**self).heap_bytes()
    }
}

impl<T: MemSize> MemSize for Option<T> {
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: MemSize, const N: usize> MemSize for [T; N] {
    fn heap_bytes(&self) -> usize {
        heap_bytes_of(self)
    }
}

macro_rules! of_parts {
    ($(($($name:ident),+))*) => {
        $(impl<$($name: MemSize),+> MemSize for ($($name,)+) {
            #[expect(non_snake_case, reason = "a value is called as its type is")]
            fn heap_bytes(&self) -> usize {
                let ($($name,)+) = self;
                0 $(+ $name.heap_bytes())+
            }
        })*
    };
}

of_parts!((A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, F));

fn heap_bytes_of<T: MemSize>(items: &[T]) -> usize {
    if needs_drop::<T>() { items.iter().map(T::heap_bytes).sum() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::MemSize as _;

    #[test]
    fn types_say_what_they_own() {
        let text = String::from("seven b");
        assert_eq!((text.heap_bytes(), 7_u64.heap_bytes()), (7, 0));
        let nested = vec![Some(Box::new(7_u32)), None];
        assert_eq!(nested.heap_bytes(), 2 * 8 + 4);
        assert_eq!((text, [1_u8; 9], vec![0_u16; 4]).heap_bytes(), 7 + 8);
    }
}
