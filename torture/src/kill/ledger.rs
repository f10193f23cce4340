//! What the parent of a killed producer knows, and holds against the ring.

use std::collections::BTreeMap;

use ringkeep::{Read, Ring};

use super::payload::{Style, version_of};

const STYLE: Style = Style::VersionFirst;

/// What an id may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// A record of one of these versions, or nothing (`None`): a rewrite may have been under way.
    OneOf(Vec<Option<u64>>),
    /// The crash took it.
    Lost,
}

/// What was under way when the child was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    /// An append, a batch, a sync, or nothing at all.
    Append,
    Gap(u64),
    Rewrite(u64),
}

/// Sums over all rounds.
#[derive(Debug, Default)]
pub struct Sums {
    /// Records that `append` or `append_batch` returned.
    pub appended: u64,
    /// Gaps of `append_at`, jumps among them.
    pub gaps: u64,
    /// Clean closes of the child.
    pub closed: u64,
    /// Ids that `append_at` left out.
    pub skipped: u64,
    /// Gaps that were longer than the window.
    pub jumps: u64,
    /// Updates that returned.
    pub updated: u64,
    /// Deletes that returned.
    pub deleted: u64,
    /// Ids that were held against what is known.
    pub checked: u64,
    /// Ids that no call had returned and that hold a record all the same.
    pub found: u64,
    /// Ids that a crash took; no call had returned them.
    pub lost: u64,
    /// Jumps that had not returned and were made all the same.
    pub cut_jumps: u64,
    /// Rewrites that were under way.
    pub cut_rewrites: u64,
}

/// The ring as it must be.
#[derive(Debug)]
pub struct Ledger {
    capacity: u64,
    next: u64,
    kept: u64,
    fates: BTreeMap<u64, Fate>,
    pending: Pending,
    /// Everything below is durable, as was told.
    durable: u64,
    /// What it came to.
    pub sums: Sums,
}

