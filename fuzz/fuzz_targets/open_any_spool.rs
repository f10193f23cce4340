//! Any bytes in place of the files of a spool: opening and using it ends in values or typed errors.

#![no_main]

#[path = "../bodies/open_any_spool.rs"]
mod body;
#[path = "../bodies/checksums.rs"]
mod checksums;
#[path = "../bodies/edits.rs"]
mod edits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::open_any_spool(data));
