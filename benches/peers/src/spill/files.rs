//! Files that one would write without a library: encoded items behind their lengths, and JSON lines
//! whose offsets are in memory.

use std::{
    fs::File,
    hint::black_box,
    io::{BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::FileExt as _,
};

use super::{Entry, Result};

const BUFFER_BYTES: usize = 128 << 10;

/// What the machine can do: buffered, and nothing checked.
#[derive(Debug)]
pub(super) struct PlainFile(File);

impl PlainFile {
    pub(super) fn make(count: u32) -> Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?);
        for number in 0..count {
            let bytes = postcard::to_allocvec(&Entry::new(number))?;
            out.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
            out.write_all(&bytes)?;
        }
        Ok(Self(out.into_inner()?))
    }

    pub(super) fn read(&self) -> Result<()> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(0))?;
        let mut input = BufReader::with_capacity(BUFFER_BYTES, file);
        let (mut length, mut bytes, mut sum) = ([0; 4], Vec::new(), 0_u64);
        while input.read_exact(&mut length).is_ok() {
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            input.read_exact(&mut bytes)?;
            let entry: Entry = postcard::from_bytes(&bytes)?;
            sum = sum.wrapping_add(entry.weight());
        }
        black_box(sum);
        Ok(())
    }
}

/// One line for each item, and where it begins.
#[derive(Debug)]
pub(super) struct JsonLines {
    file: File,
    offsets: Vec<u64>,
}

impl JsonLines {
    pub(super) fn make(count: u32) -> Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?);
        let (mut offsets, mut line, mut offset) = (vec![0], Vec::new(), 0);
        for number in 0..count {
            line.clear();
            serde_json::to_writer(&mut line, &Entry::new(number))?;
            line.push(b'\n');
            out.write_all(&line)?;
            offset += line.len() as u64;
            offsets.push(offset);
        }
        Ok(Self { file: out.into_inner()?, offsets })
    }

    pub(super) fn read(&self) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut input = BufReader::with_capacity(BUFFER_BYTES, file);
        let (mut line, mut sum) = (String::new(), 0_u64);
        while input.read_line(&mut line)? > 0 {
            let entry: Entry = serde_json::from_str(&line)?;
            sum = sum.wrapping_add(entry.weight());
            line.clear();
        }
        black_box(sum);
        Ok(())
    }

    pub(super) fn get(&self, number: u32) -> Result<Entry> {
        let (begin, end) = (self.offsets[number as usize], self.offsets[number as usize + 1]);
        let mut line = vec![0; usize::try_from(end - begin)?];
        self.file.read_exact_at(&mut line, begin)?;
        Ok(serde_json::from_slice(&line)?)
    }
}
