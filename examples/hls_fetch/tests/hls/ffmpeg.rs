//! Streams that ffmpeg has made, and outputs that ffprobe accepts.

use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{program::Place, server::Server, stream::random};

/// Whether ffmpeg and ffprobe can be run; where not, that is told loudly.
fn is_here() -> bool {
    let is_missing = |name: &&str| {
        let ran = Command::new(name).arg("-version").stdout(Stdio::null()).status();
        ran.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    let Some(name) = ["ffmpeg", "ffprobe"].into_iter().find(is_missing) else { return true };
    assert!(std::env::var_os("RINGKEEP_CI").is_none(), "this machine has no {name}");
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: no {name} on this machine, the example hls_fetch is untried on real streams"
    );
    false
}

/// Runs a program in a directory; its arguments are words with spaces between them.
fn run(directory: &Path, program: &str, arguments: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).current_dir(directory).stdin(Stdio::null());
    let output = command.output().expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program} {arguments}: {complaint}");
    String::from_utf8(output.stdout).expect("text")
}

/// Six seconds of picture and sound, and what ffmpeg makes streams of.
struct Studio {
    directory: TempDir,
}

impl Studio {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let studio = Self { directory };
        studio.run(
            "-f lavfi -i testsrc=size=320x180:rate=25 -f lavfi -i sine -t 6 \
             -c:v mpeg2video -g 25 -c:a aac source.ts",
        );
        studio
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run(&self, arguments: &str) {
        run(self.path(), "ffmpeg", &format!("-v error {arguments}"));
    }

    /// Makes a stream of the source, in a folder of this name.
    fn stream(&self, folder: &str, options: &str) {
        fs::create_dir(self.path().join(folder)).expect("a directory");
        self.run(&format!(
            "-i source.ts -c copy -f hls -hls_time 1 -hls_list_size 0 {options} {folder}/list.m3u8"
        ));
    }

    /// Serves all files that there are.
    fn served(&self) -> Server {
        let server = Server::new();
        for folder in fs::read_dir(self.path()).expect("it is there") {
            let folder = folder.expect("an entry").path();
            for file in fs::read_dir(&folder).into_iter().flatten() {
                let file = file.expect("an entry").path();
                let path = file.strip_prefix(self.path()).expect("it is in it");
                server.put(&format!("/{}", path.display()), fs::read(&file).expect("a file"));
            }
        }
        server
    }

    /// The segments of a stream in a row.
    fn segments(&self, folder: &str) -> Vec<u8> {
        let list = fs::read_to_string(self.path().join(folder).join("list.m3u8")).expect("a list");
        let names: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(names.len() >= 4, "{list}");
        let segment = |name| fs::read(self.path().join(folder).join(name)).expect("a segment");
        names.into_iter().flat_map(segment).collect()
    }
}

/// The container, the codecs and the whole seconds of an output that ffprobe has nothing against.
fn probed(place: &Place) -> (String, BTreeSet<String>, u64) {
    let ask = |entries: &str| {
        let arguments = format!("-v error -show_entries {entries} -of csv=p=0:s=| output");
        run(place.path(), "ffprobe", &arguments)
    };
    // It lists the streams of a program once more.
    let streams = ask("stream=codec_name");
    let names = streams.split(['|', '\n']).filter(|name| !name.is_empty()).map(str::to_owned);
    let names: BTreeSet<String> = names.collect();
    let seconds = ask("format=duration").split('.').next().and_then(|it| it.parse().ok());
    (ask("format=format_name").trim().into(), names, seconds.expect("a duration"))
}

fn expected() -> BTreeSet<String> {
    ["aac", "mpeg2video"].map(str::to_owned).into()
}

#[test]
fn streams_of_ffmpeg_come_out_whole_plain_and_encrypted() {
    if !is_here() {
        return;
    }
    let studio = Studio::new();
    fs::write(studio.path().join("key"), random(1, 16)).expect("a key");
    fs::write(studio.path().join("key.info"), "key\nkey\n").expect("a file");
    studio.stream("plain", "");
    studio.stream("encrypted", "-hls_key_info_file key.info");
    fs::copy(studio.path().join("key"), studio.path().join("encrypted/key")).expect("a copy");
    let (plain, server) = (studio.segments("plain"), studio.served());
    assert!(studio.segments("encrypted") != plain);
    for folder in ["plain", "encrypted"] {
        let url = format!("{}/{folder}/list.m3u8", server.url);
        let place = Place::new();
        place.fetched("", &url);
        assert!(place.bytes() == plain, "{folder}");
        assert_eq!(probed(&place), ("mpegts".into(), expected(), 6), "{folder}");
        // The same as one that fits a player.
        let place = Place::new();
        place.fetched("--mp4 --memory 64KiB", &url);
        let (container, codecs, seconds) = probed(&place);
        assert!(container.split(',').any(|name| name == "mp4"), "{container}");
        assert_eq!((codecs, seconds), (expected(), 6), "{folder}");
        assert_eq!(place.names(), ["output"]);
    }
    assert_eq!(server.count("/encrypted/key"), 2);
}

#[test]
fn a_stream_in_fragments_of_mp4_comes_out_whole() {
    if !is_here() {
        return;
    }
    let studio = Studio::new();
    let options = "-bsf:a aac_adtstoasc -hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4";
    studio.stream("fragments", options);
    let init = fs::read(studio.path().join("fragments/init.mp4")).expect("it is there");
    let place = Place::new();
    place.fetched("--resume", &format!("{}/fragments/list.m3u8", studio.served().url));
    assert!(place.bytes() == [init, studio.segments("fragments")].concat());
    let (container, codecs, _) = probed(&place);
    assert!(container.contains("mp4"), "{container}");
    assert_eq!(codecs, expected());
    assert_eq!(place.names(), ["output"]);
}

#[test]
fn of_a_master_playlist_of_ffmpeg_the_wanted_stream_is_fetched() {
    if !is_here() {
        return;
    }
    let studio = Studio::new();
    for folder in ["0", "1"] {
        fs::create_dir(studio.path().join(folder)).expect("a directory");
    }
    let mut command = Command::new("ffmpeg");
    command.args("-v error -i source.ts -map 0:v -map 0:a -map 0:v -map 0:a".split(' '));
    command.args("-c:v mpeg2video -b:v:0 100k -b:v:1 900k -c:a aac -b:a 64k".split(' '));
    command.args("-g 25 -f hls -hls_time 1 -hls_list_size 0 -master_pl_name all.m3u8".split(' '));
    command.args(["-var_stream_map", "v:0,a:0 v:1,a:1", "%v/list.m3u8"]);
    let status = command.current_dir(studio.path()).status().expect("it runs");
    assert!(status.success());
    let server = studio.served();
    let all = fs::read(studio.path().join("all.m3u8")).expect("a playlist");
    server.put("/all.m3u8", all);
    for (bandwidth, folder) in [("lowest", "0"), ("highest", "1")] {
        let place = Place::new();
        let options = format!("--bandwidth {bandwidth}");
        place.fetched(&options, &format!("{}/all.m3u8", server.url));
        assert!(place.bytes() == studio.segments(folder), "{bandwidth}");
        assert_eq!(probed(&place).1, expected());
    }
}

#[test]
fn what_ffmpeg_does_not_accept_leaves_nothing() {
    if !is_here() {
        return;
    }
    let stream = super::stream::Stream::of(3, 100_000);
    let place = Place::new();
    let told = place.refused("--mp4", &stream.url);
    assert!(told.starts_with("ffmpeg could not make an MP4 file: "), "{told}");
    assert!(place.names().is_empty(), "{:?}", place.names());
}
