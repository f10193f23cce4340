//! Video through a queue, in three acts: the camera is faster than the encoder, the program starts
//! again, and it is killed. `cargo run --release --example video [-- DIRECTORY]`
//!
//! It shows a codec of one's own that never copies a picture but to take it off the disk: an item
//! is the very bytes that are stored, and its header is looked at where it lies. Each act has a
//! queue of its own; every frame that comes out of one is held against the frame that went in.

use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    fs,
    hint::black_box,
    io::{self, BufRead as _, BufReader, Write},
    mem::offset_of,
    ops::Range,
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Instant,
};

use ringkeep::{Codec, CodecError, Mode, Queue, QueueOptions, SyncPolicy};
use tempfile::TempDir;
use zerocopy::{
    ConvertError, Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned,
    little_endian::{U32, U64},
};

const USAGE: &str = "usage: video [DIRECTORY]   (one that is empty, or does not exist yet)";
/// As the first argument: this process is the one that is killed.
const CHILD: &str = "--push-until-killed";
/// Of each queue, in the directory.
const ACTS: [&str; 3] = ["overflow", "restart", "recovery"];

/// What a queue may have in memory.
const MEMORY_BYTES: usize = 4 << 20;
/// What it may have on the disk: a program that nobody looks after does not fill it.
const DISK_BYTES_MAX: u64 = 512 << 20;

/// Frames that the camera takes while the encoder works.
const FRAMES: u64 = 4_000;
/// Before the program starts again: taken; received; and done with.
const TAKEN: u64 = 300;
const RECEIVED: u64 = 100;
const DONE: u64 = 60;
/// Frames from one line of the child to the next, after how many it is killed, and where it ends
/// if nobody does.
const GROUP: u64 = 16;
const KILLED_AFTER: u64 = 2_000;
const CHILD_FRAMES_MAX: u64 = 16_000;

/// What ends the program: a sentence to be told.
type Failure = Box<dyn Error + Send + Sync>;

// The frame, and how it becomes bytes.

/// What stands before every picture. Its fields need no alignment and have no padding between
/// them, so that it can be looked at wherever it lies.
#[derive(Debug, TryFromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    number: U64,
    /// Since the camera was started.
    captured_us: U64,
    picture_bytes: U32,
    kind: Kind,
    reserved: [u8; 3],
}

const HEADER_BYTES: usize = size_of::<Header>();

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(u8)]
enum Kind {
    /// A whole picture.
    Key = 1,
    /// What has changed since the one before.
    Delta = 2,
}

/// A frame of video: a header and its picture, in one piece of memory.
struct Frame {
    /// Only bytes that [`parts`] has taken apart once.
    bytes: Vec<u8>,
}

impl Frame {
    /// What the camera sees: frames of 1 to 64 KiB, large ones where all is new. The same number
    /// has the same picture, so that it can be checked.
    fn taken(number: u64, captured_us: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(number);
        let (kind, frame_bytes) = match number % 30 {
            0 => (Kind::Key, random.usize(32 << 10..=64 << 10)),
            _ => (Kind::Delta, random.usize(1 << 10..=16 << 10)),
        };
        let picture_bytes = u32::try_from(frame_bytes - HEADER_BYTES).expect("at most 64 KiB");
        let header = Header {
            number: number.into(),
            captured_us: captured_us.into(),
            picture_bytes: picture_bytes.into(),
            kind,
            reserved: [0; 3],
        };
        let mut bytes = vec![0; frame_bytes];
        bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        random.fill(&mut bytes[HEADER_BYTES..]);
        Self { bytes }
    }

    fn header(&self) -> &Header {
        parts(&self.bytes).expect("checked when it was made").0
    }

    fn picture(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }
}

/// The header and the picture of a frame, where they lie.
fn parts(bytes: &[u8]) -> Result<(&Header, &[u8]), CodecError> {
    let (header, picture) = Header::try_ref_from_prefix(bytes).map_err(|error| match error {
        ConvertError::Size(_) => {
            format!("a header has {HEADER_BYTES} bytes, and {} are here", bytes.len())
        }
        // All other fields may have any value.
        _ => format!("there is no kind of frame {}", bytes[offset_of!(Header, kind)]),
    })?;
    let stated = header.picture_bytes.get();
    if usize::try_from(stated) != Ok(picture.len()) {
        let (number, found) = (header.number, picture.len());
        return Err(format!("frame {number} has {found} of {stated} bytes of picture").into());
    }
    Ok((header, picture))
}

/// Stores frames as they are in memory.
#[derive(Debug, Clone, Copy)]
struct Frames;

impl Codec<Frame> for Frames {
    /// Another layout would need another name: then a queue of the old one is refused.
    fn name(&self) -> &'static str {
        "video frames 1"
    }

    fn encode(&self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&frame.bytes);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Frame, CodecError> {
        parts(bytes)?;
        Ok(Frame { bytes: bytes.to_vec() })
    }

    /// Told without encoding, so that a queue that only spills encodes on its way to the disk
    /// alone.
    fn encoded_bytes(&self, frame: &Frame) -> Option<usize> {
        Some(frame.bytes.len())
    }
}

