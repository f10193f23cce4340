//! What ringkeep is to reach, as ratios of one run.

use super::{
    board::{Board, Row},
    rows::{self, Name},
    sides::{FILE, LIMIT, LMDB, OURS_BY_POSITION, REDB, SQLITE, STRIPED},
};
use crate::table::{Goal, OURS, Report};

/// How many times as long as another side one may take.
struct Times {
    name: &'static str,
    other: &'static str,
    /// Bytes of a record, and how many times as long at most.
    most: &'static [(usize, f64)],
    works: &'static [Name],
}

/// Goals of a size, or of a system, are left out of a run without it.
const TIMES: &[Times] = &[
    Times {
        name: OURS,
        other: LIMIT,
        most: &[(32, 1.2), (128, 1.05), (4096, 1.05)],
        works: &[rows::RANDOM_READ],
    },
    Times { name: OURS, other: LMDB, most: &[(128, 1.0 / 8.0)], works: &[rows::RANDOM_READ] },
    Times { name: OURS, other: REDB, most: &[(128, 1.0 / 8.0)], works: &[rows::RANDOM_READ] },
    Times { name: OURS, other: SQLITE, most: &[(128, 1.0 / 17.0)], works: &[rows::RANDOM_READ] },
    Times { name: OURS, other: LIMIT, most: &[(32, 0.45), (128, 0.45)], works: &[rows::READ_MANY] },
    Times {
        name: OURS,
        other: LMDB,
        most: &[(32, 1.0 / 16.0), (128, 1.0 / 16.0)],
        works: &[rows::READ_MANY],
    },
    Times {
        name: OURS,
        other: LIMIT,
        most: &[(32, 0.75), (128, 0.87)],
        works: &[rows::SCAN, rows::READ_RANGE],
    },
    Times { name: OURS, other: LMDB, most: &[(32, 0.5), (128, 0.5)], works: &[rows::SCAN] },
    Times {
        name: OURS,
        other: LIMIT,
        most: &[(32, 1.1), (128, 1.1), (4096, 1.1)],
        works: &[rows::OVERWRITE, rows::DURABLE64],
    },
    Times {
        name: OURS,
        other: LMDB,
        most: &[(32, 1.0 / 8.0), (128, 1.0 / 8.0)],
        works: &[rows::OVERWRITE, rows::FOLLOW[1].1],
    },
    Times {
        name: OURS,
        other: LMDB,
        most: &[(32, 1.0), (128, 1.0), (4096, 1.0)],
        works: &[rows::DURABLE64],
    },
    Times {
        name: OURS,
        other: STRIPED,
        most: &[(32, 1.0 / 3.0), (128, 1.0 / 3.0)],
        works: &[rows::FOLLOW[1].1],
    },
    // 0.80 of the speed.
    Times {
        name: OURS,
        other: LIMIT,
        most: &[(32, 1.25), (128, 1.25), (4096, 1.25)],
        works: &[rows::FOLLOW[1].1],
    },
    Times {
        name: OURS,
        other: LIMIT,
        most: &[(128, 1.05)],
        works: &[rows::LATENCY_BESIDE[0], rows::LATENCY_BESIDE[1]],
    },
    Times { name: OURS, other: LIMIT, most: &[(128, 1.3)], works: &[rows::LATENCY_BESIDE[2]] },
    Times {
        name: OURS,
        other: LMDB,
        most: &[(32, 1.0 / 1.1), (128, 1.0 / 1.1), (4096, 1.0 / 1.1)],
        works: &[rows::COLD_SCAN],
    },
    Times {
        name: OURS_BY_POSITION,
        other: FILE,
        most: &[(32, 1.5), (128, 1.5), (4096, 1.5)],
        works: &[rows::OVERWRITE, rows::RANDOM_READ, rows::SCAN],
    },
];

/// How many times as long as the better of two raw ways to read the file a scan from the disk may
/// take: mapped, with checksums, and by reads of 1 MiB, without.
const TIMES_RAW: f64 = 1.2;

/// How many times as long as appends to a full ring, pages dirty, other appends may take.
const TIMES_OVERWRITE: [(Name, f64); 2] = [(rows::FRESH, 1.15), (rows::WRITEBACK, 1.35)];

/// Nanoseconds at most.
const NS: [(Name, f64); 5] = [
    (rows::LATENCY_BESIDE_SYNCS[2], 5_000.0),
    (rows::WAKE_QUIET[0], 10_000.0),
    (rows::WAKE_QUIET[1], 60_000.0),
    (rows::WAKE_BUSY[0], 10_000.0),
    (rows::WAKE_BUSY[1], 60_000.0),
];
const NS_RECORD_BYTES: usize = 128;

/// Tells of each goal whose work was done.
pub(super) fn judge(board: &Board, report: &mut Report) {
    for goal in TIMES {
        for &(work, what) in goal.works {
            for &(record_bytes, most) in goal.most {
                let sides = (goal.name, goal.other);
                judge_times(board, report, sides, Row { work, what, record_bytes }, most);
            }
        }
    }
    for record_bytes in super::SIZES {
        let (work, what) = rows::COLD_SCAN;
        let row = Row { work, what, record_bytes };
        if let Some(raw) = board.find(row).and_then(|work| work.fastest_of(&[LIMIT, FILE])) {
            judge_times(board, report, (OURS, raw), row, TIMES_RAW);
        }
        let find = |(work, what)| board.find(Row { work, what, record_bytes });
        for (name, most) in TIMES_OVERWRITE {
            let (Some(one), Some(other)) = (find(name), find(rows::OVERWRITE)) else { continue };
            let Some(times) = one.times(OURS, other, OURS) else { continue };
            report.add_goal(Goal {
                text: format!("{}, {record_bytes} bytes, at most {most:.3}", name.0),
                found: format!("{times} times as long as overwrite"),
                is_met: times.median <= most,
            });
        }
    }
    for ((work, what), most) in NS {
        let row = Row { work, what, record_bytes: NS_RECORD_BYTES };
        let Some(ns) = board.find(row).and_then(|found| found.ns(OURS)) else { continue };
        report.add_goal(Goal {
            text: format!("{work}, {what}, at most {most} ns"),
            found: format!("{ns} ns"),
            is_met: ns.median <= most,
        });
    }
}

fn judge_times(
    board: &Board,
    report: &mut Report,
    (name, other): (&str, &str),
    row: Row,
    most: f64,
) {
    let Some(work) = board.find(row) else { return };
    let Some(times) = work.times(name, work, other) else { return };
    report.add_goal(Goal {
        text: format!("{}, {}, {} bytes, at most {most:.3}", row.work, row.what, row.record_bytes),
        found: format!("{name} takes {times} times as long as {other}"),
        is_met: times.median <= most,
    });
}
