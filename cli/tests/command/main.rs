//! The `ringkeep` command as its users meet it: the real binary, in directories of its own.

mod beside;
mod columns;
mod failures;
mod help;
mod memory;
mod nab;
mod place;
mod queue;
mod recorder;
mod rows;
mod store;
mod tail;
mod terminal;
mod verbs;
