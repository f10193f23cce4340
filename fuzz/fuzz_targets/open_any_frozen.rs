//! Any bytes in place of a frozen vector: opening and reading it end in values or typed errors.

#![no_main]

#[path = "../bodies/open_any_frozen.rs"]
mod body;
#[path = "../bodies/checksums.rs"]
mod checksums;
#[path = "../bodies/edits.rs"]
mod edits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::open_any_frozen(data));
