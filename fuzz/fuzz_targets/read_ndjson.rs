//! Any bytes in place of NDJSON: each row ends in a record or in a sentence, and records read back.

#![no_main]
#![expect(dead_code, reason = "the rest of the command uses it")]

#[path = "../bodies/read_rows.rs"]
mod body;
#[path = "../../cli/src/columns/mod.rs"]
mod columns;
#[path = "../../cli/src/exit.rs"]
mod exit;
#[path = "../../cli/src/input.rs"]
mod input;
#[path = "../../cli/src/output.rs"]
mod output;
#[path = "../../cli/src/times.rs"]
mod times;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    body::read_ndjson(data);
});
