//! Shared memory under a model checker: `cfg(loom)`, for the tests in `ring/loom.rs` alone.
//!
//! [loom](https://docs.rs/loom) runs a closure again and again, until its threads have taken their
//! steps in every order that matters, and every load has returned every value that C11 lets it see.
//! It knows only its own atomics. So the words of the ranges given to [`watch`] are such ones,
//! found by the address of the word that they stand for; all other words stay plain memory, in
//! which nothing is ever seen late. loom's threads take turns on one thread of the operating
//! system.
//!
//! One thread reads, and all others together are the producer, which alone stores: that is
//! asserted, and that a word is accessed in one width for good. The producer's own loads are plain.
//! They have one value to see; and where a load of the same thread lies between another thread's
//! load and this thread's store, loom 0.7 forgets to try the store first, for it remembers no more
//! than the last access to an atomic.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::Range,
    rc::Rc,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use loom::{
    sync::{Condvar, Mutex},
    thread::{self, ThreadId},
};

/// Words that two threads of one model may touch.
const WORDS_MAX: usize = 64;

thread_local! {
    static MODEL: RefCell<Option<Rc<Model>>> = const { RefCell::new(None) };
}

struct Model {
    reader: ThreadId,
    ranges: Vec<Range<usize>>,
    words: RefCell<BTreeMap<usize, Rc<Word>>>,
    /// loom wants its atomics made before threads that use them, when the words are not known yet.
    spare: RefCell<Vec<loom::sync::atomic::AtomicU64>>,
    /// Of sleepers.
    queue: Mutex<()>,
    woken: Condvar,
}

struct Word {
    width: usize,
    /// Its value at the first access.
    first: u64,
    /// What the producer stored last.
    latest: Cell<u64>,
    /// By how much it differs from `first`, to the reader.
    change: loom::sync::atomic::AtomicU64,
}

/// From now on the calling thread is the reader, and loom watches the words at these addresses: for
/// one execution.
pub(crate) fn watch(ranges: Vec<Range<usize>>) {
    let spare = (0..WORDS_MAX).map(|_| loom::sync::atomic::AtomicU64::new(0)).collect();
    let model = Model {
        reader: thread::current().id(),
        ranges,
        words: RefCell::default(),
        spare: RefCell::new(spare),
        queue: Mutex::new(()),
        woken: Condvar::new(),
    };
    MODEL.set(Some(Rc::new(model)));
}

fn model() -> Option<Rc<Model>> {
    MODEL.with_borrow(Clone::clone)
}

impl Model {
    fn is_reader(&self) -> bool {
        thread::current().id() == self.reader
    }

    fn word(&self, address: usize, width: usize, first: impl Fn() -> u64) -> Option<Rc<Word>> {
        if !self.ranges.iter().any(|range| range.contains(&address)) {
            return None;
        }
        let mut words = self.words.borrow_mut();
        let word = words.entry(address).or_insert_with(|| {
            let change = self.spare.borrow_mut().pop().expect("a model of few words");
            Rc::new(Word { width, first: first(), latest: Cell::new(first()), change })
        });
        assert_eq!(word.width, width, "a word has one width for good");
        Some(Rc::clone(word))
    }
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        /// The atomic of std, or what loom has in its place.
        #[repr(transparent)]
        pub(crate) struct $name(std::sync::atomic::$name);

        impl $name {
            /// # Safety
            ///
            /// As std's.
            pub(super) unsafe fn from_ptr<'a>(pointer: *mut $value) -> &'a Self {
                // SAFETY: the caller's promise, for an atomic of the same layout.
                unsafe { &*pointer.cast() }
            }

            fn watched(&self) -> Option<Rc<Word>> {
                let address = (&raw const self.0).addr();
                let first = || self.0.load(Ordering::Relaxed).into();
                model()?.word(address, size_of::<$value>(), first)
            }

            pub(super) fn load(&self, order: Ordering) -> $value {
                match self.watched() {
                    Some(word) => {
                        // The sum wraps in the word's width.
                        let bytes = word.load(order).to_le_bytes();
                        <$value>::from_le_bytes(std::array::from_fn(|at| bytes[at]))
                    }
                    None => self.0.load(order),
                }
            }

            pub(super) fn store(&self, value: $value, order: Ordering) {
                match self.watched() {
                    Some(word) => word.store(value.into(), order),
                    None => self.0.store(value, order),
                }
            }
        }
    };
}

impl Word {
    fn load(&self, order: Ordering) -> u64 {
        match model() {
            Some(model) if model.is_reader() => self.first.wrapping_add(self.change.load(order)),
            _ => self.latest.get(),
        }
    }

    fn store(&self, value: u64, order: Ordering) {
        assert!(model().is_none_or(|model| !model.is_reader()), "readers never write");
        self.latest.set(value);
        self.change.store(value.wrapping_sub(self.first), order);
    }
}

atomic!(AtomicU8, u8);
atomic!(AtomicU16, u16);
atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);

impl AtomicU32 {
    /// Nobody else stores, so that two steps are as good as one.
    pub(super) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        let before = self.load(Ordering::Relaxed);
        self.store(before.wrapping_add(value), order);
        before
    }
}

pub(crate) fn fence(order: Ordering) {
    match model() {
        Some(_) => loom::sync::atomic::fence(order),
        None => std::sync::atomic::fence(order),
    }
}

/// Time is never over: a wake that is lost ends in a deadlock, which loom finds.
pub(crate) fn futex_wait(word: &AtomicU32, seen: u32, _timeout: Duration) {
    let Some(model) = model() else { return };
    // The kernel compares under the lock that whoever wakes takes too.
    let queue = model.queue.lock().unwrap_or_else(PoisonError::into_inner);
    if word.load(Ordering::Relaxed) == seen {
        drop(model.woken.wait(queue));
    }
}

pub(crate) fn futex_wake(_word: &AtomicU32) {
    let Some(model) = model() else { return };
    drop(model.queue.lock());
    model.woken.notify_all();
}
