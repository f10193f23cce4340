//! One archive, its readers, and a row of producers that are killed on it.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ringkeep::{Error, Producer, Ring};
use tempfile::TempDir;

use super::{
    child::{PATIENCE, Running, say, wait_for_the_end},
    killer::{Killer, spin},
    life::{Life, POLICIES, Shape},
    payload::fast_directory,
    readers::{KINDS, Reader},
};
use crate::{
    form::{Form, InForm as _},
    report::Report,
};

const ROUNDS: u64 = 12;
/// Kills one after the other, each while the producer makes good what the last one left.
const AGAIN_MAX: u32 = 3;
const SHAPES: [Shape; 4] = [
    Shape { record_size: 13, capacity: 500, shards: 3 },
    Shape { record_size: 1000, capacity: 60, shards: 1 },
    // Long enough to be killed in the middle of one.
    Shape { record_size: 20_000, capacity: 100, shards: 2 },
    Shape { record_size: 200_000, capacity: 6, shards: 2 },
];
const ACTS: [&str; 8] =
    ["append", "rewrite", "update", "batch", "everything", "everything", "everything", "update"];
const MOMENT_MIN_US: f64 = 5.0;
const MOMENT_MAX_US: f64 = 8000.0;

/// The whole story.
pub(super) fn of(seed: u64) -> Report {
    let mut story = Story::new(seed);
    story.create();
    story.start_readers();
    for _ in 0..ROUNDS {
        story.round();
    }
    story.end()
}

/// The child that wants to be the producer while another one is: path, record size.
pub(super) fn take_over(arguments: &[String]) {
    let [path] = arguments else { panic!("{arguments:?}") };
    let begun = Instant::now();
    match Producer::open(path) {
        Err(Error::Locked { .. }) => say("refused"),
        other => panic!("beside a living producer: {other:?}"),
    }
    // A look that waited for the other one's end would not come back before that.
    assert!(begun.elapsed() < PATIENCE / 6, "refused after {:?}", begun.elapsed());
    loop {
        match Producer::open(path) {
            Err(Error::Locked { .. }) => thread::park_timeout(Duration::from_micros(200)),
            opened => {
                opened.expect("the lock is free").die();
                say("took over");
                wait_for_the_end();
            }
        }
    }
}

