//! One archive, several lifetimes of a producer, crashes at any step.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use ringkeep::{
    Crash, Error, Producer, ReadOptions, Result, Ring, RingOptions, SimDisk, SyncPolicy,
};

use super::{POLICIES, oracle::Oracle};
use crate::{
    form::{Form, InForm as _},
    report::Report,
};

const CAPACITIES: [u64; 20] =
    [1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40, 64, 100];
const RECORD_SIZES: [usize; 6] = [8, 9, 12, 44, 100, 700];
pub(super) const SECTORS: [usize; 3] = [16, 64, 512];
/// Where the checkpoint pages begin; what is before them may differ after recovering twice.
const CHECKPOINTS_AT: usize = 8192;

pub(super) struct Driver {
    pub(super) random: fastrand::Rng,
    pub(super) options: RingOptions,
    pub(super) policy: SyncPolicy,
    pub(super) path: PathBuf,
    pub(super) record_size: usize,
    /// The current process.
    pub(super) disk: SimDisk,
    pub(super) oracle: Arc<Mutex<Oracle>>,
    /// Of a hundred stores, so many are looked behind.
    pub(super) looks: u8,
    /// A sync from here on is to fail; which one, the observer decides.
    pub(super) fail_later: Arc<AtomicBool>,
    /// Each step is told.
    pub(super) trace: bool,
}

