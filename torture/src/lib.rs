//! Breaks ringkeep in every way that a machine can break, and judges what is left.
//!
//! Each module is one layer: it makes trials of one kind and returns a [`report::Report`]. The
//! command `ringkeep-torture` runs them at any length; the tests of the library run a share of them
//! on each `cargo test`. Fault models and promises are in `docs/DURABILITY.md`.

pub mod damage;
pub mod errors;
#[cfg(feature = "filesystem")]
pub mod filesystem;
pub mod form;
pub mod kill;
pub mod outgrow;
pub mod planted;
pub mod pour;
pub mod power_cut;
pub mod queue;
pub mod report;
pub mod store;
pub mod system_calls;
pub mod work;
