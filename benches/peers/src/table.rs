//! What was measured: samples of each side, ratios to ringkeep, goals.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    thread,
};

use serde_json::{Value, json};

/// The side that the others are compared with.
pub(crate) const OURS: &str = "ringkeep";

/// What a side is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    /// Ringkeep too, held or read in another way.
    OtherMode,
    Peer,
    /// What the machine can do: no peer.
    Limit,
}

/// One kind of work, done by every side in every round.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) scenario: &'static str,
    pub(crate) what: String,
    pub(crate) item_bytes: usize,
    sides: Vec<Samples>,
}

#[derive(Debug)]
struct Samples {
    name: &'static str,
    role: Role,
    /// Nanoseconds per item, one of each round.
    ns: Vec<f64>,
}

/// The median of the rounds, and the least and the most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Of a side that is not there: it meets no goal.
    pub(crate) const MISSING: Self = Self { median: f64::NAN, min: f64::NAN, max: f64::NAN };

    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |index: usize| samples.get(index).copied().unwrap_or(f64::NAN);
        let median = at(samples.len() / 2);
        Self { median, min: at(0), max: at(samples.len().saturating_sub(1)) }
    }
}

impl Work {
    pub(crate) fn new(scenario: &'static str, what: impl Into<String>, item_bytes: usize) -> Self {
        Self { scenario, what: what.into(), item_bytes, sides: Vec::new() }
    }

    /// Each side once a round, in the same order of rounds.
    pub(crate) fn add(&mut self, name: &'static str, role: Role, ns: f64) {
        if let Some(samples) = self.sides.iter_mut().find(|samples| samples.name == name) {
            samples.ns.push(ns);
        } else {
            self.sides.push(Samples { name, role, ns: vec![ns] });
        }
    }

    /// How many times as long as ringkeep a side takes.
    fn ratio(&self, samples: &Samples) -> Spread {
        let ours = self.sides.iter().find(|samples| samples.role == Role::Ours);
        let ours = ours.map_or(&[][..], |samples| &samples.ns);
        Spread::of(samples.ns.iter().zip(ours).map(|(side, ours)| side / ours).collect())
    }

    fn samples_of(&self, name: &str) -> Option<&Samples> {
        self.sides.iter().find(|samples| samples.name == name)
    }

    /// How many times as long as `other_name` in that work `name` takes in this one, if both are
    /// there and did their work in the same rounds.
    pub(crate) fn times(&self, name: &str, other: &Self, other_name: &str) -> Option<Spread> {
        let (ns, other_ns) = (&self.samples_of(name)?.ns, &other.samples_of(other_name)?.ns);
        Some(Spread::of(ns.iter().zip(other_ns).map(|(one, other)| one / other).collect()))
    }

    /// Nanoseconds that a side takes, if it is there.
    pub(crate) fn ns(&self, name: &str) -> Option<Spread> {
        Some(Spread::of(self.samples_of(name)?.ns.clone()))
    }

    /// Which of these sides takes least, by the medians.
    pub(crate) fn fastest_of<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        let medians = names.iter().filter_map(|&name| Some((name, self.ns(name)?.median)));
        medians.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(name, _)| name)
    }

    /// The peer that takes least, and its ratio to ringkeep.
    pub(crate) fn best_peer(&self) -> Option<(&'static str, f64)> {
        let peers = self.sides.iter().filter(|samples| samples.role == Role::Peer);
        let ratios = peers.map(|samples| (samples.name, self.ratio(samples).median));
        ratios.min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// Sides as rows, ringkeep first, then from fast to slow.
    fn rows(&self) -> Vec<(&Samples, Spread, Spread)> {
        let rows = self.sides.iter();
        let mut rows: Vec<_> = rows
            .map(|samples| (samples, Spread::of(samples.ns.clone()), self.ratio(samples)))
            .collect();
        rows.sort_by(|one, other| {
            let is_other = |row: &(&Samples, Spread, Spread)| row.0.role != Role::Ours;
            is_other(one).cmp(&is_other(other)).then(one.1.median.total_cmp(&other.1.median))
        });
        rows
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}..{:.2})", self.median, self.min, self.max)
    }
}

/// What ringkeep is to reach.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) text: String,
    pub(crate) found: String,
    pub(crate) is_met: bool,
}

