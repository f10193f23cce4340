//! What a trial does, drawn from its seed.

use std::{path::Path, time::Duration};

use ringkeep::{RingOptions, SyncPolicy};

use crate::form::{Form, InForm as _};

/// Shapes: record size, capacity. Slots that fill sectors and pages, and that straddle them.
const SHAPES: [(usize, u64); 10] = [
    (60, 8),
    (60, 1500),
    (124, 400),
    (100, 700),
    (508, 40),
    (508, 500),
    (700, 200),
    (1020, 100),
    (4092, 40),
    (5000, 24),
];

/// What a worker is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Every kind of step; its disk is cut later.
    Cut,
    /// It never syncs, and says that all is durable: the judge has to notice.
    NeverSync,
    /// It goes on until its disk fails, and looks at what it gets then.
    Fault,
    /// It only reads, by position.
    Look,
    /// It opens what a power cut left, and goes on; its disk is cut again.
    Again,
    /// It commits to a store; its disk is cut later.
    Store,
    /// The same, on what a power cut left.
    StoreAgain,
    /// It pushes to a queue, receives and acknowledges; its disk is cut later.
    Queue,
    /// The same, on what a power cut left.
    QueueAgain,
}

impl Purpose {
    pub(super) const ALL: [(Self, &str); 9] = [
        (Self::Cut, "cut"),
        (Self::NeverSync, "never-sync"),
        (Self::Fault, "fault"),
        (Self::Look, "look"),
        (Self::Again, "again"),
        (Self::Store, "store"),
        (Self::StoreAgain, "store-again"),
        (Self::Queue, "queue"),
        (Self::QueueAgain, "queue-again"),
    ];

    pub(super) fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(purpose, _)| *purpose == self);
        named.map_or("", |(_, name)| name)
    }
}

/// A ring and how much is done with it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) purpose: Purpose,
    pub(super) policy: SyncPolicy,
    pub(super) form: Form,
    pub(super) record_size: usize,
    pub(super) capacity: u64,
    pub(super) shards: u32,
    pub(super) steps: u64,
}

/// Before the power cut, after it, and after another one.
pub(super) const BOOTS: [[u64; 2]; 3] = [[1, 11], [2, 22], [3, 33]];
/// The archive's name.
pub(super) const NAME: &str = "cache.dat";

impl Plan {
    pub(super) fn draw(purpose: Purpose, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let (record_size, capacity) = SHAPES[random.usize(..SHAPES.len())];
        let policy = match random.u8(..5) {
            _ if purpose == Purpose::NeverSync => SyncPolicy::Never,
            0 => SyncPolicy::Never,
            1 => SyncPolicy::EveryRecords([1, 3, 20][random.usize(..3)]),
            2 => SyncPolicy::Interval(Duration::from_millis(random.u64(1..20))),
            3 => SyncPolicy::Always,
            _ => SyncPolicy::EveryRecords(7),
        };
        let mut plan = Self {
            seed,
            purpose,
            policy,
            form: Form::draw(&mut random),
            record_size,
            capacity,
            shards: random.u32(1..=3),
            steps: random.u64(20..140),
        };
        if plan.goes_on() {
            plan.steps /= 8;
        }
        plan
    }

    /// Whether the worker finds what a power cut left.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.purpose, Purpose::Again | Purpose::StoreAgain | Purpose::QueueAgain)
    }

    pub(super) fn policy_class(&self) -> &'static str {
        match self.policy {
            SyncPolicy::Never => "policy Never",
            SyncPolicy::EveryRecords(_) => "policy EveryRecords",
            SyncPolicy::Interval(_) => "policy Interval",
            SyncPolicy::Always => "policy Always",
            _ => "policy of another kind",
        }
    }

    pub(super) fn options(&self) -> RingOptions {
        RingOptions::new(self.record_size, self.capacity)
            .shards(self.shards)
            .sync(self.policy)
            .boot_id(BOOTS[0])
            .in_form(self.form)
    }

    /// Ids that an opening may give up.
    pub(super) fn reservation(&self) -> u64 {
        (self.capacity / 8).max((self.capacity / 8).clamp(1, 256))
    }

    /// What is written under an id, at first (version 0) or later.
    pub(super) fn payload(&self, id: u64, version: u64) -> Vec<u8> {
        let seed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ version.rotate_left(40) ^ self.seed;
        let mut bytes = vec![0; self.record_size];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        bytes
    }
}

/// The archive below a mount point.
pub(super) fn archive_at(mount: &Path) -> std::path::PathBuf {
    mount.join(NAME)
}