impl Driver {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let policy = POLICIES[usize::try_from(seed % 4).unwrap_or(0)];
        let mut random = fastrand::Rng::with_seed(seed);
        let capacity = CAPACITIES[random.usize(..CAPACITIES.len())];
        let record_size = RECORD_SIZES[random.usize(..RECORD_SIZES.len())];
        let sector = SECTORS[random.usize(..SECTORS.len())];
        Self { trace, ..Self::with(random, policy, capacity, record_size, sector) }
    }

    pub(super) fn with(
        mut random: fastrand::Rng,
        policy: SyncPolicy,
        capacity: u64,
        record_size: usize,
        sector: usize,
    ) -> Self {
        let options =
            RingOptions::new(record_size, capacity).shards(random.u32(1..=3)).sync(policy);
        let mut oracle = Oracle { capacity, ..Oracle::default() };
        oracle.reservation = (capacity / 8).max((capacity / 8).clamp(1, 256));
        oracle.may_lose = match policy {
            SyncPolicy::Always => Some(0),
            // The records after the last group, and that group while its sync is not told: a batch
            // or markers may have filled it past its size by up to a block.
            SyncPolicy::EveryRecords(count) => Some(count - 1 + count + (capacity / 8).max(1)),
            _ => None,
        };
        Self {
            disk: SimDisk::new(random.u64(..), sector),
            random,
            options,
            policy,
            path: PathBuf::from("/sim/cache.dat"),
            record_size,
            oracle: Arc::new(Mutex::new(oracle)),
            looks: 6,
            fail_later: Arc::default(),
            trace: false,
        }
    }

    pub(super) fn run(mut self) -> Report {
        self.create();
        self.look_between_stores();
        let mut last = None;
        for _ in 0..[2, 3, 4, 5, 6, 12][self.random.usize(..6)] {
            last = self.lifetime(last);
            if !self.oracle.lock().report.violations.is_empty() {
                break;
            }
        }
        self.report()
    }

    pub(super) fn report(&self) -> Report {
        std::mem::take(&mut self.oracle.lock().report)
    }

    /// What lies between next and touched shows now: records, or Lost.
    pub(super) fn settle(&self) {
        self.check(Some(Crash::Kill));
        let mut oracle = self.oracle.lock();
        oracle.settle_rewrites();
        oracle.jump = 0;
    }

    pub(super) fn note_durable(&self, producer: &Producer) {
        let durable = producer.ring().durable().expect("the pages are good");
        self.oracle.lock().synced(durable);
    }

    pub(super) fn note_close(&self) {
        let ring = self.reader().expect("a closed archive opens");
        let mut oracle = self.oracle.lock();
        oracle.synced(ring.durable().expect("the pages are good"));
        oracle.at_rest = Some(ring.next_id().expect("the pages are good"));
        oracle.count("clean close", true);
    }

    pub(super) fn note_oldest(&self) {
        match self.reader().and_then(|ring| ring.oldest()) {
            Ok(oldest) => self.oracle.lock().before_cut = oldest,
            Err(error) => self.oracle.lock().fail(format!("R1 a reader: {error:?}")),
        }
    }

    /// Creation may be cut short, again and again; then there is no archive, or a whole one.
    pub(super) fn create(&mut self) {
        while self.random.u8(..4) == 0 {
            let crash = if self.random.bool() { Crash::Kill } else { Crash::Cut };
            self.disk.arm(crash, self.random.u64(1..1500));
            let created = self.options_in_a_form().create(&self.path);
            if created.is_err() && !self.disk.is_dead() {
                return self.oracle.lock().fail(format!("R1 creation fails: {created:?}"));
            }
            let _ = self.disk.disarm();
            self.disk.kill();
            drop(created);
            let class =
                if crash == Crash::Cut { "cut while creating" } else { "kill while creating" };
            self.oracle.lock().count_crash(class);
            if crash == Crash::Cut {
                self.disk.cut_power();
            }
            self.disk = self.disk.other_process();
            if self.disk_has_archive() {
                return;
            }
        }
        let created = self.options_in_a_form().create(&self.path);
        match created {
            Ok(producer) => producer.close().expect("nothing fails yet"),
            Err(error) => self.oracle.lock().fail(format!("R1 creation fails: {error:?}")),
        }
    }

    /// Each producer works mapped, through windows or by position; what it leaves, any other takes
    /// over.
    pub(super) fn options_in_a_form(&mut self) -> RingOptions {
        self.options.clone().on(&self.disk).in_form(Form::draw(&mut self.random))
    }

    fn disk_has_archive(&self) -> bool {
        match self.reader() {
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(error) => {
                self.oracle.lock().fail(format!("R1 half an archive: {error:?}"));
                true
            }
        }
    }

    pub(super) fn reader(&self) -> Result<Ring> {
        ReadOptions::new().on(&self.disk.other_process()).open(&self.path)
    }

    /// Some steps are looked into by a reader in another process.
    pub(super) fn look_between_stores(&mut self) {
        let (oracle, path) = (Arc::clone(&self.oracle), self.path.clone());
        let mut random = self.random.fork();
        let (fail_later, looks) = (Arc::clone(&self.fail_later), self.looks);
        self.disk.observe(move |disk| {
            if fail_later.load(Relaxed) && random.u8(..20) == 0 {
                fail_later.store(false, Relaxed);
                disk.fail_next_sync(true);
            }
            if random.u8(..100) < looks {
                look(&oracle, &disk.other_process(), &path, &mut random);
            }
        });
    }

    fn lifetime(&mut self, last: Option<Crash>) -> Option<Crash> {
        self.disk = self.disk.other_process();
        let fuse = match self.random.u8(..10) {
            0..2 => "never",
            2..5 => "opening",
            5..8 => "running",
            _ => "closing",
        };
        let (phase, error) = self.live(fuse);
        let fired = self.disk.disarm();
        self.disk.kill();
        if let (Some(error), None) = (error, fired) {
            self.judge_error(&error);
        }
        if !self.oracle.lock().report.violations.is_empty() {
            return None;
        }
        if let Some(crash) = fired {
            self.oracle.lock().count_crash(class_of(crash, phase));
        }
        let mut event = fired.unwrap_or_else(|| self.pick(Crash::Cut, 35, Crash::Kill));
        self.crash(event, last);
        if event == Crash::Kill && self.random.u8(..4) == 0 {
            self.crash(Crash::Cut, Some(Crash::Kill));
            event = Crash::Cut;
        }
        Some(event)
    }

    pub(super) fn pick<T>(&mut self, one: T, percent: u8, other: T) -> T {
        if self.random.u8(..100) < percent { one } else { other }
    }

    /// Only a sync that was made to fail explains an error.
    fn judge_error(&self, error: &Error) {
        let mut oracle = self.oracle.lock();
        match error {
            Error::Io { action: "sync", .. } | Error::Poisoned { .. } => {
                oracle.count("failed sync", true);
            }
            other => oracle.fail(format!("R1 an operation fails: {other:?}")),
        }
    }

    /// Sometimes the next sync fails, or a later one.
    pub(super) fn may_fail(&mut self, percent: u8) {
        let fails = self.random.u8(..100) < percent;
        let later = self.random.bool();
        self.disk.fail_next_sync(fails && !later);
        self.fail_later.store(fails && later, Relaxed);
    }

    fn fail_no_more(&self) {
        self.disk.fail_next_sync(false);
        self.fail_later.store(false, Relaxed);
    }

    /// Lights a fuse that is meant for this phase; it may burn on into the next ones.
    fn light(&mut self, fuse: &str, phase: &str) {
        if fuse == phase {
            let crash = if self.random.bool() { Crash::Kill } else { Crash::Cut };
            let steps = [30, 250, 1500][self.random.usize(..3)];
            self.disk.arm(crash, self.random.u64(1..=steps));
        }
    }

    /// Opens, works, perhaps closes; the phase that it came to, and why it stopped.
    fn live(&mut self, fuse: &str) -> (&'static str, Option<Error>) {
        self.light(fuse, "opening");
        let mut producer = match self.open() {
            Ok(producer) => producer,
            Err(error) => return ("opening", Some(error)),
        };
        if self.disk.is_dead() {
            return ("opening", None);
        }
        self.light(fuse, "running");
        for _ in 0..self.random.u8(0..=16) {
            let result = self.operation(&mut producer);
            self.say("after an operation");
            self.fail_no_more();
            if self.disk.is_dead() {
                return ("running", None);
            }
            if let Err(error) = result {
                self.stay_poisoned(producer);
                return ("running", Some(error));
            }
            self.note_durable(&producer);
            if self.random.u8(..10) < 3 {
                self.check(None);
            }
            if !self.oracle.lock().report.violations.is_empty() {
                break;
            }
        }
        if fuse == "closing" || self.random.bool() {
            self.light(fuse, "closing");
            return self.close(producer);
        }
        self.disk.kill();
        ("running", None)
    }

    /// After a failed sync nothing is tried again: not by a call, and not by the drop.
    fn stay_poisoned(&mut self, mut producer: Producer) {
        let _ = self.disk.disarm();
        let before = self.disk.contents();
        let payload = self.payload(0);
        // The first one never waits for a sync: without the poison it might wait for ever.
        let mut result = producer.delete(0);
        if matches!(result, Err(Error::Poisoned { .. })) {
            result = producer.append(&payload).map(drop);
        }
        if !matches!(result, Err(Error::Poisoned { .. })) {
            self.oracle.lock().fail(format!("poison: it was forgotten: {result:?}"));
            return producer.die();
        }
        drop(producer);
        if before != self.disk.contents() {
            self.oracle.lock().fail("poison: it wrote".into());
        }
    }

    pub(super) fn close(&mut self, producer: Producer) -> (&'static str, Option<Error>) {
        self.may_fail(6);
        let result = producer.close();
        self.fail_no_more();
        if let Err(failed) = result {
            let error = failed.source;
            if self.disk.is_dead() {
                return ("closing", None);
            }
            self.stay_poisoned(*failed.producer);
            return ("closing", Some(error));
        }
        if !self.disk.is_dead() {
            let _ = self.disk.disarm();
            self.note_close();
        }
        ("closing", None)
    }

    pub(super) fn open(&mut self) -> Result<Producer> {
        self.may_fail(5);
        self.oracle.lock().at_rest = None;
        let opened = self.options_in_a_form().open(&self.path);
        self.fail_no_more();
        let mut producer = opened?;
        if self.disk.is_dead() {
            return Ok(producer);
        }
        self.say("opened");
        self.settle();
        if self.random.u8(..10) == 0 {
            producer = self.recover_again(producer)?;
        }
        Ok(producer)
    }

    /// Recovering twice comes to the same, byte for byte, but for the hot page's epoch.
    pub(super) fn recover_again(&mut self, producer: Producer) -> Result<Producer> {
        let before = self.disk.contents();
        producer.die();
        let producer = self.options_in_a_form().open(&self.path)?;
        if self.disk.is_dead() {
            return Ok(producer);
        }
        let mut oracle = self.oracle.lock();
        oracle.count("recovered twice", true);
        for ((path, old), (_, new)) in before.iter().zip(self.disk.contents()) {
            let start = if *path == self.path { CHECKPOINTS_AT } else { 0 };
            if old[start..] != new[start..] {
                oracle.fail(format!("R6 recovering twice differs in {}", path.display()));
            }
        }
        Ok(producer)
    }

    pub(super) fn check(&self, crash: Option<Crash>) {
        match self.reader() {
            Ok(ring) => self.oracle.lock().check(&ring, crash),
            Err(error) => self.oracle.lock().fail(format!("R1 a reader fails: {error:?}")),
        }
    }

    pub(super) fn crash(&mut self, event: Crash, last: Option<Crash>) {
        self.disk.kill();
        if let (Some(last), Crash::Cut) = (last, event) {
            let class = if last == Crash::Cut { "double cut" } else { "kill then cut" };
            self.oracle.lock().count(class, true);
        }
        self.fail_no_more();
        self.note_oldest();
        if event == Crash::Cut {
            self.cut_power();
        }
        self.say(&format!("{event:?}"));
        let before = self.disk.contents();
        self.check(Some(event));
        assert!(before == self.disk.contents(), "a reader wrote");
    }

    /// One cut in four tears sectors (F3).
    fn cut_power(&mut self) {
        if self.random.u8(..4) > 0 {
            return self.disk.cut_power();
        }
        let torn = self.disk.tear_power();
        let Ok(ring) = self.reader() else { return };
        self.oracle.lock().tear(&ring, &torn);
    }

    /// Tells each step of a seed that is repeated.
    pub(super) fn say(&self, what: &str) {
        if self.trace {
            let ring = self.reader();
            let bounds =
                ring.and_then(|ring| Ok((ring.oldest()?, ring.next_id()?, ring.durable()?)));
            eprintln!("{what}: oldest, next, durable {bounds:?}");
        }
    }
}

