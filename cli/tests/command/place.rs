//! A directory to run the command in, and what the tests do again and again.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The command's binary.
pub(crate) const RINGKEEP: &str = env!("CARGO_BIN_EXE_ringkeep");

/// A directory that is gone after the test. Commands run in it, so that names stay short.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory") }
    }

    /// One with `cache.dat` in it, made by `create`.
    pub(crate) fn with_archive(record_size: usize, capacity: u64) -> Self {
        let place = Self::new();
        let (record_size, capacity) = (record_size.to_string(), capacity.to_string());
        place
            .run(["create", "cache.dat", "--record-size", &record_size, "--capacity", &capacity])
            .succeeded();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a writable directory");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a readable file")
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(RINGKEEP);
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        Ended::from(self.command(args).output().expect("the binary runs"))
    }

    /// Runs it with `input` on its standard input.
    pub(crate) fn feed<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        // A command that refuses its input early closes the pipe; that is for the test to judge.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        Ended::from(child.wait_with_output().expect("the binary ends"))
    }

    pub(crate) fn stat(&self, name: &str) -> Value {
        self.run(["stat", name, "--json"]).succeeded().json()
    }

    /// Appends `records`, back to back, to `cache.dat`.
    pub(crate) fn append(&self, records: &[u8]) {
        self.feed(["append", "cache.dat", "--format", "raw"], records).succeeded();
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("messages in UTF-8");
        // A signal that ended it shows as -1, which no test expects.
        Self { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr }
    }
}

impl Ended {
    /// It ended well.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It ended with `code`, and its first line on stderr is one sentence with all of `words`.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.starts_with("ringkeep: "), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no '{word}' in {self:?}");
        }
        self
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text on stdout")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).expect("JSON on stdout")
    }

    /// NDJSON: one value a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("JSON a line")).collect()
    }
}

/// An id as JSON shows it.
pub(crate) fn id(value: &Value) -> u64 {
    value.as_str().expect("ids are strings").parse().expect("ids are numbers")
}

/// Waits until `condition` gives something, for half a minute at most.
#[expect(clippy::disallowed_methods, reason = "another process has no event to wait for")]
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A command at work, killed if the test ends before it does.
#[derive(Debug)]
pub(crate) struct Running {
    child: Option<Child>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: Some(command.spawn().expect("the binary runs")) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Its standard input, if that is a pipe.
    pub(crate) fn input(&mut self) -> ChildStdin {
        self.child.as_mut().and_then(|child| child.stdin.take()).expect("a pipe")
    }

    /// Its standard output.
    pub(crate) fn output(&mut self) -> ChildStdout {
        self.child.as_mut().and_then(|child| child.stdout.take()).expect("a pipe")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("it runs"));
        kill_process(pid, signal).expect("it runs");
    }

    /// Fails the test with what it said, if it has ended.
    #[track_caller]
    pub(crate) fn still_runs(&mut self) {
        let child = self.child.as_mut().expect("it runs");
        if child.try_wait().expect("a child").is_some() {
            let child = self.child.take().expect("it ran");
            let ended = Ended::from(child.wait_with_output().expect("a child"));
            panic!("it ended early: {ended:?}");
        }
    }

    /// Waits for its end, within bounds.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let child = self.child.as_mut().expect("it runs");
        wait_for("the command to end", || child.try_wait().expect("a child"));
        let child = self.child.take().expect("it ran");
        Ended::from(child.wait_with_output().expect("a child"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
