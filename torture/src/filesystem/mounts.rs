//! Mounts that nobody else sees, and that go away however this process ends.
//!
//! A thread of its own moves into a mount namespace of its own, where a tmpfs holds all images and
//! mount points. When the last process in it has ended, the kernel unmounts everything, and with
//! that the loop devices detach themselves (`mount -o loop` asks for that).

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::{
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
    thread::UnshareFlags,
};

/// Seconds that a command may take.
const PATIENCE: &str = "120";
/// Where `mkfs` and `losetup` live is not on everybody's path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why real file systems cannot be used here, if so.
pub(super) fn what_is_missing() -> Option<String> {
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if let Err(error) = fs::OpenOptions::new().read(true).write(true).open(device) {
            return Some(format!("{device} cannot be opened: {error}"));
        }
    }
    let programs = ["mount", "mkfs.ext4", "timeout"];
    let is_there = |name: &&str| PATH.split(':').any(|place| Path::new(place).join(name).exists());
    programs.iter().find(|name| !is_there(name)).map(|name| format!("there is no {name}"))
}

/// Runs in a thread whose mounts nobody else sees, with a directory for them.
pub(super) fn in_private<T: Send>(
    run: impl FnOnce(&Path) -> io::Result<T> + Send,
) -> io::Result<T> {
    let inside = || {
        #[expect(deprecated, reason = "what is unsafe about it are other flags than this one")]
        rustix::thread::unshare(UnshareFlags::NEWNS)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let home = tempfile::Builder::new().prefix("ringkeep-torture-").tempdir()?;
        let tmpfs = Mounted::tmpfs(home.path(), "2g")?;
        let result = run(home.path());
        drop(tmpfs);
        result
    };
    std::thread::scope(|scope| {
        scope.spawn(inside).join().map_err(|_| io::Error::other("the thread of the mounts died"))?
    })
}

/// Something mounted, until it is dropped.
#[derive(Debug)]
pub(super) struct Mounted(PathBuf);

impl Mounted {
    /// A file system in memory.
    pub(super) fn tmpfs(at: &Path, size: &str) -> io::Result<Self> {
        let options = std::ffi::CString::new(format!("size={size}")).map_err(io::Error::other)?;
        mount("tmpfs", at, "tmpfs", MountFlags::empty(), Some(options.as_c_str()))?;
        Ok(Self(at.into()))
    }

    /// The file system in an image, through a loop device that goes when it is unmounted.
    pub(super) fn image(
        image: &Path,
        at: &Path,
        file_system: &str,
        options: &str,
    ) -> io::Result<Self> {
        let options = format!("loop,{options}");
        let arguments = ["-t", file_system, "-o", &options].map(OsStr::new);
        let paths = [image.as_os_str(), at.as_os_str()];
        succeed("mount", arguments.iter().chain(&paths).copied())?;
        Ok(Self(at.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes everything back and unmounts.
    pub(super) fn unmount(self) -> io::Result<()> {
        let result = unmount(&self.0, UnmountFlags::empty());
        // Otherwise dropping it detaches it, whoever still uses it.
        if result.is_ok() {
            std::mem::forget(self);
        }
        Ok(result?)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        match unmount(&self.0, UnmountFlags::DETACH) {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => eprintln!("{} stays mounted: {error}", self.0.display()),
        }
    }
}

/// Runs a program to its end, within bounds.
pub(super) fn finish<I: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = I>,
) -> io::Result<Output> {
    let mut command = Command::new("timeout");
    command.env("PATH", PATH).args(["--signal=KILL", PATIENCE]).arg(program).args(arguments);
    command.output()
}

/// The same, and it has to succeed.
pub(super) fn succeed<I: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = I>,
) -> io::Result<()> {
    let output = finish(program, arguments)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} fails ({}): {}", output.status, text.trim())))
}

/// The signal that a program under `timeout` has died of.
pub(super) fn signal_of(output: &Output) -> Option<i32> {
    // It dies of the same signal, or tells it like a shell.
    output.status.signal().or(output
        .status
        .code()
        .filter(|&code| code > 128)
        .map(|code| code - 128))
}
