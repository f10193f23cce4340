//! The process that uses a ring, a store or a queue on a disk under test. It notes each step before
//! and after, in the disk's own log, and decides by its seed alone.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use ringkeep::{Error, Io, Producer, Read, ReadOptions, Result, SyncPolicy, WriteOptions};
use rustix::fs::Advice;

use super::{
    note::{Failure, Note},
    plan::{BOOTS, Plan, Purpose, archive_at},
    queues, stores,
};
use crate::form::{Form, InForm as _};

/// Runs the workload of a seed in the archive below `mount`.
///
/// # Errors
///
/// What failed although nothing was to fail; or what is wrong with the arguments.
pub fn work(mount: &Path, notes: &Path, purpose: &str, seed: u64) -> io::Result<()> {
    let purpose = Purpose::ALL.iter().find(|(_, name)| *name == purpose);
    let &(purpose, _) = purpose.ok_or(io::ErrorKind::InvalidInput)?;
    let worker = Worker {
        plan: Plan::draw(purpose, seed),
        path: archive_at(mount),
        notes: OpenOptions::new().write(true).open(notes)?,
        random: fastrand::Rng::with_seed(!seed ^ (purpose as u64).rotate_right(8)),
        version: 0,
    };
    let told = worker.notes.try_clone()?;
    let Worker { plan, random, .. } = &worker;
    let result = match purpose {
        Purpose::Store | Purpose::StoreAgain => {
            stores::work(plan, mount, &told, random.clone()).map_err(Stop::from)
        }
        Purpose::Queue | Purpose::QueueAgain => {
            queues::work(plan, mount, &told, random.clone()).map_err(Stop::from)
        }
        _ => worker.run(),
    };
    match result {
        Ok(()) => note(&told, Note::End),
        // That its disk fails is what it is there for; the judge looks at how.
        Err(Stop::Ring(error)) if purpose == Purpose::Fault => {
            eprintln!("{error}");
            Ok(())
        }
        Err(Stop::Ring(error)) => Err(io::Error::other(error)),
        Err(Stop::Notes(error)) => Err(error),
    }
}

/// Why a worker ends early.
enum Stop {
    Ring(Error),
    /// Its notes cannot be written: the parent is gone.
    Notes(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ring(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Notes(error)
    }
}

struct Worker {
    plan: Plan,
    path: PathBuf,
    notes: File,
    random: fastrand::Rng,
    /// Counts rewrites.
    version: u64,
}

pub(super) fn note(notes: &File, note: Note) -> io::Result<()> {
    notes.write_all_at(&note.encode(), 0)
}

impl Worker {
    fn note(&mut self, what: Note) -> Result<(), Stop> {
        Ok(note(&self.notes, what)?)
    }

    fn run(mut self) -> Result<(), Stop> {
        match self.plan.purpose {
            Purpose::Look => return self.look(),
            Purpose::Again => return self.go_on(),
            _ => {}
        }
        self.note(Note::Creating)?;
        let mut producer = match self.plan.options().create(&self.path) {
            Ok(producer) => producer,
            Err(error) => {
                self.failed(&error)?;
                return Err(error.into());
            }
        };
        self.note(Note::Created)?;
        for _ in 0..self.plan.steps {
            producer = self.step(producer)?;
        }
        if self.plan.purpose == Purpose::NeverSync {
            producer.die();
            return Ok(());
        }
        self.close(producer)
    }

    /// Opens what is there after a power cut, and does a little.
    fn go_on(mut self) -> Result<(), Stop> {
        // No version that the first worker has stored.
        self.version = 1 << 20;
        let mut producer = self.open(BOOTS[1])?;
        for _ in 0..self.plan.steps {
            producer = self.step(producer)?;
        }
        self.close(producer)
    }

