//! The rules, each beside the test that shows it failing.

use crate::code::{attribute_bytes, functions, item_bytes, name_at, places};
use crate::paths::{crate_paths, expand, module_of};
use crate::{BANS, Ban, COLUMNS_MAX, FILE_LINES_MAX, FLOORS, FUNCTION_LINES_MAX, Finding, NOTES};
use crate::{ROOT_ITEMS, Source, WORDS_WITH_DIGITS};

/// Every path that begins with `crate` or `super` stays on the floors of the file's room.
pub(crate) fn imports_go_down(source: &Source, rooms: &[String]) -> Vec<Finding> {
    let module = module_of(&source.path);
    let Some(room) = module.first() else {
        return Vec::new();
    };
    let place = module.join("::");
    let rows = FLOORS.iter().filter(|floor| is_below(&place, floor.room));
    let Some(floor) = rows.max_by_key(|floor| floor.room.len()) else {
        return vec![(1, format!("room `{room}` has no row in FLOORS: say what it may import"))];
    };
    let mut findings = Vec::new();
    for (at, path) in crate_paths(source, &module) {
        let target = path.join("::");
        if !path.first().is_some_and(|first| rooms.contains(first)) {
            let what = "is not in a module: import from the one that defines it, not the root";
            findings.push((source.line_at(at), format!("`crate::{target}` {what}")));
        } else if !is_below(&target, floor.room)
            && !floor.imports.iter().any(|below| is_below(&target, below))
        {
            let what = format!("`{place}` may not import `{target}`, only {:?}", floor.imports);
            findings.push((source.line_at(at), what));
        }
    }
    findings
}

fn findings(rule: fn(&Source, &[String]) -> Vec<Finding>, path: &str, text: &str) -> Vec<Finding> {
    let rooms = ["error", "disk", "ring", "queue", "attic"].map(str::to_owned);
    rule(&Source::new(path, text), &rooms)
}

fn fails(rule: fn(&Source, &[String]) -> Vec<Finding>, path: &str, text: &str) -> bool {
    !findings(rule, path, text).is_empty()
}

#[test]
fn an_import_that_goes_up_is_found() {
    let bad = [
        ("src/disk/log.rs", "use crate::ring::lookup;"),
        ("src/disk/log.rs", "use crate::{error::Error, ring::lookup};"),
        ("src/disk/log.rs", "fn f() { crate::ring::f() }"),
        ("src/disk/log.rs", "use super::super::ring;"),
        ("src/disk/mod.rs", "mod tests { use super::super::ring; }"),
        ("src/ring/mod.rs", "use crate::queue::Queue;"),
        ("src/error.rs", "use crate::ring::shard;"),
        ("src/ring/lookup.rs", "use crate::ring::shard;"),
        ("src/ring/read.rs", "use super::shard;"),
        ("src/error.rs", "use crate::ring;"),
        ("src/ring/mod.rs", "use crate::Error;"),
        ("src/ring/mod.rs", "use crate::*;"),
        ("src/attic/mod.rs", ""),
    ];
    for (path, text) in bad {
        assert!(fails(imports_go_down, path, text), "{path}: {text}");
    }
    let good = [
        ("src/error.rs", "use crate::ring::read::Read;"),
        ("src/ring/mod.rs", "use crate::disk::{raw, seam};\nuse super::error::Error;"),
        ("src/ring/mod.rs", "// crate::queue\nmod tests { use super::*; }"),
        ("tests/wrap.rs", "use crate::anything;"),
    ];
    for (path, text) in good {
        assert_eq!(findings(imports_go_down, path, text), [], "{path}: {text}");
    }
}

pub(crate) fn root_holds_only_reexports(source: &Source, _: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut at = if source.path == "src/lib.rs" { 0 } else { source.code.len() };
    while at < source.code.len() {
        let rest = source.code[at..].trim_start();
        at = source.code.len() - rest.len();
        let length = if rest.starts_with('#') { attribute_bytes(rest) } else { item_bytes(rest) };
        let item = &rest[..length];
        let known = ROOT_ITEMS.iter().any(|start| item.starts_with(start)) && item.ends_with(';');
        if !item.is_empty() && !item.starts_with('#') && !known {
            let what = "src/lib.rs holds docs, attributes, `mod` and `pub use` only".to_owned();
            findings.push((source.line_at(at), what));
        }
        at += length.max(1);
    }
    findings
}

#[test]
fn code_in_the_root_is_found() {
    let rule = root_holds_only_reexports;
    let good = "//! Docs.\n#![deny(x)]\nmod a;\n#[cfg(test)]\npub mod b;\npub use a::{B, C};\n";
    assert_eq!(findings(rule, "src/lib.rs", good), []);
    for bad in ["fn f() {}", "mod a {}", "use a::B;", "pub const A: u8 = 1;", "pub struct A;"] {
        let text = format!("{good}{bad}\n");
        assert_eq!(findings(rule, "src/lib.rs", &text).len(), 1, "{bad}");
        assert_eq!(findings(rule, "cli/src/lib.rs", &text), [], "{bad}");
    }
}

