//! Goal: docs/FORMAT.md is true: byte for byte, example for example, script for script.
//!
//! Method: the tables, the console examples and the Python reader are taken out of the document and
//! held against archives that the library wrote.

#[path = "format/archives.rs"]
mod archives;
#[path = "format/bytes.rs"]
mod bytes;
#[path = "format/document.rs"]
mod document;
#[path = "format/python.rs"]
mod python;

use std::{collections::BTreeMap, fs, os::unix::fs::FileExt as _, path::Path};

use archives::{FIXTURES, copy, fixture_text, read_all};
use ringkeep::{Producer, Read, Ring};

#[test]
fn an_archive_of_format_version_one_still_opens_with_its_records() {
    let ring = Ring::open(Path::new(FIXTURES).join("cache.dat")).expect("the fixture opens");
    assert_eq!(ring.schema_text(), Some("text:S12"));
    let expected = |id| match id {
        22 | 31 | 32 => Read::Absent,
        _ => Read::Record(fixture_text(id).into_bytes()),
    };
    let expected: Vec<_> = (14..34).map(|id| (id, expected(id))).collect();
    assert_eq!(read_all(&ring), expected);

    // Its checkpoint has a limit a little ahead of what was appended: those ids are lost, and as
    // many of the oldest are given up with them.
    let killed = Ring::open(Path::new(FIXTURES).join("killed.dat")).expect("the fixture opens");
    let limit = killed.next_id().expect("next");
    assert!((52..=56).contains(&limit), "{limit} is a step or two ahead of 51");
    let expected = |id| match id {
        0..=50 => Read::Record(format!("{id:05}").into_bytes()),
        _ => Read::Lost,
    };
    let expected: Vec<_> = (limit - 40..limit).map(|id| (id, expected(id))).collect();
    assert_eq!(read_all(&killed), expected);
}

#[test]
fn an_archive_of_format_version_one_is_written_on() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["cache.dat", "killed.dat"] {
        let path = directory.path().join(name);
        copy(&Path::new(FIXTURES).join(name), &path);
        let before: BTreeMap<_, _> =
            read_all(&Ring::open(&path).expect("a reader")).into_iter().collect();
        let mut producer = Producer::open(&path).expect("a producer");
        let payload = vec![b'x'; producer.ring().geometry().record_size];
        let id = producer.append(&payload).expect("an append");
        assert!(before.keys().all(|&old| old < id), "no id is used twice");
        for (old, read) in read_all(&producer.ring()) {
            let expected = before.get(&old).cloned().unwrap_or(Read::Record(payload.clone()));
            assert_eq!(read, expected, "{name} {old}");
        }
        producer.close().expect("a close");
    }
}

#[test]
fn the_console_examples_show_what_the_committed_archive_holds() {
    let mut dumps = 0;
    for command in document::commands() {
        match command.line.strip_prefix("xxd ") {
            Some(arguments) => {
                let shown = document::xxd(arguments, document::fixture);
                assert_eq!(command.output, shown, "$ {}", command.line);
                dumps += 1;
            }
            None => assert_eq!(
                python::run_line(command.line).unwrap_or(command.output.join("\n")),
                command.output.join("\n"),
                "$ {}",
                command.line
            ),
        }
    }
    assert!(dumps >= 7, "{dumps} dumps are left in the document");
}

#[test]
fn a_record_is_found_by_the_documented_arithmetic_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    for (index, shape) in archives::SHAPES.into_iter().enumerate() {
        let path = directory.path().join(format!("ring{index}"));
        let mut producer = shape.create(&path);
        shape.fill(&mut producer, 3);
        let layout = bytes::Layout::of(&path);
        let mut found = 0;
        for (id, read) in read_all(&producer.ring()) {
            let Read::Record(payload) = read else {
                continue;
            };
            let (file, offset) = layout.place_of(id);
            let mut slot = vec![0; payload.len() + 4];
            let file = fs::File::open(file).expect("a shard");
            file.read_exact_at(&mut slot, offset).expect("a slot");
            let crc = layout.crc_of(id, &payload).to_le_bytes();
            assert_eq!(slot, [&payload[..], &crc].concat(), "{shape:?} {id}");
            found += 1;
        }
        assert!(found > 0, "{shape:?} has records");
    }
}

#[test]
#[ignore = "writes tests/fixtures/format-1 where RINGKEEP_NEW_FIXTURES says so"]
fn fixtures_are_written_once_for_a_format_version() {
    if let Some(directory) = std::env::var_os("RINGKEEP_NEW_FIXTURES") {
        archives::write_fixtures(Path::new(&directory)).expect("a new fixture");
    }
}
