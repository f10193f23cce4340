//! The `ringkeep` command as its users meet it: the real binary, in directories of its own.

mod beside;
mod failures;
mod place;
mod recorder;
mod verbs;
