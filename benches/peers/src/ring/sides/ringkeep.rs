//! ringkeep in its three ways: mapped, by position, and read in the producer's process. Options are
//! the defaults; syncs are asked for by `flush`.

use std::{ops::Range, path::Path};

use ringkeep::{Io, Producer, ReadBatch, ReadOptions, Ring, RingOptions, Start, Tailed, Tailer};

use super::{
    Act, BoxedReader, Reader, Readers, Records, Result, Setup, Syncs, Wait, Watch, Writer,
};

/// How an archive is written and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Mapped,
    ByPosition,
    /// Mapped, and read through the producer.
    InProcess,
}

const NAME: &str = "ring.dat";

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    open_as(Way::Mapped, directory, setup, act)
}

pub(super) fn open_by_position(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    open_as(Way::ByPosition, directory, setup, act)
}

pub(super) fn open_in_process(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    open_as(Way::InProcess, directory, setup, act)
}

fn open_as(way: Way, directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let path = directory.join(NAME);
    let options = RingOptions::new(setup.record_bytes, setup.capacity).io(io_of(way));
    let producer = options.open_or_create(&path)?;
    let source = Source { way, setup: *setup, path: &path, ring: producer.ring() };
    let mut appender = Appender { producer, way, setup: *setup, batch: Vec::new() };
    act(&mut appender, &source)?;
    Ok(appender.producer.close().map_err(ringkeep::Error::from)?)
}

pub(super) fn watch(directory: &Path, setup: &Setup, act: &mut Watch<'_>) -> Result<()> {
    act(&mut Walker::open(Way::Mapped, &directory.join(NAME), setup)?)
}

pub(super) fn watch_by_position(
    directory: &Path,
    setup: &Setup,
    act: &mut Watch<'_>,
) -> Result<()> {
    act(&mut Walker::open(Way::ByPosition, &directory.join(NAME), setup)?)
}

fn io_of(way: Way) -> Io {
    if way == Way::ByPosition { Io::File } else { Io::Mapped }
}

struct Appender {
    producer: Producer,
    way: Way,
    setup: Setup,
    batch: Vec<u8>,
}

impl Appender {
    fn append_batches(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        for piece in super::pieces(ids, self.setup.records_of_a_piece() as u64) {
            self.batch.clear();
            for id in piece.clone() {
                self.batch.extend_from_slice(records.make(id));
            }
            if self.producer.append_batch(&self.batch)? != piece {
                return Err("it gave other ids".into());
            }
        }
        Ok(())
    }
}

impl Writer for Appender {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        if self.way == Way::ByPosition {
            self.append_batches(ids, records)?;
        } else {
            for id in ids {
                if self.producer.append(records.make(id))? != id {
                    return Err("it gave another id".into());
                }
            }
        }
        if self.setup.syncs == Syncs::EachAppend { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        Ok(self.producer.flush()?)
    }
}

struct Source<'a> {
    way: Way,
    setup: Setup,
    path: &'a Path,
    /// The producer's own.
    ring: Ring,
}

impl Readers for Source<'_> {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(match self.way {
            Way::InProcess => Walker::new(self.way, self.ring.clone(), &self.setup),
            way => Walker::open(way, self.path, &self.setup)?,
        }))
    }
}

struct Walker {
    way: Way,
    ring: Ring,
    setup: Setup,
    payload: Vec<u8>,
    batch: ReadBatch,
    tailer: Option<Tailer>,
}

impl Walker {
    fn open(way: Way, path: &Path, setup: &Setup) -> Result<Self> {
        Ok(Self::new(way, ReadOptions::new().io(io_of(way)).open(path)?, setup))
    }

    fn new(way: Way, ring: Ring, setup: &Setup) -> Self {
        let payload = vec![0; setup.record_bytes];
        Self { way, ring, setup: *setup, payload, batch: ReadBatch::new(), tailer: None }
    }

    fn check_batch(&self, ids: impl Iterator<Item = u64>, records: &Records) -> Result<()> {
        let mut found = self.batch.iter();
        for id in ids {
            let (other, read) = found.next().ok_or(super::MISSING)?;
            if other != id {
                return Err("it read another id".into());
            }
            records.check(id, read.record()?)?;
        }
        Ok(())
    }
}

impl Reader for Walker {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        for &id in ids {
            if self.way == Way::InProcess {
                self.ring.view(id, |payload| records.check(id, payload))?.record()??;
            } else {
                self.ring.read_into(id, &mut self.payload)?.record()?;
                records.check(id, &self.payload)?;
            }
        }
        Ok(())
    }

    fn read_many(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        self.ring.read_many(ids, &mut self.batch)?;
        self.check_batch(ids.iter().copied(), records)
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let mut cursor = self.ring.range(ids.clone());
        for id in ids {
            let (other, read) = cursor.next()?.ok_or(super::MISSING)?;
            if other != id {
                return Err("it read another id".into());
            }
            records.check(id, read.record()?)?;
        }
        Ok(())
    }

    fn read_range(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        for piece in super::pieces(ids, self.setup.records_of_a_piece() as u64) {
            self.ring.read_range(piece.clone(), &mut self.batch)?;
            self.check_batch(piece, records)?;
        }
        Ok(())
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        let ring = &self.ring;
        let tailer = self.tailer.get_or_insert_with(|| ring.tailer(Start::Id(ids.start)));
        let mut next = ids.start;
        while next < ids.end {
            match tailer.try_next()? {
                Some(Tailed::Record { id, payload }) if id == next => {
                    records.check(id, payload)?;
                    next += 1;
                }
                Some(other) => return Err(format!("{other:?} instead of id {next}").into()),
                None => wait.pause()?,
            }
        }
        Ok(())
    }
}
