//! The time of records: where it stands, how far it ever went back, and how it is searched.
//!
//! Let t(i) be the time of record i, and S the clock step: the most by which any record's time was
//! behind that of an earlier one. Then for a time t, and f the first id with t(f) >= t:
//!
//! * no id before f has a time of t or later (that is what first means);
//! * every id from f on has a time of t - S or later.
//!
//! So a binary search for t - S ends at f or before it, whatever the clock did, and a scan from
//! there finds f. Where the clock never stepped, S is 0 and the scan is empty. In the same way no
//! id after the first one with a time of t + S or later has a time before t.
//!
//! S is never smaller than it should be: the producer stores a larger one into a flushed checkpoint
//! page, and then into the hot page, before it touches the slot of the record that needs it. It is
//! larger than it should be after the clock of a closed archive went back twice, after an update of
//! a record's time, and after a power cut (a page holds it rounded up, so that records in no order
//! at all cost few pages); then a search only reads more.

use std::{
    ops::{Bound, Range, RangeBounds},
    time::SystemTime,
};

use super::{
    archive::Archive,
    read::Read,
    schema::{TimeField, nanos_of},
};
use crate::error::{Error, Result};

// The producer's side.

/// Watches the times that a producer appends.
#[derive(Debug)]
pub(crate) struct Clock {
    field: TimeField,
    record_size: usize,
    /// No record so far has a later time; in the field's unit.
    newest: Option<i64>,
    /// The step that the hot page has; `u64::MAX` for any.
    step: u64,
}

impl Clock {
    /// Takes over what the archive keeps; `None` where records have no time.
    pub(crate) fn of(archive: &Archive) -> Result<Option<Self>> {
        let Some(field) = archive.time else {
            return Ok(None);
        };
        let session = archive.session()?;
        let step = archive.clock_step(&session);
        let mut record = vec![0; archive.geometry().record_size];
        let mut newest = None;
        for id in (archive.oldest(&session)..archive.next(&session)).rev() {
            if archive.read_slot(id, &mut record)? == Read::Record(()) {
                // What came before it may be later, by S at most.
                let ahead = step.div_ceil(field.unit.nanos().into());
                newest = Some(field.raw(&record).saturating_add_unsigned(ahead));
                break;
            }
        }
        Ok(Some(Self { field, record_size: record.len(), newest, step }))
    }

    /// Looks at records before they are stored. Gives the new step if it must grow for them.
    pub(crate) fn observe(&mut self, records: &[u8]) -> Option<u64> {
        let mut back = 0;
        for record in records.chunks_exact(self.record_size) {
            let time = self.field.raw(record);
            match self.newest {
                Some(newest) if time < newest => back = back.max(newest.abs_diff(time)),
                _ => self.newest = Some(time),
            }
        }
        self.grow_to(self.nanos(back))
    }

    /// Looks at a record that is to take the place of another one.
    pub(crate) fn observe_change(&mut self, old: &[u8], new: &[u8]) -> Option<u64> {
        let (old, new) = (self.field.raw(old), self.field.raw(new));
        self.newest = self.newest.max(Some(new));
        // Against what is before it and behind it, the old time was wrong by S at most.
        match old.abs_diff(new) {
            0 => None,
            moved => self.grow_to(self.step.saturating_add(self.nanos(moved))),
        }
    }

    fn nanos(&self, count: u64) -> u64 {
        count.saturating_mul(self.field.unit.nanos().into())
    }

    #[inline]
    fn grow_to(&mut self, step: u64) -> Option<u64> {
        if step <= self.step {
            return None;
        }
        self.step = step;
        Some(step)
    }
}

// The readers' side.

/// Which records a search by time wants, in nanoseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Within {
    field: TimeField,
    wanted: Range<i128>,
    /// The clock step that the search relied on.
    step: u64,
}

/// What a record's time says about a search by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wanted,
    Unwanted,
    /// Neither this record nor any later one.
    Past,
}

impl Within {
    #[inline]
    pub(crate) fn judge(&self, record: &[u8]) -> Verdict {
        let time = self.field.nanos(record);
        if self.wanted.contains(&time) {
            Verdict::Wanted
        } else if self.step < u64::MAX && time >= self.wanted.end.saturating_add(self.step.into()) {
            Verdict::Past
        } else {
            Verdict::Unwanted
        }
    }
}

impl Archive {
    /// Records that were published by now and have a time in `times`: the ids among which they all
    /// are, and how to tell them.
    pub(crate) fn within(
        &self,
        ids: Range<u64>,
        times: impl RangeBounds<SystemTime>,
    ) -> Result<(Range<u64>, Within)> {
        let field = self.time.ok_or_else(|| Error::NoTime { path: self.path.clone() })?;
        let from = match times.start_bound() {
            Bound::Included(&time) => nanos_of(time),
            Bound::Excluded(&time) => nanos_of(time) + 1,
            Bound::Unbounded => i128::MIN,
        };
        let to = match times.end_bound() {
            Bound::Included(&time) => nanos_of(time) + 1,
            Bound::Excluded(&time) => nanos_of(time),
            Bound::Unbounded => i128::MAX,
        };
        let session = self.session()?;
        let (oldest, next) = (self.oldest(&session), self.next(&session));
        let kept = ids.start.max(oldest)..ids.end.min(next);
        // After next: the step is the right one for every id below it, until a time is changed.
        let mut step = self.clock_step(&session);
        let first = loop {
            if step == u64::MAX {
                break kept.start;
            }
            let time = from.saturating_sub(step.into());
            let first = self.first_from(kept.clone(), field, time)?;
            let now = self.clock_step(&self.session()?);
            if now <= step {
                break first;
            }
            // Doubled, so that a clock that goes back all the time ends this soon.
            step = now.saturating_mul(2);
        };
        // Ids that are gone are the caller's to hear of, unless it did not ask for them.
        let start = if from == i128::MIN { ids.start } else { first };
        Ok((start..kept.end, Within { field, wanted: from..to, step }))
    }

