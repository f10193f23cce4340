//! Opening for write: what the last producer left is made good, so that dying at any store in here,
//! and opening again, comes to the same.
//!
//! 0. Every file gets all its space, in case it is a copy with holes, and its name is synced, in
//!    case its creation died right before that.
//! 1. The newest checkpoint page is on the disk before it is trusted: after a failed sync it may be
//!    in the cache alone, and the kernel calls it clean. A page that is known to be there is left
//!    alone: storing it again could tear it. What a crash left of the other page is wiped.
//! 2. A rewrite that was under way is finished from the redo slot.
//! 3. What may be torn becomes a crash range, in a flushed checkpoint page, before
//! 4. the hot page shows the ids as written. A believed page is changed in place, one store after
//!    the other, each of which leaves it right; only one that is not believed is filled anew.

use std::ops::Range;

use super::{
    archive::{Archive, View, with_range},
    checkpoints::{Checkpoints, newest_checkpoint, step_max},
    create::making,
    cursors::HotPage,
    flush::sync_slots,
    layout::{CHECKPOINT_BYTES, CHECKPOINTS, Checkpoint, CrashRange},
    redo::{self, Redo},
    slot::{self, Content},
};
use crate::{
    disk::{naming::directory_of, seam::Access},
    error::{Error, Result},
    planted::planted,
};

/// What is stored over what is left of a page.
const WIPED: u8 = 0xFF;

/// What opening found out.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) checkpoints: Checkpoints,
    /// Ids whose slots may be in the page cache only, although the kernel calls them clean: the
    /// first sync stores them again.
    pub(crate) unproven: Range<u64>,
}

/// Makes the archive ready for a producer that holds its lock.
pub(crate) fn recover(archive: &Archive) -> Result<Recovered> {
    // Refuses an archive whose pages make no sense, before anything is stored.
    archive.view()?;
    fill_holes(archive)?;
    sync_names(archive)?;
    prove_checkpoint(archive)?;
    wipe_torn_checkpoint(archive)?;
    let view = look(archive)?;
    finish_rewrite(archive, &view)?;
    let (mut next, mut claim) = (view.next, view.claim);
    if view.believed {
        next = next.max(view.hot.touched);
        claim = claim.max(view.hot.touched);
    }
    let checkpoints = record_crash(archive, &view, next, claim)?;
    show(archive, &view, next, claim);
    Ok(Recovered { checkpoints, unproven: view.durable..next })
}

/// What the pages say. A producer, living or dead, leaves its claim within a block of what it
/// touched, and the oldest kept id at most there. A believed page that does not was crafted, and
/// what is appended after it could not be read: the checkpoint counts in its place.
fn look(archive: &Archive) -> Result<View> {
    let view = archive.view()?;
    let HotPage { next, touched, claim, kept, .. } = view.hot;
    let reach = next.max(touched);
    let claim_max = reach.saturating_add(archive.geometry().block());
    if view.believed && (claim > claim_max || kept > reach) {
        return Ok(archive.cold_view(view.hot, view.checkpoint));
    }
    Ok(view)
}

/// A copy of an archive may have holes where the original had space of its own.
fn fill_holes(archive: &Archive) -> Result<()> {
    for shard in 0..archive.shards.files().len() {
        let path = archive.shards.file_path(shard);
        let file = archive.disk.open(&path, Access::Write).map_err(Error::io("open", &path))?;
        file.fill_holes().map_err(making(&path, archive.geometry()))?;
    }
    Ok(())
}

/// A creation may have died between the last name and the sync of the directory: before anything
/// here is called durable, the name it lies under has to be.
fn sync_names(archive: &Archive) -> Result<()> {
    let directory = directory_of(&archive.path);
    if planted("names_not_synced") {
        return Ok(());
    }
    match archive.disk.sync_directory(directory) {
        // A directory that this user may not read cannot be synced by it; whoever created the
        // archive could, and has done so unless it died just then.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(Error::io("sync", directory)),
    }
}

fn prove_checkpoint(archive: &Archive) -> Result<()> {
    let (newest, page) = newest_checkpoint(archive)?;
    let cursors = archive.cursors();
    match cursors.proven(archive.boot, archive.file_id) {
        Some(sequence)
            if sequence == newest.sequence && !planted("proven_checkpoints_stored_again") => {}
        Some(_) if planted("checkpoint_not_proven_at_opening") => {}
        // Its flush never returned, so nobody relied on it: it may be torn now.
        Some(_) => {
            archive.pages.write(CHECKPOINTS[page], &newest.encode(archive.identity.salt));
            archive.pages.sync(CHECKPOINTS[page], CHECKPOINT_BYTES)?;
            cursors.set_proven(newest.sequence);
        }
        // What is in the cache came from the disk; or from a copy that was made a moment ago, and
        // has to get there.
        None => {
            archive.shards.sync_files()?;
            cursors.begin_proofs(archive.boot, archive.file_id, newest.sequence);
        }
    }
    Ok(())
}

