//! Children: this very binary, run again to play one role, and killed when its parent has seen
//! enough.
//!
//! A child says lines on its standard output, each of which begins with `@`, so that what a test
//! harness prints is told apart. Its standard input is its life line: each line on it is a
//! question, and when it ends, because the parent is gone, the child ends too.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::work::text_of;

const ROLE: &str = "RINGKEEP_TEST_ROLE";
const ARGUMENTS: &str = "RINGKEEP_TEST_ARGUMENTS";
/// In a test binary it is a test that plays the role; the command looks at its environment first.
const STAGE: &str = "plays_the_child_of_another_test";
/// Nobody has to wait that long unless something hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What a child says before it ends because a promise was broken.
const VIOLATION: &str = "VIOLATION: ";
/// A user without rights of its own.
const NOBODY: u32 = 65534;
/// Questions of the parent.
static QUESTIONS: AtomicU64 = AtomicU64::new(0);

/// The role that this process was started for, and its arguments.
#[must_use]
pub fn role() -> Option<(String, Vec<String>)> {
    let role = env::var(ROLE).ok()?;
    let arguments = env::var(ARGUMENTS).unwrap_or_default();
    thread::spawn(follow_the_parent);
    Some((role, arguments.lines().map(str::to_owned).collect()))
}

#[expect(clippy::disallowed_methods, reason = "nobody is left whom a destructor could serve")]
fn follow_the_parent() {
    for _ in io::stdin().lines().map_while(Result::ok) {
        QUESTIONS.fetch_add(1, Relaxed);
    }
    std::process::exit(0);
}

/// How often the parent has asked this process something; see [`Running::ask`].
#[must_use]
pub fn questions() -> u64 {
    QUESTIONS.load(Relaxed)
}

/// Plays a role; if it panics, because a promise was broken, the parent is told before.
pub(crate) fn play(role: &str, arguments: &[String], play: impl FnOnce(&[String])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(arguments))) {
        let text = text_of(&*panic).replace('\n', " ");
        say(&format!("{VIOLATION}{role} {arguments:?}: {text}"));
        resume_unwind(panic);
    }
}

/// Tells the parent, before it returns.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    // If nobody listens, the life line ends this process.
    let _ = out.write_all(format!("@{line}\n").as_bytes());
    let _ = out.flush();
}

/// Sleeps until the parent kills this process or is gone.
pub fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

/// A running child.
#[derive(Debug)]
pub struct Running {
    child: Child,
    said: Receiver<String>,
}

impl Running {
    /// Starts a child of the same user.
    ///
    /// # Panics
    ///
    /// If there is none; so do all of these, because a trial without its child is none.
    #[must_use]
    pub fn start(role: &str, arguments: &[&str]) -> Self {
        let binary = env::current_exe().expect("this binary has a path");
        Self::of(Command::new(binary), role, arguments)
    }

    /// Starts a child that has only read permission on files of mode 0644: another user where this
    /// one is root, or else the same, who needs files of mode 0440.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn start_with_read_permission(directory: &Path, role: &str, arguments: &[&str]) -> Self {
        if !is_root() {
            return Self::start(role, arguments);
        }
        // The build's directory may be closed to others.
        let binary = directory.join("child");
        fs::copy(env::current_exe().expect("a path"), &binary).expect("a copy of this binary");
        let mut command = Command::new(binary);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        Self::of(command, role, arguments)
    }

    fn of(mut command: Command, role: &str, arguments: &[&str]) -> Self {
        command.args([STAGE, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role).env(ARGUMENTS, OsString::from(arguments.join("\n")));
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(pipes);
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (told, said) = channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            // A line without its end was cut off by the kill: it does not count.
            while out.read_until(b'\n', &mut line).is_ok() && line.pop() == Some(b'\n') {
                let text = String::from_utf8_lossy(&line);
                if let Some((_, text)) = text.split_once('@')
                    && told.send(text.to_owned()).is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        Self { child, said }
    }

    /// The next line it says.
    ///
    /// # Panics
    ///
    /// If it says nothing for a long time, or is gone, or has found a promise broken.
    #[must_use]
    pub fn line(&self) -> String {
        match self.said.recv_timeout(PATIENCE) {
            Ok(line) => checked(line),
            Err(RecvTimeoutError::Timeout) => panic!("the child says nothing"),
            Err(RecvTimeoutError::Disconnected) => panic!("the child ended early, see above"),
        }
    }

    /// Expects this very line.
    ///
    /// # Panics
    ///
    /// If it says another one.
    pub fn says(&self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    /// `kill -9`. What it had said before and nobody has taken yet.
    #[must_use]
    pub fn kill(mut self) -> Vec<String> {
        self.end();
        self.said.iter().map(checked).collect()
    }

    /// Asks it something: what, is a matter of its role.
    ///
    /// # Panics
    ///
    /// Never: its life line is taken by nobody.
    pub fn ask(&mut self) {
        let pipe = self.child.stdin.as_mut().expect("a life line");
        // Why it may have ended is in what it said.
        let _ = pipe.write_all(b"?\n");
    }

    /// Stops it where it is, until it [goes on](Running::go_on).
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("a child that lives");
    }

    /// Lets a stopped child go on.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("a child that lives");
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until all its threads sleep.
    ///
    /// # Panics
    ///
    /// If they never do.
    pub fn sleeps(&self) {
        let tasks = format!("/proc/{}/task", self.child.id());
        let begun = Instant::now();
        loop {
            let entries: Vec<_> = fs::read_dir(&tasks).expect("a running child").collect();
            let sleeps = |entry: &io::Result<fs::DirEntry>| {
                let stat =
                    entry.as_ref().map(|entry| fs::read_to_string(entry.path().join("stat")));
                // The state follows the name, which stands in brackets.
                matches!(stat, Ok(Ok(text)) if text.rsplit(')').next().is_some_and(|rest| {
                    rest.trim_start().starts_with('S')
                }))
            };
            if entries.iter().all(sleeps) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the child does not wait");
            thread::yield_now();
        }
    }
}

fn checked(line: String) -> String {
    assert!(!line.starts_with(VIOLATION), "{line}");
    line
}

/// A binary that was copied a moment ago is busy while another test's child, forked meanwhile,
/// still has the copy open for writing.
fn spawn(command: &mut Command) -> Child {
    let begun = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && begun.elapsed() < PATIENCE =>
            {
                thread::yield_now();
            }
            child => return child.expect("a child process"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether this user may do anything: then another one plays whoever may only read.
///
/// # Panics
///
/// Without `/proc`.
#[must_use]
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("this process has a status");
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.is_some_and(|uids| uids.split_whitespace().nth(1) == Some("0"))
}