type Video = Queue<Frame, Frames>;

fn options() -> QueueOptions<Frames> {
    QueueOptions::new(Frames).memory_bytes(MEMORY_BYTES).disk_bytes_max(DISK_BYTES_MAX)
}

/// Frames survive the process as soon as they are pushed, and but for the last 64 a power cut.
fn durable() -> QueueOptions<Frames> {
    options().mode(Mode::Durable(SyncPolicy::EveryRecords(64)))
}

// The camera and the encoder.

/// Pushes the frames with these numbers.
fn film(queue: &Video, numbers: Range<u64>) -> ringkeep::Result<()> {
    let started = Instant::now();
    for number in numbers {
        let captured_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        queue.push(Frame::taken(number, captured_us))?;
    }
    Ok(())
}

/// Refuses any frame but this one, and any byte of it that is not as it was taken.
fn check(frame: &Frame, number: u64) -> Result<(), Failure> {
    let header = frame.header();
    if header.number != number {
        return Err(format!("frame {} came instead of frame {number}", header.number).into());
    }
    if frame.bytes != Frame::taken(number, header.captured_us.get()).bytes {
        return Err(format!("frame {number} ({:?}) is not as it was taken", header.kind).into());
    }
    Ok(())
}

/// Work that takes longer than taking the picture.
fn encode(frame: &Frame) -> u32 {
    let mut hash = 0;
    for _ in 0..4 {
        hash = frame.picture().iter().fold(hash, |hash: u32, &byte| {
            // FNV-1a: a multiplication for each byte.
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    }
    hash
}

/// Receives, checks and acknowledges all frames that are there, from this one on; says how many
/// they were, and how fast.
fn drain(queue: &Video, first: u64, out: &mut impl Write) -> Result<u64, Failure> {
    let (begun, mut next, mut bytes) = (Instant::now(), first, 0);
    loop {
        match queue.try_recv() {
            Ok(delivery) => {
                check(&delivery, next)?;
                bytes += delivery.ack().bytes.len();
                next += 1;
            }
            Err(ringkeep::Error::Empty) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let (count, rate) = (next - first, rate(bytes, begun));
    writeln!(out, "  {count} frames from number {first} on, in order and whole, {rate}")?;
    Ok(next)
}

fn rate(bytes: usize, begun: Instant) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a megabyte more or less")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.0} MB at {:.0} MB/s", megabytes / begun.elapsed().as_secs_f64())
}

// The acts.

/// Memory is full after a few hundred frames: the others wait on the disk.
fn overflow(directory: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let queue = options().mode(Mode::Spill).open(directory)?;
    let budget_kib = MEMORY_BYTES >> 10;
    writeln!(out, "overflow: {FRAMES} frames, {budget_kib} KiB of memory, a slow encoder")?;
    thread::scope(|scope| {
        let camera = scope.spawn(|| {
            let filmed = film(&queue, 0..FRAMES);
            // After an error too: the encoder waits for frames until then.
            filmed.and(queue.close())
        });
        let encoded = encode_all(&queue, out);
        // After an error the camera need not go on: its next push fails.
        let closed = queue.close();
        let filmed = camera.join().map_err(|_| "the camera broke down")?;
        match filmed.and(closed) {
            Ok(()) | Err(ringkeep::Error::Closed) => encoded,
            Err(error) => Err(error.into()),
        }
    })
}

fn encode_all(queue: &Video, out: &mut impl Write) -> Result<(), Failure> {
    let (begun, mut next, mut bytes) = (Instant::now(), 0, 0);
    let (mut memory_bytes_most, mut on_disk_most) = (0, 0);
    loop {
        let delivery = match queue.recv() {
            Ok(delivery) => delivery,
            Err(ringkeep::Error::Closed) => break,
            Err(error) => return Err(error.into()),
        };
        check(&delivery, next)?;
        black_box(encode(&delivery));
        // Not before: what is not acknowledged when this process ends is received again.
        bytes += delivery.ack().bytes.len();
        next += 1;
        let stats = queue.stats();
        memory_bytes_most = stats.memory_bytes.max(memory_bytes_most);
        on_disk_most = stats.items_on_disk.max(on_disk_most);
        if next % (FRAMES / 4) == 0 {
            let (in_memory, kib) = (stats.items - stats.items_on_disk, stats.memory_bytes >> 10);
            let on_disk = stats.items_on_disk;
            writeln!(
                out,
                "  {next} encoded: {in_memory} in memory ({kib} KiB), {on_disk} on disk"
            )?;
        }
    }
    let kib = memory_bytes_most >> 10;
    let rate = rate(bytes, begun);
    writeln!(out, "  {next} frames, in order and whole, {rate}")?;
    writeln!(out, "  at most {on_disk_most} frames on disk, and {kib} KiB in memory")?;
    if next != FRAMES {
        return Err(format!("{FRAMES} frames were pushed, {next} were received").into());
    }
    if memory_bytes_most > MEMORY_BYTES as u64 {
        return Err(format!("the budget of {} KiB was exceeded", MEMORY_BYTES >> 10).into());
    }
    Ok(())
}

/// What was received and not acknowledged is received again.
fn restart(directory: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let queue = durable().open(directory)?;
    film(&queue, 0..TAKEN)?;
    let mut at_work = Vec::new();
    for number in 0..RECEIVED {
        let delivery = queue.recv()?;
        check(&delivery, number)?;
        if number < DONE {
            delivery.ack();
        } else {
            at_work.push(delivery);
        }
    }
    writeln!(out, "restart: {TAKEN} frames pushed, {RECEIVED} received, {DONE} acknowledged")?;
    // The queue is closed when the last handle and the last delivery are gone.
    drop(at_work);
    drop(queue);

    let queue = durable().open(directory)?;
    writeln!(out, "  opened again: {} frames are there", queue.recovery().kept)?;
    let next = drain(&queue, DONE, out)?;
    queue.close()?;
    if next == TAKEN { Ok(()) } else { Err(format!("frames from {next} on are missing").into()) }
}

/// A process is killed while it pushes: all that it had pushed is there.
fn recovery(directory: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let pushed = pushed_before_the_kill(directory)?;
    writeln!(out, "recovery: killed while it pushed, when {pushed} pushes were known to return")?;
    let queue = durable().open(directory)?;
    let report = queue.recovery();
    let (kept, torn, lost) = (report.kept, report.torn_bytes, report.lost.len());
    let aside = report.set_aside.len();
    writeln!(
        out,
        "  {kept} frames kept, {torn} torn bytes behind them, {lost} gaps, {aside} files set aside"
    )?;
    let next = drain(&queue, 0, out)?;
    queue.close()?;
    if next < pushed {
        return Err(format!("frames {next}..{pushed} are missing").into());
    }
    writeln!(out, "  all {pushed} are there, and {} more", next - pushed)?;
    Ok(())
}

/// Runs this program again as the one that is killed; how many of its pushes it said had returned.
fn pushed_before_the_kill(directory: &Path) -> Result<u64, Failure> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(CHILD).arg(directory).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("the child has no pipe")?).lines();
    // A line that was cut off is a smaller number.
    let mut counts = lines.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok());
    let enough = counts.find(|&count| count >= KILLED_AFTER);
    // SIGKILL: nothing in the child runs any more, no destructor either.
    child.kill()?;
    child.wait()?;
    let enough = enough.ok_or("the process that was to be killed ended by itself")?;
    // What it had said before it died and was not read yet counts too.
    Ok(counts.fold(enough, u64::max))
}

