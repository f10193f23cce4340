//! The spill vector: what it holds, its limits, its files, and what it does when the disk fails.

#[path = "spill_vec/budgets.rs"]
mod budgets;
#[path = "spill_vec/damage.rs"]
mod damage;
#[path = "spill_vec/faults.rs"]
mod faults;
#[path = "spill_vec/items.rs"]
mod items;
#[path = "spill_vec/model.rs"]
mod model;
#[path = "spill_vec/processes.rs"]
mod processes;
#[path = "spill_vec/sorting.rs"]
mod sorting;
