//! Knows what was written under each id and what was promised about it, and judges what is read.

use std::collections::{BTreeMap, BTreeSet};

use ringkeep::{Crash, Read, Ring};

/// What an id may hold; `None` is a skipped or deleted id.
pub(crate) type Content = Option<Vec<u8>>;
pub(crate) type Counts = BTreeMap<&'static str, u64>;

#[derive(Default)]
pub(crate) struct Oracle {
    pub(crate) violations: Vec<String>,
    pub(crate) counts: Counts,
    /// Contents that an id may have after a power cut; the last one is in the cache.
    pub(crate) versions: BTreeMap<u64, Vec<Content>>,
    /// Ids that were returned, or served after a crash; only a power cut above durable takes them.
    pub(crate) owed: BTreeSet<u64>,
    /// Ids whose append returned.
    pub(crate) acknowledged: BTreeSet<u64>,
    pub(crate) lost: BTreeSet<u64>,
    pub(crate) inflight: BTreeSet<u64>,
    pub(crate) handed: u64,
    pub(crate) durable: u64,
    /// Ids below it were dropped by a jump.
    pub(crate) dropped: u64,
    /// Ids below it may have been dropped by a jump that died.
    pub(crate) may_drop: u64,
    /// One past the id of a jump that has not returned.
    pub(crate) jump: u64,
    /// The next id as it was seen last.
    pub(crate) burnt: u64,
    /// The oldest id when the power failed.
    pub(crate) before_cut: u64,
    /// The next id of an archive that was closed, until it is opened again.
    pub(crate) at_rest: Option<u64>,
    pub(crate) capacity: u64,
    pub(crate) reservation: u64,
    /// Returned records that a cut may take; `None`: any above durable.
    pub(crate) may_lose: Option<u64>,
}

impl Oracle {
    pub(crate) fn fail(&mut self, text: String) {
        self.violations.push(text);
    }

    pub(crate) fn count(&mut self, class: &'static str, occurred: bool) {
        *self.counts.entry(class).or_default() += u64::from(occurred);
    }

    /// These contents are about to be written.
    pub(crate) fn attempt(&mut self, first: u64, contents: &[Content]) {
        for (id, content) in (first..).zip(contents) {
            self.versions.entry(id).or_default().push(content.clone());
            self.inflight.insert(id);
        }
    }

    /// The appends have returned.
    pub(crate) fn returned(&mut self, first: u64, contents: &[Content]) {
        if first < self.handed {
            self.fail(format!("R4 id {first} was handed out twice"));
        }
        for (id, content) in (first..).zip(contents) {
            self.versions.insert(id, vec![content.clone()]);
            self.owed.insert(id);
            self.acknowledged.insert(id);
        }
        self.handed = first + contents.len() as u64;
        self.inflight.clear();
    }

    /// A rewrite has returned; below durable it is there for good.
    pub(crate) fn rewritten(&mut self, id: u64, content: &Content) {
        self.inflight.clear();
        if id < self.durable {
            self.versions.insert(id, vec![content.clone()]);
        }
    }

    pub(crate) fn synced(&mut self, durable: u64) {
        if durable < self.durable {
            self.fail(format!("R11 durable went back from {} to {durable}", self.durable));
        }
        for (_, versions) in self.versions.range_mut(self.durable..durable.max(self.durable)) {
            versions.drain(..versions.len().saturating_sub(1));
        }
        self.durable = durable;
    }

    /// After an opening, a rewrite that did not return is made or not, for good, below durable.
    pub(crate) fn settle_rewrites(&mut self) {
        for (_, versions) in self.versions.range_mut(..self.durable) {
            versions.drain(..versions.len().saturating_sub(1));
        }
    }

