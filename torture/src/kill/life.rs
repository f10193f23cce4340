//! One life of a producer in a child: how it opens the archive, and what it does until it dies.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ringkeep::{Producer, RingOptions, SyncPolicy};

use super::{
    child::{Running, say},
    payload::{Style, fill, payload_of},
};
use crate::form::{Form, InForm as _};

/// Of all payloads here.
pub const STYLE: Style = Style::VersionFirst;
/// Names of the sync policies.
pub const POLICIES: [&str; 4] = ["Never", "EveryRecords", "Interval", "Always"];
/// Records of a batch.
const BATCH_MAX: u64 = 300;

/// A ring that producers are killed on.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// In bytes.
    pub record_size: usize,
    /// In records.
    pub capacity: u64,
    /// Files.
    pub shards: u32,
}

impl Shape {
    /// Of an archive of this shape.
    #[must_use]
    pub fn options(self) -> RingOptions {
        RingOptions::new(self.record_size, self.capacity).shards(self.shards)
    }

    /// What [`Shape::arguments`] told a child.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[must_use]
    pub fn of(arguments: &[String]) -> Self {
        let number = |at: usize| arguments[at].parse::<u32>().expect("a number");
        Self { record_size: number(0) as usize, capacity: number(1).into(), shards: number(2) }
    }

    /// For a child.
    #[must_use]
    pub fn arguments(self) -> [String; 3] {
        [self.record_size.to_string(), self.capacity.to_string(), self.shards.to_string()]
    }
}

fn policy_of(name: &str) -> SyncPolicy {
    match name {
        "Never" => SyncPolicy::Never,
        "EveryRecords" => SyncPolicy::EveryRecords(16),
        "Interval" => SyncPolicy::Interval(Duration::from_millis(2)),
        "Always" => SyncPolicy::Always,
        _ => panic!("no policy {name}"),
    }
}

/// What a child is told.
#[derive(Debug, Clone)]
pub struct Life {
    /// Of the archive, which it creates if there is none.
    pub path: PathBuf,
    /// Of the archive.
    pub shape: Shape,
    /// One of [`POLICIES`].
    pub policy: &'static str,
    /// In which it works.
    pub form: Form,
    /// What it does: `append`, `rewrite`, `update`, `batch`, `everything`, `close` (everything, and
    /// now and then it closes and opens again) or `open` (nothing else).
    pub acts: &'static str,
    /// Of what it draws.
    pub seed: u64,
    /// From 1 on, larger for each life of an archive: versions only grow.
    pub number: u64,
}

impl Life {
    /// A child that leads it.
    ///
    /// # Panics
    ///
    /// If the path is not ASCII.
    #[must_use]
    pub fn start(&self) -> Running {
        let [size, capacity, shards] = self.shape.arguments();
        let (seed, number) = (self.seed.to_string(), self.number.to_string());
        let path = self.path.to_str().expect("ASCII");
        let arguments = [
            path,
            self.policy,
            self.form.name(),
            self.acts,
            &seed,
            &number,
            &size,
            &capacity,
            &shards,
        ];
        Running::start("act until killed", &arguments)
    }

    fn of(arguments: &[String]) -> Self {
        let [path, policy, form, acts, seed, number, shape @ ..] = arguments else {
            panic!("{arguments:?}")
        };
        let acts_known = ["append", "rewrite", "update", "batch", "everything", "close", "open"];
        let known = |names: &[&'static str], name: &str| {
            names.iter().copied().find(|known| *known == name).expect("a known name")
        };
        Self {
            path: Path::new(path).to_owned(),
            shape: Shape::of(shape),
            policy: known(&POLICIES, policy),
            form: Form::of_name(form).expect("a form"),
            acts: known(&acts_known, acts),
            seed: seed.parse().expect("a seed"),
            number: number.parse().expect("a number"),
        }
    }

    fn open(&self) -> Producer {
        say(if self.path.exists() { "opening" } else { "creating" });
        let options = self.shape.options().in_form(self.form).sync(policy_of(self.policy));
        let producer = options.open_or_create(&self.path).expect("an archive that opens");
        say("opened");
        producer
    }
}

