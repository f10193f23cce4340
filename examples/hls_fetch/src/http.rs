//! Fetching over HTTP, again and again where that may help.

use std::{
    io::{Read as _, Write},
    ops::Range,
    thread,
    time::Duration,
};

use ureq::{Agent, Body, ResponseExt as _, http::Response};

use super::{Failure, options::Options};

/// Before the first retry; each one after it waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(8);
const COPIED_BYTES: usize = 64 << 10;

pub(crate) struct Client {
    agent: Agent,
    retries: u32,
}

/// An attempt that did not succeed.
pub(crate) struct Failed {
    cause: Failure,
    may_retry: bool,
}

impl Failed {
    /// Another attempt may succeed.
    pub(crate) fn once(cause: impl Into<Failure>) -> Self {
        Self { cause: cause.into(), may_retry: true }
    }

    /// Another attempt would fail too.
    pub(crate) fn for_good(cause: impl Into<Failure>) -> Self {
        Self { cause: cause.into(), may_retry: false }
    }
}

impl From<ureq::Error> for Failed {
    fn from(error: ureq::Error) -> Self {
        use ureq::Error::{
            BadUri, BodyExceedsLimit, Http, RedirectFailed, StatusCode, TlsRequired,
            TooManyRedirects,
        };
        match error {
            // The server is busy, or has a fault.
            StatusCode(status @ (408 | 429 | 500..)) => Self::once(format!("HTTP status {status}")),
            StatusCode(status) => Self::for_good(format!("HTTP status {status}")),
            BadUri(_) | BodyExceedsLimit(_) | Http(_) | RedirectFailed | TlsRequired
            | TooManyRedirects => Self::for_good(error),
            _ => Self::once(error),
        }
    }
}

impl Client {
    pub(crate) fn new(options: &Options) -> Self {
        let config = Agent::config_builder()
            .timeout_connect(Some(options.timeout))
            .timeout_recv_response(Some(options.timeout))
            .timeout_per_read(Some(options.timeout));
        Self { agent: config.build().new_agent(), retries: options.retries }
    }

    /// Asks for a resource, or for a range of its bytes.
    pub(crate) fn get(
        &self,
        url: &str,
        range: Option<&Range<u64>>,
    ) -> Result<Response<Body>, Failed> {
        if !url.starts_with("http://") {
            return Err(Failed::for_good("only addresses that begin with http:// can be fetched"));
        }
        let mut request = self.agent.get(url);
        if let Some(Range { start, end }) = range {
            request = request.header("Range", format!("bytes={start}-{}", end - 1));
        }
        let response = request.call()?;
        match range {
            Some(_) if response.status() != 206 => {
                Err(Failed::for_good("the server does not know ranges of bytes"))
            }
            _ => Ok(response),
        }
    }

    /// Fetches a small resource whole: its bytes, and the address that it has after redirects.
    pub(crate) fn fetch(&self, url: &str, bytes_max: u64) -> Result<(Vec<u8>, String), Failure> {
        self.retry(url, || {
            let mut response = self.get(url, None)?;
            let bytes = response.body_mut().with_config().limit(bytes_max).read_to_vec()?;
            Ok((bytes, response.get_uri().to_string()))
        })
    }

    /// Tries until it succeeds, with longer and longer pauses, or until there is no more hope.
    pub(crate) fn retry<T>(
        &self,
        url: &str,
        attempt: impl Fn() -> Result<T, Failed>,
    ) -> Result<T, Failure> {
        let (mut pause, mut attempts) = (FIRST_PAUSE, 1);
        loop {
            let Failed { cause, may_retry } = match attempt() {
                Ok(found) => return Ok(found),
                Err(failed) => failed,
            };
            if !may_retry {
                return Err(format!("{url}: {cause}").into());
            }
            if attempts > self.retries {
                return Err(format!("{url}: {cause} (attempts: {attempts})").into());
            }
            // May end too early, which does no harm.
            thread::park_timeout(pause);
            pause = (pause * 2).min(PAUSE_MAX);
            attempts += 1;
        }
    }
}

/// Passes the body of a response on: how many bytes. A body that is cut off is an error.
pub(crate) fn copy(response: &mut Response<Body>, out: &mut impl Write) -> Result<u64, Failed> {
    let mut reader = response.body_mut().as_reader();
    let (mut buffer, mut copied) = (vec![0; COPIED_BYTES], 0);
    loop {
        let bytes = reader.read(&mut buffer).map_err(Failed::once)?;
        if bytes == 0 {
            return Ok(copied);
        }
        // What cannot be stored now cannot be stored in a second either.
        out.write_all(&buffer[..bytes]).map_err(Failed::for_good)?;
        copied += bytes as u64;
    }
}
