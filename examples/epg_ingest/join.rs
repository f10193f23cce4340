//! The join, and how it keeps to its memory.
//!
//! 1. Entries of playlists are sorted by channel, so that those of a channel are neighbours and are
//!    found by bisection.
//! 2. Each programme of a guide is kept with the range of entries that it is to be seen in, if
//!    there are some, and programmes are sorted by start.
//! 3. A line is written for each programme and each of its entries.
//!
//! Neither has to fit into memory. Of what the process may have, [`OVERHEAD_BYTES`] are for all
//! that is not in a vector. Of the rest the entries may have all while they are sorted, and keep
//! no more than half: a vector that has more than that sorts on the disk. The programmes have the
//! other half, of which sorting takes no more than a half in turn.

use std::{cmp::Ordering, collections::HashMap, io::Write, ops::Range};

use ringkeep::{Compression, MemSize, Postcard, SpillVec, SpillVecOptions};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    arguments::{Ingest, MEMORY_BYTES_MIN},
    input::Input,
    m3u::{self, Entry, allocated_bytes},
    report::Report,
    time::{self, Utc},
    xmltv::{self, Element, Kind},
};

/// The program, its buffers, the frames that are merged, and what the allocator cannot use again.
const OVERHEAD_BYTES: u64 = 16 << 20;
const _: () = assert!(OVERHEAD_BYTES < MEMORY_BYTES_MIN);

/// Playlists and guides, joined.
pub(crate) struct Joined {
    entries: SpillVec<Entry>,
    /// Sorted by start, then by channel.
    programmes: SpillVec<Programme>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Programme {
    /// In seconds since 1970.
    start: i64,
    stop: Option<i64>,
    /// Those of its channel, which are in the order of channels.
    entries: Range<usize>,
    title: Box<str>,
    desc: Box<str>,
    category: Box<str>,
}

impl MemSize for Programme {
    fn heap_bytes(&self) -> usize {
        allocated_bytes([&self.title, &self.desc, &self.category])
    }
}

/// A line of the result. What is empty is left out.
#[derive(Serialize)]
struct Line<'a> {
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<String>,
    channel: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    url: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    category: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    desc: &'a str,
}

/// Reads all playlists, then all guides.
pub(crate) fn join(order: &Ingest, report: &mut Report) -> Result<Joined> {
    let vectors_bytes = order.memory_bytes - OVERHEAD_BYTES;
    let options = |memory_bytes| {
        let options = SpillVecOptions::new(Postcard).memory_bytes(memory_bytes);
        order.temp.iter().fold(options, SpillVecOptions::directory)
    };
    // Not packed: they are looked up one by one.
    let mut entries = options(vectors_bytes).build_exact()?;
    for path in &order.playlists {
        m3u::read(Input::open(path)?, report, |entry| Ok(entries.push(entry)?))?;
    }
    let entries = entries.sorted_by(|one, other| one.id.cmp(&other.id))?;
    report.note("entries", &entries);

    let options = options(vectors_bytes / 2).compression(Compression::Lz4);
    let mut programmes = options.build_exact()?;
    let mut channels = Channels::new(&entries, vectors_bytes / 16);
    for path in &order.guides {
        let input = Input::open(path)?;
        let name = input.name.clone();
        xmltv::read(input, |element| match element.kind {
            Kind::Channel => {
                report.channels += 1;
                channels.name(element)
            }
            Kind::Programme => {
                report.programmes += 1;
                let at = element.at;
                match programme(element, &mut channels)? {
                    Ok(programme) => programmes.push(programme)?,
                    Err(why) => report.skip(why, || format!("{name} byte {at}")),
                }
                Ok(())
            }
            Kind::Other => Ok(()),
        })?;
    }
    let programmes = programmes.sorted_by(by_start)?;
    report.note("programmes", &programmes);
    Ok(Joined { entries, programmes })
}

fn by_start(one: &Programme, other: &Programme) -> Ordering {
    (one.start, one.entries.start).cmp(&(other.start, other.entries.start))
}

