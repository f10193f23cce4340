//! The paths of a source file, spelt out from the crate's root.

use crate::Source;
use crate::code::{block_end, find, name_at, places};

/// `src/disk/raw/mod.rs` is `disk::raw`; a path that is not in `src/` has no module.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let Some(path) = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")) else {
        return Vec::new();
    };
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// Each path from `crate` or `super`, with groups spelt out, as a path from the crate's root.
pub(crate) fn crate_paths(source: &Source, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let starts = ["crate::", "super::"].into_iter().flat_map(|word| places(&source.code, word));
    let mut paths = Vec::new();
    for at in starts.filter(|at| !source.code[..*at].ends_with("::")) {
        let mut spelt = Vec::new();
        expand(&source.code[at..], "", &mut spelt);
        for path in spelt {
            let mut absolute = module.to_vec();
            absolute.resize(module.len() + inline_depth(&source.code, at), "(inline)".to_owned());
            for segment in path.split("::") {
                match segment {
                    "crate" => absolute.clear(),
                    "super" => drop(absolute.pop()),
                    "self" | "" => {}
                    name => absolute.push(name.to_owned()),
                }
            }
            paths.push((at, absolute));
        }
    }
    paths
}

/// Spells out the path or group at the start of `code`; gives the bytes that it read.
pub(crate) fn expand(code: &str, prefix: &str, paths: &mut Vec<String>) -> usize {
    let mut at = code.len() - code.trim_start().len();
    if code[at..].starts_with('{') {
        at += 1;
        while !code[at..].trim_start().starts_with('}') && at < code.len() {
            at += expand(&code[at..], prefix, paths);
            at += find(&code.as_bytes()[at..], b",").min(find(&code.as_bytes()[at..], b"}"));
            at += usize::from(code[at..].starts_with(','));
        }
        return (at + find(&code.as_bytes()[at..], b"}") + 1).min(code.len());
    }
    let star = usize::from(code[at..].starts_with('*'));
    let name = &code[at..at + name_at(&code[at..]).len().max(star)];
    at += name.len();
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    let rest = code[at..].strip_prefix("::").map(str::trim_start);
    if rest.is_some_and(|rest| rest.starts_with(['{', '*', '_']) || !name_at(rest).is_empty()) {
        return at + 2 + expand(&code[at + 2..], &path, paths);
    }
    paths.push(path);
    at
}

/// How many `mod name { .. }` surround the offset.
fn inline_depth(code: &str, offset: usize) -> usize {
    let blocks = places(&code[..offset], "mod ").filter(|at| {
        let open =
            at + find(&code.as_bytes()[*at..], b"{").min(find(&code.as_bytes()[*at..], b";"));
        code[open..].starts_with('{') && (open..block_end(code, open)).contains(&offset)
    });
    blocks.count()
}

#[test]
fn groups_and_supers_are_spelt_out() {
    let text = "use crate::{a, b::{self, C as D}, e::*};\nmod tests { use super::super::f; }";
    let source = Source::new("src/ring/reader.rs", text);
    let paths = crate_paths(&source, &module_of(&source.path));
    let spelt: Vec<String> = paths.into_iter().map(|(_, path)| path.join("::")).collect();
    assert_eq!(spelt, ["a", "b", "b::C", "e::*", "ring::f"]);
}

#[test]
fn a_gate_and_a_file_have_the_module_of_their_place() {
    assert_eq!(module_of("src/disk/raw/mod.rs"), ["disk", "raw"]);
    assert_eq!(module_of("src/disk/seam.rs"), ["disk", "seam"]);
    assert!(module_of("src/lib.rs").is_empty());
    assert!(module_of("cli/src/main.rs").is_empty());
}
