//! Replays the corpus of each fuzz target, and makes its seeds.

use std::{fs, path::Path};

#[path = "../fuzz/bodies/checksums.rs"]
mod checksums;
#[path = "../fuzz/bodies/edits.rs"]
mod edits;
#[path = "../fuzz/bodies/open_any_bytes.rs"]
mod open_any_bytes;
#[path = "../fuzz/bodies/open_any_frozen.rs"]
mod open_any_frozen;
#[path = "../fuzz/bodies/open_any_queue.rs"]
mod open_any_queue;
#[path = "../fuzz/bodies/open_any_spool.rs"]
mod open_any_spool;
#[path = "../fuzz/bodies/operations.rs"]
mod operations;
#[path = "../fuzz/bodies/parse_schema.rs"]
mod parse_schema;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&directory).expect("the corpus is in the repository");
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        (path.display().to_string(), fs::read(&path).expect("a seed"))
    };
    entries.map(file).collect()
}

/// Tries each seed of a target, of which there have to be some.
fn replay(target: &str, try_one: impl Fn(Vec<u8>)) {
    let seeds = corpus(target);
    assert!(seeds.len() >= 10, "only {} seeds", seeds.len());
    for (name, data) in seeds {
        println!("{name}");
        try_one(data);
    }
}

#[test]
fn every_seed_of_open_any_bytes_ends_in_values_or_errors() {
    replay("open_any_bytes", |data| open_any_bytes::open_any_bytes(&data));
}

#[test]
fn every_seed_of_open_any_queue_ends_in_values_or_errors() {
    replay("open_any_queue", |data| open_any_queue::open_any_queue(&data));
}

#[test]
fn every_seed_of_open_any_frozen_ends_in_values_or_errors() {
    replay("open_any_frozen", |data| {
        for how in 0..=255 {
            let mut changed = data.clone();
            changed[0] ^= how;
            open_any_frozen::open_any_frozen(&changed);
        }
    });
}

#[test]
fn every_seed_of_open_any_spool_ends_in_values_or_errors() {
    replay("open_any_spool", |data| {
        for how in 0..=15 {
            let mut changed = data.clone();
            changed[0] ^= how;
            open_any_spool::open_any_spool(&changed);
        }
    });
}

#[test]
fn boundary_values_in_every_field_of_a_manifest_end_in_values_or_errors() {
    // The header and the first records, with checksums that were made right again.
    for offset in (0..400_u16).step_by(4) {
        for byte in [0x00, 0x01, 0x3F, 0x80, 0xFF] {
            let [low, high] = offset.to_le_bytes();
            for how in [0b0010_0011, 0b0010_1111] {
                let edit = [how, 1, low, high, 4, byte, byte, byte, byte];
                open_any_spool::open_any_spool(&edit);
                open_any_spool::open_any_spool(&edit[..edit.len() - 3]);
            }
        }
    }
}

#[test]
fn boundary_values_in_every_field_of_a_frozen_file_end_in_values_or_errors() {
    // The header, the first frame, and the index, with checksums that were made right again.
    for offset in (0..64).chain(512..700).chain(700..1500_u16).step_by(4) {
        for byte in [0x00, 0x01, 0x3F, 0x80, 0xFF] {
            let [low, high] = offset.to_le_bytes();
            for how in [0b0010_0011, 0b0010_0111] {
                let edit = [how, 0, low, high, 4, byte, byte, byte, byte];
                open_any_frozen::open_any_frozen(&edit);
                open_any_frozen::open_any_frozen(&edit[..edit.len() - 3]);
            }
        }
    }
}

#[test]
fn boundary_values_in_every_field_of_a_queue_end_in_values_or_errors() {
    // Fields of the segment's header and of its first frame, and of the mark, with checksums that
    // were made right again.
    for (file, fields) in [(0, 0..64_u16), (0, 4096..4112), (0, 20480..20544), (2, 0..64)] {
        for offset in fields.step_by(4) {
            for byte in [0x00, 0x01, 0x3F, 0x80, 0xFF] {
                let [low, high] = offset.to_le_bytes();
                for how in [0b0010_0011, 0b0010_1111] {
                    let edit = [how, file, low, high, 4, byte, byte, byte, byte];
                    open_any_queue::open_any_queue(&edit);
                    open_any_queue::open_any_queue(&edit[..edit.len() - 3]);
                }
            }
        }
    }
}

#[test]
fn every_seed_of_parse_schema_ends_in_columns_or_an_error_with_its_place() {
    replay("parse_schema", |data| {
        parse_schema::parse_schema(&data);
        // Every beginning of it, and every byte of it changed.
        for at in 0..data.len() {
            parse_schema::parse_schema(&data[..at]);
            for byte in *b"\0 ,:{}[]*9_z" {
                let mut changed = data.clone();
                changed[at] = byte;
                parse_schema::parse_schema(&changed);
            }
        }
    });
}

#[test]
fn every_seed_of_operations_agrees_with_a_list() {
    replay("operations", |data| {
        // In every form of the first producer, and every shape for short.
        for form in 0..3 {
            for shape in 0..8 {
                let mut changed = data.clone();
                changed[0] ^= shape;
                changed[3] ^= form;
                operations::operations(&changed);
            }
        }
        for at in 0..data.len() {
            operations::operations(&data[..at]);
        }
    });
}

#[test]
fn boundary_values_in_every_field_of_the_pages_end_in_values_or_errors() {
    // Fields of the identity page, the hot page, both checkpoints and the redo slot, with
    // checksums that were made right again.
    for page in [0_u16, 4096, 8192, 12288, 16384] {
        for offset in (page..page + 512).step_by(4) {
            for byte in [0x00, 0x01, 0x80, 0xFF] {
                let [low, high] = offset.to_le_bytes();
                for how in [0b1000_0011, 0b1001_0111] {
                    open_any_bytes::open_any_bytes(&[how, 0, low, high, 2, byte, byte]);
                }
            }
        }
    }
}
