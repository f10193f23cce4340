//! The document's Python reader, run over archives in every state.

use std::{
    fs,
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use ringkeep::{Producer, Read, Ring};

use super::{
    archives::{self, FIXTURES, SHAPES, Shape, copy, payload_of, read_all, record_lines},
    bytes::Layout,
    document,
};

const SCRIPT_LINES_MAX: usize = 30;
const COLUMNS_MAX: usize = 100;

/// What python3 prints for these arguments; `None`, loudly, on a machine without it.
fn python(arguments: &[&str]) -> Option<String> {
    let output = match Command::new("python3").args(arguments).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(std::env::var_os("RINGKEEP_CI").is_none(), "this machine has no python3");
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: no python3 on this machine, the reader of docs/FORMAT.md is untried"
            );
            return None;
        }
        output => output.expect("python3 runs"),
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "python3 {arguments:?}: {complaint}");
    Some(String::from_utf8(output.stdout).expect("ASCII"))
}

/// Runs `python3 -c '..'` as a shell would.
pub(crate) fn run_line(line: &str) -> Option<String> {
    let program = line.strip_prefix("python3 -c '").and_then(|rest| rest.strip_suffix('\''));
    let program = program.unwrap_or_else(|| panic!("an unknown command: {line}"));
    python(&["-c", program]).map(|printed| printed.trim_end().to_owned())
}

/// Imports the reader once and serves one archive after the other: starting Python takes longer.
const DRIVER: &str = "import runpy, sys
records = runpy.run_path(sys.argv[1])['records']
for path in sys.stdin:
    for id, payload in records(path.rstrip('\\n')): print(id, payload.hex())
    print('.', flush=True)";

/// The reader in a file of its own, imported by a running Python.
struct Reader {
    script: tempfile::NamedTempFile,
    python: Child,
    printed: BufReader<ChildStdout>,
}

impl Reader {
    fn start() -> Option<Self> {
        python(&["-c", "pass"])?;
        let script = tempfile::NamedTempFile::new().expect("a file");
        fs::write(script.path(), document::script()).expect("the script is written");
        let mut command = Command::new("python3");
        command.args(["-I", "-c", DRIVER]).arg(script.path());
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = pipes.spawn().expect("python3 runs");
        let printed = BufReader::new(python.stdout.take().expect("a pipe"));
        Some(Self { script, python, printed })
    }

    /// The lines it prints for an archive.
    fn lines(&mut self, archive: &Path) -> Vec<String> {
        let input = self.python.stdin.as_mut().expect("a pipe");
        writeln!(input, "{}", archive.display()).expect("the reader runs");
        let lines = self.printed.by_ref().lines().map(|line| line.expect("ASCII"));
        let mut ended = false;
        let lines = lines.take_while(|line| {
            ended = line == ".";
            !ended
        });
        let lines = lines.collect();
        assert!(ended, "the reader failed, see above");
        lines
    }

    /// Holds it against the library; what the library found.
    fn agrees(&mut self, archive: &Path, state: &str) -> Vec<(u64, Read<Vec<u8>>)> {
        let reads = read_all(&Ring::open(archive).expect("a reader"));
        assert_eq!(self.lines(archive), record_lines(&reads), "{} {state}", archive.display());
        reads
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        drop(self.python.stdin.take());
        let _ = self.python.wait();
    }
}

#[test]
fn the_python_reader_run_as_a_script_prints_ids_and_payloads() {
    let Some(reader) = Reader::start() else {
        return;
    };
    let (script, archive) = (reader.script.path(), Path::new(FIXTURES).join("cache.dat"));
    let (Some(script), Some(path)) = (script.to_str(), archive.to_str()) else {
        panic!("paths are ASCII");
    };
    let reads = read_all(&Ring::open(&archive).expect("a reader"));
    let printed = python(&["-I", script, path]).expect("it ran a moment ago");
    assert_eq!(printed.lines().collect::<Vec<_>>(), record_lines(&reads));
}

#[test]
fn the_python_reader_is_short() {
    let script = document::script();
    assert!(script.lines().count() <= SCRIPT_LINES_MAX);
    assert!(script.lines().all(|line| line.len() <= COLUMNS_MAX));
}

#[test]
fn the_python_reader_sees_what_the_library_sees_in_every_state_of_an_archive() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mut reader) = Reader::start() else {
        return;
    };
    let mut reads = Vec::new();
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let path = directory.path().join(format!("ring{index}"));
        reads.extend(through_its_states(&mut reader, shape, &path));
    }
    for name in ["cache.dat", "killed.dat"] {
        reads.extend(reader.agrees(&Path::new(FIXTURES).join(name), "fixture"));
    }
    let count =
        |kind: fn(&Read<Vec<u8>>) -> bool| reads.iter().filter(|(_, read)| kind(read)).count();
    let counts = [
        count(|read| matches!(read, Read::Record(_))),
        count(|read| matches!(read, Read::Absent)),
        count(|read| matches!(read, Read::Lost)),
        count(|read| matches!(read, Read::Corrupt { .. })),
    ];
    println!("records, absent, lost, corrupt: {counts:?}");
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

