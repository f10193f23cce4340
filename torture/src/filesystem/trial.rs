//! A file system on a disk, a worker that uses it, and a mount of what a power cut left.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    disk::Disk,
    image::Image,
    mounts::{Mounted, finish, succeed},
    plan::Plan,
    promises::{After, Promises},
    recording::Recording,
};
use crate::report::Report;

/// A file system to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ext4,
    Xfs,
}

/// An image with an empty file system, and how it is mounted.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) kind: Kind,
    image: Image,
    options: &'static [&'static str],
    /// Where the superblock of the ext4 journal lies.
    journal_at: Option<u64>,
}

/// What all trials share.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    /// A directory that goes away with its mounts.
    pub(super) home: &'a Path,
    /// The program that knows `filesystem-worker`.
    pub(super) program: &'a Path,
}

/// In a superblock of the journal: its magic number and its type, big-endian.
const JOURNAL: [u8; 8] = [0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 4];

impl Template {
    /// Makes a file system, and mounts it once.
    pub(super) fn make(
        bench: &Bench<'_>,
        kind: Kind,
        bytes: u64,
        arguments: &[&str],
        options: &'static [&'static str],
    ) -> io::Result<Self> {
        let path = bench.home.join("template");
        fs::File::create(&path)?.set_len(bytes)?;
        let file = path.to_string_lossy();
        let program = if kind == Kind::Ext4 { "mkfs.ext4" } else { "mkfs.xfs" };
        succeed(program, arguments.iter().copied().chain([&*file]))?;
        let image = Image::load(&path)?;
        fs::remove_file(&path)?;
        let journal_at = journal_of(&image);
        let template = Self { kind, image, options, journal_at };
        // Where this fails, the machine cannot do it.
        drop(Stand::set_up(bench, &template, &mut fastrand::Rng::with_seed(0))?);
        Ok(template)
    }

    pub(super) fn file_system(&self) -> &'static str {
        match self.kind {
            Kind::Ext4 => "ext4",
            Kind::Xfs => "xfs",
        }
    }

    fn draw_options(&self, random: &mut fastrand::Rng) -> &'static str {
        self.options[random.usize(..self.options.len())]
    }

    /// Whether mounting it makes the journal's transactions good.
    pub(super) fn has_transactions(&self, image: &Image) -> bool {
        let mut start = [0; 4];
        if let Some(at) = self.journal_at {
            image.read(at + 28, &mut start);
        }
        start != [0; 4]
    }
}

fn journal_of(image: &Image) -> Option<u64> {
    let mut pieces =
        image.blocks().flat_map(|(offset, block)| (offset..).step_by(1024).zip(block.chunks(1024)));
    pieces.find(|(_, piece)| piece[..8] == JOURNAL).map(|(at, _)| at)
}

/// A disk with a mounted file system on it.
#[derive(Debug)]
pub(super) struct Stand {
    // In this order: the disk is gone last.
    mounted: Option<Mounted>,
    pub(super) disk: Disk,
    pub(super) options: &'static str,
}

impl Stand {
    pub(super) fn set_up(
        bench: &Bench<'_>,
        template: &Template,
        random: &mut fastrand::Rng,
    ) -> io::Result<Self> {
        let options = template.draw_options(random);
        let disk = Disk::serve(template.image.clone(), &bench.directory("served")?)?;
        let mut stand = Self { mounted: None, disk, options };
        stand.mount(bench, template)?;
        rustix::fs::syncfs(fs::File::open(bench.directory("mounted")?)?)?;
        stand.disk.record();
        Ok(stand)
    }

    /// With what a power cut left, recorded from before the journal is replayed.
    fn of_left(
        bench: &Bench<'_>,
        template: &Template,
        image: &Image,
        options: &'static str,
    ) -> io::Result<Self> {
        let disk = Disk::serve(image.clone(), &bench.directory("served")?)?;
        let mut stand = Self { mounted: None, disk, options };
        stand.disk.record();
        stand.mount(bench, template)?;
        Ok(stand)
    }

    fn mount(&mut self, bench: &Bench<'_>, template: &Template) -> io::Result<()> {
        let (at, path) = (bench.directory("mounted")?, self.disk.path());
        self.mounted = Some(Mounted::image(&path, &at, template.file_system(), self.options)?);
        Ok(())
    }

    /// Mounts the disk again, with nothing in the page cache.
    pub(super) fn remount(&mut self, bench: &Bench<'_>, template: &Template) -> io::Result<()> {
        if let Some(mounted) = self.mounted.take() {
            mounted.unmount()?;
        }
        self.mount(bench, template)
    }

    /// Takes the file system away, whatever state it is in.
    pub(super) fn pull_out(&mut self) {
        drop(self.mounted.take());
    }
}

impl Bench<'_> {
    /// A directory of that name, made if it is not there.
    pub(super) fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.home.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Runs the worker on a disk to its end.
    pub(super) fn work(&self, stand: &Stand, plan: &Plan) -> io::Result<std::process::Output> {
        let at = self.directory("mounted")?;
        let (notes, seed) = (stand.disk.notes_path(), plan.seed.to_string());
        let arguments = [
            self.program.as_os_str(),
            "filesystem-worker".as_ref(),
            at.as_os_str(),
            notes.as_os_str(),
            plan.purpose.name().as_ref(),
            seed.as_ref(),
        ];
        finish("env", arguments)
    }

    /// Records the workload of a plan.
    pub(super) fn record(
        &self,
        template: &Template,
        plan: &Plan,
        report: &mut Report,
    ) -> io::Result<(Recording, &'static str)> {
        let mut random = fastrand::Rng::with_seed(plan.seed);
        let stand = Stand::set_up(self, template, &mut random)?;
        let options = stand.options;
        Ok((self.record_on(stand, plan, report)?, options))
    }

    /// Records the workload of a plan on what a power cut left.
    pub(super) fn record_again(
        &self,
        template: &Template,
        plan: &Plan,
        (image, options): (&Image, &'static str),
        report: &mut Report,
    ) -> io::Result<Recording> {
        let stand = Stand::of_left(self, template, image, options)?;
        self.record_on(stand, plan, report)
    }

    fn record_on(
        &self,
        mut stand: Stand,
        plan: &Plan,
        report: &mut Report,
    ) -> io::Result<Recording> {
        let output = self.work(&stand, plan)?;
        let recording = stand.disk.recorded();
        stand.pull_out();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            report.fail(format!("the worker fails ({}): {}", output.status, text.trim()));
        }
        Ok(recording)
    }

    /// Mounts what a power cut left, and judges it; what a reader has seen there.
    pub(super) fn check<P: Promises>(
        &self,
        template: &Template,
        promises: &P,
        after: &After<'_>,
        image: &Image,
        report: &mut Report,
    ) -> io::Result<Option<P::Seen>> {
        let (path, at) = (self.home.join("left"), self.directory("replayed")?);
        image.save(&path)?;
        let mounted = match Mounted::image(&path, &at, template.file_system(), after.options) {
            Ok(mounted) => mounted,
            Err(error) => {
                report.fail(format!("the kernel does not mount what is left: {error}"));
                return Ok(None);
            }
        };
        let seen = promises.judge(after, mounted.path(), report);
        if let Err(error) = mounted.unmount() {
            report.fail(format!("the file system stays busy: {error}"));
        }
        fs::remove_file(path)?;
        Ok(seen)
    }
}
