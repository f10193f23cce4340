//! Questions that an archive alone could only answer by reading all of it.

use std::io::Write;

use ringkeep::{BucketRead as _, Postcard, Read, ReadBucket, ReadTx, TypedBucket};

use super::{
    Result,
    archive::{Archive, label},
    index::{BY_STATUS, Index, Summary},
};

type Typed<'tx, K, V> = TypedBucket<'tx, ReadBucket<'tx>, K, V, Postcard>;

/// Tells of every sensor what the buckets know.
pub(crate) fn answer(archive: &Archive, index: &Index, out: &mut impl Write) -> Result<()> {
    let tx = index.store.begin_read()?;
    let (catalogue, hourly) = (tx.typed(&index.catalogue)?, tx.typed(&index.hourly)?);
    let by_sensor = tx.typed(&index.by_sensor)?;
    for entry in catalogue.iter()? {
        let (sensor, name) = entry?;
        writeln!(out, "{name}")?;
        by_time(archive, &by_sensor, sensor, out)?;
        by_status(archive, &tx, &name, out)?;
        by_hour(&hourly, sensor, out)?;
    }
    Ok(())
}

/// The newest record, and those of ten minutes in the middle.
fn by_time(
    archive: &Archive,
    by_sensor: &Typed<'_, (u32, u64), u64>,
    sensor: u32,
    out: &mut impl Write,
) -> Result<()> {
    let mut all = by_sensor.range((sensor, 0)..=(sensor, u64::MAX))?;
    let Some(((_, first_ms), _)) = all.next().transpose()? else { return Ok(()) };
    let last = all.next_back().transpose()?;
    if let Some(((_, last_ms), id)) = last {
        let newest = match archive.ring.read(id)? {
            Read::Record(record) => archive.reading(&record),
            _ => None,
        };
        let newest = newest.map_or("gone".into(), |reading| {
            format!("{} {:.3}", label(&archive.status, reading.status), reading.value)
        });
        writeln!(out, "  newest: record {id} at {last_ms}: {newest}")?;
    }
    let middle_ms = first_ms.midpoint(last.map_or(first_ms, |((_, last_ms), _)| last_ms));
    let end_ms = middle_ms.saturating_add(600_000);
    let mut count = 0;
    for entry in by_sensor.range((sensor, middle_ms)..(sensor, end_ms))? {
        entry?;
        count += 1;
    }
    Ok(writeln!(out, "  from {middle_ms} to {end_ms}: {count} records")?)
}

/// How many records there are of each status, and which are the first and the last one.
fn by_status(archive: &Archive, tx: &ReadTx, name: &str, out: &mut impl Write) -> Result<()> {
    let bucket = tx.bucket(BY_STATUS)?;
    for status in &archive.status.labels {
        let prefix = format!("{status}/{name}/");
        let id = |key: &[u8]| -> Result<u64> { Ok(str::from_utf8(&key[prefix.len()..])?.parse()?) };
        let Some(first) = bucket.prefix(&prefix)?.next().transpose()? else { continue };
        // From behind: the last one comes first.
        let (mut last, mut count) = (None, 0);
        for entry in bucket.prefix(&prefix)?.rev() {
            let (key, _) = entry?;
            last = last.or(Some(id(&key)?));
            count += 1;
        }
        let (first, last) = (id(&first.0)?, last.unwrap_or_default());
        writeln!(out, "  {prefix}: {count} records, {first} to {last}")?;
    }
    Ok(())
}

/// The last three hours, the newest one first.
fn by_hour(
    hourly: &Typed<'_, (u32, u64), Summary>,
    sensor: u32,
    out: &mut impl Write,
) -> Result<()> {
    for entry in hourly.range((sensor, 0)..=(sensor, u64::MAX))?.rev().take(3) {
        let ((_, hour), summary) = entry?;
        let (Summary { count, min, max, .. }, mean) = (&summary, summary.mean());
        writeln!(out, "  hour {hour}: {count} records, {min:.3} to {max:.3}, mean {mean:.3}")?;
    }
    Ok(())
}
