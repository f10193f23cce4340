//! What docs/FORMAT.md says, taken out of its text.

use std::{collections::BTreeMap, fs};

pub(crate) const FORMAT: &str = include_str!("../../docs/FORMAT.md");

/// A row of a table of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) size: usize,
}

/// The text below a heading, up to the next one.
pub(crate) fn section(heading: &str) -> &'static str {
    let begin = format!("\n## {heading}\n");
    let at = FORMAT.find(&begin).unwrap_or_else(|| panic!("no heading {heading}"));
    let text = &FORMAT[at + begin.len()..];
    text.split("\n## ").next().unwrap_or(text)
}

/// The fenced blocks of a language.
pub(crate) fn fenced<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    let bodies = text.split(begin.as_str()).skip(1);
    bodies.map(|rest| rest.split("```").next().unwrap_or(rest)).collect()
}

/// The Python reader.
pub(crate) fn script() -> &'static str {
    match fenced(section("A reader in Python"), "python")[..] {
        [script] => script,
        ref all => panic!("one script, not {}", all.len()),
    }
}

/// The rows of a block's table, which follow each other without a gap. `record_size` is R, and the
/// last row may fill up to `block_bytes`.
pub(crate) fn fields(heading: &str, record_size: usize, block_bytes: usize) -> Vec<Field> {
    let mut end = 0;
    let mut fields = Vec::new();
    for row in section(heading).lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[offset, size, name, ..] = &cells[..] else {
            continue;
        };
        if offset == "offset" {
            continue;
        }
        let field = Field {
            name: name.trim_matches('`').to_owned(),
            offset: sum(offset, record_size),
            size: if size == "rest" { block_bytes - end } else { sum(size, record_size) },
        };
        assert_eq!(field.offset, end, "{heading} has a gap or an overlap before {field:?}");
        end += field.size;
        fields.push(field);
    }
    assert_eq!(end, block_bytes, "{heading} has no row for its last bytes");
    fields
}

/// `12 + R`, for example.
fn sum(text: &str, record_size: usize) -> usize {
    let term = |term: &str| match term.trim() {
        "R" => record_size,
        number => number.parse().unwrap_or_else(|_| panic!("{text} is no sum")),
    };
    text.split('+').map(term).sum()
}

/// Where the blocks begin in `cache.dat`.
pub(crate) fn block_starts() -> BTreeMap<String, usize> {
    let rows = section("Files").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ").map(str::trim);
        let (name, offset) = (cells.next()?, cells.next()?);
        Some((name.to_owned(), offset.parse().ok()?))
    });
    rows.collect()
}

/// A command of a console example and what it prints.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) line: &'static str,
    pub(crate) output: Vec<&'static str>,
}

/// All commands of the console examples, in order.
pub(crate) fn commands() -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for line in fenced(FORMAT, "console").into_iter().flat_map(str::lines) {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(line), _) => commands.push(Command { line, output: Vec::new() }),
            (None, Some(command)) => command.output.push(line),
            (None, None) => panic!("an output without a command: {line}"),
        }
    }
    commands
}

/// What `xxd` prints for the options that the document uses: `-e`, `-g`, `-s` and `-l`.
pub(crate) fn xxd(arguments: &str, read: impl Fn(&str) -> Vec<u8>) -> Vec<String> {
    let words: Vec<_> = arguments.split_whitespace().collect();
    let value = |flag: &str, default: usize| {
        let at = words.iter().position(|&word| word == flag);
        at.map_or(default, |at| words[at + 1].parse().expect("a number"))
    };
    let turned = words.contains(&"-e");
    let (width, skip) = (value("-g", 2), value("-s", 0));
    let bytes = read(words.last().expect("a file"));
    let dumped = &bytes[skip..skip + value("-l", bytes.len() - skip)];
    let line = |(index, line): (usize, &[u8])| {
        let group = |group: &[u8]| {
            let digits = group.iter().map(|byte| format!("{byte:02x}"));
            if turned { digits.rev().collect::<String>() } else { digits.collect() }
        };
        let groups: Vec<_> = line.chunks(width).map(group).collect();
        let printable = |&byte: &u8| {
            if (32..127).contains(&byte) { byte as char } else { '.' }
        };
        let text: String = line.iter().map(printable).collect();
        // Room for the digits of 16 bytes and a space after each group.
        let room = 32 + 16 / width;
        format!("{:08x}: {:room$} {text}", skip + 16 * index, groups.join(" "))
    };
    dumped.chunks(16).enumerate().map(line).collect()
}

/// CRC-32 with a seed, in the terms of zlib: bit by bit, so that nothing needs to be trusted.
pub(crate) fn crc32(bytes: &[u8], seed: u32) -> u32 {
    let step = |crc: u32| {
        if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
    };
    let mut crc = !seed;
    for &byte in bytes {
        crc ^= u32::from(byte);
        crc = (0..8).fold(crc, |crc, _| step(crc));
    }
    !crc
}

/// The bytes of a committed archive.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/{name}", super::archives::FIXTURES);
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
