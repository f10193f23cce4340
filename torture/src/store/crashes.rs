//! Random lives of a store on a simulated disk, which die at a random step of their opening or
//! work. What is left is looked at from outside, then opened by another process.

use std::{collections::BTreeMap, time::Duration};

use ringkeep::{
    BucketRead, Crash, Error, ReadTx, Result, SimDisk, Store, StoreError, StoreFile, StoreOptions,
    SyncPolicy,
};

use crate::report::Report;

const PATH: &str = "/sim/store";
const BUCKETS: [&str; 2] = ["one", "other"];

/// All that happens to the store of a seed.
pub(super) fn of(seed: u64) -> Report {
    let mut driver = Driver::new(seed);
    for _ in 0..driver.random.u8(2..6) {
        driver.live();
    }
    driver.report
}

pub(crate) type Contents = BTreeMap<(String, Vec<u8>), Vec<u8>>;

struct Driver {
    random: fastrand::Rng,
    disk: SimDisk,
    options: StoreOptions,
    policy: SyncPolicy,
    /// What the last durable commit left, and each later one; the last of them may be in doubt.
    states: Vec<Contents>,
    /// Whether the last state is of a commit that has not returned.
    in_doubt: bool,
    report: Report,
}

impl Driver {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimDisk::new(seed, [64, 512][random.usize(..2)]);
        let policy = match random.u8(..3) {
            0 => SyncPolicy::Never,
            1 => SyncPolicy::EveryRecords(random.u64(2..5)),
            _ => SyncPolicy::Always,
        };
        let cache_bytes = [0, 64 << 10, 4 << 20][random.usize(..3)];
        let options = StoreOptions::new().sync(policy).cache_bytes(cache_bytes);
        Self {
            random,
            disk,
            options: options.lock_wait(Duration::ZERO),
            policy,
            states: vec![Contents::new()],
            in_doubt: false,
            report: Report::default(),
        }
    }

    fn open(&self) -> Result<Store> {
        self.options.clone().on(&self.disk).open(PATH)
    }

    fn live(&mut self) {
        self.disk = self.disk.other_process();
        let crash = if self.random.bool() { Crash::Kill } else { Crash::Cut };
        let steps = [2_000, 20_000, 80_000][self.random.usize(..3)];
        self.disk.arm(crash, self.random.u64(1..steps));
        let opened = self.open();
        let is_open = !self.disk.is_dead();
        if let Ok(store) = &opened
            && is_open
        {
            self.work(store);
        }
        let fired = self.disk.disarm();
        let is_closed = fired.is_none() && self.random.bool();
        if is_closed {
            drop(opened);
            self.durable();
            self.report.count("closed");
        } else {
            self.end(crash, opened);
        }
        self.report.count(match (crash, fired, is_open) {
            (_, None, _) => "at rest",
            (Crash::Kill, _, false) => "kill while opening",
            (Crash::Cut, _, false) => "cut while opening",
            (Crash::Kill, ..) => "kill while working",
            (Crash::Cut, ..) => "cut while working",
        });
        while self.random.u8(..3) == 0 {
            self.crash_in_recovery();
        }
        self.judge();
    }

    /// The process ends, and maybe the power too.
    fn end(&mut self, crash: Crash, opened: Result<Store>) {
        self.report.trials += 1;
        self.disk.kill();
        drop(opened);
        if crash == Crash::Cut {
            self.disk.cut_power();
        }
    }

    fn crash_in_recovery(&mut self) {
        self.disk = self.disk.other_process();
        let crash = if self.random.bool() { Crash::Kill } else { Crash::Cut };
        self.disk.arm(crash, self.random.u64(1..3_000));
        let opened = self.open();
        let is_dead = self.disk.is_dead();
        let _ = self.disk.disarm();
        assert!(is_dead || opened.is_ok(), "it does not open: {opened:?}");
        self.end(crash, opened);
        if is_dead {
            self.report.count("crash in recovery");
        }
    }

    /// All commits so far are durable.
    fn durable(&mut self) {
        self.states.drain(..self.states.len() - 1);
        self.in_doubt = false;
    }

    /// Works until it dies or has done enough.
    fn work(&mut self, store: &Store) {
        for commit in 1..self.random.u64(2..12) {
            let fails = self.random.u8(..20) == 0;
            self.disk.fail_next_sync(fails);
            let done = self.transaction(store);
            self.disk.fail_next_sync(false);
            if let Err(error) = done {
                if self.disk.is_dead() {
                    return;
                }
                assert!(fails, "{error}");
                self.report.count("failed sync");
                self.find(store);
                continue;
            }
            let group = match self.policy {
                SyncPolicy::Always => 1,
                SyncPolicy::EveryRecords(group) => group,
                _ => u64::MAX,
            };
            let unsynced = self.states.len() as u64 - 1;
            if unsynced >= group || (commit % 5 == 0 && self.sync(store)) {
                self.durable();
            }
        }
    }

    /// After a failed sync the store goes on from one of its commits, which is durable.
    fn find(&mut self, store: &Store) {
        match store.read(contents) {
            Ok(found) => {
                assert!(self.states.contains(&found), "no commit has left this");
                self.states = vec![found];
                self.in_doubt = false;
            }
            Err(error) => assert!(self.disk.is_dead(), "{error}"),
        }
    }

    fn sync(&self, store: &Store) -> bool {
        let synced = store.sync();
        assert!(synced.is_ok() || self.disk.is_dead(), "{synced:?}");
        synced.is_ok()
    }

    fn transaction(&mut self, store: &Store) -> Result<()> {
        let tx = store.begin_write()?;
        let mut state = self.states.last().cloned().unwrap_or_default();
        for _ in 0..self.random.usize(1..30) {
            let name = BUCKETS[self.random.usize(..2)];
            let key = vec![self.random.u8(..60)];
            if self.random.u8(..40) == 0 {
                tx.drop_bucket(name)?;
                state.retain(|(bucket, _), _| bucket != name);
                continue;
            }
            let mut bucket = tx.bucket(name)?;
            if self.random.u8(..3) == 0 {
                bucket.remove(&key)?;
                state.remove(&(name.into(), key));
            } else {
                let length = [10, 200, 9_000][self.random.usize(..3)];
                let value = vec![self.random.u8(..); self.random.usize(..length)];
                bucket.put(&key, &value)?;
                state.insert((name.into(), key), value);
            }
        }
        if self.random.u8(..5) == 0 {
            return tx.roll_back();
        }
        self.states.push(state);
        self.in_doubt = true;
        tx.commit()?;
        self.in_doubt = false;
        Ok(())
    }

    /// Another process finds what one of the commits has left.
    fn judge(&mut self) {
        self.disk = self.disk.other_process();
        let options = self.options.clone().on(&self.disk);
        let looked = match StoreFile::open_with(&options, PATH) {
            Ok(file) => file.read(contents).expect("it is read"),
            // Its making was cut short.
            Err(Error::Store(StoreError::NotFound { .. })) => Contents::new(),
            Err(error) => panic!("it cannot be looked at: {error}"),
        };
        let store = self.open().expect("it opens");
        let found = store.read(contents).expect("it is read");
        assert!(looked == found, "whoever looks finds something else");
        let report = store.verify().expect("it is whole");
        assert!(!report.repaired, "{report:?}");
        drop(store);
        let again = self.open().expect("it opens").read(contents).expect("it is read");
        assert!(again == found, "opening twice comes to something else");
        // The newest that it can be: states may be alike.
        let at = self.states.iter().rposition(|state| *state == found);
        let at = at.expect("no commit has left this");
        let last = self.states.len() - 1;
        match (at == last, self.in_doubt) {
            (true, true) => self.report.count("cut in a commit that is there"),
            (false, true) => self.report.count("cut in a commit that is not there"),
            _ => {}
        }
        if last > 0 {
            self.report.count(if at == 0 {
                "lost what was not durable"
            } else {
                "kept what was not durable"
            });
        }
        self.states = vec![found];
        self.in_doubt = false;
    }
}

pub(crate) fn contents(tx: &ReadTx) -> Result<Contents> {
    let mut contents = Contents::new();
    for name in tx.buckets()? {
        for entry in tx.bucket(&name)?.iter()? {
            let (key, value) = entry?;
            contents.insert((name.clone(), key.to_vec()), value.to_vec());
        }
    }
    Ok(contents)
}