pub(crate) fn banned_spellings(source: &Source, _: &[String]) -> Vec<Finding> {
    let applies = |ban: &&Ban| {
        let inside = ban.within.iter().any(|folder| source.path.starts_with(folder));
        inside && !ban.homes.iter().any(|home| source.path.starts_with(home))
    };
    let mut findings = Vec::new();
    for ban in BANS.iter().filter(applies) {
        for at in spelt_at(&source.code, ban.spelling) {
            let what = format!("`{}` does not belong here: {}", ban.spelling, ban.instead);
            findings.push((source.line_at(at), what));
        }
    }
    findings
}

#[test]
fn a_banned_spelling_is_found_outside_its_home() {
    let bad = [
        ("src/ring/shard.rs", "fn f() { unsafe { g() } }"),
        ("benches/peers/src/store/mod.rs", "fn f() { unsafe { g() } }"),
        ("src/ring/shard.rs", "use std::fs::File;"),
        ("src/ring/shard.rs", "use std::{fs::File, io};"),
        ("src/ring/shard.rs", "fn f() { Instant::now(); }"),
        ("src/error.rs", "fn f() { SystemTime::now(); }"),
        ("cli/src/main.rs", "fn f() { println!(); }"),
        ("tests/wrap.rs", "fn f() { dbg!(1); }"),
        ("benches/ring.rs", "fn f() { todo![] }"),
        ("examples/tail.rs", "fn f() { unimplemented![] }"),
    ];
    for (path, text) in bad {
        assert!(fails(banned_spellings, path, text), "{path}: {text}");
    }
    let good = [
        ("src/disk/raw/map.rs", "fn f() { unsafe { g() } }"),
        ("benches/peers/src/lmdb.rs", "fn f() { unsafe { g() } }"),
        ("src/disk/real.rs", "use std::fs::File;"),
        ("src/lib.rs", "#![deny(unsafe_code)] // unsafe"),
        ("examples/tail.rs", "fn f() { println!(); }"),
        ("cli/src/main.rs", "fn f() { eprintln!(); }"),
    ];
    for (path, text) in good {
        assert_eq!(findings(banned_spellings, path, text), [], "{path}: {text}");
    }
}

/// Where a spelling stands; one from `std` also where a group such as `use std::{..}` holds it.
fn spelt_at<'a>(code: &'a str, spelling: &'a str) -> Vec<usize> {
    let mut found: Vec<usize> = places(code, spelling).collect();
    for at in places(code, "std::{").filter(|_| spelling.starts_with("std::")) {
        let mut paths = Vec::new();
        expand(&code[at..], "", &mut paths);
        found.extend(paths.iter().filter(|path| is_below(path, spelling)).map(|_| at));
    }
    found
}

/// Whether the path is `room` or something in it.
fn is_below(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The explanation stands in the comment right above the statement. Clippy is the finer net: it
/// wants one for each block, and this rule for functions and impls too.
pub(crate) fn unsafe_is_explained(source: &Source, _: &[String]) -> Vec<Finding> {
    let starts = places(&source.code, "unsafe").filter(|at| {
        let next = source.code[at + "unsafe".len()..].trim_start();
        next.starts_with('{') || ["impl", "fn", "extern"].contains(&name_at(next))
    });
    let lines = starts.map(|at| source.line_at(at)).filter(|line| !explained(source, *line));
    lines.map(|line| (line, "unsafe without a `SAFETY:` comment above it".to_owned())).collect()
}

fn explained(source: &Source, line: usize) -> bool {
    let text: Vec<&str> = source.text.lines().take(line).collect();
    let code: Vec<&str> = source.code.lines().take(line).collect();
    for (above, (text, code)) in text.iter().zip(&code).rev().enumerate() {
        let is_end = code.trim_end().ends_with([';', '{', '}']);
        if above > 0 && (is_end || text.trim().is_empty()) {
            return false;
        }
        if text.contains("// SAFETY:") || text.contains("/// # Safety") {
            return true;
        }
    }
    false
}

#[test]
fn unsafe_without_its_reason_is_found() {
    let bad = [
        "fn f() {\n    // SAFETY: of another statement.\n    a();\n    unsafe { g() }\n}",
        "// SAFETY: too far away.\n\nunsafe impl Send for A {}",
        "/// Docs.\nunsafe fn f() {}",
        "// A remark.\nlet a = unsafe { g() };",
    ];
    for text in bad {
        assert!(fails(unsafe_is_explained, "src/disk/raw/map.rs", text), "{text}");
    }
    let good = [
        "// SAFETY: held\n// by all.\n#[cold]\nunsafe impl Send for A {}",
        "/// # Safety\n///\n/// Words.\npub unsafe fn f() {}",
        "// SAFETY: in bounds.\nlet a =\n    unsafe { g() };",
        "let f: unsafe_fn = 1;",
    ];
    for text in good {
        assert_eq!(findings(unsafe_is_explained, "src/disk/raw/map.rs", text), [], "{text}");
    }
}

pub(crate) fn ascii_only(source: &Source, _: &[String]) -> Vec<Finding> {
    let lines = source.text.lines().zip(1..).filter(|(line, _)| !line.is_ascii());
    lines.map(|(_, number)| (number, "a character that is not ASCII".to_owned())).collect()
}

#[test]
fn a_character_outside_ascii_is_found_with_its_line() {
    assert_eq!(findings(ascii_only, "docs/A.md", "a\n\u{e9}\n")[0].0, 2);
    assert!(!fails(ascii_only, "docs/A.md", "e\n"));
}

pub(crate) fn lines_fit(source: &Source, _: &[String]) -> Vec<Finding> {
    let lengths = source.text.lines().map(|line| line.chars().count()).zip(1..);
    let long = lengths.filter(|(length, _)| *length > COLUMNS_MAX);
    long.map(|(length, line)| (line, format!("{length} columns, of {COLUMNS_MAX}"))).collect()
}

#[test]
fn a_line_past_the_last_column_is_found() {
    let fits = "x".repeat(COLUMNS_MAX);
    assert!(!fails(lines_fit, "a.rs", &fits));
    assert_eq!(findings(lines_fit, "a.rs", &format!("\n{fits}x"))[0].0, 2);
}

pub(crate) fn files_are_short(source: &Source, _: &[String]) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let long = (lines > FILE_LINES_MAX).then(|| format!("{lines} lines, of {FILE_LINES_MAX}"));
    long.map(|what| (lines, what)).into_iter().collect()
}