/// The child: tells after each group how many pushes have returned.
fn push_until_killed(directory: &Path) -> Result<(), Failure> {
    let queue = durable().open(directory)?;
    let mut out = io::stdout().lock();
    let mut pushed = 0;
    while pushed < CHILD_FRAMES_MAX {
        film(&queue, pushed..pushed + GROUP)?;
        pushed += GROUP;
        // Fails where the parent is gone: then this process ends too.
        writeln!(out, "{pushed}")?;
    }
    Err("nobody killed the process that pushes".into())
}

// The stage.

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let played = match &arguments[..] {
        [] => play_in_temporary(),
        [role, directory] if role == CHILD => push_until_killed(Path::new(directory)),
        [directory] if is_name(directory) => play_in(Path::new(directory)),
        _ => {
            // Where nobody reads it, nobody needs it.
            let _ = writeln!(io::stderr(), "{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Err(failure) = played else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "video: {failure}");
    ExitCode::FAILURE
}

fn is_name(argument: &OsStr) -> bool {
    !argument.is_empty() && !argument.as_encoded_bytes().starts_with(b"-")
}

/// In `target/tmp`, where cargo has room for such: on the disk of the build, and not in memory as
/// `/tmp` may be. What an interrupted run leaves there goes with `cargo clean`.
fn play_in_temporary() -> Result<(), Failure> {
    let program = env::current_exe()?; // target/release/examples/video
    let parent = program.ancestors().nth(3).map_or_else(env::temp_dir, |target| target.join("tmp"));
    fs::create_dir_all(&parent)?;
    let directory = TempDir::with_prefix_in("video-", parent)?;
    play_in(directory.path())?;
    Ok(directory.close()?)
}

/// Plays all acts, and takes away what they leave; after an error it stays to be looked at.
fn play_in(directory: &Path) -> Result<(), Failure> {
    let told = |error| format!("cannot use {}: {error}", directory.display());
    fs::create_dir_all(directory).map_err(told)?;
    // Somebody else's files are not ours to write over.
    if let Some(found) = fs::read_dir(directory).map_err(told)?.next() {
        let found = found.map_err(told)?.file_name();
        let (directory, found) = (directory.display(), found.display());
        return Err(format!("{directory} is not empty, {found} is in it: give another one").into());
    }
    let mut out = io::stdout().lock();
    let queues = ACTS.map(|act| directory.join(act));
    let [first, second, third] = &queues;
    writeln!(out, "in {}", directory.display())?;
    overflow(first, &mut out)?;
    restart(second, &mut out)?;
    recovery(third, &mut out)?;
    for queue in &queues {
        fs::remove_dir_all(queue).map_err(told)?;
    }
    Ok(())
}