    /// Judges the whole window. `crash`: the event since the last check.
    pub(crate) fn check(&mut self, ring: &Ring, crash: Option<Crash>) {
        let bounds: ringkeep::Result<_> =
            (|| Ok((ring.oldest()?, ring.next_id()?, ring.durable()?)))();
        let (oldest, next, durable) = match bounds {
            Ok(bounds) => bounds,
            Err(error) => return self.fail(format!("R1 the bounds cannot be read: {error:?}")),
        };
        if next < self.handed {
            self.fail(format!("R4 next {next} is below an id that was returned: {}", self.handed));
        }
        if durable < self.durable {
            self.fail(format!("R11 durable went back from {} to {durable}", self.durable));
        }
        if oldest < self.dropped.min(next) {
            self.fail(format!("R11 a jump to {} came undone: {oldest}", self.dropped));
        }
        // A jump that died may be made, and then it has dropped what was before it.
        if self.jump > 0 && next >= self.jump {
            self.may_drop = self.may_drop.max(self.jump - 1);
        }
        let floor = next.saturating_sub(self.capacity).max(self.dropped).max(self.may_drop);
        // Once it is announced it laps everything, before its own id shows.
        let announced = self.jump > 0 && oldest == next;
        if oldest > floor.min(next) && !announced {
            self.fail(format!("R3 the oldest is {oldest}, but {floor} is owed, next {next}"));
        }
        let inflight = self.inflight.last().map_or(0, |id| id + 1);
        let reach = self.handed.max(self.jump).max(inflight).max(self.burnt);
        if crash == Some(Crash::Cut) && next > reach + self.reservation {
            self.fail(format!("R3 the limit {next} gives up more than R beyond {reach}"));
        }
        if self.at_rest.is_some_and(|rest| rest != next) {
            self.fail(format!("R3 closed at {:?}, next {next}", self.at_rest));
        }
        let attempted = self.versions.last_key_value().map_or(0, |(id, _)| id + 1);
        if crash == Some(Crash::Kill) && next > reach.max(attempted) {
            self.fail(format!("R3 a death takes ids up to {next}, beyond {reach}, {attempted}"));
        }
        let acknowledged = self.acknowledged.len();
        for id in oldest.saturating_sub(2)..next + 2 {
            match ring.read(id) {
                Ok(read) => self.judge(id, &read, (oldest, next), crash, false),
                Err(error) => self.fail(format!("id {id} fails: {error:?}")),
            }
        }
        let taken = (acknowledged - self.acknowledged.len()) as u64;
        if self.may_lose.is_some_and(|most| taken > most) {
            self.fail(format!("policy: a crash took {taken} returned records"));
        }
        if crash == Some(Crash::Cut) {
            let gone = |id: &u64| *id < oldest && *id >= self.before_cut && *id < self.durable;
            let given_up = self.owed.iter().any(gone);
            self.count("given up by reservation", given_up);
            self.durable = self.durable.max(durable);
        }
        self.burnt = next;
        if crash.is_some() {
            self.inflight.clear();
        }
    }

    /// A reader between two stores.
    pub(crate) fn look(&mut self, id: u64, read: &Read<Vec<u8>>, window: (u64, u64)) {
        self.count("looked between stores", true);
        self.judge(id, read, window, None, true);
    }

    fn judge(
        &mut self,
        id: u64,
        read: &Read<Vec<u8>>,
        (oldest, next): (u64, u64),
        crash: Option<Crash>,
        looking: bool,
    ) {
        match read {
            Read::Record(payload) => self.judge_served(id, Some(payload.clone()), crash, looking),
            Read::Absent => self.judge_served(id, None, crash, looking),
            Read::Lost => self.judge_lost(id, crash, looking),
            Read::Lapped { .. } => {
                self.count("Lapped", true);
                if !looking && id >= oldest.max(next.saturating_sub(self.capacity)).max(self.jump) {
                    self.fail(format!("R3 id {id} is lapped inside the window {oldest}..{next}"));
                }
            }
            Read::NotYet { .. } => {
                self.count("NotYet", true);
                if id < self.handed || !looking && id < next {
                    self.fail(format!("R3 id {id} is not there yet, next {next}"));
                }
            }
            other => self.fail(format!("R5 id {id} reads {other:?}")),
        }
    }

    fn judge_served(&mut self, id: u64, content: Content, crash: Option<Crash>, looking: bool) {
        self.count(if content.is_some() { "Record" } else { "Absent" }, true);
        let versions = self.versions.get(&id).map_or(&[][..], Vec::as_slice);
        let free = crash == Some(Crash::Cut) || looking || self.inflight.contains(&id);
        let may_be = if free { versions } else { &versions[versions.len().saturating_sub(1)..] };
        if !may_be.contains(&content) {
            let text = format!("R2 id {id} reads {content:?}, may be {may_be:?}");
            self.fail(text);
        }
        if self.lost.contains(&id) {
            self.fail(format!("R12 id {id} was lost and came back"));
        }
        if let Some(crash) = crash {
            self.count("served above durable", crash == Crash::Cut && id >= self.durable);
            let versions = self.versions.entry(id).or_default();
            if crash == Crash::Cut {
                versions.clear();
            }
            versions.retain(|version| *version != content);
            versions.push(content);
            self.owed.insert(id);
        }
    }

    fn judge_lost(&mut self, id: u64, crash: Option<Crash>, looking: bool) {
        self.count("Lost", true);
        let cut_took_it = crash == Some(Crash::Cut) && id >= self.durable;
        let may_be = !self.owed.contains(&id) || cut_took_it;
        let when = crash.is_some() || looking;
        let explained = self.lost.contains(&id) || may_be && when;
        if !explained {
            self.fail(format!("R3 id {id} is lost, durable {}", self.durable));
        }
        if crash.is_some() {
            let (was_owed, was_lost) = (self.owed.contains(&id), self.lost.contains(&id));
            self.count("Lost stays Lost", was_lost);
            self.count("lost suffix", was_owed);
            let written = self.versions.contains_key(&id);
            self.count("torn tail", written && !was_owed && !was_lost);
            self.lost.insert(id);
            self.owed.remove(&id);
            self.acknowledged.remove(&id);
        }
    }
}
