//! What a layer of the torture found.

use std::{collections::BTreeMap, fs};

use serde::Serialize;

/// How often something occurred, by its name.
pub type Counts = BTreeMap<&'static str, u64>;

/// What was tried, what occurred, and every promise that was broken.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Trials made.
    pub trials: u64,
    /// What occurred on the way, by class.
    pub outcomes: Counts,
    /// Each with what repeats it.
    pub violations: Vec<String>,
}

/// The last line under `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    trials: u64,
    violations: usize,
    outcomes: &'a Counts,
}

impl Report {
    /// Counts one more of a class.
    pub fn count(&mut self, class: &'static str) {
        self.add(class, 1);
    }

    /// Counts so many more of a class; the class is there even if that is 0.
    pub fn add(&mut self, class: &'static str, count: u64) {
        *self.outcomes.entry(class).or_default() += count;
    }

    /// A promise was broken.
    pub fn fail(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    /// A process has never had more than twice its budget resident, as the kernel counts it.
    ///
    /// # Panics
    ///
    /// If the kernel does not count it.
    pub fn judge_resident(&mut self, budget_bytes: u64) {
        let status = fs::read_to_string("/proc/self/status").expect("this process has a status");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        let kib = kib.and_then(|kib| kib.trim().parse::<u64>().ok());
        let peak_bytes = kib.expect("the kernel counts it") << 10;
        self.add("KiB resident at most", peak_bytes >> 10);
        if peak_bytes > 2 * budget_bytes {
            let what = format!("{peak_bytes} bytes were resident, with a budget of {budget_bytes}");
            self.fail(what);
        }
    }

    /// Says where its violations occurred.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        for violation in &mut self.violations {
            violation.insert_str(0, &format!("{place}: "));
        }
        self
    }

    /// Takes in what another one found.
    pub fn join(&mut self, other: Self) {
        self.trials += other.trials;
        for (class, count) in other.outcomes {
            self.add(class, count);
        }
        self.violations.extend(other.violations);
    }

    /// Each of these classes has to occur, or the trials prove little.
    pub fn require(&mut self, classes: &[&'static str]) {
        for class in classes {
            if self.outcomes.get(class).is_none_or(|&count| count == 0) {
                self.fail(format!("the trials prove little: {class:?} never occurred"));
            }
        }
    }

    /// One line of JSON.
    ///
    /// # Panics
    ///
    /// Never: names and numbers always have a JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (outcomes, violations) = (&self.outcomes, self.violations.len());
        let line = Line { trials: self.trials, violations, outcomes };
        serde_json::to_string(&line).expect("names and numbers")
    }
}
