//! Real series, in by CSV and out value for value, and searched by time although a clock stepped.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::place::Place;

const SERIES: [(&str, usize); 3] = [
    ("machine_temperature_system_failure", 22_695),
    ("ec2_cpu_utilization_24ae8d", 4_032),
    ("nyc_taxi", 10_320),
];

/// The rows of a series without its header; `None` where the data is not there.
fn series(name: &str) -> Option<(PathBuf, Vec<(String, f64)>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/nab");
    let path = root.join(format!("{name}.csv"));
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(
            std::env::var_os("RINGKEEP_CI").is_none(),
            "{} is needed under RINGKEEP_CI",
            path.display()
        );
        let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: ../shared/data/nab is not there");
        return None;
    };
    let row = |line: &str| {
        let (time, value) = line.split_once(',').expect("two columns");
        (time.to_owned(), value.parse().expect("a number"))
    };
    let rows = text.lines().skip(1).map(row).collect();
    Some((path, rows))
}

fn archive(path: &Path, rows: usize) -> Place {
    let place = Place::new();
    let (schema, rows) = ("timestamp:time_s, value:f64", rows.to_string());
    place.run(["create", "n.dat", "--schema", schema, "--capacity", &rows]).succeeded();
    place.run(["append".as_ref(), "n.dat".as_ref(), path.as_os_str()]).succeeded();
    place
}

/// `2014-07-01 00:00:00` as it comes out again.
fn shown(time: &str) -> String {
    format!("{}Z", time.replace(' ', "T"))
}

#[test]
fn real_series_come_out_value_for_value() {
    for (name, count) in SERIES {
        let Some((path, rows)) = series(name) else { continue };
        assert_eq!(rows.len(), count, "{name}");
        let place = archive(&path, count);
        let out = place.run(["cat", "n.dat"]).succeeded();
        let mut lines = out.text().lines();
        assert_eq!(lines.next(), Some("id,timestamp,value"));
        for (id, (time, value)) in rows.iter().enumerate() {
            let line = lines.next().expect("as many lines as rows");
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells[..2], [id.to_string(), shown(time)], "{name}");
            assert_eq!(cells[2].parse::<f64>().expect("a number").to_bits(), value.to_bits());
        }
        assert_eq!(lines.next(), None);
    }
}

#[test]
fn ranges_of_time_are_what_a_scan_of_the_csv_finds() {
    for (name, count) in SERIES {
        let Some((path, rows)) = series(name) else { continue };
        let place = archive(&path, count);
        // Such times sort as texts do. Where the clock was set back, around it; and all over.
        let back = rows.windows(2).position(|pair| pair[0].0 > pair[1].0);
        assert_eq!(back.is_some(), name.starts_with("machine"), "{name}");
        let back = back.unwrap_or(count / 2);
        let near = (back - 14..back + 14).step_by(3);
        let starts: Vec<usize> = near.chain((0..count).step_by(count / 9)).collect();
        for start in starts {
            for length in [1, 7, 25, 400] {
                let from = &rows[start].0;
                let to = &rows[(start + length).min(count - 1)].0;
                let (from, to) = (from.min(to), from.max(to));
                let wanted = |(_, (time, _)): &(usize, &(String, f64))| (from..to).contains(&time);
                let expected: Vec<String> =
                    rows.iter().enumerate().filter(wanted).map(|(id, _)| id.to_string()).collect();
                let args = ["cat", "n.dat", "--fields", "id", "--from", from, "--to", to];
                let found = place.run(args).succeeded();
                let found: Vec<&str> = found.text().lines().skip(1).collect();
                assert_eq!(found, expected, "{name}: {from} to {to}");
            }
        }
    }
}

#[test]
fn the_kept_time_and_the_step_of_the_clock_are_told() {
    let Some((path, rows)) = series(SERIES[0].0) else { return };
    let place = archive(&path, rows.len());
    let stat = place.stat("n.dat");
    let digits = |time: &str| shown(time).replace('Z', ".000000000Z");
    assert_eq!(stat["oldest_time"], digits(&rows[0].0));
    assert_eq!(stat["newest_time"], digits(&rows[rows.len() - 1].0));
    assert_eq!(stat["clock_step_seconds"], 3300.0);
    // 2013-12-02 21:15 to 2014-02-19 15:25.
    assert_eq!(stat["kept_seconds"], f64::from(78 * 86_400 + 18 * 3600 + 600));
    let text = place.run(["stat", "n.dat"]).succeeded();
    assert!(text.text().contains("went back by 55 min 0 s"), "{text:?}");
}
