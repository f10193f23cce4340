//! An opened archive: its pages, its slots, and everything a reader works out from them.
//!
//! Nothing here writes. [`View`] is what any process concludes from the pages; reading one slot is
//! in `reading.rs`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    budget::{Budget, WINDOW_BYTES},
    choices::{Io, Opening},
    cursors::{Cursors, HotPage},
    layout::{
        self, CHECKPOINT_BYTES, CHECKPOINTS, Checkpoint, CrashRange, Identity, NoIdentity,
        RANGES_MAX,
    },
    lookup::{Geometry, Id, Place},
    pages::{self, Pages},
    prefetch::Prefetcher,
    schema::{Schema, TimeField},
    shards::{Shards, shard_path},
};
use crate::{
    disk::seam::{Access, BootId, Disk, File, FileId, FileKind, refuse_network_file_system},
    error::{Corruption, Error, Foreign, Result},
    planted::planted,
};

/// Looks at the pages until they agree, that often at most; a producer moves them rarely.
const LOOKS_MAX: u32 = 1_000;

/// The files of an archive, opened.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) disk: Disk,
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    /// The columns, if the identity's text makes sense to this version.
    pub(crate) schema: Option<Schema>,
    pub(crate) time: Option<TimeField>,
    pub(crate) pages: Pages,
    pub(crate) shards: Shards,
    /// As it was asked for.
    pub(crate) resident_budget: Option<u64>,
    /// Its shares, if the archive is larger.
    pub(crate) budget: Option<Budget>,
    pub(crate) prefetcher: Arc<Prefetcher>,
    /// The first file; in a producer it holds the machine-wide lock.
    pub(crate) file: Arc<File>,
    pub(crate) file_id: FileId,
    /// Of this machine, now.
    pub(crate) boot: BootId,
    /// The epoch whose hot page was found to be right, plus 1; 0 for none yet.
    believed_epoch: AtomicU64,
    /// Flushes of slots by this process.
    pub(crate) syncs: AtomicU64,
}

/// What any process works out from the pages, without writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// The hot page is of this boot and of this file, and agrees with the checkpoint.
    pub(crate) believed: bool,
    pub(crate) hot: HotPage,
    pub(crate) next: u64,
    pub(crate) claim: u64,
    pub(crate) durable: u64,
    pub(crate) kept: u64,
    /// Where ids may be `Lost`.
    pub(crate) ranges: Vec<CrashRange>,
    pub(crate) checkpoint: Checkpoint,
}

/// What a reader relies on while it looks at one slot.
#[derive(Debug)]
pub(crate) struct Session {
    epoch: u64,
    boot: BootId,
    /// What the checkpoint says, while the hot page is not believed.
    pub(crate) cold: Option<Box<View>>,
}

impl Session {
    /// Whether the pages are still the ones that it began with.
    #[inline]
    pub(crate) fn is_of(&self, cursors: Cursors<'_>) -> bool {
        cursors.epoch() == self.epoch && cursors.boot() == self.boot
    }

    #[inline]
    pub(crate) fn next(&self, cursors: Cursors<'_>) -> u64 {
        match &self.cold {
            None => cursors.next(),
            Some(view) => view.next,
        }
    }
}

impl Archive {
    /// Opens an archive. Whoever writes takes its lock before anything else.
    pub(crate) fn open(disk: &Disk, path: &Path, opening: Opening) -> Result<Self> {
        let file = disk.open(path, opening.access).map_err(cannot_open(path))?;
        let locked = planted("lock_not_respected")
            || opening.access == Access::Read
            || file.try_lock().map_err(Error::io("lock", path))?;
        if !locked {
            return Err(file.locked(path));
        }
        Self::from_first_file(disk, path, Arc::new(file), opening)
    }

