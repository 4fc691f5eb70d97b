//! A client for the control socket: one request, one answer, nothing clever.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::wait;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        self.parse()
    }

    /// The body as what it should be.
    ///
    /// # Panics
    /// When it is something else.
    #[must_use]
    pub fn parse<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|e| panic!("{e} in the answer {} {}", self.status, self.body))
    }
}

/// One request.
///
/// # Errors
/// When nobody listens, or the connection breaks.
pub fn request(socket: &Path, method: &str, path: &str, body: Option<&str>) -> io::Result<Answer> {
    let body = body.unwrap_or_default();
    raw(
        socket,
        format!(
            "{method} {path} HTTP/1.1\r\nHost: barewire\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    )
}

/// These bytes, whatever they are, and the answer to them.
///
/// # Errors
/// When nobody listens, the connection breaks, or what comes back is not HTTP.
pub fn raw(socket: &Path, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(socket)?;
    // A server may answer and close before it has read everything; its answer is what counts.
    let written = stream.write_all(bytes);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    match parse(&answer) {
        Some(answer) => Ok(answer),
        None => {
            written?;
            read?;
            let shown = String::from_utf8_lossy(&answer).into_owned();
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("not an HTTP answer: {shown:?}"),
            ))
        }
    }
}

/// A connection that gives up rather than hang.
///
/// # Errors
/// When nobody listens.
pub fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(wait::PATIENCE))?;
    stream.set_write_timeout(Some(wait::PATIENCE))?;
    Ok(stream)
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let chunked = lines.any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let body = if chunked { unchunk(body)? } else { body.to_owned() };
    Some(Answer { status, body })
}

fn unchunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_in_chunks() {
        let whole = parse(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(whole, Some(Answer { status: 404, body: "{}".into() }));
        let chunks = parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n");
        assert_eq!(chunks, Some(Answer { status: 200, body: "abcde".into() }));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"), None);
        assert_eq!(parse(b"hello"), None);
    }
}
