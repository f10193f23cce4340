//! What both consumers of a recorder do: read everything, until they are told to stop and have
//! read all that was there by then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringkeep::{Ring, Start, Tailed};

/// How long a consumer can take to see that it is to stop.
const PAUSE: Duration = Duration::from_millis(50);

/// Hands everything from id `from` on to `consume`. Ends once `stop` is set and everything that
/// was published before it has been handed on; ends at once when the archive is replaced.
pub(super) fn consume(
    ring: &Ring,
    from: u64,
    stop: &AtomicBool,
    mut consume: impl FnMut(&Tailed<'_>),
) -> Result<(), ringkeep::Error> {
    let mut tailer = ring.tailer(Start::Id(from));
    let mut goal = None;
    loop {
        // Acquire: pairs with the Release store of whoever sets it; all it appended before is
        // below the `next` that is asked for here.
        if goal.is_none() && stop.load(Ordering::Acquire) {
            goal = Some(ring.next_id()?);
        }
        if goal.is_some_and(|goal| tailer.position() >= goal) {
            return Ok(());
        }
        if let Some(item) = tailer.next_timeout(PAUSE)? {
            consume(&item);
            if matches!(item, Tailed::Replaced) {
                return Ok(());
            }
        }
    }
}
