//! Known bugs, each a mistake that somebody could make here: proof that the tests see them.
//!
//! They are compiled in by `--cfg planted`, and one of them is chosen at run time by its name in
//! `RINGKEEP_PLANTED`. `ringkeep-torture planted` runs all of them and says which layer of the
//! tests caught which; its table tells what each one is. Without the cfg every `planted(..)` is
//! `false`, and the compiler leaves nothing of it.

/// Whether this bug is to be made.
#[cfg(not(planted))]
#[inline(always)]
#[expect(clippy::inline_always, reason = "nothing of it may be left in the hot paths")]
pub(crate) const fn planted(_bug: &str) -> bool {
    false
}

/// Whether this bug is to be made.
#[cfg(planted)]
pub(crate) fn planted(bug: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("RINGKEEP_PLANTED").ok());
    CHOSEN.as_deref() == Some(bug)
}
