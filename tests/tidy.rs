//! Goal: the rules of the house that no compiler knows are kept by every file of the tree.
//!
//! Method: read the sources, blank their comments and literals, and look. Each rule is a function
//! from one file to the findings in it, listed in [`RULES`]. Each table says why its rows exist. In
//! `tidy/rules.rs` each rule stands beside a test that feeds it a bad snippet. To change a rule,
//! change its row and its reason.
//!
//! The brace counting is right for code that rustfmt has formatted, which `.ci/run` checks.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/rules.rs"]
mod rules;

use std::fs;
use std::path::Path;

use code::code_of;
use paths::module_of;

/// What a room of `src/`, or one file of it, may import from the crate besides itself.
struct Floor {
    room: &'static str,
    imports: &'static [&'static str],
}

/// The floors, from the ground up; the longest row that fits a file rules it. A room that is in no
/// row is a finding: a new one says here what it stands on. No structure imports another; what two
/// of them share moves down a floor.
const FLOORS: &[Floor] = &[
    // Errors repeat facts of the pure files to the caller: the geometry, the outcome of a read.
    Floor { room: "error", imports: &["ring::lookup", "ring::read", "ring::schema"] },
    // The pure files that an error may name: arithmetic and values, on the ground floor as it is.
    Floor { room: "ring::lookup", imports: &["error"] },
    Floor { room: "ring::read", imports: &["error", "ring::lookup"] },
    Floor { room: "ring::schema", imports: &["error", "ring::lookup"] },
    // Known bugs for the torture: a switch that is off.
    Floor { room: "planted", imports: &[] },
    Floor { room: "disk", imports: &["error", "planted"] },
    Floor { room: "ring", imports: &["error", "disk", "planted"] },
    Floor { room: "queue", imports: &["error", "disk", "planted"] },
    Floor { room: "spill_vec", imports: &["error", "disk"] },
    Floor { room: "spool", imports: &["error", "disk"] },
    Floor { room: "store", imports: &["error", "disk"] },
    // What the fuzz targets call, behind `test-util`: it drives every structure.
    Floor {
        room: "fuzz",
        imports: &["error", "disk", "ring", "queue", "spill_vec", "spool", "store"],
    },
];

/// A spelling that code within some folders may not use, except in its home.
struct Ban {
    spelling: &'static str,
    within: &'static [&'static str],
    homes: &'static [&'static str],
    instead: &'static str,
}

const ANYWHERE: &[&str] = &[""];
const SHIPPED: &[&str] = &["src/", "cli/src/"];
const LIBRARY: &[&str] = &["src/"];
const NOWHERE: &[&str] = &[];

const BANS: &[Ban] = &[
    Ban {
        spelling: "unsafe",
        within: ANYWHERE,
        // The others open LMDB and copy to and from a mapping, in a package that nobody links.
        homes: &[
            "src/disk/raw/",
            "benches/peers/src/lmdb.rs",
            "benches/peers/src/ring/sides/limit.rs",
        ],
        instead: "call a safe function of src/disk/raw, the only room with unsafe code",
    },
    Ban {
        spelling: "std::fs",
        within: LIBRARY,
        homes: &["src/disk/"],
        instead: "go through src/disk/seam.rs, so that the simulated disk sees it",
    },
    Ban {
        spelling: "Instant::now",
        within: LIBRARY,
        homes: &["src/disk/"],
        instead: "ask src/disk/seam.rs for the time, so that a simulation can set it",
    },
    Ban {
        spelling: "SystemTime::now",
        within: LIBRARY,
        homes: &["src/disk/"],
        instead: "ask src/disk/seam.rs for the time, so that a simulation can set it",
    },
    Ban {
        spelling: "println!",
        within: SHIPPED,
        homes: NOWHERE,
        instead: "use writeln!, whose error says that the pipe was closed",
    },
    Ban { spelling: "dbg!", within: ANYWHERE, homes: NOWHERE, instead: "remove it" },
    Ban {
        spelling: "todo!",
        within: ANYWHERE,
        homes: NOWHERE,
        instead: "write the code or leave the function out",
    },
    Ban {
        spelling: "unimplemented!",
        within: ANYWHERE,
        homes: NOWHERE,
        instead: "write the code or leave the function out",
    },
];

