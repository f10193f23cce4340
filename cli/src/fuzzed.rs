//! Replays the corpora of the fuzz targets that read the input of `append`.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/bodies/read_rows.rs"]
mod read_rows;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let entries = fs::read_dir(root.join(target)).expect("the corpus is in the repository");
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        (path.display().to_string(), fs::read(&path).expect("a seed"))
    };
    entries.map(file).collect()
}

/// Each seed; every beginning of it; every byte of it changed, and other pieces.
fn replay(target: &str, read: fn(&[u8]) -> usize, bytes: &[u8]) {
    let seeds = corpus(target);
    assert!(seeds.len() >= 10, "only {} seeds", seeds.len());
    let mut records = 0;
    for (name, data) in seeds {
        // Shown if it fails.
        eprintln!("{name}");
        records += read(&data);
        for at in (0..data.len()).step_by(data.len() / 512 + 1) {
            read(&data[..at]);
            for &byte in bytes {
                let mut changed = data.clone();
                changed[at] = byte;
                read(&changed);
            }
        }
    }
    assert!(records >= 20, "only {records} records");
}

#[test]
fn every_seed_of_read_csv_ends_in_records_or_sentences() {
    replay("read_csv", read_rows::read_csv, b"\0\r\n\",9.-");
}

#[test]
fn every_seed_of_read_ndjson_ends_in_records_or_sentences() {
    replay("read_ndjson", read_rows::read_ndjson, b"\0\n\"\\,9.-{[");
}
