//! The index: six buckets, of which four are filled side by side.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io::Write,
    ops::Range,
    path::Path,
    thread::{self, ScopedJoinHandle},
    time::Instant,
};

use ringkeep::{BucketRead as _, BucketSchema, Postcard, Store, WriteTx};
use serde::{Deserialize, Serialize};

use super::{
    Result,
    archive::{Archive, Reading, label},
};

/// Keys are text, such as `fault/pump/00000000000000000123`: status, sensor, id. No values.
pub(crate) const BY_STATUS: &str = "by_status";
/// What the index was made of: under `SCHEMA` the columns of the archive.
const ABOUT: &str = "about";
const SCHEMA: &str = "schema";
/// In `positions`: the id that is indexed next.
const NEXT: &str = "next";

const HOUR_MS: u64 = 3_600_000;

/// What the values of a sensor were in an hour.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    sum: f64,
}

impl Default for Summary {
    fn default() -> Self {
        Self { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl Summary {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
    }

    #[expect(clippy::cast_precision_loss, reason = "an hour has fewer records than that")]
    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

pub(crate) struct Index {
    pub(crate) store: Store,
    /// The record of a sensor at a time; of two at once the newer one.
    pub(crate) by_sensor: BucketSchema<(u32, u64), u64, Postcard>,
    /// By sensor, and hours since 1970.
    pub(crate) hourly: BucketSchema<(u32, u64), Summary, Postcard>,
    pub(crate) catalogue: BucketSchema<u32, String, Postcard>,
    positions: BucketSchema<String, u64, Postcard>,
}

impl Index {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            store: Store::open(path)?,
            by_sensor: BucketSchema::new("by_sensor", Postcard).tag("id by sensor and ms"),
            hourly: BucketSchema::new("hourly", Postcard).tag("summary by sensor and hour"),
            catalogue: BucketSchema::new("catalogue", Postcard).tag("name of sensor"),
            positions: BucketSchema::new("positions", Postcard).tag("id"),
        })
    }

    /// Indexes what was appended since the last time.
    pub(crate) fn update(&self, archive: &Archive, out: &mut impl Write) -> Result<()> {
        let begun = Instant::now();
        let tx = self.store.begin_write()?;
        check_columns(&tx, archive)?;
        let mut positions = tx.typed(&self.positions)?;
        let indexed = positions.get(&NEXT.into())?.unwrap_or(0);
        let (oldest, next) = (archive.ring.oldest()?, archive.ring.next_id()?);
        if indexed > next {
            return Err(format!(
                "the index goes up to record {indexed}, the archive to {next}: it is another one's"
            )
            .into());
        }
        let ids = indexed.max(oldest)..next;
        let count = self.fill(&tx, archive, &ids)?;
        positions.put(&NEXT.into(), &next)?;
        drop(positions);
        tx.commit()?;
        let (lost, seconds) = (ids.start - indexed, begun.elapsed().as_secs_f64());
        writeln!(out, "indexed {count} records of ids {ids:?}, in {seconds:.2} s")?;
        if lost > 0 {
            writeln!(out, "{lost} before them were overwritten before they were indexed")?;
        }
        Ok(())
    }

    /// Four buckets of one transaction, each filled by a thread of its own.
    fn fill(&self, tx: &WriteTx, archive: &Archive, ids: &Range<u64>) -> Result<u64> {
        let (mut by_sensor, mut by_status) = (tx.typed(&self.by_sensor)?, tx.bucket(BY_STATUS)?);
        let (mut hourly, mut catalogue) = (tx.typed(&self.hourly)?, tx.typed(&self.catalogue)?);
        let name = |sensor: u32| label(&archive.sensor, sensor.into());
        thread::scope(|scope| {
            let of_sensors = scope.spawn(|| {
                archive.each(ids.clone(), |id, reading| {
                    by_sensor.put(&(reading.sensor, reading.time_ms), &id)
                })
            });
            let of_statuses = scope.spawn(|| {
                archive.each(ids.clone(), |id, reading| {
                    let status = label(&archive.status, reading.status);
                    by_status.put(format!("{status}/{}/{id:020}", name(reading.sensor)), "")
                })
            });
            let of_hours = scope.spawn(|| {
                let mut summaries = BTreeMap::<_, Summary>::new();
                let count = archive.each(ids.clone(), |_, reading| {
                    let hour = (reading.sensor, reading.time_ms / HOUR_MS);
                    let summary = match summaries.entry(hour) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(hourly.get(&hour)?.unwrap_or_default()),
                    };
                    summary.add(reading.value);
                    Ok(())
                })?;
                summaries.iter().try_for_each(|(hour, summary)| hourly.put(hour, summary))?;
                Ok(count)
            });
            let of_names = scope.spawn(|| {
                let mut known = BTreeSet::new();
                archive.each(ids.clone(), |_, &Reading { sensor, .. }| {
                    let is_new = known.insert(sensor);
                    if is_new { catalogue.put(&sensor, &name(sensor)) } else { Ok(()) }
                })
            });
            agreed([of_sensors, of_statuses, of_hours, of_names])
        })
    }
}

/// Refuses an archive with other columns than the one that was indexed before.
fn check_columns(tx: &WriteTx, archive: &Archive) -> Result<()> {
    let mut about = tx.bucket(ABOUT)?;
    let columns = archive.ring.schema_text().unwrap_or_default().as_bytes();
    let known = about.get(SCHEMA)?.map(|known| known.to_vec());
    match known {
        Some(known) if known != columns => {
            Err("the index is one of an archive with other columns".into())
        }
        _ => Ok(about.put(SCHEMA, columns)?),
    }
}

/// How many records all threads have come by. The producer may have overwritten some meanwhile.
fn agreed<const N: usize>(threads: [ScopedJoinHandle<'_, Result<u64>>; N]) -> Result<u64> {
    let counts = threads.map(|thread| thread.join().map_err(|_| "a thread broke down")?);
    counts.into_iter().try_fold(u64::MAX, |least, count| Ok(least.min(count?)))
}