/// Notes that nobody comes back to, wherever they stand; spelt so that this file has none.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// How an item of `src/lib.rs` may begin. The last one names the platforms.
const ROOT_ITEMS: &[&str] = &["mod ", "pub mod ", "pub(crate) mod ", "pub use ", "compile_error!"];

/// Last words of a test's name that end in digits and are words all the same.
const WORDS_WITH_DIGITS: &[&str] = &[
    "crc32", "lz4", "3339", "sha256", "utf8", "x86", "u8", "u16", "u32", "u64", "i64", "f32", "f64",
];

/// What the walker reads, where it exists, below the root.
const FOLDERS: &[&str] = &["src", "cli", "tests", "benches", "fuzz", "examples", "torture", "docs"];
/// What it does not enter: build output, fuzz inputs, bytes kept for tests.
const SKIPPED: &[&str] = &["target", "corpus", "artifacts", "generated", "fixtures"];

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// A rule: the end of the paths it reads, and what it finds in one file.
struct Rule {
    path_end: &'static str,
    check: fn(&Source, &[String]) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule { path_end: ".rs", check: rules::imports_go_down },
    Rule { path_end: ".rs", check: rules::root_holds_only_reexports },
    Rule { path_end: ".rs", check: rules::banned_spellings },
    Rule { path_end: ".rs", check: rules::unsafe_is_explained },
    Rule { path_end: "", check: rules::ascii_only },
    Rule { path_end: ".rs", check: rules::lines_fit },
    Rule { path_end: ".rs", check: rules::files_are_short },
    Rule { path_end: ".rs", check: rules::functions_are_short },
    Rule { path_end: ".rs", check: rules::no_notes },
    Rule { path_end: ".rs", check: rules::test_names_are_sentences },
    Rule { path_end: "Cargo.toml", check: rules::lints_come_from_the_workspace },
];

/// A line, counted from 1, and what is wrong with it.
type Finding = (usize, String);

/// One file: its path below the root, its text, and for Rust the same text with every byte of a
/// comment or literal replaced by a space, so that offsets and lines agree.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }

    fn line_at(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }
}

#[test]
fn every_file_of_the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = tree(root);
    let rooms = rooms_of(&sources);
    let mut findings = Vec::new();
    for source in &sources {
        for rule in RULES.iter().filter(|rule| source.path.ends_with(rule.path_end)) {
            for (line, what) in (rule.check)(source, &rooms) {
                findings.push(format!("{}:{line}: {what}", source.path));
            }
        }
    }
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the walker lost the tree");
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

// The walker.

fn tree(root: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the root has a manifest");
    for member in members(&manifest) {
        let path = Path::new(&member).join("Cargo.toml");
        let text = fs::read_to_string(root.join(&path)).expect("each member has a manifest");
        let path = path.to_string_lossy().trim_start_matches("./").to_owned();
        sources.push(Source::new(&path, &text));
    }
    collect(root, "", false, &mut sources);
    for folder in FOLDERS {
        collect(root, &format!("{folder}/"), true, &mut sources);
    }
    sources
}

/// The paths in the `members` of a workspace manifest.
fn members(manifest: &str) -> Vec<String> {
    let list = manifest.split("\nmembers = [").nth(1).and_then(|rest| rest.split(']').next());
    let quoted = list.expect("the root manifest lists its members").split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

fn collect(root: &Path, folder: &str, deep: bool, sources: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("the folder can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}{name}");
        if entry.file_type().expect("an entry has a type").is_dir() {
            if deep && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                collect(root, &format!("{path}/"), deep, sources);
            }
        } else if [".rs", ".md"].iter().any(|end| name.ends_with(end)) {
            let text = fs::read(entry.path()).expect("a source can be read");
            sources.push(Source::new(&path, &String::from_utf8_lossy(&text)));
        }
    }
}

/// The names of the rooms and files right below `src/`.
fn rooms_of(sources: &[Source]) -> Vec<String> {
    let modules = sources.iter().map(|source| module_of(&source.path));
    modules.filter_map(|module| module.into_iter().next()).collect()
}
