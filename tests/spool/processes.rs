//! A process that is killed leaves nothing behind, unless it was asked to; then the next one goes
//! on where it ended.

use std::{
    env,
    io::{BufRead, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use ringkeep::{Error, SpoolOptions};

/// Where the child has its files, and whether they outlive it; unset in a run of the tests.
const DIRECTORY: &str = "RINGKEEP_SPOOL_DIRECTORY";
const KEPT: &str = "RINGKEEP_SPOOL_KEPT";

fn bytes(part: u64) -> Vec<u8> {
    part.to_le_bytes().repeat(30_000)
}

/// The child: puts parts for ever, and begins one that it does not complete.
#[test]
fn a_process_that_will_be_killed() {
    let Ok(directory) = env::var(DIRECTORY) else { return };
    let options = SpoolOptions::new().memory_bytes(500_000).directory(&directory);
    let spool = match env::var(KEPT) {
        Ok(path) => options.resume(path).expect("a spool"),
        Err(_) => options.build(),
    };
    println!("resumed: {}", spool.resumed().parts);
    let mut never = spool.part(1_000_000).expect("it can come");
    never.write_all(&bytes(0)).expect("there is room");
    for part in (0..).filter(|&part| spool.reader(part).is_err()) {
        spool.put(part, &bytes(part)).expect("there is room");
        println!("part: {part}");
    }
}

fn child(directory: &Path, kept: Option<&Path>) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args(["--exact", "processes::a_process_that_will_be_killed", "--nocapture"]);
    command.env(DIRECTORY, directory).stdout(Stdio::piped());
    if let Some(kept) = kept {
        command.env(KEPT, kept);
    }
    let mut child = command.spawn().expect("a child");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    (child, out)
}

fn wait_for(out: &mut impl BufRead, wanted: &str) {
    let mut lines = out.lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.contains(wanted)), "it ended before {wanted}");
}

#[test]
fn a_killed_process_leaves_no_file_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut child, mut out) = child(directory.path(), None);
    wait_for(&mut out, "part: 20");
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
}

#[test]
fn what_was_complete_when_a_process_was_killed_is_there_for_the_next_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kept");
    let mut least = 0;
    for round in 1..=3 {
        let (mut child, mut out) = child(directory.path(), Some(&path));
        let wanted = round * 10;
        wait_for(&mut out, &format!("part: {wanted}"));
        let refused = SpoolOptions::new().resume(&path).expect_err("the child has it");
        assert!(matches!(refused, Error::Locked { .. }), "{refused:?}");
        child.kill().expect("it runs");
        child.wait().expect("it ran");
        let spool = SpoolOptions::new().resume(&path).expect("nobody has it");
        let resumed = spool.resumed();
        assert!(resumed.parts > wanted && resumed.parts > least, "{resumed:?}");
        assert_eq!((resumed.damaged, resumed.bytes), (Vec::new(), resumed.parts * 240_000));
        for part in 0..resumed.parts {
            let mut found = Vec::new();
            spool.reader(part).expect("it is ready").read_to_end(&mut found).expect("it is whole");
            assert!(found == bytes(part), "{part}");
        }
        least = resumed.parts;
    }
    let spool = SpoolOptions::new().resume(&path).expect("nobody has it");
    spool.finish(spool.stats().parts_ready).expect("there are no others");
    let output = directory.path().join("output");
    spool.merge_to_file(&output).expect("all are there");
    spool.discard().expect("they are there");
    let left = std::fs::read_dir(directory.path()).expect("a directory").count();
    assert_eq!(left, 1, "the output");
}