/// The child.
pub(super) fn act_until_killed(arguments: &[String]) {
    let life = Life::of(arguments);
    let mut random = fastrand::Rng::with_seed(life.seed);
    let mut version = life.number << 32;
    loop {
        let mut actor = Actor { producer: life.open(), random, life: &life, version };
        if life.acts == "open" {
            actor.producer.die();
            random = actor.random;
            continue;
        }
        while actor.acts() {}
        say("closing");
        actor.producer.close().expect("a clean close");
        say("closed");
        (random, version) = (actor.random, actor.version);
    }
}

struct Actor<'a> {
    producer: Producer,
    random: fastrand::Rng,
    life: &'a Life,
    version: u64,
}

impl Actor<'_> {
    fn next(&self) -> u64 {
        self.producer.ring().next_id().expect("next")
    }

    /// Whether it goes on.
    fn acts(&mut self) -> bool {
        match (self.life.acts, self.random.u32(..16)) {
            ("close", 0..2) => return false,
            ("update", _) if self.next() > 2 => self.rewrite(true),
            ("append" | "update", _) | (_, 0..6) => self.append(),
            ("batch", _) | ("everything" | "close", 6..9) => self.append_batch(),
            ("everything" | "close", 9..11) => self.append_at(),
            ("everything" | "close", 11) => self.flush(),
            ("everything" | "close", 12) => self.append_durable(),
            (_, 15) => self.rewrite(false),
            _ => self.rewrite(true),
        }
        true
    }

    fn payload(&self, id: u64, version: u64) -> Vec<u8> {
        payload_of(STYLE, id, version, self.life.shape.record_size)
    }

    fn append(&mut self) {
        let payload = self.payload(self.next(), 0);
        let id = self.producer.append(&payload).expect("an append");
        // Under `Always` what returned is durable.
        say(&if self.life.policy == "Always" { format!("s {id}") } else { format!("a {id}") });
    }

    fn append_durable(&mut self) {
        let payload = self.payload(self.next(), 0);
        say(&format!("s {}", self.producer.append_durable(&payload).expect("an append")));
    }

    fn flush(&mut self) {
        self.producer.flush().expect("a flush");
        say(&format!("f {}", self.next()));
    }

    fn append_batch(&mut self) {
        let (first, count) = (self.next(), self.random.u64(1..BATCH_MAX));
        let record_size = self.life.shape.record_size;
        let count = count.min(2 * self.life.shape.capacity);
        let mut records = vec![0; record_size * usize::try_from(count).expect("few")];
        for (id, payload) in (first..).zip(records.chunks_mut(record_size)) {
            fill(STYLE, id, 0, payload);
        }
        let ids = self.producer.append_batch(&records).expect("a batch");
        say(&format!("b {} {count}", ids.start));
        if self.life.policy == "Always" {
            say(&format!("f {}", ids.end));
        }
    }

    fn append_at(&mut self) {
        // Some gaps are jumps, which write no markers; never into an empty ring here.
        let capacity = self.life.shape.capacity;
        let gap = match self.next() {
            0 => 0,
            _ => [3, 40, capacity - 1, capacity + 7][self.random.usize(..4)],
        };
        let id = self.next() + gap;
        say(&format!("G {id}"));
        let payload = self.payload(id, 0);
        self.producer.append_at(id, &payload).expect("a gap");
        say(&format!("g {id}"));
    }

    fn rewrite(&mut self, update: bool) {
        let ring = self.producer.ring();
        let (oldest, next) = (ring.oldest().expect("oldest"), self.next());
        if oldest == next {
            return;
        }
        let id = self.random.u64(oldest.max(next.saturating_sub(60))..next);
        if ring.read(id).expect("a read").record().is_err() {
            return;
        }
        self.version += 1;
        if update {
            let version = self.version;
            let payload = self.payload(id, version);
            say(&format!("U {id} {version}"));
            self.producer.update(id, &payload).expect("an update");
            say(&format!("u {id} {version}"));
        } else {
            say(&format!("D {id}"));
            self.producer.delete(id).expect("a delete");
            say(&format!("d {id}"));
        }
    }
}
