//! What a recorder tells when it ends.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::checker::Checked;
use super::rolling::Rolling;
use super::ticks::Lateness;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out};
use crate::units;

/// Everything that is told; `--json` prints it as it is, ids as strings.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) path: String,
    /// `--for`, `error`, or the name of a signal.
    pub(super) ended_by: &'static str,
    pub(super) from: String,
    pub(super) next: String,
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) rate: f64,
    #[serde(flatten)]
    pub(super) lateness: Lateness,
    pub(super) rolling: Option<Rolling>,
    pub(super) follower: Option<Checked>,
    pub(super) syncs: u64,
    pub(super) bytes_on_disk: u64,
    pub(super) resident_peak_bytes: Option<u64>,
    /// How long the archive keeps a record at this rate.
    pub(super) keeps_seconds: f64,
    /// Records that a power cut would have taken when the last one was written.
    pub(super) at_risk: u64,
    pub(super) oldest_time: Option<String>,
    pub(super) newest_time: Option<String>,
}

impl Summary {
    /// Whether something was lost, and so the exit code.
    pub(super) fn exit(&self) -> Exit {
        let whole = |read, missed, wrong| missed == 0 && wrong == 0 && read == self.records;
        let rolling = self.rolling.is_some_and(|it| whole(it.read, it.missed, it.wrong));
        let follower = self.follower.is_some_and(|it| whole(it.read, it.missed, it.wrong));
        if rolling && follower && self.lateness.skipped == 0 { Exit::Fine } else { Exit::Data }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        let mut out = output::stdout();
        if json {
            output::json(&mut out, self)?;
        } else {
            self.print_text(&mut out)?;
        }
        out.flush()?;
        Ok(())
    }

    fn print_text(&self, out: &mut Out) -> io::Result<()> {
        for (name, value) in [
            ("recorded", self.recorded()),
            ("ticks", self.ticks()),
            ("rolling", self.rolling.as_ref().map_or_else(no_report, read_by_rolling)),
            ("follower", self.follower.as_ref().map_or_else(no_report, read_by_follower)),
            ("syncs", self.syncs.to_string()),
            ("disk", self.disk()),
            ("resident", self.resident()),
            ("power cut", self.power_cut()),
        ] {
            writeln!(out, "{name:<10} {value}")?;
        }
        Ok(())
    }

    fn recorded(&self) -> String {
        format!(
            "{} records, ids {}..{}, in {:.1} s ({:.1}/s), to {}; ended by {}",
            self.records, self.from, self.next, self.seconds, self.rate, self.path, self.ended_by
        )
    }

    fn ticks(&self) -> String {
        let Lateness { late, latest_ms, skipped } = self.lateness;
        format!("{late} late, at most {latest_ms} ms; {skipped} left out")
    }

    fn disk(&self) -> String {
        let keeps = Duration::try_from_secs_f64(self.keeps_seconds).unwrap_or(Duration::MAX);
        let disk = units::bytes(self.bytes_on_disk);
        format!("{disk}, keeps {} at this interval", units::span(keeps))
    }

    fn resident(&self) -> String {
        match self.resident_peak_bytes {
            Some(bytes) => format!("{} at most", units::bytes(bytes)),
            None => "unknown".to_owned(),
        }
    }

    fn power_cut(&self) -> String {
        format!("would have lost {} records at the end of the recording", self.at_risk)
    }
}

fn no_report() -> String {
    "ended without a report".to_owned()
}

fn read_by_rolling(rolling: &Rolling) -> String {
    let Rolling { read, missed, wrong, cpu_mean, cpu_peak, .. } = rolling;
    format!(
        "read {read}, missed {missed}, wrong {wrong}; \
         cpu {cpu_mean:.1} % in the last minute, at most {cpu_peak:.1} %"
    )
}

fn read_by_follower(checked: &Checked) -> String {
    let Checked { read, missed, wrong, clock_steps_back } = checked;
    format!(
        "read {read}, missed {missed}, wrong {wrong}; \
         the clock stepped back {clock_steps_back} times"
    )
}
