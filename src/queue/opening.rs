//! Opening a queue: its lock, its mark, its log.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Queue,
    core::Core,
    options::{Mode, QueueOptions},
};
use crate::{
    disk::{
        budget::{DiskBudget, Member, Membership},
        codec::Codec,
        locks::Mutex,
        log::{
            Log, MODE,
            reader::SegmentReader,
            recover::{Recovered, Recovery, RecoveryReport, recover},
            segments_in,
        },
        mark::{Mark, MarkFile},
        seam::{BootId, Disk, File, refuse_network_file_system},
        segment::{LogIdentity, LogKind, check_name, name_of_segment},
        ticker::Ticker,
    },
    error::{Error, Result},
};

pub(super) const LOCK: &str = "lock";
/// Items from one sync to the next, where syncs are frequent.
const FREQUENT_ITEMS: u64 = 64;
pub(super) const MARK: &str = "mark";

pub(super) fn open<T, C>(options: &QueueOptions<C>, directory: &Path) -> Result<Queue<T, C>>
where
    T: Send + 'static,
    C: Codec<T> + Clone,
{
    let options = settled(options);
    let QueueOptions { codec, tag, mode, recovery, disk, .. } = &options;
    check_name(codec.name())?;
    check_name(tag)?;
    disk.create_directory(directory).map_err(Error::io("create", directory))?;
    let kind = disk.file_system_type(directory).map_err(Error::io("look at", directory))?;
    refuse_network_file_system(kind, directory)?;
    let lock = lock(disk, directory)?;
    let mut identity = LogIdentity {
        log: [0; 16],
        kind: if *mode == Mode::Spill { LogKind::Spill } else { LogKind::Durable },
        codec: codec.name().into(),
        tag: tag.clone(),
    };
    disk.random_bytes(&mut identity.log).map_err(Error::io("draw an id for", directory))?;
    let (mark, found) = match mode {
        Mode::Spill => (None, empty(disk, directory)?),
        Mode::Durable(_) => {
            let boot = disk.boot_id().map_err(Error::io("learn the boot id for", directory))?;
            let (mut mark, log) = open_mark(disk, directory, identity.log, boot)?;
            identity.log = log;
            let found = recover(disk, directory, &identity, mark.newest(), boot, *recovery)?;
            let Recovered { first, next, .. } = found;
            mark.write(Mark { log, done: first, durable: next, boot })?;
            mark.sync()?;
            (Some(Mutex::new(mark)), found)
        }
    };
    let Recovered { segments, first, next, report } = found;
    let share = options.disk_budget.as_ref().map(DiskBudget::share);
    let log = Log::new(disk.clone(), directory.into(), identity, options.shape, segments, share);
    log.retire(first)?;
    let cuts_off = *recovery == Recovery::TruncateTail && !report.lost.is_empty();
    let core = Core::new(options, Arc::new(log), mark, lock, first..next, report);
    if cuts_off {
        core.cut_off()?;
    }
    let core = Arc::new(core);
    let ticker = start_ticker(&core)?.map(Arc::new);
    let membership = join(&core).map(Arc::new);
    Ok(Queue { core, ticker, membership })
}

/// Syncs by time, where the policy says so; on the simulated disk its driver does.
fn start_ticker<T, C>(core: &Arc<Core<T, C>>) -> Result<Option<Ticker>>
where
    T: Send + 'static,
    C: Send + Sync + 'static,
{
    let interval = match core.mode {
        Mode::Durable(policy) if core.log.disk.has_threads() => policy.interval(),
        _ => None,
    };
    // A sync that fails poisons the queue: whoever pushes or syncs next is told.
    let sync = |core: &Arc<Core<T, C>>| drop(core.sync_all());
    interval.map(|interval| Ticker::start(core, &core.log.directory, interval, sync)).transpose()
}

/// What options imply: nobody takes more than there is of what is shared, a limit on the disk is a
/// few segments, and a policy says whether syncs are frequent.
fn settled<C: Clone>(options: &QueueOptions<C>) -> QueueOptions<C> {
    let mut options = options.clone();
    let QueueOptions { mode, limits, shape, memory_budget, disk_budget, .. } = &mut options;
    if let Mode::Durable(policy) = mode {
        shape.syncs_often = policy.group().is_some_and(|items| items <= FREQUENT_ITEMS);
    }
    if let Some(budget) = memory_budget {
        let bytes = usize::try_from(budget.bytes()).unwrap_or(usize::MAX);
        limits.memory_bytes = limits.memory_bytes.min(bytes);
    }
    if let Some(budget) = disk_budget {
        limits.disk_bytes_max = limits.disk_bytes_max.min(budget.bytes());
    }
    shape.segment_bytes = shape.segment_bytes.min(limits.disk_bytes_max / 4);
    options
}

