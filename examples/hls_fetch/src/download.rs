//! From an address to a spool that holds all segments.

use std::{
    collections::HashMap,
    io::ErrorKind,
    sync::{Arc, mpsc::Sender},
    thread,
};

use parking_lot::Mutex;
use ringkeep::Spool;

use super::{
    Event, Failure,
    decrypt::Decrypter,
    http::{Client, Failed, copy},
    options::{Bandwidth, Options},
    parts,
    playlist::{Encryption, Media, Playlist, Segment, parse},
    progress::Progress,
};

const PLAYLIST_BYTES_MAX: u64 = 16 << 20;
const KEY_BYTES: usize = 16;
type Key = [u8; KEY_BYTES];

/// Fetches all that is missing. The first failure of a worker is told at once: whoever hears of it
/// does not wait for the others, so that nobody has to stop them.
pub(crate) fn download(
    options: &Options,
    progress: &Arc<Progress>,
    events: &Sender<Event>,
) -> Result<Spool, Failure> {
    let client = Client::new(options);
    let media = media(&client, options)?;
    if !media.has_end {
        progress.note("the playlist has no end yet: what it lists now is fetched");
    }
    let spool = parts::open(options, &media, progress)?;
    let missing = Mutex::new(spool.missing());
    let fetcher = Fetcher { client, media, spool, keys: Mutex::default() };
    let next = || missing.lock().next();
    let work = || {
        while let Some(part) = next() {
            if let Err(failure) = fetcher.fetch(part) {
                // Nobody listens any more: somebody else's failure was told before.
                let _ = events.send(Event::Downloaded(Err(failure)));
                break;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..options.parallel.get() {
            scope.spawn(work);
        }
    });
    Ok(fetcher.spool)
}

/// The segments, of the stream that is wanted.
fn media(client: &Client, options: &Options) -> Result<Media, Failure> {
    let variants = match playlist(client, &options.url)? {
        Playlist::Media(media) => return Ok(media),
        Playlist::Master(variants) => variants,
    };
    let by_bandwidth = variants.iter();
    let chosen = match options.bandwidth {
        Bandwidth::Highest => by_bandwidth.max_by_key(|variant| variant.bandwidth),
        Bandwidth::Lowest => by_bandwidth.min_by_key(|variant| variant.bandwidth),
    };
    let url = &chosen.ok_or("the playlist lists no stream")?.url;
    match playlist(client, url)? {
        Playlist::Media(media) => Ok(media),
        Playlist::Master(_) => Err(format!("{url}: a playlist of segments was expected").into()),
    }
}

fn playlist(client: &Client, url: &str) -> Result<Playlist, Failure> {
    let (bytes, found_at) = client.fetch(url, PLAYLIST_BYTES_MAX)?;
    let told = |failure| format!("{url}: {failure}").into();
    parse(&String::from_utf8_lossy(&bytes), &found_at).map_err(told)
}

/// What the workers share.
struct Fetcher {
    client: Client,
    media: Media,
    spool: Spool,
    /// By address. Locked while one is fetched: no key is fetched twice.
    keys: Mutex<HashMap<String, Key>>,
}

impl Fetcher {
    /// Fetches the segment that becomes this part.
    fn fetch(&self, part: u64) -> Result<(), Failure> {
        let segment = &self.media.segments[usize::try_from(part)?];
        let key = segment.encryption.as_ref().map(|it| self.key(&it.key_url)).transpose();
        let fetched = key.and_then(|key| {
            self.client.retry(&segment.url, || self.attempt(part, segment, key.as_ref()))
        });
        let total = self.media.segments.len();
        fetched.map_err(|failure| format!("segment {} of {total}: {failure}", part + 1).into())
    }

    fn key(&self, url: &str) -> Result<Key, Failure> {
        let mut keys = self.keys.lock();
        if let Some(key) = keys.get(url) {
            return Ok(*key);
        }
        let (bytes, _) = self.client.fetch(url, 2 * KEY_BYTES as u64)?;
        let key = bytes.try_into().map_err(|_| format!("{url}: a key has {KEY_BYTES} bytes"))?;
        keys.insert(url.into(), key);
        Ok(key)
    }

    /// The part is as if it had never been begun, unless all of it has come.
    fn attempt(&self, part: u64, segment: &Segment, key: Option<&Key>) -> Result<(), Failed> {
        let mut response = self.client.get(&segment.url, segment.range.as_ref())?;
        let mut writer = self.spool.part(part).map_err(Failed::for_good)?;
        let copied = match key.zip(segment.encryption.as_ref()) {
            None => copy(&mut response, &mut writer)?,
            Some((key, Encryption { iv, .. })) => {
                let mut decrypter = Decrypter::new(&mut writer, key, iv);
                let copied = copy(&mut response, &mut decrypter)?;
                decrypter.finish().map_err(|error| match error.kind() {
                    ErrorKind::InvalidData => Failed::once(error),
                    _ => Failed::for_good(error),
                })?;
                copied
            }
        };
        if segment.range.as_ref().is_some_and(|range| copied != range.end - range.start) {
            return Err(Failed::for_good("the server sent another range of bytes"));
        }
        writer.commit().map_err(Failed::for_good)
    }
}
