//! A server of a few resources over loopback, which fails as it is told.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// Far more than a busy machine needs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a request gets.
#[derive(Clone)]
pub(crate) enum Answer {
    Bytes(Vec<u8>),
    /// The bytes, however many of them were asked for.
    AllBytes(Vec<u8>),
    /// The first half of them, and the connection ends; half of a range as if it were all of it.
    Half(Vec<u8>),
    /// The first half of them, and then nothing more until the client goes.
    Silence(Vec<u8>),
    Status(u16),
    Redirect(String),
    /// The connection ends at once.
    Nothing,
}

#[derive(Default)]
struct Shared {
    /// By path: one answer after the other, the last one again and again.
    resources: Mutex<HashMap<String, Vec<Answer>>>,
    /// The paths that were asked for.
    requests: Mutex<Vec<String>>,
    asked: Condvar,
}

pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let shared = Arc::<Shared>::default();
        let served = Arc::clone(&shared);
        // It ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                // A client that goes away is no error.
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { url, shared }
    }

    /// Answers with these bytes from now on.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.answer(path, [Answer::Bytes(bytes.into())]);
    }

    pub(crate) fn answer(&self, path: &str, answers: impl Into<Vec<Answer>>) {
        self.shared.resources.lock().insert(path.into(), answers.into());
    }

    /// How often this path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.shared.requests.lock().iter().filter(|found| *found == path).count()
    }

    /// Waits until this path was asked for.
    pub(crate) fn wait_for(&self, path: &str) {
        let mut requests = self.shared.requests.lock();
        let is_missing = |requests: &mut Vec<String>| requests.iter().all(|found| found != path);
        let waited = self.shared.asked.wait_while_for(&mut requests, is_missing, TIMEOUT);
        assert!(!waited.timed_out(), "nobody asks for {path}");
    }

    /// What was asked for since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        let mut requests = std::mem::take(&mut *self.shared.requests.lock());
        requests.sort_unstable();
        requests
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut range = None;
        for line in lines.by_ref() {
            let line = line?.to_ascii_lowercase();
            if let Some(found) = line.strip_prefix("range: bytes=") {
                let (begin, last) = found.split_once('-').expect("a range");
                let end = last.parse::<usize>().expect("a number") + 1;
                range = Some(begin.parse().expect("a number")..end);
            }
            if line.is_empty() {
                break;
            }
        }
        self.requests.lock().push(path.clone());
        self.asked.notify_all();
        match (self.next(&path), range) {
            (Answer::Bytes(bytes), Some(range)) => {
                let bytes = &bytes[range];
                respond(stream, "206 Partial Content", bytes.len(), bytes)
            }
            (Answer::Bytes(bytes) | Answer::AllBytes(bytes), _) => {
                respond(stream, "200 OK", bytes.len(), &bytes)
            }
            (Answer::Half(bytes), Some(range)) => {
                let half = &bytes[range.start..range.end - range.len() / 2];
                respond(stream, "206 Partial Content", half.len(), half)
            }
            (Answer::Half(bytes), None) => {
                respond(stream, "200 OK", bytes.len(), &bytes[..bytes.len() / 2])
            }
            (Answer::Silence(bytes), _) => {
                respond(stream, "200 OK", bytes.len(), &bytes[..bytes.len() / 2])?;
                let mut none = [0];
                (&*stream).read(&mut none).map(drop)
            }
            (Answer::Status(status), _) => respond(stream, &format!("{status} Such"), 0, &[]),
            (Answer::Redirect(to), _) => {
                respond(stream, &format!("302 Found\r\nLocation: {to}"), 0, &[])
            }
            (Answer::Nothing, _) => Ok(()),
        }
    }

    fn next(&self, path: &str) -> Answer {
        let mut resources = self.resources.lock();
        let Some(answers) = resources.get_mut(path) else { return Answer::Status(404) };
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }
}

fn respond(mut stream: &TcpStream, status: &str, stated: usize, bytes: &[u8]) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {stated}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(bytes)
}
