//! A client for a control socket: one request, one answer.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// The longest answer that is read: a counters page of 32 ports is a hundredth of it.
const MOST: u64 = 16 * 1024 * 1024;

/// The body of the answer to `GET path`.
///
/// # Errors
/// When nobody listens, the answer does not come in time, is no HTTP, or is not a 200.
pub fn get(socket: &Path, path: &str, patience: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: barewire\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    let text = String::from_utf8(answer).map_err(io::Error::other)?;
    match parse(&text) {
        Some((200, body)) => Ok(body),
        Some((status, body)) => {
            Err(io::Error::other(format!("GET {path} was answered with {status}: {body}")))
        }
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("GET {path} was not answered with HTTP"),
        )),
    }
}

/// Status and body.
fn parse(text: &str) -> Option<(u16, String)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = lines.any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked"
        })
    });
    Some((status, if is_chunked { unchunk(body)? } else { body.to_owned() }))
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_in_chunks() {
        assert_eq!(
            parse("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}"),
            Some((404, "{}".into()))
        );
        assert_eq!(
            parse(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"
            ),
            Some((200, "abcde".into()))
        );
        assert_eq!(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"), None);
    }

    proptest! {
        #[test]
        fn nothing_that_a_server_says_is_a_panic(text: String) {
            let _answer = parse(&text);
            let _body = unchunk(&text);
        }
    }
}
