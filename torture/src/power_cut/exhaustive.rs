//! A ring of eight slots: short scripts, cut at every step, and of each cut every version that
//! every sector, length and name in flight may stay at.
//!
//! Where that would be more than `COMBINATIONS_MAX` (a page that is stored word by word has a
//! version for each word), each thing in flight stays at its oldest or at its newest version: every
//! subset. What lies between is another cut's newest.

use std::sync::Arc;

use parking_lot::Mutex;
use ringkeep::{Crash, Producer, Result, SyncPolicy};

use super::{POLICIES, driver::Driver, guarded};
use crate::report::Report;

/// Seven records and a block of one: eight slots.
const CAPACITY: u64 = 7;
const RECORD_SIZE: usize = 12;
const SECTOR: usize = 512;
/// Versions of everything in flight, multiplied.
const COMBINATIONS_MAX: usize = 1 << 6;
/// Things in flight of which every subset is tried.
const IN_FLIGHT_MAX: usize = 12;

/// What must have occurred.
pub const CLASSES: [&str; 12] = [
    "every version",
    "every subset",
    "Record",
    "Absent",
    "Lost",
    "Lapped",
    "lost suffix",
    "torn tail",
    "Lost stays Lost",
    "served above durable",
    "recovered twice",
    "cut while opening",
];

/// One call of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Append,
    Batch,
    Gap,
    Jump,
    UpdateOldest,
    UpdateNewest,
    Delete,
    Flush,
    SyncInBackground,
    RaiseLimit,
    Close,
}

const ACTS: [Act; 11] = [
    Act::Append,
    Act::Batch,
    Act::Gap,
    Act::Jump,
    Act::UpdateOldest,
    Act::UpdateNewest,
    Act::Delete,
    Act::Flush,
    Act::SyncInBackground,
    Act::RaiseLimit,
    Act::Close,
];

/// What the archive went through before the script.
#[derive(Debug, Clone, Copy)]
enum Past {
    Closed,
    DiedAppending,
    DiedUpdating,
    PowerCut,
}

const PASTS: [Past; 4] = [Past::Closed, Past::DiedAppending, Past::DiedUpdating, Past::PowerCut];

/// A script: its past, its policy, and up to two acts after opening.
#[derive(Debug, Clone, Copy)]
struct Script {
    past: Past,
    policy: SyncPolicy,
    acts: [Option<Act>; 2],
}

/// Number of scripts; they are counted from 0.
#[must_use]
pub fn scripts() -> u64 {
    all_scripts().count() as u64
}

fn all_scripts() -> impl Iterator<Item = Script> {
    let one = ACTS.iter().map(|&act| [Some(act), None]);
    let two = ACTS.iter().flat_map(|&first| ACTS.iter().map(move |&act| [Some(first), Some(act)]));
    let acts: Vec<_> = one.chain(two.filter(|acts| acts[0] != Some(Act::Close))).collect();
    PASTS.into_iter().flat_map(move |past| {
        let acts = acts.clone();
        POLICIES.into_iter().flat_map(move |policy| {
            // After a crash the opening is what matters, and one act behind it.
            let both = matches!(past, Past::Closed);
            let acts = acts.clone().into_iter().filter(move |acts| both || acts[1].is_none());
            acts.map(move |acts| Script { past, policy, acts })
        })
    })
}

/// Cuts one script at every step.
#[must_use]
pub fn script(number: u64) -> Report {
    let found = usize::try_from(number).ok().and_then(|number| all_scripts().nth(number));
    let Some(script) = found else {
        return Report::default();
    };
    let mut report = guarded(number, || cut_everywhere(script));
    for violation in &mut report.violations {
        *violation = format!("script {script:?}: {violation}");
    }
    report
}

fn cut_everywhere(script: Script) -> Report {
    let mut report = Report::default();
    let before = script.past_life();
    for step in 1.. {
        let mut driver = before.copy();
        driver.disk.arm(Crash::Cut, step);
        let is_opened = script.play(&mut driver);
        if driver.disk.disarm().is_none() {
            break;
        }
        report.count(if is_opened { "cut while running" } else { "cut while opening" });
        for kept in combinations(&driver.disk.versions_in_flight(), &mut report) {
            report.trials += 1;
            let mut cut = driver.copy();
            cut.lose_power(&kept);
            report.join(cut.report());
            if !report.violations.is_empty() {
                report.violations.push(format!("step {step}, kept {kept:?}"));
                let text = report.violations.join("; ");
                report.violations = vec![text];
                return report;
            }
        }
    }
    report
}

/// All that may be kept of what is in flight.
fn combinations(versions: &[usize], report: &mut Report) -> Vec<Vec<usize>> {
    let counts: Vec<usize> = versions.iter().map(|&versions| versions + 1).collect();
    let product = counts.iter().try_fold(1_usize, |all, &count| all.checked_mul(count));
    if product.is_some_and(|product| product <= COMBINATIONS_MAX) {
        report.count("every version");
        return product_of(&counts);
    }
    assert!(versions.len() <= IN_FLIGHT_MAX, "{versions:?} are too many");
    report.count("every subset");
    let mut subsets = product_of(&vec![2; versions.len()]);
    for subset in &mut subsets {
        subset.iter_mut().zip(versions).for_each(|(kept, &newest)| *kept *= newest);
    }
    subsets
}

