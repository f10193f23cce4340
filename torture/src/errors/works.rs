//! Every public operation of the ring, each as a call that may fail.

use std::time::{Duration, UNIX_EPOCH};

use ringkeep::{Producer, ReadBatch, Result, Ring, SimDisk, Start, SyncPolicy};

use super::{PATH, payload, payloads, reader, ring, writer};
use crate::form::Form;

/// On a disk without or with an archive; the producer, if there is one then.
pub(super) type OnDisk = fn(&SimDisk, Form) -> Result<Option<Producer>>;
/// On an archive that is opened for reading.
pub(super) type OnReader = fn(&Ring) -> Result<()>;
/// On a producer, whose next id is given; `close` takes it.
pub(super) type OnProducer = fn(&mut Option<Producer>, u64) -> Result<()>;

#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    Disk(OnDisk),
    Reader(OnReader),
    Producer(OnProducer),
}

pub(super) const ON_DISK: [(&str, OnDisk); 6] = [
    ("create", |disk, form| ring(form, disk).create(PATH).map(Some)),
    ("create or open", |disk, form| ring(form, disk).open_or_create(PATH).map(Some)),
    ("open to write", |disk, form| writer(form, disk).open(PATH).map(Some)),
    ("open the same", |disk, form| ring(form, disk).open(PATH).map(Some)),
    ("open to read", |disk, form| reader(form, disk).open(PATH).map(|_| None)),
    ("open and close", |disk, form| Ok(writer(form, disk).open(PATH)?.close().map(|()| None)?)),
];

pub(super) const ON_READER: [(&str, OnReader); 15] = [
    ("read", |ring| ring.read(70).map(drop)),
    ("read what is not yet", |ring| ring.read(1000).map(drop)),
    ("read_into", |ring| ring.read_into(70, &mut [0; 12]).map(drop)),
    ("read_range", |ring| ring.read_range(45..110, &mut ReadBatch::new())),
    ("read_many", |ring| ring.read_many(&[99, 40, 70, 41, 98], &mut ReadBatch::new())),
    ("range", |ring| ring.range(30..110).records().try_for_each(|found| found.map(drop))),
    ("range backwards", |ring| {
        let mut cursor = ring.range(30..110);
        while cursor.next_back()?.is_some() {}
        Ok(())
    }),
    ("range_by_time", |ring| {
        let from = UNIX_EPOCH + Duration::from_secs(55);
        let cursor = ring.range_by_time(from..)?;
        cursor.records().try_for_each(|found| found.map(drop))
    }),
    ("view", |ring| ring.view(70, <[u8]>::len).map(drop)),
    ("tailer", |ring| {
        let mut tailer = ring.tailer(Start::Oldest);
        while tailer.try_next()?.is_some() {}
        Ok(())
    }),
    ("tailer that waits", |ring| ring.tailer(Start::Newest).next_timeout(Duration::ZERO).map(drop)),
    ("verify", |ring| ring.verify(|_| {}).map(drop)),
    ("stats", |ring| ring.stats().map(drop)),
    ("bounds", |ring| {
        ring.oldest()?;
        ring.next_id()?;
        ring.durable().map(drop)
    }),
    ("wait_durable", |ring| ring.wait_durable(99, Duration::ZERO).map(drop)),
];

pub(super) const ON_PRODUCER: [(&str, OnProducer); 17] = [
    ("append", |producer, next| with(producer, |it| it.append(&payload(next)).map(drop))),
    ("append_durable", |producer, next| {
        with(producer, |it| it.append_durable(&payload(next)).map(drop))
    }),
    ("append_batch", |producer, next| {
        with(producer, |it| it.append_batch(&payloads(next..next + 40)).map(drop))
    }),
    ("append under Always", |producer, next| {
        with(producer, |it| {
            it.set_sync(SyncPolicy::Always);
            it.append(&payload(next)).map(drop)
        })
    }),
    ("append_batch in groups", |producer, next| {
        with(producer, |it| {
            it.set_sync(SyncPolicy::EveryRecords(7));
            it.append_batch(&payloads(next..next + 40)).map(drop)
        })
    }),
    ("append_at", |producer, next| with(producer, |it| it.append_at(next + 3, &payload(next + 3)))),
    ("jump", |producer, next| with(producer, |it| it.append_at(next + 900, &payload(next + 900)))),
    ("jump and flush", |producer, next| {
        with(producer, |it| {
            it.append_at(next + 900, &payload(next + 900))?;
            it.flush()
        })
    }),
    ("update of a durable record", |producer, _| with(producer, |it| it.update(70, &payload(70)))),
    ("update", |producer, next| with(producer, |it| it.update(next - 1, &payload(next - 1)))),
    ("delete", |producer, _| with(producer, |it| it.delete(70))),
    ("flush", |producer, _| with(producer, Producer::flush)),
    ("flush of an append", |producer, next| {
        with(producer, |it| {
            it.append(&payload(next))?;
            it.flush()
        })
    }),
    ("sync in the background", |producer, next| {
        with(producer, |it| {
            it.append(&payload(next))?;
            it.sync_without_telling()
        })
    }),
    ("raise_limit_early", |producer, _| with(producer, Producer::raise_limit_early)),
    ("append up to the limit", |producer, next| {
        with(producer, |it| (next..next + 20).try_for_each(|id| it.append(&payload(id)).map(drop)))
    }),
    ("close", |producer, _| match producer.take().map(Producer::close) {
        Some(Err(failed)) => {
            *producer = Some(*failed.producer);
            Err(failed.source)
        }
        _ => Ok(()),
    }),
];

fn with(
    producer: &mut Option<Producer>,
    work: impl FnOnce(&mut Producer) -> Result<()>,
) -> Result<()> {
    producer.as_mut().map_or(Ok(()), work)
}