    /// Checks every identity page, and maps if that is wanted; `file` is locked already if it is to
    /// be written.
    pub(crate) fn from_first_file(
        disk: &Disk,
        path: &Path,
        file: Arc<File>,
        opening: Opening,
    ) -> Result<Self> {
        let kind = file.file_system_type().map_err(Error::io("look at", path))?;
        refuse_network_file_system(kind, path)?;
        let identity = read_identity(&file, path)?;
        check_same_archive(path, &identity, &identity, 0)?;
        let mut files = vec![Arc::clone(&file)];
        for index in 1..identity.geometry.shards {
            let path = shard_path(path, index);
            let file = disk.open(&path, opening.access);
            let file = file.map_err(cannot_open_shard(&path, &identity))?;
            let found = read_identity(&file, &path)?;
            check_same_archive(&path, &found, &identity, index)?;
            files.push(Arc::new(file));
        }
        let budget = Budget::of(path, &identity.geometry, opening)?;
        let (pages, shards) = take_form(path, &identity, files, opening, budget)?;
        let schema = Schema::of_records(&identity.schema, identity.geometry.record_size).ok();
        Ok(Self {
            disk: disk.clone(),
            path: path.into(),
            pages,
            shards,
            resident_budget: opening.resident_budget,
            budget,
            prefetcher: Arc::new(Prefetcher::new(opening.prefetch, opening.resident_budget)),
            file_id: file.id().map_err(Error::io("look at", path))?,
            boot: disk.boot_id().map_err(Error::io("learn the boot id for", path))?,
            identity,
            time: schema.as_ref().and_then(Schema::time_field),
            schema,
            file,
            believed_epoch: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        })
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.identity.geometry
    }

