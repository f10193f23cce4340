//! What is fetched is what was sent.

use super::{
    program::Place,
    server::{Answer, Server},
    stream::{Stream, encrypted, playlist, random},
};

#[test]
fn segments_are_fetched_at_the_same_time_and_come_out_in_order() {
    let stream = Stream::of(40, 3_000);
    let place = Place::new();
    let text = place.fetched("--parallel 7", &stream.url);
    assert!(place.bytes() == stream.bytes(), "{text}");
    assert_eq!(place.names(), ["output"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"Downloading segments: 0/40 (0.0%) [0.0 MB]"));
    assert_eq!(lines.last(), Some(&"Downloading segments: 40/40 (100.0%) [0.1 MB]"));
    let count = |line: &&str| line.split([' ', '/']).nth(2).and_then(|it| it.parse::<u64>().ok());
    assert!(lines.iter().map(count).is_sorted(), "{text}");
}

#[test]
fn what_exceeds_the_memory_waits_on_the_disk_and_the_line_says_so() {
    let stream = Stream::of(12, 300_000);
    let place = Place::new();
    let text = place.fetched("--memory 1MiB", &stream.url);
    assert!(place.bytes() == stream.bytes(), "{text}");
    let end = "Downloading segments: 12/12 (100.0%) [3.6 MB, on disk]\n";
    assert!(text.ends_with(end) && text.contains(" [0.3 MB]\n"), "{text}");
    assert_eq!(place.names(), ["output"]);
}

/// Goal: encryption is taken off as the playlist says, segment by segment.
///
/// Method: lengths around those of blocks; keys that change, end and come back; numbers as IVs
/// from the number of the first segment on; addresses of each kind.
#[test]
fn keys_change_in_the_middle_and_each_is_fetched_once() {
    let server = Server::new();
    let keys = [random(100, 16), random(101, 16)];
    server.put("/a/keys/first", keys[0].clone());
    server.put("/second?pass=1", keys[1].clone());
    let iv = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
    let lengths = [0, 1, 15, 16, 17, 31, 32, 1_000, 70_000, 70_001];
    let segments: Vec<_> = lengths.iter().zip(0..).map(|(&it, seed)| random(seed, it)).collect();
    let mut lines = vec!["#EXT-X-MEDIA-SEQUENCE:7".to_owned()];
    for (number, segment) in segments.iter().enumerate() {
        let sequence = 7 + number as u128;
        let url = &server.url;
        let (line, sent) = match number {
            0..4 => {
                let line = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"keys/first\",IV=0x{iv:032X}");
                (line, encrypted(segment, &keys[0], iv))
            }
            4 | 5 => ("#EXT-X-KEY:METHOD=NONE".into(), segment.clone()),
            6 | 7 => {
                let line = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{url}/second?pass=1\"");
                (line, encrypted(segment, &keys[1], sequence))
            }
            _ => {
                let line = "#EXT-X-KEY:METHOD=AES-128,URI=\"/a/b/../keys/first\"".into();
                (line, encrypted(segment, &keys[0], sequence))
            }
        };
        server.put(&format!("/a/{number}.ts"), sent);
        lines.extend([line, "#EXTINF:4.0,".into(), format!("./{number}.ts")]);
    }
    server.put("/a/list.m3u8", playlist(&lines));
    let place = Place::new();
    place.fetched("", &format!("{}/a/list.m3u8", server.url));
    assert!(place.bytes() == segments.concat());
    let counts = ["/a/keys/first", "/second?pass=1"].map(|path| server.count(path));
    assert_eq!(counts, [1, 1]);
}

#[test]
fn what_fails_once_is_tried_again_and_leaves_no_trace() {
    let stream = Stream::of(6, 150_000);
    stream.fails(1, &[|_| Answer::Status(500), Answer::Bytes]);
    stream.fails(2, &[Answer::Half, Answer::Half, Answer::Bytes]);
    stream.fails(4, &[|_| Answer::Nothing, |_| Answer::Status(503), Answer::Bytes]);
    let place = Place::new();
    place.fetched("", &stream.url);
    assert!(place.bytes() == stream.bytes());
    assert_eq!([0, 1, 2, 3, 4, 5].map(|number| stream.requests(number)), [1, 2, 3, 1, 3, 1]);
}

