//! Any bytes in place of an archive: opening, reading and writing it end in values or typed errors.

#![no_main]

#[path = "../bodies/open_any_bytes.rs"]
mod body;
#[path = "../bodies/edits.rs"]
mod edits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::open_any_bytes(data));
