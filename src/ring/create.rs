//! Making an archive so that it appears whole or not at all.
//!
//! 1. `cache.dat.ringkeep-new` is made and locked: it is the first file to be, and whoever holds
//!    its lock is the one that creates.
//! 2. What an earlier creation left is removed.
//! 3. All files get their space, their pages and a sync under temporary names.
//! 4. Shards 1.. get their names, and the directory is synced; then `cache.dat` gets its own, and
//!    the directory is synced again.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    archive::{Archive, read_identity},
    budget::Budget,
    choices::Opening,
    layout::{self, CHECKPOINTS, Checkpoint, Identity, file_bytes},
    lookup::Geometry,
    shards::shard_path,
};
use crate::{
    disk::{
        naming::{
            TEMPORARY, create_locked, directory_of, give_name, refuse_existing, sync_directory_of,
            temporary,
        },
        seam::{Access, Disk, File, refuse_network_file_system},
    },
    error::{ArchiveId, Error, Result},
    planted::planted,
};

/// What is to be made.
#[derive(Debug)]
pub(crate) struct Blueprint {
    pub(crate) geometry: Geometry,
    pub(crate) schema: Box<str>,
    pub(crate) mode: u32,
}

/// Creates an archive and returns it open and locked, beside what takes it away again.
pub(crate) fn create(
    disk: &Disk,
    path: &Path,
    blueprint: &Blueprint,
    opening: Opening,
) -> Result<(Archive, Made)> {
    // A budget too small is refused before anything is made.
    Budget::of(path, &blueprint.geometry, opening)?;
    let directory = directory_of(path);
    let kind = disk.file_system_type(directory);
    let kind = kind.map_err(Error::io("find the directory", directory))?;
    refuse_network_file_system(kind, path)?;
    refuse_existing(disk, path)?;
    let mut made = lock_first_file(disk, path, blueprint)?;
    build(disk, path, blueprint, &mut made)?;
    let archive = Archive::from_first_file(disk, path, Arc::clone(&made.first), opening)?;
    Ok((archive, made))
}

/// Files made so far, under the names they have now. Dropped, it removes them again: a creation
/// that fails leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Made {
    disk: Disk,
    /// It holds the lock.
    first: Arc<File>,
    paths: Vec<PathBuf>,
}

impl Made {
    /// The archive stays.
    pub(crate) fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // A producer that failed late has given the lock up, and another one may have it.
        if self.paths.is_empty() || !self.first.try_lock().unwrap_or(false) {
            return;
        }
        // The file that holds the lock goes last. What cannot be removed is cleared away by the
        // next creation.
        for path in self.paths.drain(..).rev() {
            let _ = self.disk.remove(&path);
        }
    }
}

fn lock_first_file(disk: &Disk, path: &Path, blueprint: &Blueprint) -> Result<Made> {
    let file = create_locked(disk, path, blueprint.mode, blueprint.geometry.bytes_on_disk())?;
    Ok(Made { disk: disk.clone(), first: Arc::new(file), paths: vec![temporary(path)] })
}

fn build(disk: &Disk, path: &Path, blueprint: &Blueprint, made: &mut Made) -> Result<()> {
    // Under the lock: an archive that was finished before it is seen, and so are leftovers.
    refuse_existing(disk, path)?;
    remove_leftovers(disk, path)?;
    let identity = new_identity(disk, path, blueprint)?;
    let geometry = &blueprint.geometry;
    fill(&made.first, &identity).map_err(making(path, geometry))?;
    for shard in 1..geometry.shards {
        let name = temporary(&shard_path(path, shard));
        let file = disk.create(&name, blueprint.mode).map_err(making(path, geometry))?;
        made.paths.push(name);
        let filled = fill(&file, &Identity { shard, ..identity.clone() });
        filled.map_err(making(path, geometry))?;
    }
    for (shard, place) in (0..geometry.shards).zip(0..).skip(1) {
        name(disk, &shard_path(path, shard), &mut made.paths[place])?;
    }
    // Before the last name: an archive that has it has all its files, whatever names a power cut
    // keeps.
    sync_directory_of(disk, path)?;
    name(disk, path, &mut made.paths[0])?;
    if planted("names_not_synced") {
        return Ok(());
    }
    sync_directory_of(disk, path)
}

/// What a failure to make a file means: often that there is no room.
pub(crate) fn making(path: &Path, geometry: &Geometry) -> impl FnOnce(io::Error) -> Error {
    Error::making(path, geometry.bytes_on_disk())
}