#[test]
fn an_encrypted_segment_that_is_cut_off_between_blocks_is_tried_again() {
    let server = Server::new();
    let (key, plain) = (random(1, 16), random(2, 64 * 16));
    let sent = encrypted(&plain, &key, 0);
    server.put("/key", key);
    // Its length is stated as what it is, so that only the padding tells.
    let cut = sent[..32 * 16].to_vec();
    server.answer("/0.ts", [Answer::Bytes(cut), Answer::Bytes(sent)]);
    let lines = ["#EXT-X-KEY:METHOD=AES-128,URI=\"key\"", "0.ts"];
    server.put("/list.m3u8", playlist(&lines));
    let place = Place::new();
    place.fetched("", &format!("{}/list.m3u8", server.url));
    assert!(place.bytes() == plain);
    assert_eq!((server.count("/0.ts"), server.count("/key")), (2, 1));
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let stream = Stream::of(2, 50_000);
    stream.fails(1, &[Answer::Silence, Answer::Bytes]);
    let place = Place::new();
    place.fetched("--timeout 1", &stream.url);
    assert!(place.bytes() == stream.bytes());
    assert_eq!(stream.requests(1), 2);
}

#[test]
fn playlists_and_keys_are_tried_again_too() {
    let server = Server::new();
    let key = random(1, 16);
    let list = playlist(&["#EXT-X-KEY:METHOD=AES-128,URI=\"key\"", "0.ts"]);
    server.answer("/list.m3u8", [Answer::Status(502), Answer::Bytes(list.into())]);
    server.answer("/key", [Answer::Nothing, Answer::Bytes(key.clone())]);
    server.put("/0.ts", encrypted(b"bytes", &key, 0));
    let place = Place::new();
    place.fetched("", &format!("{}/list.m3u8", server.url));
    assert_eq!(place.bytes(), b"bytes");
}

#[test]
fn of_several_streams_the_wanted_one_is_fetched() {
    let server = Server::new();
    let lines = [
        "#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS=\"avc1,BANDWIDTH=9999999\"",
        "low/list.m3u8",
        "#EXT-X-STREAM-INF:CODECS=\"avc1,mp4a\",BANDWIDTH=2000000",
        "high/list.m3u8",
    ];
    server.put("/all.m3u8", playlist(&lines));
    for name in ["low", "high"] {
        server.put(&format!("/{name}/list.m3u8"), playlist(&["0.ts"]));
        server.put(&format!("/{name}/0.ts"), name);
    }
    let url = format!("{}/all.m3u8", server.url);
    for (options, wanted) in
        [("", "high"), ("--bandwidth highest", "high"), ("--bandwidth lowest", "low")]
    {
        let place = Place::new();
        place.fetched(options, &url);
        assert_eq!(place.bytes(), wanted.as_bytes(), "{options}");
    }
}

#[test]
fn ranges_of_bytes_are_fetched_as_such_and_the_map_stands_first() {
    let server = Server::new();
    let whole = random(1, 10_000);
    server.put("/whole.mp4", whole.clone());
    let lines = [
        "#EXT-X-MAP:URI=\"whole.mp4\",BYTERANGE=\"100@0\"",
        "#EXT-X-BYTERANGE:4000@5000",
        "whole.mp4",
        "#EXT-X-BYTERANGE:1000",
        "whole.mp4",
    ];
    server.put("/list.m3u8", playlist(&lines));
    let url = format!("{}/list.m3u8", server.url);
    let place = Place::new();
    let text = place.fetched("", &url);
    assert!(place.bytes() == [&whole[..100], &whole[5_000..]].concat());
    assert!(text.contains(" 3/3 "), "{text}");
    for (answer, cause) in [
        (Answer::AllBytes(whole.clone()), "the server does not know ranges of bytes"),
        (Answer::Half(whole), "the server sent another range of bytes"),
    ] {
        server.answer("/whole.mp4", [answer]);
        let told = Place::new().refused("--parallel 1", &url);
        assert_eq!(told, format!("segment 1 of 3: {}/whole.mp4: {cause}", server.url));
    }
}

#[test]
fn addresses_are_relative_to_where_a_redirect_leads() {
    let server = Server::new();
    server.answer("/old.m3u8", [Answer::Redirect("/new/list.m3u8".into())]);
    server.put("/new/list.m3u8", playlist(&["0.ts"]));
    server.put("/new/0.ts", "bytes");
    let place = Place::new();
    place.fetched("", &format!("{}/old.m3u8", server.url));
    assert_eq!(place.bytes(), b"bytes");
}

#[test]
fn a_playlist_without_an_end_is_taken_as_it_is_and_that_is_told() {
    let server = Server::new();
    server.put("/list.m3u8", "#EXTM3U\r\n#EXTINF:1,\r\n0.ts\r\n");
    server.put("/0.ts", "bytes");
    let place = Place::new();
    let text = place.fetched("", &format!("{}/list.m3u8", server.url));
    assert_eq!(place.bytes(), b"bytes");
    assert!(text.starts_with("hls_fetch: the playlist has no end yet: "), "{text}");
}
