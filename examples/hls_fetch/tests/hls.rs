//! Goal: the example that downloads streams makes of them what they hold, whatever happens on the
//! way, or nothing at all.
//!
//! Method: run it against a server of this test, over loopback, which fails as it is told. Streams
//! are random bytes that the test encrypts, and such that ffmpeg has made.

#[path = "hls/ends.rs"]
mod ends;
#[path = "hls/ffmpeg.rs"]
mod ffmpeg;
#[path = "hls/parsing.rs"]
mod parsing;
#[path = "../src/playlist.rs"]
mod playlist;
#[path = "hls/program.rs"]
mod program;
#[path = "hls/refusals.rs"]
mod refusals;
#[path = "hls/server.rs"]
mod server;
#[path = "hls/stream.rs"]
mod stream;
#[path = "hls/streams.rs"]
mod streams;

/// As in the example.
type Failure = Box<dyn std::error::Error + Send + Sync>;