#[test]
fn a_file_past_the_last_line_is_found() {
    assert!(!fails(files_are_short, "a.rs", &"\n".repeat(FILE_LINES_MAX)));
    assert!(fails(files_are_short, "a.rs", &"\n".repeat(FILE_LINES_MAX + 1)));
}

pub(crate) fn functions_are_short(source: &Source, _: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, start, end) in functions(&source.code) {
        let lines = source.line_at(end) - source.line_at(start) + 1;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("fn {name} has {lines} lines, of {FUNCTION_LINES_MAX}");
            findings.push((source.line_at(start), what));
        }
    }
    findings
}

#[test]
fn a_long_function_is_found_where_it_begins() {
    let function = |lines| format!("\nfn f(a: [u8; 2]) {{\n{}}}\n", "    a();\n".repeat(lines));
    assert!(!fails(functions_are_short, "a.rs", &function(FUNCTION_LINES_MAX - 2)));
    assert_eq!(findings(functions_are_short, "a.rs", &function(FUNCTION_LINES_MAX - 1))[0].0, 2);
}

pub(crate) fn no_notes(source: &Source, _: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for note in NOTES {
        for (at, _) in source.text.match_indices(note) {
            let line = source.text[..at].matches('\n').count() + 1;
            findings.push((line, format!("`{note}`: do it now, or file an issue")));
        }
    }
    findings
}

#[test]
fn a_note_is_found_in_a_comment_too() {
    for note in NOTES {
        assert_eq!(findings(no_notes, "a.rs", &format!("\n// {note}: later"))[0].0, 2);
    }
    assert!(!fails(no_notes, "a.rs", "// Done."));
}

pub(crate) fn test_names_are_sentences(source: &Source, _: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, at, _) in functions(&source.code) {
        let start = source.code[..at].rfind([';', '{', '}']).unwrap_or(0);
        let attributes = &source.code[start..at];
        let last = name.rsplit('_').next().unwrap_or(name);
        let numbered = last.ends_with(|end: char| end.is_ascii_digit());
        let bad = name.starts_with("test_") || numbered && !WORDS_WITH_DIGITS.contains(&last);
        if bad && (attributes.contains("#[test]") || attributes.contains("::test]")) {
            findings.push((source.line_at(at), format!("`{name}` is no sentence: say what holds")));
        }
    }
    findings
}

#[test]
fn a_test_that_is_named_by_a_prefix_or_a_number_is_found() {
    for name in ["test_wrap", "wrap_2", "regression7"] {
        let text = format!("#[test]\n#[ignore = \"long\"]\nfn {name}() {{}}");
        assert!(fails(test_names_are_sentences, "a.rs", &text), "{name}");
        assert!(!fails(test_names_are_sentences, "a.rs", &format!("fn {name}() {{}}")), "{name}");
    }
    let text = "#[test]\nfn a_slot_of_zeros_fails_its_crc32() {}";
    assert!(!fails(test_names_are_sentences, "a.rs", text));
}

pub(crate) fn lints_come_from_the_workspace(source: &Source, _: &[String]) -> Vec<Finding> {
    let section = source.text.split("\n[lints]\n").nth(1).unwrap_or_default();
    let inherits = section.lines().take_while(|line| !line.starts_with('['));
    if inherits.into_iter().any(|line| line.trim() == "workspace = true") {
        return Vec::new();
    }
    vec![(1, "no `[lints]` with `workspace = true`".to_owned())]
}

#[test]
fn a_package_with_lints_of_its_own_is_found() {
    let rule = lints_come_from_the_workspace;
    let inherits = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
    assert!(!fails(rule, "Cargo.toml", inherits));
    for bad in ["[package]\n", "[a]\n\n[lints]\n\n[b]\nworkspace = true\n"] {
        assert!(fails(rule, "Cargo.toml", bad), "{bad}");
    }
}
