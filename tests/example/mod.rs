//! Runs an example, and looks at what it said.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// `target/debug/examples/NAME`, of a test in `target/debug/deps`.
fn program(name: &str) -> PathBuf {
    let tests = env::current_exe().expect("this program");
    let build = tests.ancestors().nth(2).expect("a directory of the build");
    build.join("examples").join(name)
}

pub(crate) fn run(name: &str, arguments: &[&Path]) -> Output {
    let output = Command::new(program(name)).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{error}: `cargo build --example {name}` builds it"))
}

/// What it said; it must have succeeded, and have had nothing to complain of.
pub(crate) fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The one line that it complained with, and its exit code.
pub(crate) fn complaint(output: &Output) -> (Option<i32>, String) {
    let errors = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!((errors.lines().count(), output.stdout.len()), (1, 0), "{errors}");
    (output.status.code(), errors)
}