    #[inline]
    pub(crate) fn cursors(&self) -> Cursors<'_> {
        Cursors::of(&self.pages)
    }

    #[inline]
    pub(crate) fn place(&self, id: Id) -> Place {
        self.shards.place(id)
    }

    /// File and byte offset of an id's slot.
    pub(crate) fn locate(&self, id: Id) -> (PathBuf, u64) {
        let place = self.place(id);
        (self.shards.file_path(place.shard), self.shards.offset_of(place))
    }

    /// The newest valid checkpoint and its page. One always is: only the older one is ever written.
    pub(crate) fn checkpoint(&self) -> Option<(Checkpoint, usize)> {
        let valid = |page: usize| {
            let mut bytes = [0; CHECKPOINT_BYTES];
            self.pages.read(CHECKPOINTS[page], &mut bytes);
            let checkpoint = Checkpoint::decode(&bytes, self.identity.salt).ok()?;
            Some((checkpoint, page))
        };
        let mut found = [valid(0), valid(1)].into_iter().flatten();
        if planted("first_valid_checkpoint_rules") {
            return found.next();
        }
        found.max_by_key(|(found, _)| found.sequence)
    }

    /// What the pages say, looked at until two looks agree or the hot page is believed.
    pub(crate) fn view(&self) -> Result<View> {
        for look in 0..LOOKS_MAX {
            self.pages.refresh(pages::HOT)?;
            let (epoch, boot) = (self.cursors().epoch(), self.cursors().boot());
            // A copy may hold words of two producers. A second one cannot, if the first one showed
            // what the later producer stored last.
            self.pages.refresh(pages::HOT)?;
            let hot = self.cursors().load_all();
            let is_whole = (hot.epoch, hot.boot) == (epoch, boot);
            self.pages.refresh(pages::BOTH_CHECKPOINTS)?;
            // After the hot page: its claim was covered by the limit before it was stored.
            let Some((checkpoint, _)) = self.checkpoint() else {
                pause(look);
                continue;
            };
            let view = self.conclude(hot, checkpoint);
            if view.believed && is_whole {
                return Ok(view);
            }
            self.pages.refresh(pages::BOTH_CHECKPOINTS)?;
            let again = self.checkpoint().map(|(checkpoint, _)| checkpoint.sequence);
            self.pages.refresh(pages::HOT)?;
            if !view.believed
                && self.cursors().load_all() == hot
                && again == Some(view.checkpoint.sequence)
            {
                return Ok(view);
            }
            pause(look);
        }
        let offset = CHECKPOINTS[0] as u64;
        Err(Error::damaged(&self.path, offset)(Corruption::NoCheckpoint))
    }

    /// The rules of which page counts.
    fn conclude(&self, hot: HotPage, checkpoint: Checkpoint) -> View {
        let believed = (hot.boot == self.boot || planted("hot_page_believed_across_a_boot"))
            && (hot.file == self.file_id || planted("hot_page_of_another_file_believed"))
            && checkpoint.durable <= hot.next
            && hot.durable <= hot.next
            && hot.next <= hot.claim
            && hot.claim.max(hot.touched).max(hot.kept) <= checkpoint.limit;
        if believed {
            return View {
                believed,
                next: hot.next,
                claim: hot.claim,
                durable: hot.durable,
                kept: hot.kept,
                ranges: checkpoint.ranges.clone(),
                hot,
                checkpoint,
            };
        }
        self.cold_view(hot, checkpoint)
    }

    /// What the checkpoint says alone.
    pub(crate) fn cold_view(&self, hot: HotPage, checkpoint: Checkpoint) -> View {
        let capacity = self.geometry().capacity;
        // After a power cut: every id below the limit may have been handed out, none at or above it
        // was. What lies between durable and the limit proves itself, id by id.
        let reused = planted("ids_used_twice_after_a_power_cut");
        let limit = if reused { checkpoint.durable } else { checkpoint.limit };
        let crashed = CrashRange { first: checkpoint.durable, end: limit };
        View {
            believed: false,
            next: limit,
            claim: limit,
            durable: limit,
            kept: checkpoint.kept,
            ranges: with_range(&checkpoint.ranges, crashed, limit.saturating_sub(capacity)),
            hot,
            checkpoint,
        }
    }

    /// What a reader relies on now. Cheap while a hot page that was believed stays in its epoch.
    #[inline]
    pub(crate) fn session(&self) -> Result<Session> {
        self.pages.refresh(pages::HOT)?;
        match self.known_session() {
            Some(session) => Ok(session),
            None => self.new_session(),
        }
    }

    /// What the hot page relied on before says, as it was looked at last.
    #[inline]
    pub(crate) fn known_session(&self) -> Option<Session> {
        let cursors = self.cursors();
        let epoch = cursors.epoch();
        let known = self.believed_epoch.load(Relaxed) == epoch.wrapping_add(1);
        let is_believed = known && cursors.boot() == self.boot;
        is_believed.then_some(Session { epoch, boot: self.boot, cold: None })
    }

    /// A session to look for `id` with, if the newest look at the hot page is enough for that: a
    /// reader looks at it again behind its copy of the slot anyway.
    #[inline]
    pub(crate) fn session_for(&self, id: u64) -> Result<Session> {
        match self.known_session().filter(|_| id < self.cursors().next()) {
            Some(session) => Ok(session),
            None => self.session(),
        }
    }

    #[cold]
    fn new_session(&self) -> Result<Session> {
        let view = self.view()?;
        let (epoch, boot) = (view.hot.epoch, view.hot.boot);
        if view.believed {
            self.believed_epoch.store(epoch.wrapping_add(1), Relaxed);
            return Ok(Session { epoch, boot, cold: None });
        }
        Ok(Session { epoch, boot, cold: Some(Box::new(view)) })
    }

    /// Whether the pages are still the ones the session began with.
    #[inline]
    pub(crate) fn is_current(&self, session: &Session) -> bool {
        session.is_of(self.cursors())
    }

    #[inline]
    pub(crate) fn next(&self, session: &Session) -> u64 {
        session.next(self.cursors())
    }

    pub(crate) fn durable(&self, session: &Session) -> u64 {
        match &session.cold {
            None => self.cursors().durable(),
            Some(view) => view.durable,
        }
    }

    /// The most by which the time of a record was behind that of an earlier one, in nanoseconds.
    pub(crate) fn clock_step(&self, session: &Session) -> u64 {
        match &session.cold {
            None => self.cursors().clock_step(),
            Some(view) => view.checkpoint.clock_step,
        }
    }

    /// Ids below it are overwritten, about to be, or dropped.
    #[inline]
    pub(crate) fn oldest(&self, session: &Session) -> u64 {
        self.oldest_below(session, self.next(session))
    }

    /// The same, where `next` is what was to come next a moment ago. Its cache line is one that the
    /// producer stores to with each record: whoever looks at it twice may wait for it twice.
    #[inline]
    pub(crate) fn oldest_below(&self, session: &Session, next: u64) -> u64 {
        let cursors = self.cursors();
        match &session.cold {
            None => self.oldest_of(cursors.claim(), cursors.kept(), next),
            Some(view) => self.oldest_of(view.claim, view.kept, view.next),
        }
    }

    /// The same, as the hot page shows it now.
    #[inline]
    pub(crate) fn oldest_shown(&self) -> u64 {
        let cursors = self.cursors();
        self.oldest_of(cursors.claim(), cursors.kept(), cursors.next())
    }

    /// Whether a published id is kept still. `next` is at most the claim, so that its cache line,
    /// which the producer stores to with each record, is left alone while the claim tells enough.
    #[inline]
    pub(crate) fn is_kept(&self, id: u64) -> bool {
        let cursors = self.cursors();
        let in_window = cursors.claim() <= id.saturating_add(self.geometry().capacity);
        (in_window && cursors.kept() <= id) || self.oldest_shown() <= id
    }

    #[inline]
    fn oldest_of(&self, claim: u64, kept: u64, next: u64) -> u64 {
        let Geometry { capacity, slots, .. } = *self.geometry();
        let longer = if planted("window_too_long") { slots - capacity + 1 } else { 0 };
        claim.saturating_sub(slots).max(next.saturating_sub(capacity + longer)).max(kept)
    }

    /// Whether the path leads to another file now.
    pub(crate) fn is_replaced(&self) -> bool {
        // A file that is gone may come back (a rename in two steps): that is no replacement yet.
        self.disk.identify(&self.path).is_ok_and(|file| file != self.file_id)
    }

    /// Whether another archive was written over this one, in the same file.
    pub(crate) fn is_overwritten(&self) -> bool {
        // What cannot be read is told by the next read; it is no other archive.
        if self.pages.refresh(pages::IDENTITY).is_err() {
            return false;
        }
        let mut archive = [0; 16];
        self.pages.read(layout::identity::ARCHIVE_ID, &mut archive);
        archive != self.identity.archive.0
    }
}

