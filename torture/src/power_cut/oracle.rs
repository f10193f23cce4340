//! Knows what was written under each id and what was promised about it, and judges what is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::PathBuf,
};

use ringkeep::{Crash, Read, Ring};

use crate::report::Report;

/// What an id may hold; `None` is a skipped or deleted id.
pub(super) type Content = Option<Vec<u8>>;

#[derive(Clone, Default)]
pub(super) struct Oracle {
    pub(super) report: Report,
    /// Contents that an id may have after a power cut; the last one is in the cache.
    pub(super) versions: BTreeMap<u64, Vec<Content>>,
    /// Ids that were returned, or served after a crash; only a power cut above durable takes them.
    pub(super) owed: BTreeSet<u64>,
    /// Ids whose append returned.
    pub(super) acknowledged: BTreeSet<u64>,
    pub(super) lost: BTreeSet<u64>,
    /// Ids in whose slots a sector was torn: whatever was promised, they may be gone.
    pub(super) torn: BTreeSet<u64>,
    /// What ids could be at the last power cuts, until a producer has opened: its redo slot stands
    /// in for a slot that is torn on the way, and holds the other content of a rewrite.
    pub(super) unsettled: BTreeMap<u64, Vec<Content>>,
    pub(super) inflight: BTreeSet<u64>,
    pub(super) handed: u64,
    pub(super) durable: u64,
    /// Ids below it were dropped by a jump.
    pub(super) dropped: u64,
    /// Ids below it may have been dropped by a jump that died.
    pub(super) may_drop: u64,
    /// One past the id of a jump that has not returned.
    pub(super) jump: u64,
    /// The next id as it was seen last.
    pub(super) burnt: u64,
    /// The oldest id when the power failed.
    pub(super) before_cut: u64,
    /// The next id of an archive that was closed, until it is opened again.
    pub(super) at_rest: Option<u64>,
    pub(super) capacity: u64,
    pub(super) reservation: u64,
    /// Returned records that a cut may take; `None`: any above durable.
    pub(super) may_lose: Option<u64>,
}

impl Oracle {
    /// A crash at a step that the fuse chose: a trial.
    pub(super) fn count_crash(&mut self, class: &'static str) {
        self.report.trials += 1;
        self.count(class, true);
    }

    pub(super) fn fail(&mut self, text: String) {
        self.report.fail(text);
    }

    pub(super) fn count(&mut self, class: &'static str, occurred: bool) {
        self.report.add(class, occurred.into());
    }

    /// These contents are about to be written.
    pub(super) fn attempt(&mut self, first: u64, contents: &[Content]) {
        for (id, content) in (first..).zip(contents) {
            self.versions.entry(id).or_default().push(content.clone());
            self.inflight.insert(id);
        }
    }

    /// The appends have returned.
    pub(super) fn returned(&mut self, first: u64, contents: &[Content]) {
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
    pub(super) fn rewritten(&mut self, id: u64, content: &Content) {
        self.inflight.clear();
        if id < self.durable {
            self.versions.insert(id, vec![content.clone()]);
        }
    }

    pub(super) fn synced(&mut self, durable: u64) {
        if durable < self.durable {
            self.fail(format!("R11 durable went back from {} to {durable}", self.durable));
        }
        for (_, versions) in self.versions.range_mut(self.durable..durable.max(self.durable)) {
            versions.drain(..versions.len().saturating_sub(1));
        }
        self.durable = durable;
    }

    /// After an opening, a rewrite that did not return is made or not, for good, below durable.
    pub(super) fn settle_rewrites(&mut self) {
        self.unsettled.clear();
        for (_, versions) in self.versions.range_mut(..self.durable) {
            versions.drain(..versions.len().saturating_sub(1));
        }
    }

    /// These parts of the files are garbage now.
    pub(super) fn tear(&mut self, ring: &Ring, torn: &[(PathBuf, Range<usize>)]) {
        self.count("torn sector", !torn.is_empty());
        let Ok(next) = ring.next_id() else { return };
        let geometry = ring.geometry();
        for id in next.saturating_sub(geometry.slots)..next {
            let (path, begin) = ring.locate(id);
            let begin = usize::try_from(begin).unwrap_or(usize::MAX);
            let end = begin + geometry.record_size + 4;
            let hits = |sector: &Range<usize>| sector.start < end && begin < sector.end;
            if torn.iter().any(|(file, sector)| *file == path && hits(sector)) {
                self.torn.insert(id);
                self.owed.remove(&id);
                self.acknowledged.remove(&id);
            }
        }
    }

    /// Judges the whole window. `crash`: the event since the last check.
    pub(super) fn check(&mut self, ring: &Ring, crash: Option<Crash>) {
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
    pub(super) fn look(&mut self, id: u64, read: &Read<Vec<u8>>, window: (u64, u64)) {
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
            // What was lost stays lost, torn or not.
            Read::Corrupt { .. } if self.torn.contains(&id) && !self.lost.contains(&id) => {
                self.count("taken by a torn sector", true);
            }
            other => self.fail(format!("R5 id {id} reads {other:?}")),
        }
    }

    fn judge_served(&mut self, id: u64, content: Content, crash: Option<Crash>, looking: bool) {
        self.count(if content.is_some() { "Record" } else { "Absent" }, true);
        let versions = self.versions.get(&id).map_or(&[][..], Vec::as_slice);
        let free = crash == Some(Crash::Cut) || looking || self.inflight.contains(&id);
        let may_be = if free { versions } else { &versions[versions.len().saturating_sub(1)..] };
        let unsettled = self.unsettled.get(&id).filter(|_| self.torn.contains(&id));
        let stood_in = unsettled.is_some_and(|versions| versions.contains(&content));
        if !may_be.contains(&content) && !stood_in {
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
                self.unsettled.entry(id).or_default().append(versions);
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
