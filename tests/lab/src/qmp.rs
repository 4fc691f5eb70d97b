//! QEMU's own control channel: lines of JSON. Events are passed over.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::timed::Timed;

const ANSWER: Duration = Duration::from_secs(30);
/// No line of QEMU's is nearly as long.
const LONGEST_LINE: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Qmp {
    stream: UnixStream,
    unread: Vec<u8>,
}

impl Qmp {
    /// Reads the greeting, and ends the negotiation that it begins.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Qmp> {
        let mut qmp = Qmp { stream, unread: Vec::new() };
        let greeting = qmp.line(Instant::now() + ANSWER)?;
        if greeting.get("QMP").is_none() {
            return Err(io::Error::other("it does not greet as QEMU does"));
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command, and gives back what it returns.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        let deadline = Instant::now() + ANSWER;
        let request = json!({ "execute": command, "arguments": arguments });
        Timed::new(&self.stream, deadline).write_all(format!("{request}\n").as_bytes())?;
        loop {
            let mut answer = self.line(deadline)?;
            if let Some(error) = answer.get("error") {
                let why =
                    error.get("desc").and_then(Value::as_str).unwrap_or("it does not say why");
                return Err(io::Error::other(format!("QEMU refuses {command}: {why}")));
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    fn line(&mut self, deadline: Instant) -> io::Result<Value> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(io::Error::other);
            }
            if self.unread.len() > LONGEST_LINE {
                return Err(io::Error::other("QEMU's answer does not end"));
            }
            let mut buffer = [0; 4096];
            match Timed::new(&self.stream, deadline).read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.unread.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        thread,
    };

    use super::*;

    #[test]
    fn events_are_passed_over_and_a_refusal_is_in_qemu_s_words() {
        let (host, mut qemu) = UnixStream::pair().unwrap();
        let qemu = thread::spawn(move || {
            let mut requests = BufReader::new(qemu.try_clone().unwrap()).lines();
            qemu.write_all(b"{\"QMP\": {}}\n").unwrap();
            requests.next().unwrap().unwrap();
            qemu.write_all(b"{\"return\": {}}\n").unwrap();
            requests.next().unwrap().unwrap();
            qemu.write_all(b"{\"event\": \"STOP\"}\n{\"return\": {\"status\": \"paused\"}}\n")
                .unwrap();
            requests.next().unwrap().unwrap();
            qemu.write_all(b"{\"error\": {\"class\": \"x\", \"desc\": \"not now\"}}\n").unwrap();
        });

        let mut qmp = Qmp::new(host).unwrap();
        let status = qmp.execute("query-status", json!({})).unwrap();
        let refused = qmp.execute("cont", json!({})).unwrap_err();

        assert_eq!(status["status"], "paused");
        assert_eq!(refused.to_string(), "QEMU refuses cont: not now");
        qemu.join().unwrap();
    }
}
