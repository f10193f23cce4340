//! Planted bugs: proof that the layers see what they are meant to see.
//!
//! The bugs are in the library's source, behind `planted("name")`, and are compiled in by the cfg
//! `planted` alone. Here they are built once with all of them, and for each one the layers run in
//! processes of their own, which are told its name, until one of them fails.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::report::Report;

/// The library asks here which bug it is to have.
const CHOSEN: &str = "RINGKEEP_PLANTED";
/// None of them.
const NO_BUG: &str = "";
/// A layer that takes longer hangs, which is a violation like any other.
const SECONDS_MAX: &str = "600";

/// What can catch a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Random crashes on the simulated disk.
    PowerCut,
    /// All crashes of short scripts.
    Exhaustive,
    /// Every call fails in turn.
    Errors,
    /// Damaged files.
    Damage,
    /// Queues that crash, and whose calls fail.
    Queue,
    /// The library's directed crash tests.
    Crashes,
    /// The library's tests of its parts, and of the format.
    Tests,
    /// The models of the memory order: of a record, and of a reader beside the next lap.
    Loom,
}

/// A bug: its name in the source, what it does, and the layer that is tried first.
pub type Bug = (&'static str, &'static str, Layer);

const LAYERS: [Layer; 8] = [
    Layer::PowerCut,
    Layer::Errors,
    Layer::Damage,
    Layer::Queue,
    Layer::Crashes,
    Layer::Exhaustive,
    Layer::Tests,
    Layer::Loom,
];

/// All bugs.
pub const BUGS: [Bug; 56] = {
    use Layer::{Crashes, Damage, Errors, Loom, PowerCut, Queue, Tests};
    [
        ("acknowledged_before_the_sync", "durable moves before the flush", PowerCut),
        ("checkpoint_before_the_data", "a close without its sync", PowerCut),
        ("checkpoint_not_proven_at_opening", "a page of a failed sync is relied on", PowerCut),
        ("claim_lowered_on_reopen", "opening shows a claim below what was touched", PowerCut),
        ("claim_not_raised", "slots are stored that no claim covers", PowerCut),
        ("clock_step_not_persisted", "a clock that was set back is forgotten", Crashes),
        ("counter_not_moved", "readers cannot see that a slot is being rewritten", PowerCut),
        ("crash_ranges_forgotten", "opening writes no crash range", PowerCut),
        ("crc_not_compared", "any bytes pass as a record", PowerCut),
        ("crc_seeded_by_a_plain_xor", "the id cancels against one in the payload", PowerCut),
        ("crc_without_id", "a record passes under any id", PowerCut),
        ("crc_without_salt", "a record passes in any archive", Damage),
        ("failed_store_forgotten", "a store that failed does not end the producer", Errors),
        ("failed_sync_tried_again", "the second sync reports success, the data is gone", PowerCut),
        ("fence_of_the_writer_missing", "a claim and the slots change places", Loom),
        ("fences_of_the_reader_missing", "a copy and the look behind it change places", Loom),
        ("fields_not_checked", "pages with right checksums may say anything", Damage),
        ("first_valid_checkpoint_rules", "not the newest one", PowerCut),
        ("hot_page_believed_across_a_boot", "cursors of before the power cut", PowerCut),
        ("hot_page_of_another_file_believed", "cursors of the original of a copy", Tests),
        ("ids_used_twice_after_a_power_cut", "the next id is durable, not the limit", PowerCut),
        ("kept_not_moved_by_a_jump", "the skipped ids show", PowerCut),
        ("limit_not_persisted", "ids are handed out above the limit on the disk", PowerCut),
        ("lock_not_respected", "two producers", Errors),
        ("marker_accepted_as_record", "a skipped id reads as zeros", PowerCut),
        ("names_not_synced", "the directory is not synced after the last name", PowerCut),
        ("next_published_relaxed", "a record shows before its bytes", Loom),
        ("oldest_crash_range_dropped", "of a full table, instead of a merge", Crashes),
        ("one_checkpoint_copy", "the newest page is overwritten", PowerCut),
        ("poison_forgotten", "a failed sync does not end the producer", PowerCut),
        ("proven_checkpoints_stored_again", "a page that counts is in flight again", PowerCut),
        ("published_before_it_is_stored", "next moves before the slot", PowerCut),
        ("queue_durable_before_the_sync", "of a queue, as of a ring", Queue),
        ("queue_durable_not_marked", "opening stores again what is durable", Queue),
        ("queue_frames_not_stored_again", "the cache has them, the disk has not", Queue),
        ("queue_headers_stored_again", "a durable header is in flight again", Queue),
        ("queue_mark_of_a_failed_sync_believed", "the one on the disk is overwritten", Tests),
        ("queue_names_not_synced", "new segments have no durable name", Queue),
        ("queue_newest_mark_overwritten", "in place", Queue),
        ("queue_poison_forgotten", "a failed sync ends nothing", Queue),
        ("queue_segments_gone_before_the_mark", "which does not say why", Queue),
        ("queue_tails_copied_to_one_place", "in flight together with their page", Queue),
        ("queue_tails_not_copied", "the last page is in flight again", Queue),
        ("queue_torn_mark_not_wiped", "the next one makes it whole", Tests),
        ("recovery_not_idempotent", "each opening writes a page", PowerCut),
        ("redo_of_another_boot_believed", "it was not flushed before its slot", Crashes),
        ("redo_slot_not_synced", "a rewrite in place, without a net", PowerCut),
        ("rewrite_not_written_through", "of a durable record", PowerCut),
        ("rewrite_without_redo_slot", "readers and crashes see half of it", PowerCut),
        ("shard_of_another_archive_accepted", "identities are not compared", Damage),
        ("short_file_accepted", "lengths are not checked", Damage),
        ("torn_checkpoint_not_wiped", "half a page is made whole by the next one", Crashes),
        ("touched_not_kept", "a death forgets which slots were begun", PowerCut),
        ("unproven_slots_not_stored_again", "pages that a failed sync left clean", PowerCut),
        ("window_too_long", "more ids are kept than there are slots", PowerCut),
        ("wrong_file_synced_at_a_boundary", "the first file of a range alone", PowerCut),
    ]
};