/// Adds a crash range; forgets what lies below `oldest`; merges the two nearest ranges while there
/// are more than a page holds.
pub(crate) fn with_range(ranges: &[CrashRange], new: CrashRange, oldest: u64) -> Vec<CrashRange> {
    let mut all: Vec<_> = ranges.iter().copied().filter(|range| range.end > oldest).collect();
    if new.first < new.end {
        all.push(new);
    }
    all.sort_by_key(|range| range.first);
    let mut joined: Vec<CrashRange> = Vec::with_capacity(all.len());
    for range in all {
        match joined.last_mut() {
            Some(last) if range.first <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    while joined.len() > RANGES_MAX {
        if planted("oldest_crash_range_dropped") {
            joined.remove(0);
            continue;
        }
        let gap = |at: usize| joined[at + 1].first - joined[at].end;
        let nearest = (0..joined.len() - 1).min_by_key(|&at| gap(at)).unwrap_or(0);
        joined[nearest].end = joined[nearest + 1].end;
        joined.remove(nearest + 1);
    }
    joined
}

/// Reads and checks an identity page; nothing else in the file was trusted before.
pub(crate) fn read_identity(file: &File, path: &Path) -> Result<Identity> {
    let foreign = |found| Error::NotAnArchive { path: path.into(), found };
    match file.kind().map_err(Error::io("look at", path))? {
        FileKind::Regular => {}
        FileKind::Directory => return Err(foreign(Foreign::Directory)),
        FileKind::Special => return Err(foreign(Foreign::Special)),
    }
    let found_bytes = file.length().map_err(Error::io("look at", path))?;
    if found_bytes == 0 {
        return Err(foreign(Foreign::Empty));
    }
    let mut page = [0; layout::PAGE];
    let readable = usize::try_from(found_bytes).unwrap_or(usize::MAX).min(page.len());
    file.read_at(&mut page[..readable], 0).map_err(Error::io("read", path))?;
    let short =
        |expected_bytes| Error::Truncated { path: path.into(), found_bytes, expected_bytes };
    let identity = Identity::decode(&page).map_err(|reason| match reason {
        NoIdentity::Foreign => foreign(Foreign::File),
        NoIdentity::Newer { found } => {
            let supported = layout::FORMAT_VERSION;
            Error::NewerFormat { path: path.into(), found, supported }
        }
        NoIdentity::Damaged(_) if readable < page.len() => short(layout::PAGE as u64),
        NoIdentity::Damaged(corruption) => Error::damaged(path, 0)(corruption),
    })?;
    match identity.file_bytes() {
        _ if planted("short_file_accepted") => Ok(identity),
        expected_bytes if found_bytes < expected_bytes => Err(short(expected_bytes)),
        _ => Ok(identity),
    }
}

fn check_same_archive(path: &Path, found: &Identity, first: &Identity, index: u32) -> Result<()> {
    let expected = Identity { shard: index, ..first.clone() };
    if *found == expected || planted("shard_of_another_archive_accepted") {
        return Ok(());
    }
    Err(Error::MixedShards {
        path: path.into(),
        found: found.archive,
        found_index: found.shard,
        expected: first.archive,
        expected_index: index,
    })
}

/// Pages and slots as they were asked for; or as near to that as the system allows: what cannot be
/// mapped is read and written by position.
fn take_form(
    path: &Path,
    identity: &Identity,
    files: Vec<Arc<File>>,
    opening: Opening,
    budget: Option<Budget>,
) -> Result<(Pages, Shards)> {
    let (access, geometry) = (opening.access, &identity.geometry);
    let by_position = |files: Vec<Arc<File>>| {
        let pages = Pages::copy(&files[0], path, identity, access)?;
        Ok((pages, Shards::by_position(path, geometry, files, 0)))
    };
    if opening.io == Io::File {
        return by_position(files);
    }
    let pages = match Pages::map(&files[0], path, identity, access) {
        // A file system without shared mappings.
        Err(error) if has_code(&error, libc::ENODEV) => return by_position(files),
        pages => pages?,
    };
    if budget.is_none() {
        match Shards::map(path, geometry, files.clone(), access) {
            // Too large for the address space.
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {}
            mapped => return Ok((pages, mapped.map_err(Error::io("map", path))?)),
        }
    }
    let window_bytes = budget.map_or(WINDOW_BYTES, |budget| budget.window_bytes);
    Ok((pages, Shards::by_position(path, geometry, files, window_bytes)))
}

fn has_code(error: &Error, code: i32) -> bool {
    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(code))
}

fn cannot_open(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { path: path.into() },
        std::io::ErrorKind::IsADirectory => {
            Error::NotAnArchive { path: path.into(), found: Foreign::Directory }
        }
        _ => Error::io("open", path)(source),
    }
}

