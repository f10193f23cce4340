//! Readers in processes of their own, which live through the deaths of the producers and judge
//! everything they see.
//!
//! What they hold against the ring: a payload follows from its id; an id never goes back to older
//! content, and from nothing to a record; `oldest`, `next` and `durable` never go back; a tailer
//! comes to each id once, or says that it missed it; nothing is ever `Corrupt`.

use std::{path::Path, thread, time::Duration};

use ringkeep::{AfterLap, Io, Read, ReadOptions, Ring, Start, Tailed, Tailer};

use super::{
    child::{Running, questions, say},
    life::STYLE,
    payload::version_of,
};

/// What a reader does.
pub(super) const KINDS: [&str; 4] = ["follow", "walk", "random by position", "random mapped"];
/// Ids whose last content is known.
const SEEN_MAX: u64 = 1024;
const LOOKS: usize = 64;
/// From one round to the next, so that the producer gets a processor.
const PAUSE: Duration = Duration::from_micros(300);

/// What came of the looks of a reader.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) absent: u64,
    pub(super) lost: u64,
    /// Looks at ids that were gone, and ids that a tailer missed.
    pub(super) lapped: u64,
    pub(super) updated: u64,
    /// Where it stands: the next id of the ring, or of the tailer.
    pub(super) position: u64,
}

/// A reader, as its parent sees it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) running: Running,
    pub(super) counts: Counts,
}

impl Reader {
    pub(super) fn start(path: &Path, kind: &str, record_size: usize, seed: u64) -> Self {
        let (size, seed) = (record_size.to_string(), seed.to_string());
        let path = path.to_str().expect("ASCII");
        let running = Running::start("read until killed", &[path, kind, &size, &seed]);
        running.says("reading");
        Self { running, counts: Counts::default() }
    }

    /// Lets it look once more and tell what it has seen so far: that, and what is new of it.
    pub(super) fn report(&mut self) -> Counts {
        self.running.ask();
        let line = self.running.line();
        let numbers: Vec<u64> =
            line.split(' ').map(|word| word.parse().expect("a number")).collect();
        let [records, absent, lost, lapped, updated, position] = numbers[..] else {
            panic!("a reader says {line}")
        };
        let now = Counts { records, absent, lost, lapped, updated, position };
        let before = std::mem::replace(&mut self.counts, now);
        Counts {
            records: records - before.records,
            absent: absent - before.absent,
            lost: lost - before.lost,
            lapped: lapped - before.lapped,
            updated: updated - before.updated,
            position,
        }
    }
}

/// The child: path, kind, record size, seed.
pub(super) fn read_until_killed(arguments: &[String]) {
    let [path, kind, size, seed] = arguments else { panic!("{arguments:?}") };
    let io = if kind == "random by position" { Io::File } else { Io::Mapped };
    let ring = ReadOptions::new().io(io).open(path).expect("a reader opens at once");
    let closely = AfterLap::Oldest { margin: 0 };
    let mut tailer = ring.tailer(Start::Oldest).after_lap(closely);
    let mut random = fastrand::Rng::with_seed(seed.parse().expect("a seed"));
    let mut watch = Watch::new(ring.clone(), size.parse().expect("a size"));
    say("reading");
    let mut answered = 0;
    loop {
        // Asked before the look, so that the answer is of a whole one.
        let asked = questions();
        watch.cursors();
        match kind.as_str() {
            "follow" => watch.follow(&mut tailer),
            "walk" => watch.walk(),
            _ => watch.look_around(&mut random),
        }
        if asked > answered {
            answered = asked;
            let Counts { records, absent, lost, lapped, updated, position } = watch.counts;
            say(&format!("{records} {absent} {lost} {lapped} {updated} {position}"));
        }
        thread::park_timeout(PAUSE);
    }
}

/// What an id held when it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Version(u64),
    Absent,
    Lost,
}

/// The reader's side of the judgement.
struct Watch {
    ring: Ring,
    counts: Counts,
    oldest: u64,
    next: u64,
    durable: u64,
    seen: Vec<Option<(u64, Content)>>,
    payload: Vec<u8>,
    room: Vec<u8>,
}

impl Watch {
    fn new(ring: Ring, record_size: usize) -> Self {
        let room = vec![0; record_size];
        let seen = vec![None; usize::try_from(SEEN_MAX).expect("few")];
        let (oldest, next, durable) = (0, 0, 0);
        let counts = Counts::default();
        Self { ring, counts, oldest, next, durable, seen, payload: room.clone(), room }
    }