fn product_of(counts: &[usize]) -> Vec<Vec<usize>> {
    counts.iter().fold(vec![vec![]], |all, &count| {
        let longer = |one: Vec<usize>| {
            (0..count).map(move |kept| [one.as_slice(), &[kept]].concat()).collect::<Vec<_>>()
        };
        all.into_iter().flat_map(longer).collect()
    })
}

impl Script {
    /// An archive that was written once round, flushed, and came to its end in some way.
    fn past_life(&self) -> Driver {
        let random = fastrand::Rng::with_seed(7);
        let mut driver = Driver::with(random, self.policy, CAPACITY, RECORD_SIZE, SECTOR);
        driver.options = driver.options.shards(1);
        driver.create_whole();
        let mut producer = driver.open_once().expect("nothing fails yet");
        for _ in 0..9 {
            driver.append(&mut producer, 1).expect("nothing fails yet");
        }
        producer.flush().expect("nothing fails yet");
        driver.note_durable(&producer);
        match self.past {
            Past::Closed => {
                let _ = driver.close_once(producer);
            }
            Past::DiedAppending => {
                driver.disk.arm(Crash::Kill, 9);
                let _ = driver.append(&mut producer, 2);
            }
            Past::DiedUpdating => {
                driver.disk.arm(Crash::Kill, 9);
                let _ = driver.rewrite(&mut producer, 5, true);
            }
            Past::PowerCut => {
                let _ = driver.append(&mut producer, 1);
                driver.disk.arm(Crash::Cut, 5);
                let _ = driver.append(&mut producer, 1);
            }
        }
        let fired = driver.disk.disarm();
        driver.crash(fired.unwrap_or(Crash::Kill), None);
        driver
    }

    /// Opens and acts until the power fails; whether it was open by then.
    fn play(&self, driver: &mut Driver) -> bool {
        let Ok(mut producer) = driver.open_once() else { return false };
        if driver.disk.is_dead() {
            return false;
        }
        for act in self.acts.into_iter().flatten() {
            if act == Act::Close {
                let _ = driver.close_once(producer);
                return true;
            }
            let done = act.run(driver, &mut producer);
            if driver.disk.is_dead() {
                break;
            }
            done.expect("nothing but the power fails");
            driver.note_durable(&producer);
        }
        true
    }
}

impl Driver {
    /// The same on a disk of its own.
    fn copy(&self) -> Self {
        Self {
            random: self.random.clone(),
            options: self.options.clone(),
            path: self.path.clone(),
            disk: self.disk.copy(),
            oracle: Arc::new(Mutex::new(self.oracle.lock().clone())),
            fail_later: Arc::default(),
            ..*self
        }
    }

    fn create_whole(&mut self) {
        let created = self.options.clone().on(&self.disk).create(&self.path);
        drop(created.expect("nothing fails yet").close());
    }

    /// Opens mapped, and nothing else happens.
    fn open_once(&mut self) -> Result<Producer> {
        self.oracle.lock().at_rest = None;
        let producer = self.options.clone().on(&self.disk).open(&self.path)?;
        if !self.disk.is_dead() {
            self.settle();
        }
        Ok(producer)
    }

    /// Closes, and nothing fails but the power.
    fn close_once(&mut self, producer: Producer) -> Result<()> {
        producer.close()?;
        if !self.disk.is_dead() {
            self.note_close();
        }
        Ok(())
    }

    /// The power fails, and what is in flight stays at these versions. Then the archive has to
    /// open, twice to the same, and what is appended has to survive the next cut.
    fn lose_power(&mut self, kept: &[usize]) {
        self.note_oldest();
        self.disk.cut_power_to(kept);
        self.check(Some(Crash::Cut));
        self.disk = self.disk.other_process();
        let opened = self.open_once().and_then(|producer| self.recover_again(producer));
        let appended = opened.and_then(|mut producer| {
            self.append(&mut producer, 1)?;
            producer.flush()?;
            self.note_durable(&producer);
            Ok(())
        });
        if let Err(error) = appended {
            return self.oracle.lock().fail(format!("R8 a producer after the cut: {error:?}"));
        }
        self.note_oldest();
        self.disk.cut_power();
        self.check(Some(Crash::Cut));
    }
}

impl Act {
    fn run(self, driver: &mut Driver, producer: &mut Producer) -> Result<()> {
        let ring = producer.ring();
        let (oldest, next) = (ring.oldest()?, ring.next_id()?);
        match self {
            Self::Append => driver.append(producer, 1),
            Self::Batch => driver.append(producer, 3),
            Self::Gap => driver.append_at(producer, 2),
            Self::Jump => driver.append_at(producer, CAPACITY),
            Self::UpdateOldest => driver.rewrite(producer, oldest, true),
            Self::UpdateNewest => driver.rewrite(producer, next - 1, true),
            Self::Delete => driver.rewrite(producer, next - 1, false),
            Self::Flush => producer.flush(),
            Self::SyncInBackground => producer.sync_without_telling(),
            Self::RaiseLimit => producer.raise_limit_early(),
            Self::Close => Ok(()),
        }
    }
}
