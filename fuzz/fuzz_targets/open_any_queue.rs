//! Any bytes in place of a queue: looking at it and opening it end in values or typed errors.

#![no_main]

#[path = "../bodies/open_any_queue.rs"]
mod body;
#[path = "../bodies/checksums.rs"]
mod checksums;
#[path = "../bodies/edits.rs"]
mod edits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::open_any_queue(data));
