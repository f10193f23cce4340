//! What cannot be done is told, and leaves nothing.

use std::{fs, net::TcpListener};

use super::{
    program::{Place, fetch_alone, run_with},
    server::{Answer, Server},
    stream::{Stream, encrypted, playlist},
};

#[test]
fn what_is_not_there_is_not_asked_for_again() {
    let stream = Stream::of(8, 1_000);
    stream.fails(5, &[|_| Answer::Status(404)]);
    let place = Place::new();
    let told = place.refused("", &stream.url);
    let url = &stream.server.url;
    assert_eq!(told, format!("segment 6 of 8: {url}/5.ts: HTTP status 404"));
    assert_eq!(stream.requests(5), 1);
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn retries_come_to_an_end() {
    for (answer, cause) in [
        ((|_| Answer::Status(503)) as fn(Vec<u8>) -> Answer, "HTTP status 503"),
        (Answer::Half, "Peer disconnected"),
    ] {
        let stream = Stream::of(3, 1_000);
        stream.fails(1, &[answer]);
        let place = Place::new();
        let told = place.refused("--retries 1 --memory 1KiB", &stream.url);
        let url = &stream.server.url;
        assert_eq!(told, format!("segment 2 of 3: {url}/1.ts: {cause} (attempts: 2)"));
        assert_eq!(stream.requests(1), 2);
        assert!(place.names().is_empty(), "{:?}", place.names());
    }
}

#[test]
fn an_output_that_exists_is_left_alone_and_nothing_is_fetched() {
    let stream = Stream::of(1, 10);
    let place = Place::new();
    fs::write(place.output(), "mine").expect("a file");
    for options in ["", "--resume"] {
        let told = place.refused(options, &stream.url);
        assert!(told.ends_with("/output exists already"), "{told}");
    }
    assert_eq!((place.bytes().as_slice(), place.names().len()), (b"mine".as_slice(), 1));
    assert!(stream.server.take_requests().is_empty());
}

#[test]
fn an_output_that_cannot_be_made_is_told_before_anything_is_fetched() {
    let stream = Stream::of(1, 10);
    let place = Place::new();
    fs::write(place.path().join("file"), "mine").expect("a file");
    for output in ["no such directory/output", "file/output"] {
        let output = place.path().join(output);
        let ended = run_with(&[&stream.url, output.to_str().expect("ASCII")]);
        let told = String::from_utf8(ended.stderr).expect("text");
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.starts_with("hls_fetch: cannot make ") && told.lines().count() == 1, "{told}");
    }
    assert!(stream.server.take_requests().is_empty());
}

#[test]
fn addresses_that_cannot_be_fetched_are_told() {
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let only = "only addresses that begin with http:// can be fetched";
    for (url, cause) in [
        (format!("http://{unused}/list.m3u8"), "Connection refused (os error 111) (attempts: 2)"),
        ("https://127.0.0.1/list.m3u8".into(), only),
        ("ftp://127.0.0.1/list.m3u8".into(), only),
        ("/list.m3u8".into(), only),
        ("http://".into(), "http://: "),
    ] {
        let place = Place::new();
        let told = place.refused("--retries 1", &url);
        assert!(told.starts_with(&format!("{url}: ")) && told.contains(cause), "{told}");
        assert!(place.names().is_empty(), "{told}");
    }
}

#[test]
fn what_is_no_playlist_is_refused() {
    let server = Server::new();
    let url = format!("{}/list.m3u8", server.url);
    let nested = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlist.m3u8\n";
    for (text, cause) in [
        ("<html>", "this is not a playlist: it does not begin with #EXTM3U"),
        ("", "this is not a playlist: it does not begin with #EXTM3U"),
        ("#EXTM3U\n#EXT-X-ENDLIST\n", "this playlist is empty"),
        (nested, "a playlist of segments was expected"),
    ] {
        server.put("/list.m3u8", text);
        let place = Place::new();
        assert_eq!(place.refused("", &url), format!("{url}: {cause}"));
        assert!(place.names().is_empty());
    }
}

#[test]
fn keys_that_do_not_fit_are_told() {
    let server = Server::new();
    let url = &server.url;
    server.put("/list.m3u8", playlist(&["#EXT-X-KEY:METHOD=AES-128,URI=\"key\"", "0.ts"]));
    // With the other key the last byte happens to be no padding.
    server.put("/0.ts", encrypted(b"some bytes", &[1; 16], 0));
    let wrong = "it does not end as the key says: it is cut off, or the key is wrong (attempts: 1)";
    for (key, cause) in [
        (vec![2; 16], format!("{url}/0.ts: {wrong}")),
        (vec![1; 15], format!("{url}/key: a key has 16 bytes")),
        (vec![1; 17], format!("{url}/key: a key has 16 bytes")),
    ] {
        server.put("/key", key);
        let place = Place::new();
        let told = place.refused("--retries 0", &format!("{url}/list.m3u8"));
        assert_eq!(told, format!("segment 1 of 1: {cause}"));
        assert!(place.names().is_empty());
    }
}

#[test]
fn a_file_that_is_not_its_own_is_not_resumed() {
    let stream = Stream::of(1, 10);
    let place = Place::new();
    fs::write(place.path().join("output.parts"), "mine").expect("a file");
    let told = place.refused("--resume", &stream.url);
    assert!(told.contains("output.parts"), "{told}");
    assert_eq!(place.names(), ["output.parts"]);
}

#[test]
fn without_ffmpeg_that_is_told_before_anything_is_fetched() {
    let stream = Stream::of(1, 10);
    let place = Place::new();
    let ended = fetch_alone(&place, "--mp4", &stream.url);
    let told = String::from_utf8(ended.stderr).expect("text");
    assert!(told.starts_with("hls_fetch: --mp4 needs ffmpeg, which cannot be run: "), "{told}");
    assert_eq!(ended.status.code(), Some(1));
    assert!(stream.server.take_requests().is_empty() && place.names().is_empty());
}

#[test]
fn wrong_arguments_are_told_how_it_is_used() {
    for arguments in [
        &[][..],
        &["http://a/b"],
        &["http://a/b", "c", "d"],
        &["http://a/b", ".."],
        &["--parallel", "0", "http://a/b", "c"],
        &["--memory", "5MB", "http://a/b", "c"],
        &["--memory", "99999999999GiB", "http://a/b", "c"],
        &["--bandwidth", "best", "http://a/b", "c"],
        &["--timeout", "0", "http://a/b", "c"],
        &["--fast", "http://a/b", "c"],
        &["http://a/b", "c", "--retries"],
    ] {
        let ended = run_with(arguments);
        let told = String::from_utf8(ended.stderr).expect("text");
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(2), 0), "{arguments:?}");
        let lines: Vec<_> = told.lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("hls_fetch: "), "{told}");
        assert!(lines[1].starts_with("usage: hls_fetch "), "{told}");
    }
}

#[test]
fn help_tells_each_option() {
    let ended = run_with(&["--help"]);
    let told = String::from_utf8(ended.stdout).expect("text");
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
    for option in ["parallel", "retries", "timeout", "memory", "bandwidth", "mp4", "resume"] {
        assert!(told.contains(&format!("\n  --{option} ")), "{option} is not in\n{told}");
    }
}