/// The next page goes where the older one is. What a crash left there of a page that nobody relied
/// on could become whole again while the next one is stored over it, word by word, and rule if that
/// is not finished. No page has a word of ones, so none is whole while these are stored.
fn wipe_torn_checkpoint(archive: &Archive) -> Result<()> {
    let (_, newest) = newest_checkpoint(archive)?;
    let (other, mut page) = (CHECKPOINTS[1 - newest], [0; CHECKPOINT_BYTES]);
    archive.pages.read(other, &mut page);
    let holds = |byte| page.iter().all(|&found| found == byte);
    let is_whole = Checkpoint::decode(&page, archive.identity.salt).is_ok();
    if is_whole || holds(0) || holds(WIPED) || planted("torn_checkpoint_not_wiped") {
        return Ok(());
    }
    archive.pages.write(other, &[WIPED; CHECKPOINT_BYTES]);
    archive.pages.sync(other, CHECKPOINT_BYTES)
}

/// A good slot keeps its bytes, for the redo slot may be older than it; it is stored again before
/// the redo slot is cleared. A redo slot that was not flushed before its slot counts only in the
/// boot that wrote it: after a power cut it could bring back the version before the last.
fn finish_rewrite(archive: &Archive, view: &View) -> Result<()> {
    let capacity = archive.geometry().capacity;
    let kept = view.next.saturating_sub(capacity).max(view.kept)..view.next;
    let died_inside = view.believed && !view.hot.counter.is_multiple_of(2);
    let any = planted("redo_of_another_boot_believed");
    let counts = |redo: &Redo| kept.contains(&redo.id.0) && (died_inside || redo.through || any);
    if let Some(redo) = redo::load_any(archive).filter(counts) {
        restore(archive, &redo, died_inside)?;
    }
    if died_inside {
        archive.cursors().end_rewrite();
    }
    redo::clear(archive)
}

fn restore(archive: &Archive, redo: &Redo, died_inside: bool) -> Result<()> {
    let (salt, place) = (archive.identity.salt, archive.place(redo.id));
    let mut payload = vec![0; redo.payload.len()];
    let stored = archive.shards.read(place, &mut payload)?;
    let proven = slot::decode(salt, redo.id, &payload, stored).is_some();
    if proven && !died_inside {
        archive.shards.write_again(place, || true)?;
    } else {
        let crc = match redo.content {
            Content::Record => slot::checksum(salt, redo.id, &redo.payload),
            Content::Absent => slot::marker_checksum(salt, redo.id, &redo.payload),
        };
        archive.shards.write(place, &redo.payload, crc)?;
    }
    sync_slots(archive, redo.id.0..redo.id.0 + 1)
}

/// A crash range that is new, and a limit far off (a jump died), go to a checkpoint page. One that
/// a page covers already was flushed by an opening before this one, which died.
fn record_crash(archive: &Archive, view: &View, next: u64, claim: u64) -> Result<Checkpoints> {
    let mut checkpoints = Checkpoints::of(archive)?;
    let page = checkpoints.newest().clone();
    let crashed = if view.believed {
        CrashRange { first: view.next, end: next }
    } else {
        CrashRange { first: page.durable, end: page.limit }
    };
    let covers = |range: &CrashRange| range.first <= crashed.first && crashed.end <= range.end;
    let is_new = crashed.first < crashed.end && !page.ranges.iter().any(covers)
        || planted("recovery_not_idempotent");
    let far = page.limit > next.saturating_add(step_max(archive));
    let limit = if far { claim } else { page.limit };
    // A jump died behind its page: the ids that it would have dropped are handed out now.
    let undone = view.kept != page.kept;
    if is_new || limit != page.limit || undone {
        // Forgotten is what the old next left behind: the new one shows only after this page.
        let oldest = view.next.saturating_sub(archive.geometry().capacity);
        let ranges = with_range(&view.ranges, crashed, oldest);
        let forgotten = planted("crash_ranges_forgotten");
        let ranges = if forgotten { page.ranges.clone() } else { ranges };
        let (durable, kept) = (view.durable, view.kept);
        checkpoints.write(archive, Checkpoint { durable, limit, kept, ranges, ..page })?;
    }
    Ok(checkpoints)
}

fn show(archive: &Archive, view: &View, next: u64, claim: u64) {
    let cursors = archive.cursors();
    let epoch = view.hot.epoch.wrapping_add(1);
    if view.believed {
        // Each store leaves a page that is still right: dying in here must not look like a power
        // cut.
        cursors.set_claim(if planted("claim_lowered_on_reopen") { view.next } else { claim });
        cursors.publish(next);
        cursors.set_touched(next);
        cursors.set_epoch(epoch);
    } else {
        cursors.refill(&HotPage {
            claim,
            counter: 0,
            touched: next,
            next,
            durable: view.durable,
            kept: view.kept,
            clock_step: view.checkpoint.clock_step,
            epoch,
            boot: archive.boot,
            file: archive.file_id,
        });
    }
}