impl Ledger {
    /// That of an empty ring.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            next: 0,
            kept: 0,
            fates: BTreeMap::new(),
            pending: Pending::Append,
            durable: 0,
            sums: Sums::default(),
        }
    }

    /// Takes note of a line of the child: small letters say what returned, capitals what begins.
    ///
    /// # Panics
    ///
    /// If what it says breaks a promise.
    pub fn note(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| words[at].parse().expect("a number");
        match words[0] {
            "a" => self.appended(number(1), 1),
            "s" => {
                self.appended(number(1), 1);
                self.is_durable(self.next);
            }
            "f" => self.is_durable(number(1)),
            "b" => self.appended(number(1), number(2)),
            "G" => self.pending = Pending::Gap(number(1)),
            "g" => self.skipped_to(number(1)),
            "U" => self.rewrites(number(1), Some(number(2))),
            "u" => self.rewrote(number(1), Some(number(2))),
            "D" => self.rewrites(number(1), None),
            "d" => self.rewrote(number(1), None),
            "creating" | "opening" | "opened" | "closing" => {}
            "closed" => self.sums.closed += 1,
            _ => panic!("the child says {line}"),
        }
    }

    /// The ring said that everything below `id` is durable: that never goes back.
    pub fn is_durable(&mut self, id: u64) {
        self.durable = self.durable.max(id);
    }

    /// An append returned.
    ///
    /// # Panics
    ///
    /// If the ids were handed out before.
    pub fn appended(&mut self, first: u64, count: u64) {
        assert_eq!(first, self.next, "ids follow each other, and none is used twice");
        self.next = first + count;
        self.sums.appended += count;
        self.fates.extend((first..self.next).map(|id| (id, Fate::OneOf(vec![Some(0)]))));
    }

    fn skipped_to(&mut self, id: u64) {
        assert_eq!(self.pending, Pending::Gap(id));
        assert!(id >= self.next, "ids only grow");
        self.sums.gaps += 1;
        if id - self.next >= self.capacity {
            (self.kept, self.next) = (id, id);
            self.sums.jumps += 1;
        }
        self.sums.skipped += id - self.next;
        self.fates.extend((self.next..id).map(|id| (id, Fate::OneOf(vec![None]))));
        self.next = id;
        self.pending = Pending::Append;
        self.appended(id, 1);
    }

    /// From here on the id may hold the old or the new content.
    fn rewrites(&mut self, id: u64, version: Option<u64>) {
        self.pending = Pending::Rewrite(id);
        match self.fates.get_mut(&id) {
            Some(Fate::OneOf(versions)) => versions.push(version),
            other => panic!("{id} is {other:?} and cannot be rewritten"),
        }
    }

    /// An update (a version) or a delete returned.
    pub fn rewrote(&mut self, id: u64, version: Option<u64>) {
        self.pending = Pending::Append;
        self.fates.insert(id, Fate::OneOf(vec![version]));
        match version {
            Some(_) => self.sums.updated += 1,
            None => self.sums.deleted += 1,
        }
    }

    /// Holds the ring of a dead producer against what is known, and learns what was open.
    ///
    /// # Panics
    ///
    /// If a promise is broken.
    pub fn check(&mut self, ring: &Ring, record_size: usize) {
        let durable = ring.durable().expect("durable");
        assert!(durable >= self.durable, "durable went back: {durable} {}", self.durable);
        self.is_durable(durable);
        let (oldest, next) = (ring.oldest().expect("oldest"), ring.next_id().expect("next"));
        assert!(next >= self.next, "an id that was handed out comes again: {next} {}", self.next);
        if let Pending::Gap(id) = self.pending
            && id.checked_sub(self.next).is_some_and(|gap| gap >= self.capacity)
        {
            if next <= id {
                // The jump was cut before its id was shown: what it laps may be gone already.
                assert_eq!(next, self.next);
                return;
            }
            // A jump that had not returned counts once it was touched; the ids that it left out are
            // dropped then, or lost with it.
            let drops = oldest >= id;
            (self.kept, self.next) = (if drops { id } else { self.kept }, id);
            self.sums.cut_jumps += 1;
        }
        let floor = next.saturating_sub(self.capacity).max(self.kept);
        let pending = self.pending;
        assert_eq!(oldest, floor.min(next), "exactly the window is kept: {next} {pending:?}");
        let mut room = vec![0; record_size];
        for id in floor..next {
            let found = match ring.read(id).expect("a read") {
                Read::Record(payload) => {
                    let version = version_of(STYLE, id, &payload, &mut room);
                    Fate::OneOf(vec![Some(version.expect("a payload that its id explains"))])
                }
                Read::Absent => Fate::OneOf(vec![None]),
                Read::Lost => Fate::Lost,
                other => panic!("{id} is {other:?}"),
            };
            self.learn(id, found);
        }
        if floor > 0 {
            let below = ring.read(floor - 1).expect("a read");
            assert!(matches!(below, Read::Lapped { missed: 1, .. }), "{below:?}");
        }
        self.next = next;
        self.fates = self.fates.split_off(&floor);
    }

    /// The next check is of a producer that opened: nothing is under way any more.
    pub fn settle(&mut self) {
        if matches!(self.pending, Pending::Rewrite(_)) {
            self.sums.cut_rewrites += 1;
        }
        self.pending = Pending::Append;
    }

    fn learn(&mut self, id: u64, found: Fate) {
        self.sums.checked += 1;
        match (self.fates.get(&id), &found) {
            (Some(Fate::OneOf(versions)), Fate::OneOf(one)) => {
                assert!(versions.contains(&one[0]), "{id} is {one:?}, not one of {versions:?}");
            }
            (Some(known), _) => assert_eq!(known, &found, "{id}"),
            // No call returned it: whole, skipped, or lost.
            (None, Fate::OneOf(one)) if one[0] == Some(0) => self.sums.found += 1,
            (None, Fate::OneOf(one)) if one[0].is_none() => {
                assert!(
                    matches!(self.pending, Pending::Gap(to) if id < to),
                    "{id} was not skipped"
                );
            }
            (None, Fate::OneOf(one)) => panic!("{id} has version {one:?} and was never updated"),
            (None, Fate::Lost) => self.sums.lost += 1,
        }
        self.fates.insert(id, found);
    }

    /// Where the ring must stand.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }
}
