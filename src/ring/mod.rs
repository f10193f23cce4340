//! The ring: the last N fixed-size records of a stream, on a fixed piece of disk.
//!
//! The way of a record: `producer` stores it into a slot of an `archive`'s shards and shows it in
//! the `cursors`; `durability` makes it safe; `reading` copies it out and decides what the copy is
//! worth; `recover` makes good what a crash left.

mod ahead;
pub(crate) mod archive;
pub(crate) mod batch;
mod budget;
mod checkpoints;
pub(crate) mod choices;
mod clock;
mod create;
mod cursors;
mod durability;
mod fetch;
mod flush;
mod helpers;
pub(crate) mod layout;
pub(crate) mod lookup;
#[cfg(all(test, loom))]
mod loom;
pub(crate) mod opening;
pub(crate) mod options;
mod pages;
mod prefetch;
pub(crate) mod producer;
pub(crate) mod range;
pub(crate) mod read;
pub(crate) mod reader;
mod reading;
mod recover;
mod redo;
mod rewriting;
pub(crate) mod schema;
mod shards;
mod slot;
pub(crate) mod stats;
pub(crate) mod stream;
pub(crate) mod tailer;
#[cfg(feature = "test-util")]
mod testing;
#[cfg(feature = "zerocopy")]
pub(crate) mod typed;
pub(crate) mod verify;
mod views;
mod writer;
