//! One adapter a file. The crates, as `cargo info` showed them when this was written:
//!
//! | crate | version | licence | as it is used here |
//! |---|---|---|---|
//! | yaque | 0.6.6 | Apache-2.0 | without syncs: it has none, see below |
//! | queue-file | 2.0.0 | Apache-2.0 | `sync_writes` on or off; one handle, behind a lock |
//! | persistent-queue | 0.2.0 | Apache-2.0 | on redb 4; `Durability::None`, `Sync` or `Group` |
//! | `disk_backed_queue` | 0.2.0 | MIT | SQLite in WAL mode; `synchronous` OFF or FULL |
//!
//! **yaque is left out of the durable rows.** Its source calls neither `sync_all` nor `sync_data`
//! nor `fsync`: a send ends in `flush` of a `BufWriter`, which is a `write` to the page cache
//! (`src/queue/sender.rs`, `try_send`), and so do the files that keep its state (`src/state.rs`).
//!
//! **persistent-queue is left out of the rows with groups.** Its `Producer` pushes one item a call.
//! Threads that push at once share a sync by `Durability::Group`.
//!
//! **queue-file and yaque share no syncs between threads**, nor does `disk_backed_queue`, whose
//! senders take turns at one SQLite connection.

mod disk_backed;
mod persistent;
mod plain;
mod queue_file;
mod ringkeep;
mod yaque;

use super::side::Side;

pub(crate) use self::ringkeep::Ours;

/// All of them, ringkeep first.
pub(crate) const SIDES: [Side; 6] = [
    ringkeep::SIDE,
    yaque::SIDE,
    queue_file::SIDE,
    persistent::SIDE,
    disk_backed::SIDE,
    plain::SIDE,
];
