//! The ring from outside, theme by theme: what each verb promises, at every size that could trip
//! it, against a naive model, and what it says to bad input.
//!
//! Processes, crashes and the command have test binaries of their own.

#[path = "ring/ahead.rs"]
mod ahead;
#[path = "ring/append.rs"]
mod append;
#[path = "ring/budget.rs"]
mod budget;
#[path = "ring/by_position.rs"]
mod by_position;
#[path = "ring/damage.rs"]
mod damage;
#[path = "ring/durable.rs"]
mod durable;
#[path = "ring/forms.rs"]
mod forms;
#[path = "ring/gaps.rs"]
mod gaps;
#[path = "ring/leftovers.rs"]
mod leftovers;
#[path = "ring/list.rs"]
mod list;
#[path = "ring/model.rs"]
mod model;
#[path = "ring/prefetch.rs"]
mod prefetch;
#[path = "ring/reads.rs"]
mod reads;
#[path = "ring/refused_files.rs"]
mod refused_files;
#[path = "ring/refused_input.rs"]
mod refused_input;
#[path = "ring/refused_system.rs"]
mod refused_system;
#[path = "ring/reopen.rs"]
mod reopen;
#[path = "ring/rewrite.rs"]
mod rewrite;
#[path = "ring/support.rs"]
mod support;
#[path = "ring/tailers.rs"]
mod tailers;
#[path = "ring/times.rs"]
mod times;
#[path = "ring/typed.rs"]
mod typed;
#[path = "ring/views.rs"]
mod views;
#[path = "ring/wrap.rs"]
mod wrap;
