//! The parent's side of one ring: what it lets die, and how it judges what is left.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use ringkeep::{AfterLap, Ring, Start, Tailed, Tailer};

use super::{
    child::Running,
    ledger::Ledger,
    life::{STYLE, Shape},
    payload::{payload_of, version_of},
};
use crate::form::{Form, InForm as _};

/// Words of the hot page; see docs/FORMAT.md.
const COUNTER: u64 = 4096 + 8;
const TOUCHED: u64 = 4096 + 64;

/// A word of the hot page, as it is in the file.
fn word(path: &Path, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    let file = fs::File::open(path).expect("the archive");
    file.read_exact_at(&mut bytes, offset).expect("a word");
    u64::from_le_bytes(bytes)
}

/// Lets a child run on, so that the kill comes at a random moment.
pub fn spin(moment: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < moment {
        std::hint::spin_loop();
    }
}

/// The parent's side of one ring.
#[derive(Debug)]
pub struct Killer {
    shape: Shape,
    /// What it knows.
    pub ledger: Ledger,
    /// In which it opens the archive as a producer.
    pub form: Form,
    /// A reader that lives on through all the deaths.
    tailer: Option<Tailer>,
    /// Records that this reader saw.
    pub tailed: u64,
    /// The longest that a producer took to open.
    pub slowest: Duration,
    /// Kills while a slot of an append was stored.
    pub cut_appends: u32,
    /// Kills while a slot of a rewrite was stored.
    pub cut_rewrites: u32,
}

impl Killer {
    /// Of an empty ring.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let ledger = Ledger::new(shape.capacity);
        let (tailed, slowest) = (0, Duration::ZERO);
        let (cut_appends, cut_rewrites) = (0, 0);
        let form = Form::Mapped;
        Self { shape, ledger, form, tailer: None, tailed, slowest, cut_appends, cut_rewrites }
    }

    /// Lets a child say so many lines, and go on for a moment; then kills it, and takes note of all
    /// it has said. The last line.
    pub fn kill_after(&mut self, child: Running, lines: u64, moment: Duration) -> Option<String> {
        for _ in 0..lines {
            self.ledger.note(&child.line());
        }
        spin(moment);
        self.kill(child)
    }

    /// Kills a child and takes note of all it has said. The last line.
    pub fn kill(&mut self, child: Running) -> Option<String> {
        let said = child.kill();
        for line in &said {
            self.ledger.note(line);
        }
        said.into_iter().last()
    }

    /// A reader's look, then a producer's, and some records more.
    ///
    /// # Panics
    ///
    /// If a promise is broken.
    pub fn check(&mut self, path: &Path, close: bool) {
        let size = self.shape.record_size;
        let reader = Ring::open(path).expect("a reader opens at once");
        self.ledger.check(&reader, size);
        let (next, touched) = (reader.next_id().expect("next"), word(path, TOUCHED));
        self.cut_appends += u32::from(touched > next);
        self.cut_rewrites += u32::from(!word(path, COUNTER).is_multiple_of(2));
        let begun = Instant::now();
        let options = self.shape.options().in_form(self.form);
        let mut producer = options.open(path).expect("a producer opens at once");
        self.slowest = self.slowest.max(begun.elapsed());
        assert!(word(path, COUNTER).is_multiple_of(2), "a rewrite under way is finished");
        let opened = producer.ring().next_id().expect("next");
        assert_eq!(opened, next.max(touched), "what was touched is not used again");
        self.ledger.check(&producer.ring(), size);
        self.ledger.settle();
        self.ledger.check(&reader, size);
        let verdict = reader.verify(|_| {}).expect("a look at everything");
        assert_eq!(verdict.corrupt, 0, "{verdict:?}");
        for _ in 0..3 {
            let payload = payload_of(STYLE, self.ledger.next(), 0, size);
            let id = producer.append(&payload).expect("an append");
            self.ledger.appended(id, 1);
        }
        let id = self.ledger.next() - 1;
        producer.update(id, &payload_of(STYLE, id, 2, size)).expect("an update");
        self.ledger.rewrote(id, Some(2));
        if close {
            producer.close().expect("a close");
        } else {
            producer.die();
        }
        self.ledger.check(&reader, size);
        self.tail(&reader);
    }

    /// The tailer comes to every id once, in order, whoever wrote it.
    fn tail(&mut self, ring: &Ring) {
        let closely = AfterLap::Oldest { margin: 0 };
        let tailer =
            self.tailer.get_or_insert_with(|| ring.tailer(Start::Oldest).after_lap(closely));
        let mut room = vec![0; self.shape.record_size];
        let mut expected = tailer.position();
        while let Some(item) = tailer.try_next().expect("a look") {
            match item {
                Tailed::Record { id, payload } => {
                    assert_eq!(id, expected);
                    assert!(version_of(STYLE, id, payload, &mut room).is_some(), "{id}");
                    self.tailed += 1;
                }
                Tailed::Hole { id, .. } => assert_eq!(id, expected),
                Tailed::Missed { ids } => {
                    assert_eq!(ids.start, expected);
                    expected = ids.end;
                    continue;
                }
                other => panic!("{other:?} after {expected}"),
            }
            expected += 1;
        }
        assert_eq!(expected, self.ledger.next());
    }
}
