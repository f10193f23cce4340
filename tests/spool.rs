//! The spool: what its parts hold, its limits, its files, and what it does when the disk fails.

#[path = "spool/budgets.rs"]
mod budgets;
#[path = "spool/damage.rs"]
mod damage;
#[path = "spool/faults.rs"]
mod faults;
#[path = "spool/merging.rs"]
mod merging;
#[path = "spool/model.rs"]
mod model;
#[path = "spool/parts.rs"]
mod parts;
#[path = "spool/processes.rs"]
mod processes;
#[path = "spool/threads.rs"]
mod threads;
