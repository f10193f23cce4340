//! The queue: its order, its limits, and what it keeps across restarts, crashes and damage.

#[path = "queue/budgets.rs"]
mod budgets;
#[path = "queue/crashes.rs"]
mod crashes;
#[path = "queue/damage.rs"]
mod damage;
#[path = "queue/format.rs"]
mod format;
#[path = "queue/inspect.rs"]
mod inspect;
#[path = "queue/limits.rs"]
mod limits;
#[path = "queue/model.rs"]
mod model;
#[path = "queue/stats.rs"]
mod stats;
#[path = "queue/tasks.rs"]
mod tasks;
#[path = "queue/threads.rs"]
mod threads;
