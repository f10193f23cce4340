//! Goal: the example of the spill vector joins and sorts what it should, says what it leaves out,
//! and keeps to its memory.
//!
//! Method: run it. Plain `cargo test` builds it too, and puts it beside the tests. Before
//! `cargo test --test epg` alone, `cargo build --example epg_ingest` has to.

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// For its own tests, which nobody else runs.
#[path = "../examples/epg_ingest/time.rs"]
mod time;

/// `target/debug/examples/epg_ingest`, of this test in `target/debug/deps`.
fn program() -> PathBuf {
    let tests = env::current_exe().expect("this program");
    let build = tests.ancestors().nth(2).expect("a directory of the build");
    build.join("examples").join("epg_ingest")
}

/// A directory with these files in it, in which the example is run.
struct Desk(TempDir);

impl Desk {
    fn with(files: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().expect("a directory"));
        for (name, text) in files {
            fs::write(desk.path(name), text).expect("a file");
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// With arguments that stand in one line.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(program());
        command.args(arguments.split_whitespace()).current_dir(&self.0);
        command
    }

    fn run(&self, arguments: &str) -> Output {
        let output = self.command(arguments).stdin(Stdio::null()).output();
        output.expect("the example: `cargo build --example epg_ingest` builds it")
    }

    /// What it wrote and what it reported; it must have succeeded.
    fn succeed(&self, arguments: &str) -> (String, String) {
        said(self.run(arguments))
    }

    /// The one line that it complained with, and its exit code; it must have written nothing.
    fn complain(&self, arguments: &str) -> (Option<i32>, String) {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!((text.lines().count(), output.stdout.len()), (1, 0), "{text}");
        (output.status.code(), text)
    }
}

fn said(output: Output) -> (String, String) {
    let report = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(0), "{report}");
    (String::from_utf8(output.stdout).expect("text"), report)
}

/// The number behind these words.
fn number_behind(text: &str, words: &str) -> u64 {
    let behind = text.split(words).nth(1).unwrap_or_else(|| panic!("{words:?} is not in\n{text}"));
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next().expect("there is one");
    digits.parse().unwrap_or_else(|_| panic!("no number is behind {words:?} in\n{text}"))
}

/// With a byte order mark before it and CRLF for its lines, as editors of old leave it.
const PLAYLIST: &str = r#"#EXTM3U url-tvg="http://example.com/guide.xml"
#EXTINF:-1 tvg-id="news" tvg-name="N" group-title="News, live",News "24"
#EXTVLCOPT:network-caching=1000
http://example.com/news.ts

#EXTINF:-1,Radio & More
http://example.com/radio.ts
#EXTINF:-1 tvg-id="news",News backup
http://example.com/backup.ts
#EXTINF:-1 tvg-id="film",without a URL
#EXTINF:-1 tvg-id="film",Film
http://example.com/film.ts
http://example.com/stray.ts
#EXTINF:-1 tvg-id="film",the last one, without a URL"#;

/// The same way.
const GUIDE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tv SYSTEM "xmltv.dtd">
<!-- <programme/> -->
<tv generator-info-name="a hand">
<channel id="news"><display-name>Other</display-name><icon src="x"/></channel>
<channel id="r1"><display-name>R</display-name><display-name>Radio &amp; More</display-name>
</channel>
<programme start="20260102030405 +0100" stop="20260102040000 +0100" channel="news">
<title lang="en">Wind &amp; &#82;ain<![CDATA[ <live>]]></title><title>second</title>
<desc> "Storms"
in the north </desc><credits><actor>title</actor></credits><category>Weather</category>
</programme>
<programme channel='film' start='20251231233000 -0500'><title/></programme>
<programme start="202601020204" channel="r1"><title>Song</title></programme>
<programme start="20260102" channel="unknown"><title>Nobody</title></programme>
<programme start="20260102" channel="unknown"><title>Nobody</title></programme>
<programme start="20260230" channel="news"><title>No day</title></programme>
<programme start="20260102" stop="late" channel="news"><title>No end</title></programme>
<programme start="20260102"><title>No channel</title></programme>
</tv>
"#;

