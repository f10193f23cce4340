//! Goal: what a store does not allow does not compile, and the compiler says why.
//!
//! Method: programs that must not compile, with what the compiler says of them. Its words change
//! with its version, so they are compared in `.ci/run`, which has the one that they are of; the
//! documentation of `ReadBucket` and `Bucket` is checked everywhere.

use std::io::Write as _;

#[test]
fn what_must_not_compile_does_not() {
    if std::env::var_os("RINGKEEP_CI").is_none() {
        let why = "SKIPPED: what the compiler says of wrong programs: RINGKEEP_CI is not set";
        // Captured output is not loud.
        let _ = writeln!(std::io::stderr(), "{why}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/store/compile/*.rs");
}