/// Plants every bug, or those with these names. Needs cargo and the sources.
///
/// # Errors
///
/// When something cannot be built or started.
pub fn run(names: &[String]) -> io::Result<Report> {
    let mut report = Report::default();
    let mut sound = Vec::new();
    build()?;
    let chosen = |bug: &&Bug| names.is_empty() || names.iter().any(|name| name == bug.0);
    for bug in BUGS.iter().filter(chosen) {
        report.trials += 1;
        let began = Instant::now();
        let Some(layer) = catch(bug)? else {
            report.fail(format!("{} was not caught: {}", bug.0, bug.1));
            continue;
        };
        let (seconds, by) = (began.elapsed().as_secs(), format!("{layer:?}"));
        eprintln!("{:36} {by:12} {seconds:>4} s  {}", bug.0, bug.1);
        report.count(layer.outcome());
        // What fails by itself catches nothing.
        if !sound.contains(&layer) {
            sound.push(layer);
            if !layer.passes(NO_BUG)? {
                report.fail(format!("{layer:?} fails without a bug"));
            }
        }
    }
    Ok(report)
}

/// The first layer that sees it.
fn catch(&(name, _, first): &Bug) -> io::Result<Option<Layer>> {
    let others = LAYERS.into_iter().filter(|layer| *layer != first);
    for layer in [first].into_iter().chain(others) {
        if !layer.passes(name)? {
            return Ok(Some(layer));
        }
    }
    Ok(None)
}

/// The directory of the sources that this was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn target() -> PathBuf {
    root().join("target/planted")
}

fn cargo(arguments: &[&str], cfgs: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", SECONDS_MAX]);
    command.arg(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command.env("RUSTFLAGS", cfgs).env("CARGO_TARGET_DIR", target());
    command
}

/// Everything is compiled before the clock of the first bug runs.
fn build() -> io::Result<()> {
    let all = [
        cargo(&["build", "--release", "-p", "ringkeep-torture"], "--cfg planted"),
        cargo(&[&TESTS[..], &["--no-run"]].concat(), "--cfg planted"),
        cargo(&[&LOOM[..], &["--no-run"]].concat(), "--cfg planted --cfg loom"),
    ];
    for mut command in all {
        if !command.status()?.success() {
            return Err(io::Error::other(format!("{command:?} fails")));
        }
    }
    Ok(())
}

const TESTS: [&str; 7] = ["test", "--release", "-p", "ringkeep", "--lib", "--test", "format"];
const LOOM: [&str; 6] = ["test", "--release", "-p", "ringkeep", "--lib", "loom::a_re"];
const CRASHES: [&str; 6] = ["test", "--release", "-p", "ringkeep", "--test", "crashes"];

impl Layer {
    /// Whether it sees nothing.
    fn passes(self, bug: &str) -> io::Result<bool> {
        let mut command = match self {
            Self::PowerCut => layer(&["power-cut", "--trials", "20000"]),
            Self::Exhaustive => layer(&["exhaustive", "--share", "50"]),
            Self::Errors => layer(&["errors"]),
            Self::Damage => layer(&["damage", "--bytes", "32768"]),
            Self::Queue => layer(&["queue", "--trials", "10000", "--kills", "0"]),
            Self::Crashes => cargo(&CRASHES, "--cfg planted"),
            Self::Tests => cargo(&TESTS, "--cfg planted"),
            Self::Loom => cargo(&LOOM, "--cfg planted --cfg loom"),
        };
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(quiet.env(CHOSEN, bug).status()?.success())
    }

    fn outcome(self) -> &'static str {
        match self {
            Self::PowerCut => "caught by power cuts",
            Self::Exhaustive => "caught by exhaustive cuts",
            Self::Errors => "caught by failing calls",
            Self::Damage => "caught by damage",
            Self::Queue => "caught by queues",
            Self::Crashes => "caught by directed crash tests",
            Self::Tests => "caught by the tests",
            Self::Loom => "caught by models",
        }
    }
}

fn layer(arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", SECONDS_MAX]);
    command.arg(target().join("release/ringkeep-torture")).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::{BUGS, root};

    fn planted_in(directory: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).expect("the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                planted_in(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            let names = text.split("planted(\"").skip(1);
            found.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }

    #[test]
    fn every_bug_in_the_sources_is_in_the_table_and_the_other_way_round() {
        let mut found = BTreeSet::new();
        planted_in(&root().join("src"), &mut found);
        let table: BTreeSet<String> = BUGS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(found, table);
        assert!(BUGS.is_sorted_by_key(|bug| bug.0) && BUGS.len() == table.len());
    }
}