/// A line that ends with a comma goes on in the next.
const LINES: &str = r#"{"start":"2026-01-01T04:30:00Z","channel":"film","name":"Film",
"url":"http://example.com/film.ts","title":""}
{"start":"2026-01-02T02:04:00Z","channel":"Radio & More","name":"Radio & More",
"url":"http://example.com/radio.ts","title":"Song"}
{"start":"2026-01-02T02:04:05Z","stop":"2026-01-02T03:00:00Z","channel":"news",
"name":"News \"24\"","group":"News, live","url":"http://example.com/news.ts",
"title":"Wind & Rain <live>","category":"Weather","desc":"\"Storms\"\nin the north"}
{"start":"2026-01-02T02:04:05Z","stop":"2026-01-02T03:00:00Z","channel":"news",
"name":"News backup","url":"http://example.com/backup.ts",
"title":"Wind & Rain <live>","category":"Weather","desc":"\"Storms\"\nin the north"}
"#;

fn lines() -> String {
    LINES.replace(",\n", ",")
}

/// A desk with the playlist and the guide.
fn desk() -> Desk {
    let old = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    Desk::with(&[("list.m3u", &old(PLAYLIST)), ("guide.xml", &old(GUIDE))])
}

#[test]
fn programmes_are_joined_with_their_entries_and_sorted_and_what_is_not_is_told() {
    let (written, report) = desk().succeed("--playlist list.m3u --guide guide.xml");
    assert_eq!(written, lines());
    let told: Vec<&str> = report.lines().take(9).collect();
    assert_eq!(
        told,
        [
            "playlists: 4 entries",
            "guides: 2 channels, 8 programmes",
            "skipped: URLs without a name: 1, the first at list.m3u line 13",
            "skipped: entries without a URL: 2, the first at list.m3u line 10",
            "skipped: programmes of channels that are in no playlist: 2, \
             the first at guide.xml byte 810",
            "skipped: programmes with a start or stop that is no time: 2, \
             the first at guide.xml byte 969",
            "skipped: programmes without a channel: 1, the first at guide.xml byte 1122",
            "entries: 4 in memory, 0 KiB",
            "programmes: 3 in memory, 0 KiB",
        ]
    );
}

#[test]
fn standard_input_is_read_and_a_file_is_written() {
    for (file, arguments) in [
        ("guide.xml", "--playlist list.m3u --guide - --out lines.ndjson"),
        ("list.m3u", "--playlist - --guide guide.xml --out lines.ndjson"),
    ] {
        let desk = desk();
        let input = File::open(desk.path(file)).expect("a file");
        let output = desk.command(arguments).stdin(input).output().expect("the example");
        let (written, report) = said(output);
        assert!(written.is_empty() && report.contains("the first at standard input"), "{report}");
        assert_eq!(fs::read_to_string(desk.path("lines.ndjson")).expect("lines"), lines());
    }
}

#[test]
fn several_playlists_and_guides_are_one() {
    let desk = desk();
    let playlist = "#EXTM3U\n#EXTINF:-1 tvg-id=\"unknown\",U\nhttp://example.com/u.ts\n";
    fs::write(desk.path("more.m3u"), playlist).expect("a file");
    let guide = "<tv><programme start=\"20260101\" channel=\"film\"/></tv>";
    fs::write(desk.path("more.xml"), guide).expect("a file");
    let arguments = "--playlist list.m3u --guide guide.xml --guide more.xml --playlist more.m3u";
    let (written, _) = desk.succeed(arguments);
    let channels: Vec<&str> = written.lines().filter_map(|line| line.split('"').nth(7)).collect();
    assert_eq!(channels[..2], ["film", "film"], "{written}");
    assert!(written.starts_with("{\"start\":\"2026-01-01T00:00:00Z\""), "{written}");
    assert_eq!(written.matches("\"channel\":\"unknown\"").count(), 2, "{written}");
    assert_eq!(written.lines().count(), 4 + 1 + 2, "{written}");
}