fn look(oracle: &Mutex<Oracle>, disk: &SimDisk, path: &Path, random: &mut fastrand::Rng) {
    let looked: Result<_> = (|| {
        let ring = ReadOptions::new().on(disk).in_form(Form::draw(random)).open(path)?;
        let window = (ring.oldest()?, ring.next_id()?);
        if window.0 >= window.1 {
            return Ok(None);
        }
        let id = random.u64(window.0..window.1);
        Ok(Some((id, ring.read(id)?, window)))
    })();
    // The driver does not hold the oracle while it calls the producer.
    let mut oracle = oracle.lock();
    match looked {
        Ok(Some((id, read, window))) => oracle.look(id, &read, window),
        Ok(None) | Err(Error::NotFound { .. }) => {}
        Err(error) => oracle.fail(format!("R1 a reader between two stores: {error:?}")),
    }
}

fn class_of(crash: Crash, phase: &str) -> &'static str {
    match (crash, phase) {
        (Crash::Kill, "opening") => "kill while opening",
        (Crash::Kill, "running") => "kill while running",
        (Crash::Kill, _) => "kill while closing",
        (Crash::Cut, "opening") => "cut while opening",
        (Crash::Cut, "running") => "cut while running",
        (Crash::Cut, _) => "cut while closing",
    }
}
