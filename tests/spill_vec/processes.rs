//! A process that is killed leaves nothing behind.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use ringkeep::{Bytes, SpillVecOptions};

/// Where the child has its files; unset in a run of the tests.
const DIRECTORY: &str = "RINGKEEP_SPILL_VEC_DIRECTORY";

/// The child: fills a vector and sorts it, again and again.
#[test]
fn a_process_that_will_be_killed() {
    let Ok(directory) = env::var(DIRECTORY) else { return };
    let options = SpillVecOptions::new(Bytes).memory_bytes(100_000).directory(directory);
    loop {
        let mut vec = options.build().expect("a vector");
        vec.try_extend((0..50_000_u32).map(|count| count.to_le_bytes().repeat(20))).expect("room");
        println!("spilled: {}", vec.is_spilled());
        vec.sorted_by(|one, other| other.cmp(one)).expect("there is room");
        println!("sorted");
    }
}

#[test]
fn a_killed_process_leaves_no_file_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    for wanted in ["spilled: true", "sorted", "spilled: true"] {
        let mut child = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "processes::a_process_that_will_be_killed", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut lines = out.lines().map(|line| line.expect("text"));
        assert!(lines.any(|line| line.contains(wanted)), "it ended before");
        child.kill().expect("it runs");
        child.wait().expect("it ran");
        let left = std::fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(left, 0, "after {wanted}");
    }
}