#[test]
fn names_and_attributes_of_entries_may_have_commas_and_quotes() {
    for (info, id, fields) in [
        (r#"-1 tvg-id="a" tvg-name="b",c"#, "a", r#""channel":"a","name":"c","url":"u""#),
        (
            r#"-1 TVG-ID="a" group-title="x, tvg-id=y",One, "Two""#,
            "a",
            r#""channel":"a","name":"One, \"Two\"","group":"x, tvg-id=y","url":"u""#,
        ),
        (r#"-1 tvg-id="" tvg-name="b",c"#, "b", r#""channel":"b","name":"c","url":"u""#),
        (r#"-1 tvg-id=" a ","#, "a", r#""channel":"a","name":"a","url":"u""#),
        (r#"0 x-tvg-id="z",c"#, "c", r#""channel":"c","name":"c","url":"u""#),
    ] {
        let playlist = format!("#EXTM3U\n#EXTINF:{info}\nu\n");
        let guide = format!("<tv><programme start=\"20260101\" channel=\"{id}\"/></tv>");
        let desk = Desk::with(&[("list.m3u", &playlist), ("guide.xml", &guide)]);
        let (written, _) = desk.succeed("--playlist list.m3u --guide guide.xml");
        assert!(written.contains(fields), "{fields}\n{written}");
    }
}

#[test]
fn channels_that_are_known_by_name_alone_have_their_share_of_memory() {
    let listed = |count| format!("#EXTINF:-1,TV {count}\nu\n");
    let guided = |count| {
        let name = format!("<display-name>TV {count}</display-name>");
        let programme = format!("<programme start=\"20260101\" channel=\"{count}\"/>");
        format!("<channel id=\"{count}\">{name}</channel>{programme}\n")
    };
    let all = |each: &dyn Fn(u32) -> String| (0..10_000).map(each).collect::<String>();
    let playlist = format!("#EXTM3U\n{}", all(&listed));
    let guide = format!("<tv>{}</tv>", all(&guided));
    let desk = Desk::with(&[("list.m3u", &playlist), ("guide.xml", &guide)]);
    let (written, _) = desk.succeed("--playlist list.m3u --guide guide.xml");
    assert_eq!(written.lines().count(), 10_000);
    let (code, text) = desk.complain("--playlist list.m3u --guide guide.xml --memory 24MiB");
    let complaint = "epg_ingest: too many channels are known by their name alone: ";
    assert!(code == Some(1) && text.starts_with(complaint), "{text}");
}

/// A playlist and a guide of its own making, with so many channels, and how many programmes.
fn generated(listed: u64, guided: u64, days: u64) -> (Desk, u64) {
    let desk = Desk::with(&[]);
    let generate = |channels, file| {
        desk.succeed(&format!("generate --days {days} --channels {channels} {file}"))
    };
    generate(listed, "--playlist list.m3u");
    let (_, report) = generate(guided, "--guide guide.xml");
    (desk, number_behind(&report, " channels, "))
}

/// Joins what was generated, checks the order, and that there is a line for each programme; what
/// was reported.
fn join_generated(desk: &Desk, programmes: u64, memory: &str, out: &str) -> String {
    let files = format!("--playlist list.m3u --guide guide.xml --temp . --out {out}");
    let (_, report) = desk.succeed(&format!("{files} --memory {memory}"));
    let mut before = String::new();
    let mut count = 0;
    for line in BufReader::new(File::open(desk.path(out)).expect("lines")).lines() {
        let line = line.expect("a line");
        let start = line.get(10..30).expect("it begins with its start");
        assert!(*before <= *start, "{start} after {before}");
        (before, count) = (start.to_owned(), count + 1);
    }
    assert_eq!(count, programmes, "{report}");
    assert!(!report.contains("skipped"), "{report}");
    assert_eq!(number_behind(&report, "written: "), programmes);
    report
}

/// That the process had no more memory than it may have.
fn check_memory(report: &str) {
    let (had, may) = (number_behind(report, "memory: "), number_behind(report, " KiB of "));
    assert!(had <= may, "{report}");
}

#[test]
fn what_does_not_fit_into_memory_comes_out_the_same() {
    let (desk, programmes) = generated(300, 300, 7);
    let small = join_generated(&desk, programmes, "24MiB", "small.ndjson");
    assert!(small.contains(" on the disk, "), "{small}");
    check_memory(&small);
    let files = "--playlist list.m3u --guide guide.xml --memory 24MiB";
    let (code, text) = desk.complain(&format!("{files} --temp none"));
    assert!(code == Some(1) && text.contains(" temporary file in none: "), "{text}");
    let large = join_generated(&desk, programmes, "1GiB", "large.ndjson");
    assert!(!large.contains(" on the disk, "), "{large}");
    let [small, large] =
        ["small.ndjson", "large.ndjson"].map(|name| fs::read(desk.path(name)).expect("lines"));
    assert!(small == large, "the disk makes a difference");
}

#[test]
fn channels_that_do_not_fit_into_memory_are_found_on_the_disk() {
    let (desk, programmes) = generated(30_000, 500, 1);
    let report = join_generated(&desk, programmes, "24MiB", "lines.ndjson");
    assert!(report.contains("entries: 30000 on the disk, "), "{report}");
    check_memory(&report);
}

#[test]
#[ignore = "millions of programmes take minutes, and gigabytes of disk"]
fn millions_of_programmes_stay_below_64_mib() {
    let (desk, programmes) = generated(50_000, 50_000, 7);
    assert!(programmes > 8_000_000, "{programmes}");
    check_memory(&join_generated(&desk, programmes, "64MiB", "lines.ndjson"));
}

#[test]
fn damaged_files_end_it_and_are_named_with_the_place() {
    for (guide, complaint) in [
        ("<tv><programme></tv>", "byte 15: ill-formed document: "),
        ("<tv><programme channel=\"news\"", "byte 4: syntax error: "),
        ("<tv><programme><title>", "byte 22: it ends within an element"),
        ("<tv><programme channel=news/></tv>", "byte 29: "),
        ("<tv><title>&nbsp;</title></tv>", "byte 17: &nbsp; stands for nothing"),
        ("<tv>a & b</tv>", "byte 6: "),
        ("<tv>\0</tv><tv/>", "byte 15: <tv> where a single <tv> is expected"),
        ("<html></html>", "byte 6: <html> where a single <tv> is expected"),
        ("BEGIN:VCALENDAR", "byte 15: text outside of <tv>"),
        ("", "byte 0: there is no <tv>"),
    ] {
        let desk = desk();
        fs::write(desk.path("bad.xml"), guide).expect("a file");
        let (code, text) = desk.complain("--playlist list.m3u --guide guide.xml --guide bad.xml");
        assert_eq!(code, Some(1), "{text}");
        let begin = format!("epg_ingest: bad.xml {complaint}");
        assert!(text.starts_with(&begin), "{begin}\n{text}");
    }
}

#[test]
fn what_is_no_playlist_and_what_cannot_be_opened_is_refused() {
    let desk = desk();
    fs::write(desk.path("bytes"), b"#EXTM3U\n\xff\n").expect("a file");
    fs::write(desk.path("latin"), b"<tv><title>Caf\xe9</title></tv>").expect("a file");
    fs::write(desk.path("empty"), "").expect("a file");
    fs::write(desk.path("long"), format!("#EXTM3U {}", "x".repeat(1 << 18))).expect("a file");
    fs::write(desk.path("wide"), format!("<tv><desc>{}", "x".repeat(1 << 18))).expect("a file");
    for (arguments, complaint) in [
        ("--playlist guide.xml --guide guide.xml", "guide.xml line 1: a playlist begins with "),
        ("--playlist bytes --guide guide.xml", "bytes line 2: invalid utf-8 "),
        ("--playlist empty --guide guide.xml", "empty: an empty file"),
        ("--playlist long --guide guide.xml", "long line 1: more than 262144 bytes in one "),
        ("--playlist list.m3u --guide latin", "latin byte 15: cannot decode input using UTF-8: "),
        ("--playlist list.m3u --guide wide", "wide byte "),
        ("--playlist none --guide guide.xml", "cannot read none: "),
        ("--playlist list.m3u --guide .", ". byte "),
        ("--playlist list.m3u --guide guide.xml --out none/x", "cannot write none/x: "),
    ] {
        let (code, text) = desk.complain(arguments);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.starts_with(&format!("epg_ingest: {complaint}")), "{text}");
    }
}

#[test]
fn wrong_arguments_are_told_and_help_is_given() {
    let desk = Desk::with(&[]);
    for arguments in [
        "",
        "--playlist x",
        "--guide x",
        "--playlist x --guide",
        "--playlist - --guide -",
        "--playlist x --guide x --memory 23MiB",
        "--playlist x --guide x --memory 64MB",
        "--playlist x --guide x --memory 99999999999G",
        "--playlist x --guide x --colour red",
        "generate --channels 1 --days 1",
        "generate --channels 0 --days 1 --guide x",
        "generate --days 1 --guide x",
        "generate --channels 1 --days 1 --guide - --playlist -",
        "generate --channels 1 --days one --guide x",
    ] {
        let (code, text) = desk.complain(arguments);
        assert_eq!(code, Some(2), "{arguments}: {text}");
        assert!(text.starts_with("epg_ingest: "), "{text}");
    }
    let (help, report) = desk.succeed("--help");
    assert!(help.starts_with("usage: epg_ingest ") && report.is_empty(), "{report}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let (desk, _) = generated(20, 20, 7);
    for arguments in
        ["--playlist list.m3u --guide guide.xml", "generate --channels 1000 --days 7 --guide -"]
    {
        let mut command = desk.command(arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the example");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(lines.next().expect("a line").is_ok());
        drop(lines);
        let mut errors = String::new();
        let mut pipe = child.stderr.take().expect("a pipe");
        pipe.read_to_string(&mut errors).expect("text");
        let code = child.wait().expect("it ends").code();
        assert_eq!((code, &*errors), (Some(0), ""), "{arguments}");
    }
}
