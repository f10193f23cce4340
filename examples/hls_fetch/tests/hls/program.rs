//! The example, run.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Addresses of this machine need no proxy.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hls_fetch"));
    for name in ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        command.env_remove(name);
    }
    command
}

/// Where an output goes, and nothing else.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.path().join("output")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.output()).expect("the output")
    }

    /// All names in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("it is there");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("ASCII");
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort_unstable();
        names
    }

    /// Fetches with these options, words with spaces between them.
    pub(crate) fn fetch(&self, options: &str, url: &str) -> Output {
        run(self.command(options, url))
    }

    /// The lines of a fetch that succeeds.
    pub(crate) fn fetched(&self, options: &str, url: &str) -> String {
        let output = self.fetch(options, url);
        let errors = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{errors}");
        errors
    }

    /// The last line of a fetch that fails.
    pub(crate) fn refused(&self, options: &str, url: &str) -> String {
        let output = self.fetch(options, url);
        let errors = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{errors}");
        let last = errors.lines().next_back().and_then(|line| line.strip_prefix("hls_fetch: "));
        last.unwrap_or_else(|| panic!("a message is not in\n{errors}")).to_owned()
    }

    /// Begins to fetch, and waits until this is in a line of it.
    pub(crate) fn fetch_until(&self, options: &str, url: &str, words: &str) -> Fetching {
        let mut command = self.command(options, url);
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program");
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut seen = String::new();
        while !seen.contains(words) {
            let bytes = errors.read_line(&mut seen).expect("text");
            assert!(bytes > 0, "{words:?} is not in\n{seen}");
        }
        Fetching { child, errors }
    }

    fn command(&self, options: &str, url: &str) -> Command {
        let mut command = program();
        command.args(options.split_whitespace()).arg(url).arg(self.output());
        command
    }
}

fn run(mut command: Command) -> Output {
    command.output().expect("the program")
}

/// Runs it with these arguments alone.
pub(crate) fn run_with(arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(arguments);
    run(command)
}

/// Fetches where no other program is found.
pub(crate) fn fetch_alone(place: &Place, options: &str, url: &str) -> Output {
    let mut command = place.command(options, url);
    command.env("PATH", place.path());
    run(command)
}

/// One that is at work.
pub(crate) struct Fetching {
    child: Child,
    errors: BufReader<ChildStderr>,
}

impl Fetching {
    /// Sends a signal, and waits for the end: the exit code, and what it still said.
    pub(crate) fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        let id = i32::try_from(self.child.id()).expect("ids of processes are small");
        let id = Pid::from_raw(id).expect("a child");
        kill_process(id, signal).expect("it runs");
        let mut rest = String::new();
        self.errors.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it was not waited for").code(), rest)
    }
}
