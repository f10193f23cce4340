//! `ringkeep record`: a flight recorder of this host.
//!
//! One thread samples and appends. Beside it run the library's flusher, a rolling summary in
//! this process, and a follower that checks every record in a process of its own.

mod archive;
mod checker;
mod consume;
mod follower;
mod host;
mod live;
mod memory;
mod rolling;
mod sample;
mod summary;
mod ticks;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringkeep::{Producer, Ring, Stats, SyncPolicy};

pub(crate) use follower::{FOLLOW, FollowArgs, follow};

use crate::exit::{Exit, Failure};
use crate::opening::WriteArgs;
use crate::stop::{Again, Stop};
use crate::{output, stat, units};
use archive::Keep;
use follower::Follower;
use host::Host;
use live::Live;
use rolling::RollingThread;
use summary::Summary;
use ticks::{Next, Ticks};

/// Record this host, forever, on fixed disk: CPU, memory, load, disk, network
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive, made if it is not there [default: ./telemetry/cache.dat]
    file: Option<PathBuf>,
    /// Time between samples
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    every: Duration,
    /// End after this long; without it, a signal ends it
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration)]
    length: Option<Duration>,
    /// Keep records this long
    #[arg(long, value_name = "TIME", value_parser = units::duration, conflicts_with = "disk")]
    keep: Option<Duration>,
    /// Keep what fits into this much disk [default: 128M, 12 days at 1s]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    disk: Option<u64>,
    /// When to sync: never, always, every N records, every 500ms
    #[arg(long, value_name = "WHEN", default_value = "1s", value_parser = units::sync)]
    sync: SyncPolicy,
    #[command(flatten)]
    write: WriteArgs,
}

const EXAMPLES: &str = "\
SIGINT (Ctrl-C), SIGTERM, SIGHUP or --for end it with a summary on stdout. The
exit code is 1 if a consumer missed records or samples were left out. Others can
read the archive at any time.

Examples:
  ringkeep record
  ringkeep record --for 10s --every 10ms
  ringkeep record host.dat --keep 7d --sync 5s";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let stop = Stop::listen(Again::Waits)?;
    let host = Host::look()?;
    let path = args.file.clone().map_or_else(archive::default_file, Ok)?;
    let keep = Keep::of(args.keep, args.disk, args.every);
    let producer = archive::open(&path, keep, args.sync, args.write)?;
    let recording = Recording::start(args, &path, producer, host)?;
    recording.run(&stop, json)
}

/// A recording at work, with its consumers.
#[derive(Debug)]
struct Recording {
    every: Duration,
    producer: Producer,
    ring: Ring,
    host: Host,
    ticks: Ticks,
    from: u64,
    begun: Instant,
    rolling: RollingThread,
    follower: Follower,
}

impl Recording {
    fn start(args: &Args, path: &Path, producer: Producer, host: Host) -> Result<Self, Failure> {
        let ring = producer.ring();
        let from = ring.next_id()?;
        let follower = Follower::start(path, from, args.write)?;
        let rolling = RollingThread::start(ring.clone(), from)?;
        announce(&ring, from, args.every);
        let begun = Instant::now();
        let ticks = Ticks::new(begun, args.every, args.length);
        let every = args.every;
        Ok(Self { every, producer, ring, host, ticks, from, begun, rolling, follower })
    }

    fn run(mut self, stop: &Stop, json: bool) -> Result<Exit, Failure> {
        let mut live = Live::new(self.ring.clone(), self.from);
        let ended = self.record(stop, &mut live);
        drop(live);
        // An error that ended the recording is told after the summary of what was recorded.
        let ended_by = ended.as_ref().copied().unwrap_or("error");
        let (summary, closed) = self.finish(ended_by)?;
        summary.print(json)?;
        ended.and(closed)?;
        Ok(summary.exit())
    }

    /// Samples until the end; gives what ended it.
    fn record(&mut self, stop: &Stop, live: &mut Live) -> Result<&'static str, Failure> {
        loop {
            let (next, due) = match self.ticks.next() {
                next @ (Next::Sample(due) | Next::End(due)) => (next, due),
            };
            if let Some(signal) = stop.wait_until(due) {
                return Ok(signal);
            }
            if matches!(next, Next::End(_)) {
                return Ok("--for");
            }
            let sample = self.host.sample()?;
            self.producer.append(&sample.encode())?;
            self.ticks.taken(Instant::now());
            live.show(&sample, || self.rolling.now());
        }
    }

    /// Lets the consumers read to the end, and closes the archive. Gives how closing went too.
    fn finish(self, ended_by: &'static str) -> Result<(Summary, Result<(), Failure>), Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let at_end = self.ring.stats()?;
        let kept = stat::kept(&self.ring, at_end.oldest..at_end.next)?;
        let follower = self.follower.finish();
        let rolling = self.rolling.finish();
        if let Err(failure) = &rolling {
            failure.tell();
        }
        let closed = self.producer.close().map_err(|error| Failure::from(error.source));
        let Stats { syncs, bytes_on_disk, .. } = self.ring.stats()?;
        let records = at_end.next - self.from;
        let summary = Summary {
            path: self.ring.path().to_string_lossy().into_owned(),
            ended_by,
            from: self.from.to_string(),
            next: at_end.next.to_string(),
            records,
            seconds,
            rate: crate::numbers::float(records) / seconds.max(1e-9),
            lateness: self.ticks.lateness(),
            rolling: rolling.ok(),
            follower,
            syncs,
            bytes_on_disk,
            resident_peak_bytes: memory::resident().peak_bytes,
            keeps_seconds: keeps(&self.ring, self.every).as_secs_f64(),
            at_risk: at_end.next.saturating_sub(at_end.durable),
            oldest_time: kept.as_ref().map(|kept| kept.start.to_string()),
            newest_time: kept.as_ref().map(|kept| kept.end.to_string()),
        };
        Ok((summary, closed))
    }
}

/// How long a record is kept at one record an interval.
fn keeps(ring: &Ring, every: Duration) -> Duration {
    let nanos = every.as_nanos().saturating_mul(u128::from(ring.geometry().capacity));
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}

fn announce(ring: &Ring, from: u64, every: Duration) {
    let geometry = ring.geometry();
    let begins = if from == 0 { "recording from" } else { "recording goes on with" };
    output::note(&format!(
        "{begins} id {from} in {}, every {}; {} of disk keep {}",
        ring.path().display(),
        units::span(every),
        units::bytes(geometry.bytes_on_disk()),
        units::span(keeps(ring, every)),
    ));
}