fn new_identity(disk: &Disk, path: &Path, blueprint: &Blueprint) -> Result<Identity> {
    let mut random = [0; 20];
    disk.random_bytes(&mut random).map_err(Error::io("draw an id for", path))?;
    let [archive @ .., a, b, c, d] = random;
    Ok(Identity {
        archive: ArchiveId(archive),
        salt: u32::from_le_bytes([a, b, c, d]),
        shard: 0,
        geometry: blueprint.geometry,
        schema: blueprint.schema.clone(),
    })
}

/// Gives a file its space and its pages, the magic last, and makes it durable.
fn fill(file: &File, identity: &Identity) -> io::Result<()> {
    file.allocate(identity.file_bytes())?;
    if identity.shard == 0 {
        let checkpoint = Checkpoint { sequence: 1, ..Checkpoint::default() };
        file.write_at(&checkpoint.encode(identity.salt), CHECKPOINTS[0] as u64)?;
    }
    let page = identity.encode();
    let (magic, rest) = page.split_at(8);
    file.write_at(rest, 8)?;
    file.write_at(magic, 0)?;
    file.sync()
}

/// Gives a file its name, and remembers it.
fn name(disk: &Disk, name: &Path, file: &mut PathBuf) -> Result<()> {
    give_name(disk, file, name)?;
    *file = name.into();
    Ok(())
}

/// Removes what a creation that died has left: temporary files, and shards without a `cache.dat`.
fn remove_leftovers(disk: &Disk, path: &Path) -> Result<()> {
    let directory = directory_of(path);
    let names = disk.list(directory).map_err(Error::io("list", directory))?;
    let own_name = path.file_name().unwrap_or_default();
    let is_ours = |name: &OsString| {
        let rest = name.as_encoded_bytes().strip_prefix(own_name.as_encoded_bytes());
        Some((directory.join(name), rest.and_then(shard_suffix)?))
    };
    let leftovers: Vec<_> = names.iter().filter_map(is_ours).collect();
    // All of them are looked at before the first is removed: beside one shard with records, empty
    // ones are part of the same archive.
    for (path, is_temporary) in &leftovers {
        if !is_temporary {
            refuse_records(disk, path)?;
        }
    }
    for (path, _) in &leftovers {
        disk.remove(path).map_err(Error::io("remove", path))?;
    }
    Ok(())
}

/// Whether what follows the archive's name makes it a shard's: `.7`, or `.7.ringkeep-new` (true).
fn shard_suffix(rest: &[u8]) -> Option<bool> {
    let number = std::str::from_utf8(rest).ok()?.strip_prefix('.')?;
    let (number, is_temporary) = match number.strip_suffix(TEMPORARY) {
        Some(number) => (number, true),
        None => (number, false),
    };
    let shard: u32 = number.parse().ok()?;
    (shard > 0 && shard.to_string() == number).then_some(is_temporary)
}

/// A shard that holds records is not removed: its `cache.dat` may have been lost.
fn refuse_records(disk: &Disk, path: &Path) -> Result<()> {
    let file = disk.open(path, Access::Read).map_err(Error::io("open", path))?;
    match read_identity(&file, path) {
        Ok(identity) if holds_zeros(&file, &identity).map_err(Error::io("read", path))? => Ok(()),
        Ok(_) => Err(Error::LeftoverShard { path: path.into() }),
        Err(_) => Err(Error::AlreadyExists { path: path.into() }),
    }
}

fn holds_zeros(file: &File, identity: &Identity) -> io::Result<bool> {
    let mut bytes = vec![0; 1 << 20];
    let end = identity.file_bytes();
    let mut at = layout::slots_offset(identity.shard, identity.geometry.record_size);
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(bytes.len());
        let piece = &mut bytes[..length];
        file.read_at(piece, at)?;
        if piece.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}

impl Geometry {
    /// Length of all files together.
    ///
    /// # Examples
    ///
    /// ```
    /// let geometry = ringkeep::RingOptions::new(124, 8).geometry()?;
    /// assert_eq!(geometry.bytes_on_disk(), 5 * 4096 + 9 * 128);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        let first = file_bytes(self, 0);
        let last = file_bytes(self, self.shards - 1);
        match u64::from(self.shards) {
            1 => first,
            count => first + (count - 2) * file_bytes(self, 1) + last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shard_suffix;

    #[test]
    fn only_names_that_a_creation_gives_are_leftovers() {
        assert_eq!(shard_suffix(b".1"), Some(false));
        assert_eq!(shard_suffix(b".12.ringkeep-new"), Some(true));
        for other in [&b""[..], b".0", b".01", b".1x", b"1", b".ringkeep-new", b".1.bak", b".-1"] {
            assert_eq!(shard_suffix(other), None);
        }
    }
}
