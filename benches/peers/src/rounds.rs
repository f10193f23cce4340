//! Rounds: all sides do the same, again and again.

/// Calls `once` with every side, round after round; the last side of a round is the first one of
/// the next.
pub(crate) fn in_rounds<S, E>(
    rounds: u32,
    sides: &[S],
    mut once: impl FnMut(&S) -> Result<(), E>,
) -> Result<(), E> {
    for round in 0..rounds {
        if round % 2 == 0 {
            sides.iter().try_for_each(&mut once)?;
        } else {
            sides.iter().rev().try_for_each(&mut once)?;
        }
    }
    Ok(())
}
