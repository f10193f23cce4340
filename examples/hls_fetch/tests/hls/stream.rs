//! Streams of random bytes.

use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _, block_padding::Pkcs7};

use super::server::{Answer, Server};

/// The same bytes for the same seed.
pub(crate) fn random(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = vec![0; bytes];
    random.fill(&mut out);
    out
}

pub(crate) fn encrypted(plain: &[u8], key: &[u8], iv: u128) -> Vec<u8> {
    let key: &[u8; 16] = key.try_into().expect("a key");
    let cipher = cbc::Encryptor::<aes::Aes128>::new(key.into(), &iv.to_be_bytes().into());
    let mut out = plain.to_vec();
    out.resize(plain.len() + 16, 0);
    let bytes = cipher.encrypt_padded::<Pkcs7>(&mut out, plain.len()).expect("room").len();
    out.truncate(bytes);
    out
}

/// A playlist of these lines.
pub(crate) fn playlist<L: AsRef<str>>(lines: &[L]) -> String {
    let lines = lines.iter().map(|line| format!("{}\n", line.as_ref()));
    format!("#EXTM3U\n{}#EXT-X-ENDLIST\n", lines.collect::<String>())
}

/// `/list.m3u8`, of plain segments `/0.ts` and so on.
pub(crate) struct Stream {
    pub(crate) server: Server,
    pub(crate) url: String,
    segments: Vec<Vec<u8>>,
}

impl Stream {
    pub(crate) fn of(count: usize, segment_bytes: usize) -> Self {
        let server = Server::new();
        let segments: Vec<_> =
            (0..count).map(|number| random(number as u64, segment_bytes)).collect();
        let lines: Vec<_> = (0..count).map(|number| format!("#EXTINF:1,\n{number}.ts")).collect();
        server.put("/list.m3u8", playlist(&lines));
        for (number, segment) in segments.iter().enumerate() {
            server.put(&path(number), segment.clone());
        }
        let url = format!("{}/list.m3u8", server.url);
        Self { server, url, segments }
    }

    /// Answers requests for a segment by what this makes of its bytes, first once and then again
    /// and again the last one.
    pub(crate) fn fails(&self, number: usize, answers: &[fn(Vec<u8>) -> Answer]) {
        let answers = answers.iter().map(|answer| answer(self.segments[number].clone()));
        self.server.answer(&path(number), answers.collect::<Vec<_>>());
    }

    /// Answers requests for a segment as is proper.
    pub(crate) fn heals(&self, number: usize) {
        self.server.put(&path(number), self.segments[number].clone());
    }

    /// How often a segment was asked for.
    pub(crate) fn requests(&self, number: usize) -> usize {
        self.server.count(&path(number))
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.segments.concat()
    }
}

fn path(number: usize) -> String {
    format!("/{number}.ts")
}
