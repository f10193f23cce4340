//! Many short lives of one archive.

use ringkeep::{Crash, Producer, SyncPolicy};

use super::driver::{Driver, SECTORS};
use crate::report::Report;

impl Driver {
    pub(super) fn of_many_kills(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self::with(random, SyncPolicy::Never, 2000, 40, 64)
    }

    pub(super) fn of_short_lives(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let capacity = [1, 2, 3, 16][random.usize(..4)];
        let record_size = [8, 12, 44][random.usize(..3)];
        let sector = SECTORS[random.usize(..SECTORS.len())];
        Self::with(random, SyncPolicy::Never, capacity, record_size, sector)
    }

    /// Many processes that die early: more crash ranges than a checkpoint page holds.
    pub(super) fn run_many_kills(mut self) -> Report {
        self.create();
        let mut is_full = false;
        for _ in 0..60 {
            self.disk = self.disk.other_process();
            if let Ok(mut producer) = self.open() {
                self.disk.arm(Crash::Kill, self.random.u64(20..200));
                while !self.disk.is_dead() {
                    let _ = self.append(&mut producer, 5);
                }
                let _ = self.disk.disarm();
            }
            self.crash(Crash::Kill, None);
            is_full |= [8192, 12288].iter().any(|page| self.peek_word(page + 48) == 24);
        }
        self.oracle.lock().count("full table of crash ranges", is_full);
        self.report()
    }

    /// Processes on a ring of a few records that die while they append the next one or two.
    pub(super) fn run_short_lives(mut self) -> Report {
        self.looks = 40;
        self.create();
        self.look_between_stores();
        for _ in 0..self.random.u8(2..8) {
            self.disk = self.disk.other_process();
            if self.random.u8(..4) == 0 {
                self.disk.arm(Crash::Kill, self.random.u64(125..220));
            }
            if let Ok(mut producer) = self.open()
                && !self.disk.is_dead()
            {
                self.die_appending(&mut producer);
            }
            let _ = self.disk.disarm();
            let event = self.pick(Crash::Cut, 30, Crash::Kill);
            self.crash(event, None);
            if !self.oracle.lock().report.violations.is_empty() {
                break;
            }
        }
        self.report()
    }

    fn die_appending(&mut self, producer: &mut Producer) {
        if self.random.u8(..4) == 0 {
            // A jump begins with the page of its limit: past that.
            self.disk.arm(Crash::Kill, self.random.u64(66..80));
            let gap = self.draw_gap();
            let _ = self.append_at(producer, gap);
        } else {
            // So that the steps are those of the append, not of its limit's page.
            let _ = producer.raise_limit_early();
            let steps = [10, 100][self.random.usize(..2)];
            self.disk.arm(Crash::Kill, self.random.u64(1..=steps));
            let mut left = self.random.u8(1..4);
            while left > 0 && !self.disk.is_dead() {
                let _ = self.append(producer, 1);
                left -= 1;
            }
        }
        self.disk.kill();
    }

    fn peek_word(&self, offset: usize) -> u64 {
        let mut bytes = [0; 8];
        self.disk.peek(&self.path, offset, &mut bytes);
        u64::from_le_bytes(bytes)
    }
}
