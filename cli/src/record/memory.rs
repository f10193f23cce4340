//! Resident memory of this process.

use procfs::process::Process;

/// Bytes resident now, and at most so far; none where the host does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resident {
    pub(super) now_bytes: Option<u64>,
    pub(super) peak_bytes: Option<u64>,
}

pub(super) fn resident() -> Resident {
    let Ok(status) = Process::myself().and_then(|myself| myself.status()) else {
        return Resident::default();
    };
    let bytes = |kib: Option<u64>| kib.map(|kib| kib.saturating_mul(1024));
    Resident { now_bytes: bytes(status.vmrss), peak_bytes: bytes(status.vmhwm) }
}
