//! The store: what buckets hold, on every backend; its file, and what becomes of it.

#[path = "store/behaviour.rs"]
mod behaviour;
#[path = "store/cached.rs"]
mod cached;
#[path = "store/compile.rs"]
mod compile;
#[path = "store/crashes.rs"]
mod crashes;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/files.rs"]
mod files;
#[path = "store/home.rs"]
mod home;
#[path = "store/model.rs"]
mod model;
#[path = "store/ranges.rs"]
mod ranges;
#[path = "store/spilling.rs"]
mod spilling;
#[path = "store/threads.rs"]
mod threads;
#[path = "store/typed.rs"]
mod typed;
#[path = "store/upkeep.rs"]
mod upkeep;
