//! What is run, and which of its calls fail how.

/// A verb of the command with its arguments.
#[derive(Debug)]
pub(super) struct Verb {
    /// Its class in the outcomes.
    pub(super) fails: &'static str,
    /// `@` stands for the directory of the archive.
    pub(super) line: &'static str,
    /// Of the archive that is there before, or that is made.
    pub(super) capacity: u64,
    pub(super) kind: Kind,
}

/// What is owed after a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Append,
    Record,
    /// Its output is the same every time; it never writes.
    Read,
    /// It tells of memory too, so that its output is another one every time; it never writes.
    Stat,
}

const SMALL: u64 = 60;
/// More than fits into the budget that its verbs are given.
const LARGE: u64 = 9000;

const fn create(line: &'static str) -> Verb {
    Verb { fails: "create fails", line, capacity: SMALL, kind: Kind::Create }
}

const fn append(line: &'static str, capacity: u64) -> Verb {
    Verb { fails: "append fails", line, capacity, kind: Kind::Append }
}

const fn read(fails: &'static str, line: &'static str, capacity: u64) -> Verb {
    Verb { fails, line, capacity, kind: Kind::Read }
}

const fn stat(line: &'static str) -> Verb {
    Verb { fails: "stat fails", line, capacity: SMALL, kind: Kind::Stat }
}

pub(super) const VERBS: [Verb; 21] = [
    create("create @/a.dat --record-size 12 --capacity 60 --shards 3"),
    create("create @/a.dat --schema t:time_s,n:u32 --capacity 60 --shards 3 --io file"),
    create("create @/a.dat --record-size 12 --capacity 9000 --shards 3 --resident-budget 64K"),
    append("append @/a.dat @/records.csv --sync always", SMALL),
    append("append @/a.dat @/records.csv --sync 7 --io file", SMALL),
    append("append @/a.dat @/records.raw --format raw", SMALL),
    append("append @/a.dat @/records.raw --format raw --sync 5ms --io file", SMALL),
    append("append @/a.dat @/records.raw --format raw --sync 500 --resident-budget 64K", LARGE),
    append("append @/a.dat @/records.csv --io file --resident-budget 64K", LARGE),
    read("cat fails", "cat @/a.dat", SMALL),
    read("cat fails", "cat @/a.dat --format raw --io mmap", SMALL),
    read("cat fails", "cat @/a.dat --format csv --io mmap --resident-budget 64K", LARGE),
    read("cat fails", "cat @/a.dat --from 1970-01-01T00:01:20Z --json", SMALL),
    read("tail fails", "tail -n 5 @/a.dat", SMALL),
    read("tail fails", "tail -n 5 @/a.dat --io mmap", SMALL),
    read("get fails", "get @/a.dat 98 99", SMALL),
    stat("stat @/a.dat"),
    stat("stat @/a.dat --io mmap --json"),
    read("verify fails", "verify @/a.dat", SMALL),
    read("verify fails", "verify @/a.dat --io mmap --resident-budget 64K", LARGE),
    Verb {
        fails: "record fails",
        line: "record @/a.dat --for 40ms --every 10ms --sync 20ms --disk 64K",
        capacity: SMALL,
        kind: Kind::Record,
    },
];

/// A system call that fails, and how.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    /// Each of them once; the first one for good too.
    pub(super) codes: &'static [&'static str],
    /// Only calls that name a file of the trial, by path or by descriptor. Others have neither.
    pub(super) is_of_a_file: bool,
    /// What fails for good beside it, or it would not be made.
    pub(super) beside: Option<&'static str>,
}

const fn of_a_file(name: &'static str, codes: &'static [&'static str]) -> Call {
    Call { name, codes, is_of_a_file: true, beside: None }
}

const fn anywhere(name: &'static str, codes: &'static [&'static str]) -> Call {
    Call { name, codes, is_of_a_file: false, beside: None }
}

/// A file system that cannot rename without replacing: names are linked and unlinked.
const fn without_rename(name: &'static str, codes: &'static [&'static str]) -> Call {
    Call { name, codes, is_of_a_file: true, beside: Some("renameat2:error=EINVAL") }
}

pub(super) const CALLS: [Call; 25] = [
    of_a_file("openat", &["EMFILE", "EACCES", "EIO", "EINTR"]),
    of_a_file("statx", &["EIO", "EACCES"]),
    of_a_file("newfstatat", &["EIO"]),
    of_a_file("statfs", &["EIO", "EINTR"]),
    of_a_file("fstatfs", &["EIO", "EINTR"]),
    of_a_file("fcntl", &["ENOLCK", "EACCES", "EINTR"]),
    of_a_file("ftruncate", &["EIO", "EINTR"]),
    of_a_file("fallocate", &["ENOSPC", "EIO", "EINTR", "EOPNOTSUPP"]),
    of_a_file("pwrite64", &["EIO", "ENOSPC", "EINTR"]),
    of_a_file("pread64", &["EIO", "EINTR"]),
    of_a_file("preadv", &["EIO", "EINTR"]),
    of_a_file("preadv2", &["EIO", "EINTR", "EOPNOTSUPP"]),
    of_a_file("read", &["EIO", "EINTR"]),
    of_a_file("write", &["ENOSPC", "EIO", "EINTR"]),
    of_a_file("fsync", &["EIO", "ENOSPC", "EINTR"]),
    of_a_file("fdatasync", &["EIO", "ENOSPC"]),
    of_a_file("mmap", &["ENOMEM", "EACCES"]),
    of_a_file("renameat2", &["EIO", "ENOSPC", "EINVAL"]),
    without_rename("linkat", &["EIO", "ENOSPC"]),
    without_rename("unlink", &["EIO", "EACCES"]),
    of_a_file("getdents64", &["EIO"]),
    of_a_file("fadvise64", &["EIO"]),
    of_a_file("sync_file_range", &["EIO", "ENOSPC"]),
    anywhere("msync", &["EIO", "ENOMEM", "EINTR"]),
    anywhere("clone3", &["EAGAIN"]),
];

/// The classes that have to occur.
pub(super) const CLASSES: [&str; 17] = [
    "create fails",
    "append fails",
    "cat fails",
    "tail fails",
    "get fails",
    "stat fails",
    "verify fails",
    "record fails",
    super::IN_SPITE,
    super::NO_CALL_FAILS,
    "EIO",
    "ENOSPC",
    "EMFILE",
    "ENOMEM",
    "EINTR",
    "EACCES",
    "EAGAIN",
];
