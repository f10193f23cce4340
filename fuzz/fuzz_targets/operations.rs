//! Any sequence of operations on a ring: every answer is the one that a list would give.

#![no_main]

#[path = "../bodies/operations.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::operations(data));