fn cannot_open_shard(path: &Path, identity: &Identity) -> impl FnOnce(std::io::Error) -> Error {
    let shards = identity.geometry.shards;
    move |source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::MissingShard { path: path.into(), shards },
        _ => Error::io("open", path)(source),
    }
}

/// Lets the other side go on: a little, then more.
pub(crate) fn pause(tries: u32) {
    if tries < 32 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, end: u64) -> CrashRange {
        CrashRange { first, end }
    }

    #[test]
    fn ranges_join_where_they_meet_and_leave_behind_the_oldest() {
        let ranges = [range(0, 5), range(10, 20), range(30, 40)];
        let joined = with_range(&ranges, range(18, 30), 5);
        assert_eq!(joined, [range(10, 40)]);
        assert_eq!(with_range(&ranges, range(7, 7), 0), ranges);
    }

    #[test]
    fn a_full_table_merges_the_nearest_ranges_and_forgets_none() {
        let ranges: Vec<_> =
            (0..RANGES_MAX as u64).map(|at| range(100 * at, 100 * at + 9)).collect();
        let merged = with_range(&ranges, range(312, 313), 0);
        assert_eq!(merged.len(), RANGES_MAX);
        assert!(merged.contains(&range(300, 313)));
        for old in ranges {
            assert!(merged.iter().any(|new| new.first <= old.first && old.end <= new.end));
        }
    }
}