/// The programme that an element of a guide tells of, or why it is none.
fn programme(
    element: Element,
    channels: &mut Channels<'_>,
) -> Result<Result<Programme, &'static str>> {
    if element.channel.is_empty() {
        return Ok(Err("programmes without a channel"));
    }
    let entries = channels.entries(&element.channel)?;
    if entries.is_empty() {
        return Ok(Err("programmes of channels that are in no playlist"));
    }
    let (start, stop) = (time::parse(&element.start), time::parse(&element.stop));
    let Some(start) = start.filter(|_| stop.is_some() || element.stop.is_empty()) else {
        return Ok(Err("programmes with a start or stop that is no time"));
    };
    Ok(Ok(Programme {
        start,
        stop,
        entries,
        title: element.title.into(),
        desc: element.desc.into(),
        category: element.category.into(),
    }))
}

impl Joined {
    /// Writes all lines; how many they are.
    pub(crate) fn write(self, out: &mut dyn Write) -> Result<u64> {
        let mut lines = 0;
        for programme in self.programmes {
            let programme = programme?;
            for entry in self.entries.range(programme.entries) {
                let entry = entry?;
                let line = Line {
                    start: Utc(programme.start).to_string(),
                    stop: programme.stop.map(|stop| Utc(stop).to_string()),
                    channel: &entry.id,
                    name: &entry.name,
                    group: &entry.group,
                    url: &entry.url,
                    title: &programme.title,
                    category: &programme.category,
                    desc: &programme.desc,
                };
                serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
                out.write_all(b"\n")?;
                lines += 1;
            }
        }
        Ok(lines)
    }
}

/// Finds the entries of the channels of a guide.
struct Channels<'a> {
    /// Sorted by channel.
    all: &'a SpillVec<Entry>,
    /// Of channels that playlists know by a name and not by their id.
    by_name: HashMap<String, Range<usize>>,
    /// Memory that more of those may take.
    by_name_bytes_left: u64,
    /// What was found last: guides tend to tell of a channel's programmes one after the other.
    last: (String, Range<usize>),
}

impl<'a> Channels<'a> {
    /// A place in the map, which may be twice as large as needed, and half as large again while it
    /// grows; and an allocation.
    const BY_NAME_BYTES: usize = 3 * size_of::<(String, Range<usize>)>() + 16;

    fn new(all: &'a SpillVec<Entry>, by_name_bytes_left: u64) -> Self {
        let (by_name, last) = (HashMap::new(), (String::new(), 0..0));
        Self { all, by_name, by_name_bytes_left, last }
    }

    /// Takes in the names of a channel, which count where no entry has its id.
    fn name(&mut self, channel: Element) -> Result<()> {
        let id = channel.channel;
        if self.by_name.contains_key(&id) || !self.bisect(&id)?.is_empty() {
            return Ok(());
        }
        for name in &channel.names {
            let found = self.bisect(name)?;
            if !found.is_empty() {
                let bytes = (id.len() + Self::BY_NAME_BYTES) as u64;
                let left = self.by_name_bytes_left.checked_sub(bytes);
                self.by_name_bytes_left = left.ok_or(
                    "too many channels are known by their name alone: \
                     more --memory is needed, or playlists with a tvg-id",
                )?;
                self.by_name.insert(id, found);
                // It may have been unknown until now.
                self.last = Default::default();
                return Ok(());
            }
        }
        Ok(())
    }

    /// The entries of this channel: none if it is unknown.
    fn entries(&mut self, channel: &str) -> Result<Range<usize>> {
        if self.last.0 != channel {
            let found = match self.by_name.get(channel) {
                Some(found) => found.clone(),
                None => self.bisect(channel)?,
            };
            self.last = (channel.to_owned(), found);
        }
        Ok(self.last.1.clone())
    }

    /// The entries with this id.
    fn bisect(&self, id: &str) -> Result<Range<usize>> {
        let first = |is_before: fn(Ordering) -> bool| -> Result<usize> {
            let (mut begin, mut end) = (0, self.all.len());
            while begin < end {
                let middle = usize::midpoint(begin, end);
                match self.all.with(middle, |entry| is_before((*entry.id).cmp(id)))? {
                    Some(true) => begin = middle + 1,
                    _ => end = middle,
                }
            }
            Ok(begin)
        };
        Ok(first(Ordering::is_lt)?..first(Ordering::is_le)?)
    }
}