    fn cursors(&mut self) {
        let (oldest, durable) =
            (self.ring.oldest().expect("oldest"), self.ring.durable().expect("durable"));
        let next = self.ring.next_id().expect("next");
        assert!(oldest >= self.oldest, "oldest went back: {oldest} {}", self.oldest);
        assert!(durable >= self.durable, "durable went back: {durable} {}", self.durable);
        assert!(next >= self.next, "next went back: {next} {}", self.next);
        assert!(oldest <= next && durable <= next, "{oldest} {durable} {next}");
        (self.oldest, self.durable, self.next) = (oldest, durable, next);
        self.counts.position = next;
    }

    fn follow(&mut self, tailer: &mut Tailer) {
        let mut expected = tailer.position();
        while let Some(item) = tailer.try_next().expect("a look") {
            match item {
                Tailed::Record { id, payload } => {
                    assert_eq!(id, expected, "a tailer comes to each id once");
                    self.judge(id, &Read::Record(payload));
                }
                Tailed::Hole { id, read } => {
                    assert_eq!(id, expected, "a tailer comes to each id once");
                    self.judge(id, &read.map(|()| [].as_slice()));
                }
                Tailed::Missed { ids } => {
                    assert!(ids.start == expected && ids.end > expected, "{ids:?} {expected}");
                    self.counts.lapped += ids.end - ids.start;
                    expected = ids.end;
                    continue;
                }
                other => panic!("{other:?} after {expected}"),
            }
            expected += 1;
        }
        self.counts.position = expected;
    }

    fn walk(&mut self) {
        let mut cursor = self.ring.range(self.oldest..self.next);
        let mut expected = self.oldest;
        while let Some((id, read)) = cursor.next().expect("a look") {
            assert_eq!(id, expected, "a walk comes to each id once");
            self.judge(id, &read);
            expected += 1;
        }
        assert_eq!(expected, self.next, "a walk comes to its end");
    }

    fn look_around(&mut self, random: &mut fastrand::Rng) {
        for _ in 0..LOOKS {
            let id = random.u64(self.oldest.saturating_sub(3)..self.next + 3);
            let mut payload = std::mem::take(&mut self.payload);
            let read = self.ring.read_into(id, &mut payload).expect("a look");
            self.judge(id, &read.map(|()| payload.as_slice()));
            self.payload = payload;
        }
    }

    /// What a broken promise looks like a moment later.
    fn again(&self, id: u64) -> String {
        thread::park_timeout(PAUSE);
        let read = self.ring.read(id).map(|read| read.map(drop));
        let afresh = Ring::open(self.ring.path()).and_then(|ring| ring.read(id));
        let afresh = afresh.map(|read| read.map(drop));
        format!("{read:?}, opened afresh {afresh:?}, in {:?}", self.ring.stats())
    }

    fn judge(&mut self, id: u64, read: &Read<&[u8]>) {
        let content = match read {
            Read::Record(payload) => {
                let version = version_of(STYLE, id, payload, &mut self.room);
                self.counts.records += 1;
                self.counts.updated += u64::from(version.is_some_and(|version| version > 0));
                Content::Version(version.unwrap_or_else(|| panic!("{id} holds another's bytes")))
            }
            Read::Absent => {
                self.counts.absent += 1;
                Content::Absent
            }
            Read::Lost => {
                self.counts.lost += 1;
                Content::Lost
            }
            Read::Lapped { oldest, missed } => {
                assert_eq!(oldest.checked_sub(id), Some(*missed), "{id} is {read:?}");
                self.counts.lapped += 1;
                return;
            }
            Read::NotYet { next } => {
                assert!(*next <= id && id >= self.next, "{id} is {read:?} below {}", self.next);
                return;
            }
            other => panic!("{id} is {other:?}, then {}", self.again(id)),
        };
        assert!(id >= self.oldest, "{id} was lapped and is {content:?}");
        let place = usize::try_from(id % SEEN_MAX).expect("few");
        if let Some((seen_id, before)) = self.seen[place]
            && seen_id == id
        {
            let follows = match (before, content) {
                (Content::Version(before), Content::Version(now)) => before <= now,
                (Content::Version(_), now) => now == Content::Absent,
                (before, now) => before == now,
            };
            assert!(follows, "{id} was {before:?} and is {content:?}");
        }
        self.seen[place] = Some((id, content));
    }
}