/// All of a run.
#[derive(Debug)]
pub(crate) struct Report {
    directory: PathBuf,
    works: Vec<Work>,
    goals: Vec<Goal>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self { directory, works: Vec::new(), goals: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn add(&mut self, work: Work) {
        eprintln!("done: {}, {} bytes, {}", work.scenario, work.item_bytes, work.what);
        self.works.push(work);
    }

    pub(crate) fn add_goal(&mut self, goal: Goal) {
        self.goals.push(goal);
    }

    /// How many times as long as this side ringkeep may take.
    pub(crate) fn limit(&mut self, work: &Work, side: &str, most: f64, text: &str) {
        let times = work.times(OURS, work, side).unwrap_or(Spread::MISSING);
        let found = format!("{times} times as long as {side}");
        self.add_goal(Goal { text: text.into(), found, is_met: times.median <= most });
    }

    /// Told once, however often it is noted.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A line for each side of each work, with its ratio to the side that is the limit.
    pub(crate) fn json_lines(&self, limit: &str) -> impl Iterator<Item = Value> {
        self.works.iter().flat_map(move |work| {
            work.sides.iter().map(move |samples| {
                let ratio = work.times(samples.name, work, limit).unwrap_or(Spread::MISSING);
                json!({
                    "work": work.scenario, "what": work.what, "record_bytes": work.item_bytes,
                    "system": samples.name, "rounds": samples.ns.len(),
                    "ns_per_record": Spread::of(samples.ns.clone()).median,
                    "ratio_to_limit": ratio.median, "spread": [ratio.min, ratio.max],
                })
            })
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let rows = self.works.iter().flat_map(|work| {
            work.rows().into_iter().map(|(samples, ns, ratio)| {
                json!({
                    "scenario": work.scenario, "work": work.what, "item_bytes": work.item_bytes,
                    "side": samples.name, "is_limit": samples.role == Role::Limit,
                    "rounds": samples.ns.len(), "ns_per_item": ns.median,
                    "ratio": ratio.median, "ratio_min": ratio.min, "ratio_max": ratio.max,
                })
            })
        });
        let goals = self
            .goals
            .iter()
            .map(|goal| json!({ "goal": goal.text, "found": goal.found, "is_met": goal.is_met }));
        json!({
            "machine": machine(),
            "directory": self.directory.display().to_string(),
            "rows": rows.collect::<Vec<_>>(),
            "goals": goals.collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; files in {}", machine(), self.directory.display())?;
        writeln!(f, "ratio: how many times as long as ringkeep, the median of the rounds;")?;
        writeln!(f, "spread: the least and the most of them. (limit): the machine, no peer.")?;
        for work in &self.works {
            writeln!(f, "\n{}, {} bytes, {}", work.scenario, work.item_bytes, work.what)?;
            writeln!(f, "  {:<30} {:>12} {:>8} {:>17}", "side", "ns per item", "ratio", "spread")?;
            for (samples, ns, ratio) in work.rows() {
                let limit = if samples.role == Role::Limit { " (limit)" } else { "" };
                let name = format!("{}{limit}", samples.name);
                let spread = format!("{:.2}..{:.2}", ratio.min, ratio.max);
                let (ns, ratio) = (ns.median, ratio.median);
                writeln!(f, "  {name:<30} {ns:>12.1} {ratio:>8.2} {spread:>17}")?;
            }
        }
        writeln!(f)?;
        for goal in &self.goals {
            let met = if goal.is_met { "met" } else { "NOT MET" };
            writeln!(f, "{met:>8}  {}: {}", goal.text, goal.found)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "    note  {note}"))
    }
}

/// Processor, number of threads, kernel.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown processor");
    let threads = thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {threads} threads, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_rounds() {
        let mut work = Work::new("memory", "in", 8);
        // A round that is ten times as slow for all sides changes no ratio.
        for (ours, peer) in [(1.0, 3.0), (10.0, 30.0), (1.0, 5.0)] {
            work.add("peer", Role::Peer, peer);
            work.add("limit", Role::Limit, 0.1);
            work.add(OURS, Role::Ours, ours);
        }
        assert_eq!(work.best_peer(), Some(("peer", 3.0)));
        assert_eq!(work.fastest_of(&["peer", OURS, "missing"]), Some(OURS));
        let (first, ns, _) = &work.rows()[0];
        assert_eq!((first.name, ns.median.to_bits()), (OURS, 1.0_f64.to_bits()));
    }

    #[test]
    fn a_line_of_json_has_the_ratio_to_the_limit() {
        let mut work = Work::new("scan", "by iterator", 32);
        for (limit, ours) in [(1.0, 3.0), (10.0, 20.0), (1.0, 5.0)] {
            work.add("limit", Role::Limit, limit);
            work.add(OURS, Role::Ours, ours);
        }
        let mut report = Report::new(Path::new("here"));
        report.add(work);
        let lines: Vec<Value> = report.json_lines("limit").collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[1]["system"], &lines[1]["work"]), (&json!(OURS), &json!("scan")));
        assert_eq!(lines[1]["ratio_to_limit"], json!(3.0));
        assert_eq!(lines[1]["spread"], json!([2.0, 5.0]));
    }
}
