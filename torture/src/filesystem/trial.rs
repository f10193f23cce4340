//! One run of the workload on a file system, and many power cuts out of its log.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ringkeep::{Error, Producer, ReadOptions, WriteOptions};

use super::{
    disk::Disk,
    image::Image,
    mounts::{Mounted, finish, succeed},
    note::Note,
    plan::{BOOTS, Plan, archive_at},
    recording::{Left, Recording},
    story::{Seen, Stage, Story},
};
use crate::{
    form::{Form, InForm as _},
    report::Report,
};

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
    /// Makes a file system: `size` as for `truncate`.
    pub(super) fn make(
        home: &Path,
        kind: Kind,
        bytes: u64,
        arguments: &[&str],
        options: &'static [&'static str],
    ) -> io::Result<Self> {
        let path = home.join("template");
        fs::File::create(&path)?.set_len(bytes)?;
        let file = path.to_string_lossy();
        let program = if kind == Kind::Ext4 { "mkfs.ext4" } else { "mkfs.xfs" };
        succeed(program, arguments.iter().copied().chain([&*file]))?;
        let image = Image::load(&path)?;
        fs::remove_file(&path)?;
        let journal_at = journal_of(&image);
        Ok(Self { kind, image, options, journal_at })
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
    fn has_transactions(&self, image: &Image) -> bool {
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

    /// Mounts what a power cut left, and judges the archive in it; what a reader has seen there.
    pub(super) fn check(
        &self,
        template: &Template,
        after: &After<'_>,
        image: &Image,
        report: &mut Report,
    ) -> io::Result<Option<Seen>> {
        let judge = |mount: &Path, report: &mut Report| after.judge(mount, report);
        self.judge_left(template, after.options, image, report, judge)
    }

    /// Mounts what a power cut left, and lets somebody look at it; what that one has seen there.
    pub(super) fn judge_left<S>(
        &self,
        template: &Template,
        options: &str,
        image: &Image,
        report: &mut Report,
        judge: impl FnOnce(&Path, &mut Report) -> Option<S>,
    ) -> io::Result<Option<S>> {
        let (path, at) = (self.home.join("left"), self.directory("replayed")?);
        image.save(&path)?;
        let mounted = match Mounted::image(&path, &at, template.file_system(), options) {
            Ok(mounted) => mounted,
            Err(error) => {
                report.fail(format!("the kernel does not mount what is left: {error}"));
                return Ok(None);
            }
        };
        let seen = judge(mounted.path(), report);
        if let Err(error) = mounted.unmount() {
            report.fail(format!("the file system stays busy: {error}"));
        }
        fs::remove_file(path)?;
        Ok(seen)
    }
}

/// A moment after a failure: what was promised before it, and how it is looked at.
#[derive(Debug)]
pub(super) struct After<'a> {
    plan: &'a Plan,
    story: &'a Story,
    /// Of the mount.
    pub(super) options: &'static str,
    boot: [u64; 2],
    reader: Form,
    writer: Form,
}

impl<'a> After<'a> {
    /// In that boot, by any form.
    pub(super) fn new(
        plan: &'a Plan,
        story: &'a Story,
        options: &'static str,
        boot: [u64; 2],
        random: &mut fastrand::Rng,
    ) -> Self {
        let (reader, writer) = (Form::draw(random), Form::draw(random));
        Self { plan, story, options, boot, reader, writer }
    }

    /// A reader looks, then a producer goes on, then a reader looks again.
    fn judge(&self, mount: &Path, report: &mut Report) -> Option<Seen> {
        let path = archive_at(mount);
        let done = match self.read_options().open(&path) {
            Ok(ring) => self.go_on(&path, &ring, report).map(Some),
            Err(Error::NotFound { .. }) => self.judge_absence(&path, report).map(|()| None),
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| {
            report.fail(format!("R1 {error}"));
            None
        })
    }

    fn read_options(&self) -> ReadOptions {
        ReadOptions::new().boot_id(self.boot).in_form(self.reader)
    }