    fn open(&mut self, boot: [u64; 2]) -> Result<Producer, Stop> {
        self.note(Note::Opening)?;
        let options = WriteOptions::new().sync(self.plan.policy).boot_id(boot);
        let producer = options.in_form(Form::draw(&mut self.random)).open(&self.path)?;
        let ring = producer.ring();
        let (next, durable) = (ring.next_id()?, ring.durable()?);
        self.note(Note::Done { next, durable })?;
        Ok(producer)
    }

    /// Reads everything by position, and opens a producer, on a disk that fails reads.
    fn look(mut self) -> Result<(), Stop> {
        for _ in 0..3 {
            if let Err(error) = self.look_once() {
                self.failed(&error)?;
            }
            let options = WriteOptions::new().boot_id(BOOTS[0]).io(Io::File);
            match options.open(&self.path) {
                Ok(producer) => producer.die(),
                Err(error) => self.failed(&error)?,
            }
        }
        Ok(())
    }

    fn look_once(&self) -> Result<()> {
        let ring = ReadOptions::new().boot_id(BOOTS[0]).io(Io::File).open(&self.path)?;
        let ids = ring.oldest()?..ring.next_id()?;
        let mut failed = Ok(());
        for id in ids {
            match ring.read(id) {
                // The archive was closed cleanly: nothing is lost, and no failure damages a record.
                Ok(Read::Record(_) | Read::Absent) => {}
                Ok(other) => panic!("id {id} reads {other:?} on a disk that fails reads"),
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    fn close(&mut self, producer: Producer) -> Result<(), Stop> {
        self.note(Note::Closing)?;
        if let Err(failed) = producer.close() {
            self.failed(&failed.source)?;
            return self.go_on_after_failure(*failed.producer, failed.source);
        }
        self.note(Note::Closed)
    }

    fn failed(&mut self, error: &Error) -> Result<(), Stop> {
        let error = match error {
            Error::Io { .. } => Failure::Io,
            Error::Poisoned { .. } => Failure::Poisoned,
            Error::ReadOnlyFileSystem { .. } => Failure::ReadOnly,
            Error::NoSpace { .. } => Failure::NoSpace,
            _ => Failure::Other,
        };
        self.note(Note::Failed { error })
    }

    fn step(&mut self, mut producer: Producer) -> Result<Producer, Stop> {
        if self.plan.purpose == Purpose::Cut && self.random.u8(..100) < 3 {
            return self.other_producer(producer);
        }
        let result = self.operate(&mut producer);
        let done = result.and_then(|()| {
            let ring = producer.ring();
            let (next, durable) = (ring.next_id()?, ring.durable()?);
            // The control: it says that what it never synced is durable.
            let lies = self.plan.purpose == Purpose::NeverSync;
            self.note(Note::Done { next, durable: if lies { next } else { durable } })
        });
        match done {
            Ok(()) => Ok(producer),
            Err(Stop::Ring(error)) => {
                self.failed(&error)?;
                self.go_on_after_failure(producer, error)?;
                // Not reached: it ends in an error.
                Err(Stop::Notes(io::ErrorKind::Other.into()))
            }
            Err(stop) => Err(stop),
        }
    }

    /// A producer whose disk has failed refuses to go on, and `durable` stays.
    fn go_on_after_failure(&mut self, mut producer: Producer, error: Error) -> Result<(), Stop> {
        if self.plan.purpose != Purpose::Fault {
            return Err(error.into());
        }
        let ring = producer.ring();
        let before = ring.durable().ok();
        for _ in 0..3 {
            let payload = vec![0; self.plan.record_size];
            for error in [producer.append(&payload).err(), producer.flush().err()] {
                match error {
                    Some(error) => self.failed(&error)?,
                    None => self.note(Note::Other)?,
                }
            }
            let after = ring.durable().ok();
            if after > before && before.is_some() {
                eprintln!("durable moved from {before:?} to {after:?} after a failure");
                self.note(Note::Failed { error: Failure::Other })?;
            }
        }
        producer.die();
        Err(error.into())
    }

    fn operate(&mut self, producer: &mut Producer) -> Result<(), Stop> {
        let may_sync = self.plan.purpose != Purpose::NeverSync;
        match self.random.u8(..100) {
            0..45 => self.append(producer, 1),
            45..60 => {
                let most = self.plan.capacity / 4 + 2;
                let count = self.random.u64(1..=most);
                self.append(producer, count)
            }
            60..66 => self.append_at(producer),
            66..76 => self.rewrite(producer),
            76..84 if may_sync => {
                self.note(Note::Other)?;
                Ok(producer.flush()?)
            }
            84..88 if may_sync => self.append_durable(producer),
            88..94 => self.write_back(),
            _ => self.append(producer, 2),
        }
    }

    fn append(&mut self, producer: &mut Producer, count: u64) -> Result<(), Stop> {
        let first = producer.ring().next_id()?;
        self.note(Note::Append { first, count })?;
        let ids = first..first + count;
        if count == 1 {
            producer.append(&self.plan.payload(first, 0))?;
        } else {
            let records: Vec<u8> = ids.flat_map(|id| self.plan.payload(id, 0)).collect();
            producer.append_batch(&records)?;
        }
        Ok(())
    }

    fn append_durable(&mut self, producer: &mut Producer) -> Result<(), Stop> {
        let first = producer.ring().next_id()?;
        self.note(Note::Append { first, count: 1 })?;
        producer.append_durable(&self.plan.payload(first, 0))?;
        Ok(())
    }

    fn append_at(&mut self, producer: &mut Producer) -> Result<(), Stop> {
        let ring = producer.ring();
        let (oldest, next, capacity) = (ring.oldest()?, ring.next_id()?, self.plan.capacity);
        let gaps = [0, 1, capacity / 8 + 1, capacity / 8 + 1, capacity - 1, 2 * capacity + 3];
        let id = next + gaps[self.random.usize(..gaps.len())];
        let is_jump = id - next >= capacity || oldest >= next;
        self.note(if is_jump { Note::Jump { id } } else { Note::Gap { first: next, id } })?;
        Ok(producer.append_at(id, &self.plan.payload(id, 0))?)
    }

    /// Updates or deletes one of the newest or of all records, if it is one.
    fn rewrite(&mut self, producer: &mut Producer) -> Result<(), Stop> {
        let ring = producer.ring();
        let (oldest, next) = (ring.oldest()?, ring.next_id()?);
        let from = if self.random.bool() { oldest } else { next.saturating_sub(5).max(oldest) };
        if from >= next {
            return self.note(Note::Other);
        }
        let id = self.random.u64(from..next);
        if ring.read(id)?.record().is_err() {
            return self.note(Note::Other);
        }
        if self.random.u8(..3) == 0 {
            self.note(Note::Delete { id })?;
            return Ok(producer.delete(id)?);
        }
        self.version += 1;
        let version = self.version;
        self.note(Note::Update { id, version })?;
        Ok(producer.update(id, &self.plan.payload(id, version))?)
    }

    fn write_back(&mut self) -> Result<(), Stop> {
        self.note(Note::Other)?;
        let shard = self.random.u32(..self.plan.shards);
        let mut name = self.path.as_os_str().to_owned();
        if shard > 0 {
            name.push(format!(".{shard}"));
        }
        // A ring of few slots has fewer files.
        if Path::new(&name).exists() {
            write_back(name.as_ref())?;
        }
        Ok(())
    }

    /// This producer dies or closes, and another one takes over.
    fn other_producer(&mut self, producer: Producer) -> Result<Producer, Stop> {
        if self.random.bool() {
            self.close(producer)?;
        } else {
            producer.die();
        }
        self.open(BOOTS[0])
    }
}

/// Lets the kernel write what is dirty of a file, without a flush: as it does when time passes.
pub(super) fn write_back(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::fadvise(File::open(path)?, 0, None, Advice::DontNeed)?)
}

/// Whether every returned record is durable at once.
pub(super) fn syncs_each(policy: SyncPolicy) -> bool {
    matches!(policy, SyncPolicy::Always | SyncPolicy::EveryRecords(1))
}
