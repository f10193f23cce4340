//! What a playlist says (RFC 8216): text to values, and no I/O.

use std::ops::Range;

use super::Failure;

/// A playlist, with all its addresses complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Playlist {
    /// The same stream several times: choose one.
    Master(Vec<Variant>),
    Media(Media),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// In bits a second.
    pub(crate) bandwidth: u64,
    pub(crate) url: String,
}

/// One stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) segments: Vec<Segment>,
    /// No more segments will be added.
    pub(crate) has_end: bool,
}

/// Something to be fetched: a segment, or what has to stand before segments of MP4.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) url: String,
    /// The bytes of the resource that it is, if it is not all of them.
    pub(crate) range: Option<Range<u64>>,
    pub(crate) encryption: Option<Encryption>,
}

/// AES-128 in CBC mode, with padding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub(crate) key_url: String,
    pub(crate) iv: [u8; 16],
}

/// Reads the playlist that is found at this address.
pub(crate) fn parse(text: &str, url: &str) -> Result<Playlist, Failure> {
    let mut lines = text.lines().map(str::trim);
    if lines.next() != Some("#EXTM3U") {
        return Err("this is not a playlist: it does not begin with #EXTM3U".into());
    }
    let mut parser = Parser { url, ..Parser::default() };
    for line in lines {
        let added = parser.add(line);
        added.map_err(|failure| format!("this playlist cannot be read: {failure}: {line}"))?;
    }
    let Parser { variants, segments, has_end, .. } = parser;
    match (variants.is_empty(), segments.is_empty()) {
        (false, true) => Ok(Playlist::Master(variants)),
        (true, false) => Ok(Playlist::Media(Media { segments, has_end })),
        (true, true) => Err("this playlist is empty".into()),
        (false, false) => Err("this playlist lists both streams and segments".into()),
    }
}

/// What the lines so far have said.
#[derive(Default)]
struct Parser<'a> {
    /// Of the playlist: addresses in it are relative to it.
    url: &'a str,
    variants: Vec<Variant>,
    segments: Vec<Segment>,
    has_end: bool,
    /// Number of the next segment.
    sequence: u64,
    /// Of the segments from here on.
    key: Option<Key>,
    /// Of the next segment.
    range: Option<String>,
    /// Of the next variant.
    bandwidth: Option<u64>,
}

struct Key {
    url: String,
    /// Else the number of the segment.
    iv: Option<u128>,
}

impl Parser<'_> {
    fn add(&mut self, line: &str) -> Result<(), Failure> {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "" => {}
            "#EXT-X-ENDLIST" => self.has_end = true,
            "#EXT-X-MEDIA-SEQUENCE" => self.sequence = value.trim().parse()?,
            "#EXT-X-STREAM-INF" => {
                let bandwidth = attribute(value, "BANDWIDTH").ok_or("no BANDWIDTH")?;
                self.bandwidth = Some(bandwidth.parse()?);
            }
            "#EXT-X-KEY" => self.key = self.key(value)?,
            "#EXT-X-MAP" => {
                let uri = attribute(value, "URI").ok_or("no URI")?;
                let range = attribute(value, "BYTERANGE");
                if self.key.as_ref().is_some_and(|key| key.iv.is_none()) {
                    return Err("it is encrypted, and the key has no IV".into());
                }
                self.add_segment(uri, range)?;
            }
            "#EXT-X-BYTERANGE" => self.range = Some(value.into()),
            // Others do not change which bytes there are; `#` alone is a comment.
            _ if tag.starts_with('#') => {}
            _ => self.add_address(line)?,
        }
        Ok(())
    }

    /// What stands before it says of what.
    fn add_address(&mut self, line: &str) -> Result<(), Failure> {
        if let Some(bandwidth) = self.bandwidth.take() {
            self.variants.push(Variant { bandwidth, url: resolve(self.url, line) });
            return Ok(());
        }
        let range = self.range.take();
        self.add_segment(line, range.as_deref())?;
        self.sequence += 1;
        Ok(())
    }

    /// The key that a line gives to the segments behind it.
    fn key(&self, attributes: &str) -> Result<Option<Key>, Failure> {
        match attribute(attributes, "METHOD").ok_or("no METHOD")? {
            "NONE" => return Ok(None),
            "AES-128" => {}
            _ => return Err("only AES-128 is known".into()),
        }
        if attribute(attributes, "KEYFORMAT").is_some_and(|format| format != "identity") {
            return Err("keys of this format cannot be fetched".into());
        }
        let url = resolve(self.url, attribute(attributes, "URI").ok_or("no URI")?);
        let iv = match attribute(attributes, "IV") {
            None => None,
            Some(iv) => {
                let digits = iv.strip_prefix("0x").or_else(|| iv.strip_prefix("0X"));
                Some(u128::from_str_radix(digits.ok_or("an IV begins with 0x")?, 16)?)
            }
        };
        Ok(Some(Key { url, iv }))
    }

    fn add_segment(&mut self, uri: &str, range: Option<&str>) -> Result<(), Failure> {
        let url = resolve(self.url, uri);
        let range = range.map(|range| self.range_of(range, &url)).transpose()?;
        let encryption = self.key.as_ref().map(|key| {
            let iv = key.iv.unwrap_or_else(|| self.sequence.into());
            Encryption { key_url: key.url.clone(), iv: iv.to_be_bytes() }
        });
        self.segments.push(Segment { url, range, encryption });
        Ok(())
    }

    /// `LENGTH@OFFSET`, or `LENGTH` of what follows the segment before.
    fn range_of(&self, text: &str, url: &str) -> Result<Range<u64>, Failure> {
        let (bytes, begin) = if let Some((bytes, begin)) = text.split_once('@') {
            (bytes, begin.trim().parse()?)
        } else {
            let before = self.segments.last().filter(|before| before.url == url);
            let range = before.and_then(|before| before.range.as_ref());
            (text, range.ok_or("a range without an offset follows no other one")?.end)
        };
        let end = bytes.trim().parse().ok().and_then(|bytes| u64::checked_add(begin, bytes));
        let range = begin..end.ok_or("no range of bytes")?;
        if range.is_empty() { Err("an empty range of bytes".into()) } else { Ok(range) }
    }
}

/// The value of an attribute, of a list like `METHOD=AES-128,URI="key, or not"`.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((found, value)) = rest.split_once('=') {
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(',').unwrap_or((value, "")),
        };
        if found.trim() == name {
            return Some(value.trim());
        }
        rest = behind.trim_start_matches(',');
    }
    None
}

/// The complete address of what a document calls so (RFC 3986, section 5).
pub(crate) fn resolve(document: &str, reference: &str) -> String {
    if has_scheme(reference) {
        return reference.into();
    }
    let (scheme, rest) = document.split_once("://").unwrap_or(("http", document));
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let (host, rest) = split_before(rest, &['/', '?', '#']);
    let (path, _) = split_before(rest, &['?', '#']);
    let (target, query) = split_before(reference, &['?', '#']);
    let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
    let path = match target {
        "" => path.into(),
        _ if target.starts_with('/') => without_dots(target),
        _ => without_dots(&format!("{folder}{target}")),
    };
    format!("{scheme}://{host}{path}{query}")
}

fn has_scheme(reference: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_part)
    })
}

/// Splits a text before the first of these characters, or at its end.
fn split_before<'a>(text: &'a str, characters: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(characters).unwrap_or(text.len()))
}

/// An absolute path without its `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut names = path.split('/').skip(1).peekable();
    while let Some(name) = names.next() {
        match name {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(name);
                continue;
            }
        }
        if names.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}