    /// Whether the clock step grew since the search began: then the end of the range is farther.
    pub(crate) fn step_grew(&self, within: &mut Within) -> Result<bool> {
        let step = self.clock_step(&self.session()?);
        let grew = step > within.step;
        within.step = within.step.max(step);
        Ok(grew)
    }

    /// The oldest kept id whose record has this time or a later one; the next id if there is none.
    pub(crate) fn first_at(&self, time: SystemTime) -> Result<u64> {
        let (ids, within) = self.within(0..u64::MAX, time..)?;
        let mut record = vec![0; self.geometry().record_size];
        for id in ids.clone() {
            let is_record = self.read_slot(id, &mut record)? == Read::Record(());
            if is_record && within.judge(&record) == Verdict::Wanted {
                return Ok(id);
            }
        }
        Ok(ids.end)
    }

    /// An id of `ids` behind a record before `time`, or the first one: no record before it is of
    /// that time or later, if all records behind one that is are so too.
    fn first_from(&self, ids: Range<u64>, field: TimeField, time: i128) -> Result<u64> {
        let mut record = vec![0; self.geometry().record_size];
        search(ids, |id| {
            Ok(match self.read_slot(id, &mut record)? {
                Read::Record(()) if field.nanos(&record) >= time => Probe::Late,
                Read::Record(()) => Probe::Early { next: id + 1 },
                Read::Lapped { oldest, .. } => Probe::Early { next: oldest },
                _ => Probe::Unknown,
            })
        })
    }
}

/// What one look of a binary search found.
#[derive(Debug, Clone, Copy)]
enum Probe {
    /// The goal is `next` or behind it.
    Early {
        next: u64,
    },
    Late,
    /// No record: its neighbour is asked.
    Unknown,
}

/// Where the early ids end. Ids without a record cost a look each, at most once.
fn search(ids: Range<u64>, mut look: impl FnMut(u64) -> Result<Probe>) -> Result<u64> {
    let Range { start: mut low, end: mut high } = ids;
    while low < high {
        let middle = low + (high - low) / 2;
        let mut found = Probe::Late;
        for id in middle..high {
            found = look(id)?;
            if !matches!(found, Probe::Unknown) {
                break;
            }
        }
        match found {
            Probe::Early { next } => low = next.max(low + 1),
            Probe::Late | Probe::Unknown => high = middle,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::{super::schema::TimeUnit, *};

    const MILLIS: TimeField = TimeField { offset: 1, unit: TimeUnit::Millis };

    fn records(times: &[i64]) -> Vec<u8> {
        let record = |time: &i64| [&[0xAA][..], &time.to_le_bytes()].concat();
        times.iter().flat_map(record).collect()
    }

    fn clock() -> Clock {
        Clock { field: MILLIS, record_size: 9, newest: None, step: 0 }
    }

    #[test]
    fn the_step_is_measured_from_the_newest_time_of_all() {
        let mut clock = clock();
        assert_eq!(clock.observe(&records(&[100, 100, 120])), None);
        assert_eq!(clock.observe(&records(&[110])), Some(10_000_000));
        // Two steps of 10 in a row are 20 behind what was before them.
        assert_eq!(clock.observe(&records(&[100])), Some(20_000_000));
        assert_eq!(clock.observe(&records(&[101, 119])), None);
        assert_eq!(clock.observe(&records(&[i64::MAX, i64::MIN])), Some(u64::MAX));
    }

    #[test]
    fn a_changed_time_counts_on_top_of_the_step() {
        let mut clock = clock();
        clock.observe(&records(&[100, 90]));
        assert_eq!(clock.observe_change(&records(&[90]), &records(&[90])), None);
        assert_eq!(clock.observe_change(&records(&[90]), &records(&[93])), Some(13_000_000));
        assert_eq!(clock.observe_change(&records(&[100]), &records(&[105])), Some(18_000_000));
        assert_eq!(clock.newest, Some(105));
    }

    /// Searches, and counts the looks.
    fn looks(ids: Range<u64>, goal: u64, is_hole: impl Fn(u64) -> bool) -> (u64, u64) {
        let mut count = 0;
        let found = search(ids, |id| {
            count += 1;
            Ok(match id {
                id if is_hole(id) => Probe::Unknown,
                id if id < goal => Probe::Early { next: id + 1 },
                _ => Probe::Late,
            })
        });
        (found.expect("no error"), count)
    }

    #[test]
    fn a_search_takes_the_logarithm_of_its_length_in_looks() {
        for goal in [0, 1, 12, 500_000, 999_999, 1_000_000] {
            let (found, count) = looks(0..1_000_000, goal, |_| false);
            assert_eq!(found, goal);
            assert!(count <= 20, "{count} looks for {goal}");
        }
        assert_eq!(looks(7..7, 7, |_| false), (7, 0));
    }

    #[test]
    fn holes_cost_a_look_each_and_hide_nothing() {
        for goal in 0..=64 {
            for hole in 0..64 {
                for length in [1, 5, 40] {
                    let holes = hole..hole + length;
                    let (found, count) = looks(0..64, goal, |id| holes.contains(&id));
                    // Between the goal and the last record before it there are only holes.
                    assert!(found <= goal, "{found} for {goal}, {holes:?}");
                    assert!((found..goal).all(|id| holes.contains(&id)), "{found} for {goal}");
                    assert!(count <= 7 + 2 * length, "{count} looks");
                }
            }
        }
    }
}
