//! The one live line of a recorder, on a terminal only.

use std::time::Instant;

use ringkeep::Ring;

use super::memory::resident;
use super::rolling::Rolling;
use super::sample::Sample;
use crate::exit::Failure;
use crate::numbers::float;
use crate::output::Progress;
use crate::{stat, units};

#[derive(Debug)]
pub(super) struct Live {
    progress: Progress,
    ring: Ring,
    shown: (Instant, u64),
}

impl Live {
    pub(super) fn new(ring: Ring, next: u64) -> Self {
        Self { progress: Progress::new(), ring, shown: (Instant::now(), next) }
    }

    /// Shows the newest values, if it is time for it.
    pub(super) fn show(&mut self, sample: &Sample, rolling: impl FnOnce() -> Rolling) {
        let Self { progress, ring, shown } = self;
        // A line that cannot be made is not worth ending a recording for.
        progress.show(|| line(ring, shown, sample, &rolling()).unwrap_or_default());
    }
}

fn line(
    ring: &Ring,
    shown: &mut (Instant, u64),
    sample: &Sample,
    rolling: &Rolling,
) -> Result<String, Failure> {
    let (now, stats) = (Instant::now(), ring.stats()?);
    let rate = float(stats.next - shown.1) / now.duration_since(shown.0).as_secs_f64().max(1e-3);
    *shown = (now, stats.next);
    let kept = stat::kept(ring, stats.oldest..stats.next)?;
    let kept = kept.as_ref().and_then(stat::length).unwrap_or_default();
    let bytes = |count| units::bytes(count).replace("iB", "").replace(' ', "");
    Ok(format!(
        "cpu {:.0}% load {:.2} free {} | {rate:.0}/s keeps {} | cut loses {} | rss {} \
         | mean cpu {:.0}%",
        sample.cpu_busy(),
        sample.load1,
        bytes(sample.mem_available),
        units::span(kept),
        stats.next.saturating_sub(stats.durable),
        resident().now_bytes.map_or_else(|| "unknown".to_owned(), bytes),
        rolling.cpu_mean,
    ))
}