struct Story {
    report: Report,
    random: fastrand::Rng,
    _directory: TempDir,
    path: PathBuf,
    shape: Shape,
    killer: Killer,
    readers: Vec<Reader>,
    lives: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let is_slow = random.u32(..8) == 0;
        let directory =
            if is_slow { tempfile::tempdir().expect("a directory") } else { fast_directory() };
        let shape = SHAPES[random.usize(..SHAPES.len())];
        Self {
            report: Report::default(),
            random,
            path: directory.path().join("cache.dat"),
            _directory: directory,
            shape,
            killer: Killer::new(shape),
            readers: Vec::new(),
            lives: 0,
        }
    }

    fn life(&mut self, acts: &'static str) -> Life {
        self.lives += 1;
        let policy = POLICIES[self.random.usize(..POLICIES.len())];
        let form = Form::draw(&mut self.random);
        self.report.count(policy);
        self.report.count(form.name());
        let (path, shape, number) = (self.path.clone(), self.shape, self.lives);
        Life { path, shape, policy, form, acts, seed: self.random.u64(..), number }
    }

    /// Short ones are as likely as long ones.
    fn moment(&mut self) -> Duration {
        let (from, to) = (MOMENT_MIN_US.ln(), MOMENT_MAX_US.ln());
        Duration::from_secs_f64((from + self.random.f64() * (to - from)).exp() / 1e6)
    }

    /// Creations that are killed: each leaves a whole archive or none.
    fn create(&mut self) {
        for _ in 0..self.random.u32(1..=2) {
            let child = self.life("open").start();
            let begun = child.line();
            let moment = self.moment();
            spin(moment);
            let last = self.killer.kill(child).unwrap_or(begun);
            self.killed(&last);
            if self.path.exists() {
                break;
            }
        }
        // Left by a creation that was killed, or new.
        let options = self.shape.options().in_form(Form::draw(&mut self.random));
        let producer = options.open_or_create(&self.path).expect("a whole archive or none");
        assert_eq!(producer.ring().next_id().expect("next"), 0, "nothing was appended");
        producer.die();
    }

    fn start_readers(&mut self) {
        let mut kinds = KINDS;
        self.random.shuffle(&mut kinds);
        for kind in &kinds[..self.random.usize(..=KINDS.len())] {
            let seed = self.random.u64(..);
            self.readers.push(Reader::start(&self.path, kind, self.shape.record_size, seed));
        }
    }

    /// A kill, or several in a row; then everybody looks.
    fn round(&mut self) {
        let stopped = match self.readers.len() {
            count @ 1.. if self.random.u32(..3) == 0 => Some(self.random.usize(..count)),
            _ => None,
        };
        if let Some(reader) = stopped {
            self.readers[reader].running.stop();
        }
        match self.random.u32(..8) {
            0..3 => self.kill_while_opening(),
            3..5 => self.kill_while_closing(),
            _ => self.kill_while_running(),
        }
        if let Some(reader) = stopped {
            self.readers[reader].running.go_on();
            self.report.count("stopped reader");
        }
        self.killer.form = Form::draw(&mut self.random);
        let closes = self.random.bool();
        self.killer.check(&self.path, closes);
        self.ask_the_readers(stopped);
    }

    fn killed(&mut self, last: &str) -> bool {
        self.report.trials += 1;
        self.report.count("kills");
        self.report.count(match last {
            "creating" => "kill while creating",
            "opening" => "kill while opening",
            "closing" => "kill while closing",
            _ => "kill while running",
        });
        last == "opening"
    }

    fn kill_while_opening(&mut self) {
        let acts = ACTS[self.random.usize(..ACTS.len())];
        let child = self.life(acts).start();
        let mut inside = self.kill_at(child, "opening");
        for _ in 0..self.random.u32(..=AGAIN_MAX) {
            // What the last life did is not known before the next look: these only open.
            let child = self.life("open").start();
            let again = self.kill_at(child, "opening");
            if inside && again {
                self.report.count("kill while recovering again");
            }
            inside = again;
        }
    }

    fn kill_while_closing(&mut self) {
        let child = self.life("close").start();
        self.kill_at(child, "closing");
    }

    /// Waits for the line, and a moment more. Whether the kill came inside an opening.
    fn kill_at(&mut self, child: Running, line: &str) -> bool {
        let mut last = String::new();
        while last != line {
            last = child.line();
            self.killer.ledger.note(&last);
        }
        let moment = self.moment();
        spin(moment);
        let last = self.killer.kill(child).unwrap_or(last);
        self.killed(&last)
    }

    fn kill_while_running(&mut self) {
        let acts = ACTS[self.random.usize(..ACTS.len())];
        let life = self.life(acts);
        let child = life.start();
        for _ in 0..2 {
            let said = child.line();
            self.killer.ledger.note(&said);
        }
        let second = (self.random.u32(..4) == 0).then(|| {
            let path = self.path.to_str().expect("ASCII");
            let second = Running::start("take over", &[path]);
            second.says("refused");
            self.report.count("second producer refused");
            second
        });
        // A sync takes long, and so does a large record: fewer lines there.
        let lines_max =
            if life.policy == "Always" || self.shape.record_size > 1000 { 40 } else { 300 };
        let lines = self.random.u64(..lines_max);
        for _ in 0..lines {
            let said = child.line();
            self.killer.ledger.note(&said);
        }
        let told = Ring::open(&self.path).and_then(|ring| ring.durable()).expect("a look");
        self.report.add("durable told", u64::from(told > 0));
        self.killer.ledger.is_durable(told);
        let moment = self.moment() / 4;
        spin(moment);
        let last = self.killer.kill(child).unwrap_or_default();
        self.killed(&last);
        if let Some(second) = second {
            second.says("took over");
            self.report.count("second producer took over");
            let _ = second.kill();
        }
    }

    fn ask_the_readers(&mut self, stopped: Option<usize>) {
        for (index, reader) in self.readers.iter_mut().enumerate() {
            let news = reader.report();
            assert_eq!(news.position, self.killer.ledger.next(), "a reader stands elsewhere");
            self.report.add("lapped reader", u64::from(news.lapped > 0));
            let saw = news.records > 0 && stopped != Some(index);
            self.report.add("reader saw a kill", u64::from(saw));
            for (class, count) in [
                ("readers' Record", news.records),
                ("readers' updated Record", news.updated),
                ("readers' Absent", news.absent),
                ("readers' Lost", news.lost),
                ("readers' Lapped", news.lapped),
            ] {
                self.report.add(class, count);
            }
        }
    }

    fn end(mut self) -> Report {
        let Killer { ledger, cut_appends, cut_rewrites, .. } = &self.killer;
        let sums = &ledger.sums;
        for (class, count) in [
            ("archives", 1),
            ("acknowledged appends", sums.appended),
            ("acknowledged updates", sums.updated),
            ("acknowledged deletes", sums.deleted),
            ("gap", sums.gaps),
            ("jump", sums.jumps),
            ("clean close", sums.closed),
            ("checked ids", sums.checked),
            ("cut append found", sums.found),
            ("lost", sums.lost),
            ("cut jump", sums.cut_jumps),
            ("cut rewrite", sums.cut_rewrites),
            ("append torn in a slot", u64::from(*cut_appends)),
            ("rewrite torn in a slot", u64::from(*cut_rewrites)),
        ] {
            self.report.add(class, count);
        }
        self.report
    }
}
