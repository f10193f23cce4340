//! Playlists and addresses, without a server.

use super::playlist::{Encryption, Media, Playlist, Segment, Variant, parse, resolve};

const URL: &str = "http://host:8080/a/list.m3u8?pass=/x/";

fn segment(url: &str) -> Segment {
    Segment { url: url.into(), range: None, encryption: None }
}

/// The examples of RFC 3986, sections 5.4.1 and 5.4.2, and of addresses without a path.
#[test]
fn references_are_resolved_as_the_standard_says() {
    for (reference, expected) in [
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("g#s", "http://a/b/c/g#s"),
        (";x", "http://a/b/c/;x"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g:80/../x", "g:80/../x"),
    ] {
        assert_eq!(resolve("http://a/b/c/d;p?q", reference), expected, "{reference}");
    }
    assert_eq!(resolve("http://a", "g"), "http://a/g");
    assert_eq!(resolve("http://a?q=/x", "g"), "http://a/g");
    assert_eq!(resolve("http://a/b", "c/12:30.ts"), "http://a/c/12:30.ts");
}

#[test]
fn segments_have_what_was_said_before_them() {
    let text = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-MEDIA-SEQUENCE:258\n\n# a comment\n\
        #EXT-X-MAP:URI=\"../init.mp4\"\n#EXTINF:2.5,a title\n0.ts\n\
        #EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"identity\",URI=\"key,=one\"\n1.ts\n\
        #EXT-X-KEY:METHOD=AES-128,URI=\"//keys/two\",IV=0xFf\n\
        #EXT-X-BYTERANGE:5@10\nhttp://other/2.ts\n#EXT-X-KEY:METHOD=NONE\n\
        #EXT-X-BYTERANGE:7\nhttp://other/2.ts\n#EXT-X-ENDLIST\n";
    let key = |key_url: &str, iv: u128| {
        Some(Encryption { key_url: key_url.into(), iv: iv.to_be_bytes() })
    };
    let segments = vec![
        segment("http://host:8080/init.mp4"),
        segment("http://host:8080/a/0.ts"),
        Segment {
            encryption: key("http://host:8080/a/key,=one", 259),
            ..segment("http://host:8080/a/1.ts")
        },
        Segment {
            url: "http://other/2.ts".into(),
            range: Some(10..15),
            encryption: key("http://keys/two", 255),
        },
        Segment { range: Some(15..22), ..segment("http://other/2.ts") },
    ];
    let media = parse(text, URL).expect("a playlist");
    assert_eq!(media, Playlist::Media(Media { segments, has_end: true }));
}

#[test]
fn streams_have_their_bandwidth() {
    let text = "#EXTM3U\r\n#EXT-X-STREAM-INF:RESOLUTION=1x1, BANDWIDTH=5\r\nlow.m3u8\r\n";
    let variants = vec![Variant { bandwidth: 5, url: "http://host:8080/a/low.m3u8".into() }];
    assert_eq!(parse(text, URL).expect("a playlist"), Playlist::Master(variants));
}

#[test]
fn what_is_not_understood_is_refused() {
    for (line, cause) in [
        ("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\"", "only AES-128 is known"),
        ("#EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"drm\",URI=\"k\"", "keys of this format"),
        ("#EXT-X-KEY:METHOD=AES-128", "no URI"),
        ("#EXT-X-KEY:URI=\"k\"", "no METHOD"),
        ("#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=12", "an IV begins with 0x"),
        ("#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0xg", "invalid digit"),
        ("#EXT-X-KEY:METHOD=AES-128,URI=\"k\n", "no URI"),
        ("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-MAP:URI=\"i\"", "the key has no IV"),
        ("#EXT-X-MAP:BYTERANGE=\"1@0\"", "no URI"),
        ("#EXT-X-MEDIA-SEQUENCE:-1", "invalid digit"),
        ("#EXT-X-STREAM-INF:CODECS=\"avc1\"", "no BANDWIDTH"),
        ("#EXT-X-BYTERANGE:5\n0.ts", "follows no other one"),
        ("#EXT-X-BYTERANGE:0@5\n0.ts", "an empty range of bytes"),
        ("#EXT-X-BYTERANGE:x@5\n0.ts", "no range of bytes"),
        ("#EXT-X-BYTERANGE:18446744073709551615@5\n0.ts", "no range of bytes"),
    ] {
        let told = parse(&format!("#EXTM3U\n{line}\n"), URL).expect_err(line).to_string();
        assert!(told.starts_with("this playlist cannot be read: "), "{told}");
        assert!(told.contains(cause), "{told}");
    }
    let both = "#EXTM3U\n0.ts\n#EXT-X-STREAM-INF:BANDWIDTH=5\nlow.m3u8\n";
    assert!(parse(both, URL).expect_err("both").to_string().contains("both"));
}