/// New, live, copied, died, on again, damaged, closed.
fn through_its_states(reader: &mut Reader, shape: Shape, path: &Path) -> Vec<(u64, Read<Vec<u8>>)> {
    let copied = path.with_extension("copy");
    let mut producer = shape.create(path);
    let mut reads = reader.agrees(path, "new");
    assert!(reads.is_empty());
    shape.fill(&mut producer, 3);
    reads.extend(reader.agrees(path, "live"));
    copy(path, &copied);
    reads.extend(reader.agrees(&copied, "copied alive"));
    producer.die();
    reads.extend(reader.agrees(path, "died"));
    copy(path, &copied);
    reads.extend(reader.agrees(&copied, "copied dead"));
    // The copy is recovered as after a power cut.
    Producer::open(&copied).expect("a producer").die();
    reads.extend(reader.agrees(&copied, "recovered"));
    let mut producer = Producer::open(path).expect("a producer");
    shape.fill(&mut producer, 1);
    reads.extend(reader.agrees(path, "on again"));
    producer.close().expect("a close");
    reads.extend(reader.agrees(path, "closed"));
    copy(path, &copied);
    reads.extend(reader.agrees(&copied, "copied closed"));
    let next = Ring::open(path).and_then(|ring| ring.next_id()).expect("next");
    flip_a_bit(path, next - 1);
    reads.extend(reader.agrees(path, "damaged"));
    reads
}

fn flip_a_bit(path: &Path, id: u64) {
    let (file, offset) = Layout::of(path).place_of(id);
    let file = fs::OpenOptions::new().read(true).write(true).open(file).expect("a shard");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("a byte");
    file.write_all_at(&[byte[0] ^ 0x10], offset).expect("a byte");
}

#[test]
fn the_python_reader_finds_a_rewritten_record_in_the_redo_slot() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mut reader) = Reader::start() else {
        return;
    };
    for (index, flushed) in [false, true].into_iter().enumerate() {
        for deleted in [false, true] {
            let path = directory.path().join(format!("ring{index}{deleted}"));
            let shape = Shape { record_size: 20, capacity: 30, shards: 2 };
            let mut producer = shape.create(&path);
            for id in 0..40 {
                producer.append(&payload_of(id, 0, 20)).expect("an append");
            }
            if flushed {
                producer.flush().expect("a flush");
            }
            if deleted {
                producer.delete(35).expect("a delete");
            } else {
                producer.update(35, &payload_of(35, 1, 20)).expect("an update");
            }
            producer.die();
            // As if it had died in the middle of the rewrite: the slot is torn, the counter odd.
            flip_a_bit(&path, 35);
            let torn = reader.agrees(&path, "torn");
            let counter = document::block_starts()["hot page"] as u64 + 8;
            let file = fs::OpenOptions::new().write(true).open(&path).expect("the archive");
            file.write_all_at(&[1], counter).expect("a counter");
            let reads = reader.agrees(&path, "rewriting");
            let read = |reads: Vec<(u64, Read<Vec<u8>>)>| {
                reads.into_iter().find(|(id, _)| *id == 35).expect("it is kept").1
            };
            let expected = if deleted { Read::Absent } else { Read::Record(payload_of(35, 1, 20)) };
            assert_eq!(read(reads), expected);
            assert_eq!(matches!(read(torn), Read::Corrupt { .. }), !flushed);
        }
    }
}

#[test]
fn the_python_reader_beside_a_running_producer_prints_genuine_records_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    let shape = Shape { record_size: 40, capacity: 5000, shards: 3 };
    let mut producer = shape.create(&path);
    let Some(mut reader) = Reader::start() else {
        return;
    };
    let stop = AtomicBool::new(false);
    let lines: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            for id in 0.. {
                producer.append(&payload_of(id, 0, 40)).expect("an append");
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let lines = (0..5).flat_map(|_| reader.lines(&path)).collect();
        stop.store(true, Relaxed);
        lines
    });
    println!("{} records beside a running producer", lines.len());
    for line in &lines {
        let (id, payload) = line.split_once(' ').expect("an id and a payload");
        let id = id.parse().expect("an id");
        assert_eq!(payload, archives::hex(&payload_of(id, 0, 40)), "{id}");
    }
}