    /// There is no archive: it had not been created, and can be now.
    fn judge_absence(&self, path: &Path, report: &mut Report) -> ringkeep::Result<()> {
        match self.story.stage {
            Stage::Nothing | Stage::Creating => report.count("no archive yet"),
            stage => report.fail(format!("R1 the archive is gone, {stage:?}")),
        }
        let mut producer = self.plan.options().boot_id(self.boot).create(path)?;
        self.append(&mut producer, 3)?;
        Ok(producer.close()?)
    }

    fn go_on(
        &self,
        path: &Path,
        ring: &ringkeep::Ring,
        report: &mut Report,
    ) -> ringkeep::Result<Seen> {
        let before = self.story.judge(ring, self.plan, report)?;
        let options = WriteOptions::new().boot_id(self.boot);
        let mut producer = options.in_form(self.writer).open(path)?;
        let opened = self.story.judge(&producer.ring(), self.plan, &mut Report::default())?;
        before.compare(&opened, "once it is open for write", report);
        let next = opened.ids.end;
        let new = next..next + self.append(&mut producer, 5)?;
        // A boot later, cleanly closed.
        producer.close()?;
        let ring = ReadOptions::new().boot_id(BOOTS[0]).open(path)?;
        let mut last = Seen { ids: ring.oldest()?..ring.next_id()?, ..Seen::default() };
        for id in last.ids.clone() {
            last.reads.insert(id, ring.read(id)?);
        }
        opened.compare(&last, "after a clean close", report);
        for id in new.start.max(last.ids.start)..new.end {
            if ring.read(id)?.record().ok() != Some(self.plan.payload(id, 0)) {
                report.fail(format!("R3 id {id} was appended after the crash, and is not there"));
            }
        }
        let verified = ring.verify(|_| {})?;
        if verified.corrupt > 0 || ring.durable()? != new.end {
            report.fail(format!("R5 after a clean close: {verified:?}"));
        }
        Ok(before)
    }

    /// Appends a few records, and says how many.
    fn append(&self, producer: &mut Producer, count: u64) -> ringkeep::Result<u64> {
        for _ in 0..count {
            let id = producer.ring().next_id()?;
            producer.append(&self.plan.payload(id, 0))?;
        }
        Ok(count)
    }
}

/// What happened in a cut, by class.
pub(super) fn count_cut(
    template: &Template,
    plan: &Plan,
    story: &Story,
    left: &Left,
    report: &mut Report,
) {
    report.trials += 1;
    report.count(template.file_system());
    report.count(plan.policy_class());
    report.count(plan.form.name());
    report.count(match story.stage {
        Stage::Nothing | Stage::Creating => "cut while creating",
        Stage::Running => "cut while running",
        Stage::Closing => "cut while closing",
        Stage::Closed => "cut at rest",
        Stage::Opening => "cut while opening",
    });
    if template.has_transactions(&left.image) {
        report.count("journal replayed");
    }
    report.add("sectors kept", left.sectors_kept);
    report.add("sectors gone", left.sectors_gone);
    if left.sectors_gone > 0 && left.sectors_kept > 0 {
        report.count("some of the unsynced writes kept");
    }
}

/// Draws a moment: anywhere, or before a flush that has something to do, or where little time is
/// spent.
pub(super) fn draw_moment(recording: &Recording, random: &mut fastrand::Rng) -> usize {
    let end = recording.entries.len();
    let any = |moments: Vec<usize>, random: &mut fastrand::Rng| {
        (!moments.is_empty()).then(|| moments[random.usize(..moments.len())])
    };
    let created = recording.moments_of(|note| note == Note::Created);
    let created = created.first().copied().unwrap_or(0);
    let drawn = match random.u8(..12) {
        0 if created > 0 => Some(random.usize(..=created)),
        1 => any(recording.moments_of(|note| note == Note::Closing), random).map(|from| {
            let mut closed = recording.moments_of(|note| note == Note::Closed).into_iter();
            random.usize(from..=closed.find(|&at| at > from).unwrap_or(end))
        }),
        2 => any(recording.moments_of(|note| note == Note::Opening), random)
            .map(|from| random.usize(from..=(from + 12).min(end))),
        3..9 => any(recording.flushes(), random)
            .map(|flush| random.usize(recording.flushed_before(flush)..=flush)),
        _ => None,
    };
    drawn.unwrap_or_else(|| random.usize(created..=end))
}
