#![doc = include_str!("../README.md")]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("ringkeep runs on 64-bit Linux: x86_64 or aarch64");

mod disk;
mod error;
mod planted;
mod queue;
mod ring;
mod spill_vec;
mod spool;
#[cfg(feature = "store")]
mod store;

pub use disk::budget::{DiskBudget, MemoryBudget};
#[cfg(feature = "json")]
pub use disk::codec::JsonLines;
pub use disk::codec::{Bytes, Codec, Postcard};
pub use disk::compression::Compression;
pub use disk::latency::Latency;
pub use disk::log::recover::{Recovery, RecoveryReport};
pub use disk::mem_size::MemSize;
pub use disk::scratch::SpillWarning;
pub use disk::sync::SyncPolicy;
pub use error::{ArchiveId, CodecError, Corruption, Error, Foreign, PartState, PushError, Result};
pub use queue::Queue;
pub use queue::delivery::Delivery;
pub use queue::inspect::{QueueFiles, QueueFilesStats, QueueKind};
pub use queue::items::{QueueDamage, QueueItems, QueuedItem};
#[cfg(feature = "metrics")]
pub use queue::metrics::QueueMetrics;
pub use queue::options::{Mode, QueueOptions, WhenFull};
pub use queue::stats::{QueueLatencies, QueueStats};
pub use queue::verify::{QueueVerifyEvent, QueueVerifyReport};
pub use ring::batch::ReadBatch;
pub use ring::choices::{Io, Prefetch};
pub use ring::lookup::{Geometry, GeometryError};
pub use ring::opening::{ReadOptions, WriteOptions};
pub use ring::options::RingOptions;
pub use ring::producer::{CloseError, Producer};
pub use ring::range::{RangeCursor, Records};
pub use ring::read::Read;
pub use ring::reader::Ring;
pub use ring::schema::{
    Field, Kind, Schema, SchemaError, SchemaProblem, TimeUnit, Value, ValueError,
};
pub use ring::stats::Stats;
pub use ring::tailer::{AfterLap, Start, Tailed, Tailer};
#[cfg(feature = "zerocopy")]
pub use ring::typed::{TypedProducer, TypedRecord, TypedRecords, TypedRing};
pub use ring::verify::{Damage, VerifyEvent, VerifyReport};
pub use spill_vec::SpillVec;
pub use spill_vec::frozen::{FrozenIter, FrozenVec};
pub use spill_vec::into_iter::IntoIter as SpillVecIntoIter;
pub use spill_vec::item::ItemRef;
pub use spill_vec::iter::Iter as SpillVecIter;
pub use spill_vec::options::SpillVecOptions;
pub use spill_vec::refused::SpillVecError;
pub use spill_vec::stats::SpillVecStats;
pub use spool::Spool;
pub use spool::drain::{Drain, DrainedPart};
pub use spool::options::{GapPolicy, SpoolOptions};
pub use spool::reader::PartReader;
pub use spool::resume::Resumed;
pub use spool::stats::{SpoolProgress, SpoolStats, Storage};
pub use spool::writer::{CommitError, PartWriter};
#[cfg(feature = "store")]
pub use {
    error::StoreError,
    store::{
        Store,
        bucket::{Bucket, BucketRead, Entries, ReadBucket, StoredBytes},
        cached::{Cached, CachedStats},
        file::StoreFile,
        key::OrderedKey,
        options::StoreOptions,
        transactions::{ReadTx, WriteTx},
        typed::{BucketSchema, TypedBucket, TypedEntries},
        upkeep::{BucketStats, Compaction, StoreStats, StoreVerifyReport},
    },
};

#[cfg(feature = "test-util")]
pub use disk::{
    meter::Meter,
    sim::{Crash, SimDisk},
};
