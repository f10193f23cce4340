//! Playlists and guides of any size, the same ones for the same numbers.

use std::io::{self, Write};

use fastrand::Rng;

use crate::time;

/// 1 January 2026, when guides begin.
const BEGIN_S: i64 = 1_767_225_600;
const DAY_S: i64 = 86_400;

const GROUPS: [&str; 5] = ["News", "Films", "Sport", "Music, live", "Children"];
/// As they stand in XML.
const TITLES: [&str; 6] =
    ["News &amp; Weather", "Film Night", "The Match", "Concert", "Caf&#233;", "&lt;Live&gt;"];
const WORDS: [&str; 10] =
    ["people", "rivers", "again", "tonight", "history", "under", "water", "with", "guests", "of"];

/// A playlist with an entry for each channel.
pub(crate) fn playlist(channels: u64, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "#EXTM3U")?;
    let groups = GROUPS.iter().cycle();
    for (channel, group) in (0..channels).zip(groups) {
        writeln!(out, "#EXTINF:-1 tvg-id=\"{channel}.tv\" group-title=\"{group}\",TV {channel}")?;
        writeln!(out, "http://example.com/live/{channel}.ts")?;
    }
    Ok(())
}

/// A guide with programmes of an hour on average, in the zone of their channel; how many they are.
pub(crate) fn guide(channels: u64, days: u64, out: &mut dyn Write) -> io::Result<u64> {
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE tv SYSTEM \"xmltv.dtd\">"
    )?;
    writeln!(out, "<tv generator-info-name=\"epg_ingest\">")?;
    for channel in 0..channels {
        let name = format_args!("<display-name>TV {channel}</display-name>");
        writeln!(out, "<channel id=\"{channel}.tv\">{name}</channel>")?;
    }
    let end_s = BEGIN_S + DAY_S * i64::try_from(days).unwrap_or(i64::MAX / DAY_S);
    let mut programmes = 0;
    for channel in 0..channels {
        let mut random = Rng::with_seed(channel);
        let (zone_hours, mut start) = (random.i64(-11..=12), BEGIN_S);
        while start < end_s {
            let stop = start + random.i64(1..=7) * 900;
            programme(channel, [start, stop], zone_hours, &mut random, out)?;
            (start, programmes) = (stop, programmes + 1);
        }
    }
    writeln!(out, "</tv>")?;
    Ok(programmes)
}

fn programme(
    channel: u64,
    times: [i64; 2],
    zone_hours: i64,
    random: &mut Rng,
    out: &mut dyn Write,
) -> io::Result<()> {
    let [start, stop] = times.map(|seconds| time::xmltv(seconds, zone_hours));
    writeln!(out, "<programme start=\"{start}\" stop=\"{stop}\" channel=\"{channel}.tv\">")?;
    writeln!(out, "<title>{} {}</title>", TITLES[random.usize(..TITLES.len())], random.u16(..))?;
    write!(out, "<desc>")?;
    for _ in 0..random.usize(10..30) {
        write!(out, "{} ", WORDS[random.usize(..WORDS.len())])?;
    }
    let category = GROUPS[random.usize(..GROUPS.len())];
    writeln!(out, "</desc><category>{category}</category></programme>")
}
