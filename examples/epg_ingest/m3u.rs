//! Playlists: `#EXTINF:-1 tvg-id="news.example" group-title="News",News 24` and a line with a URL
//! for each entry.

use std::io::BufRead as _;

use ringkeep::MemSize;
use serde::{Deserialize, Serialize};

use crate::{Result, input::Input, report::Report};

/// An entry of a playlist: where a channel is to be seen. A channel may have several.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The channel: its `tvg-id`; without one its `tvg-name`, and without that its name.
    pub(crate) id: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) group: Box<str>,
    pub(crate) url: Box<str>,
}

impl MemSize for Entry {
    fn heap_bytes(&self) -> usize {
        allocated_bytes([&self.id, &self.name, &self.group, &self.url])
    }
}

/// What texts take of memory, with what the allocator adds to each.
pub(crate) fn allocated_bytes<const N: usize>(texts: [&str; N]) -> usize {
    texts.iter().map(|text| text.len() + 16).sum()
}

/// Hands over the entries of a playlist, one by one; what makes none is reported.
pub(crate) fn read(
    input: Input,
    report: &mut Report,
    mut found: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let Input { name, mut bytes } = input;
    let (mut line, mut number, mut is_playlist) = (Vec::new(), 0_u64, false);
    // What was told of the entry whose URL is to come, and the number of that line.
    let mut told: Option<(u64, Entry)> = None;
    loop {
        line.clear();
        bytes.renew();
        number += 1;
        let damaged = |what: String| format!("{name} line {number}: {what}");
        let count = bytes.read_until(b'\n', &mut line);
        if count.map_err(|error| damaged(error.to_string()))? == 0 {
            break;
        }
        let text = str::from_utf8(&line).map_err(|error| damaged(error.to_string()))?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        is_playlist |= text.starts_with("#EXTM3U");
        if !is_playlist {
            return Err(damaged("a playlist begins with #EXTM3U".to_owned()).into());
        }
        if let Some(info) = text.strip_prefix("#EXTINF:") {
            if let Some((number, _)) = told.replace((number, entry(info))) {
                report.skip("entries without a URL", || format!("{name} line {number}"));
            }
        } else if !text.starts_with('#') {
            match told.take() {
                Some((_, told)) if !told.id.is_empty() => {
                    report.entries += 1;
                    found(Entry { url: text.into(), ..told })?;
                }
                _ => report.skip("URLs without a name", || format!("{name} line {number}")),
            }
        }
    }
    if let Some((number, _)) = told {
        report.skip("entries without a URL", || format!("{name} line {number}"));
    }
    if is_playlist { Ok(()) } else { Err(format!("{name}: an empty file").into()) }
}

/// What `#EXTINF:` tells: a duration, attributes, a comma, and a name.
fn entry(info: &str) -> Entry {
    let mut is_quoted = false;
    let comma = info.find(|c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    let (attributes, name) = comma.map_or((info, ""), |comma| info.split_at(comma));
    let name = name.trim_start_matches(',').trim();
    let [id, tvg_name] = ["tvg-id", "tvg-name"].map(|key| attribute(attributes, key));
    let first = |texts: [&str; 3]| -> Box<str> {
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default().into()
    };
    Entry {
        id: first([id, tvg_name, name]),
        name: first([name, tvg_name, id]),
        group: attribute(attributes, "group-title").into(),
        url: "".into(),
    }
}

/// The value of the attribute with this key, or nothing.
fn attribute<'a>(attributes: &'a str, key: &str) -> &'a str {
    // What is between quotes is a value, and before it stands its key.
    let mut pieces = attributes.split('"');
    while let (Some(before), Some(value)) = (pieces.next(), pieces.next()) {
        let found = before.split_whitespace().next_back().and_then(|word| word.strip_suffix('='));
        if found.is_some_and(|found| found.eq_ignore_ascii_case(key)) {
            return value.trim();
        }
    }
    ""
}
