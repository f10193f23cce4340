//! Which process holds the lock of a file: for messages only.
//!
//! The kernel does not tell it of locks of open file descriptions, as these have no process. But a
//! process shows what it has open, and with which locks, to whoever may look at it.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::seam::FileId;

/// A process that has a lock on this file; none of another user is found.
pub(crate) fn of(file: FileId) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|id: &u32| has_lock(&Path::new("/proc").join(id.to_string()), file).unwrap_or(false))
}

fn has_lock(process: &Path, file: FileId) -> Option<bool> {
    let opened = fs::read_dir(process.join("fd")).ok()?.flatten();
    Some(opened.into_iter().any(|entry| {
        let is_it = fs::metadata(entry.path())
            .is_ok_and(|found| FileId { device: found.dev(), inode: found.ino() } == file);
        is_it && {
            let about = fs::read_to_string(process.join("fdinfo").join(entry.file_name()));
            about.is_ok_and(|about| about.lines().any(|line| line.starts_with("lock:")))
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{
        disk::seam::{Access, Disk},
        error::Error,
    };

    #[test]
    fn who_holds_a_lock_is_named_and_nobody_where_nobody_does() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("file");
        let disk = Disk::default();
        let holder = disk.create(&path, 0o600).expect("a file");
        let asks = disk.open(&path, Access::Write).expect("it is there");
        let told = |path: &Path| match asks.locked(path) {
            Error::Locked { holder, .. } => holder,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(&path), None);
        assert!(holder.try_lock().expect("a lock"));
        assert_eq!(told(&path), Some(std::process::id()));
        assert!(asks.locked(&path).to_string().ends_with("is locked: this process has it open"));
        assert!(!asks.try_lock_shared().expect("an answer"));
        holder.unlock().expect("it was locked");
        assert!(asks.try_lock_shared().expect("an answer"));
        assert!(holder.try_lock_shared().expect("an answer"));
        assert!(!holder.try_lock().expect("an answer"), "a reader is there");
    }
}
