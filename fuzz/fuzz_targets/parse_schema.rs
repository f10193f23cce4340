//! Any text in place of a schema: it ends in columns that fit, or in an error with its place.

#![no_main]

#[path = "../bodies/parse_schema.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::parse_schema(data));