/// Takes part in what is shared of the memory.
fn join<T, C>(core: &Arc<Core<T, C>>) -> Option<Membership>
where
    T: Send + 'static,
    C: Codec<T>,
{
    let budget = core.budget.as_ref()?;
    let mut share = budget.share();
    share.hold(core.run_bytes() as u64);
    core.state.lock().share = Some(share);
    let member: Arc<dyn Member> = Arc::clone(core) as _;
    Some(budget.join(Arc::downgrade(&member)))
}

fn lock(disk: &Disk, directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let lock = disk.create(&path, MODE).map_err(Error::io("open", &path))?;
    match lock.try_lock() {
        Ok(true) => Ok(lock),
        Ok(false) => Err(lock.locked(directory)),
        Err(error) => Err(Error::io("lock", &path)(error)),
    }
}

/// What an earlier process has spilled is nobody's any more.
fn empty(disk: &Disk, directory: &Path) -> Result<Recovered> {
    refuse_kind(disk, directory, LogKind::Durable)?;
    let mark = directory.join(MARK);
    match disk.identify(&mark) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("look at", &mark)(error)),
        Ok(_) => return Err(of_another_kind(mark, LogKind::Durable)),
    }
    for first in segments_in(disk, directory)? {
        let path = directory.join(name_of_segment(first));
        disk.remove(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(Recovered { segments: Vec::new(), first: 0, next: 0, report: RecoveryReport::default() })
}

/// Refuses a directory that a queue of the other kind has segments in.
fn refuse_kind(disk: &Disk, directory: &Path, kind: LogKind) -> Result<()> {
    for first in segments_in(disk, directory)? {
        let path = directory.join(name_of_segment(first));
        match SegmentReader::open(disk, &path) {
            Ok(segment) if segment.header.identity.kind == kind => {
                return Err(of_another_kind(path, kind));
            }
            // What it is, opening says.
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn of_another_kind(path: PathBuf, found: LogKind) -> Error {
    let [found, expected] = match found {
        LogKind::Durable => ["a durable queue", "one that spills"],
        LogKind::Spill => ["a queue that spills", "a durable one"],
    };
    Error::CodecMismatch { path, found: found.into(), expected: expected.into() }
}

/// The mark, and the log that it is of: this one, if there was none.
fn open_mark(
    disk: &Disk,
    directory: &Path,
    new: [u8; 16],
    boot: BootId,
) -> Result<(MarkFile, [u8; 16])> {
    refuse_kind(disk, directory, LogKind::Spill)?;
    let path = directory.join(MARK);
    let mut mark = MarkFile::open(disk, &path, MODE, boot)?;
    if let Some(found) = mark.newest() {
        return Ok((mark, found.log));
    }
    // Both copies may be gone, and the log be there.
    let firsts = segments_in(disk, directory)?;
    let mut logs = firsts.iter().filter_map(|&first| {
        let path = directory.join(name_of_segment(first));
        let segment = SegmentReader::open(disk, &path).ok()?;
        Some(segment.header.identity.log)
    });
    let log = logs.next().unwrap_or(new);
    if firsts.is_empty() {
        mark.write(Mark { log, done: 0, durable: 0, boot })?;
        mark.sync()?;
        disk.sync_directory(directory).map_err(Error::io("sync", directory))?;
        keep_directories(disk, directory)?;
    }
    Ok((mark, log))
}

fn is_made_by_others(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::ReadOnlyFilesystem
    )
}

/// Makes the names of a new queue's directory durable, and of those it lies in: any of them may
/// have been made for it.
fn keep_directories(disk: &Disk, directory: &Path) -> Result<()> {
    for above in directory.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match disk.sync_directory(above) {
            // It was there before: nobody makes a directory that he must not look into; and what
            // cannot be synced keeps its names in other ways.
            Err(error) if is_made_by_others(&error) => break,
            synced => synced.map_err(Error::io("sync", above))?,
        }
    }
    Ok(())
}
