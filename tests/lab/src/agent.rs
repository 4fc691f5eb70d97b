//! The host's end of the conversation with the agent in the guest.

use std::{
    fmt,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::{
    timed::Timed,
    wire::{self, BOOT_ID, Exit, Kind, MAX_PAYLOAD, NONCE, SYNC},
};

/// The most that one command's output, or one file, may have.
const MOST: usize = 256 * 1024 * 1024;
/// How long one SYNC waits for its answer, before the next is sent.
const SYNC_ANSWER: Duration = Duration::from_secs(2);
/// What the agent gets on top of a command's limit, to say that it passed.
const GRACE: Duration = Duration::from_secs(20);

/// What a command did.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it ended by itself with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// Its standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) =
            (String::from_utf8_lossy(&self.stdout), String::from_utf8_lossy(&self.stderr));
        write!(f, "{:?}\nstdout: {stdout}\nstderr: {stderr}", self.exit)
    }
}

/// The connection. After an error it is out of step: [`Agent::sync`] first.
#[derive(Debug)]
pub(crate) struct Agent {
    stream: UnixStream,
    nonce: u64,
}

impl Agent {
    pub(crate) fn new(stream: UnixStream) -> Agent {
        Agent { stream, nonce: 0 }
    }

    /// Waits until the agent answers, and gives back the guest's boot id.
    pub(crate) fn sync(&mut self, deadline: Instant) -> io::Result<String> {
        loop {
            match self.try_sync(deadline.min(Instant::now() + SYNC_ANSWER)) {
                Err(error)
                    if error.kind() == io::ErrorKind::TimedOut && Instant::now() < deadline => {}
                other => return other,
            }
        }
    }

    fn try_sync(&mut self, deadline: Instant) -> io::Result<String> {
        let mut timed = Timed::new(&self.stream, deadline);
        self.nonce += 1;
        let nonce = self.nonce.to_le_bytes();
        timed.write_all(&[&SYNC[..], &nonce].concat())?;
        loop {
            wire::find_sync(&mut timed)?;
            let mut answer = [0; NONCE + BOOT_ID];
            timed.read_exact(&mut answer)?;
            // Another one is the late answer to a SYNC before this.
            if answer[..NONCE] == nonce {
                return Ok(String::from_utf8_lossy(&answer[NONCE..]).into_owned());
            }
        }
    }

    /// Runs a command for at most so long.
    pub(crate) fn run(&mut self, line: &str, limit: Duration) -> io::Result<Output> {
        let mut timed = Timed::new(&self.stream, Instant::now() + limit + GRACE);
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let request = [&millis.to_le_bytes()[..], line.as_bytes()].concat();
        wire::send(&mut timed, Kind::Run, &request)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let frame = wire::receive(&mut timed)?;
            match frame.kind {
                Kind::Stdout => append(&mut stdout, &frame.payload)?,
                Kind::Stderr => append(&mut stderr, &frame.payload)?,
                Kind::Exit => {
                    let exit =
                        Exit::from_bytes(&frame.payload).ok_or_else(|| unexpected(&frame))?;
                    return Ok(Output { exit, stdout, stderr });
                }
                _ => return Err(unexpected(&frame)),
            }
        }
    }

    /// Writes a file in the guest, with that mode; its folders are made.
    pub(crate) fn put(
        &mut self,
        from: &mut impl Read,
        path: &str,
        mode: u32,
        limit: Duration,
    ) -> io::Result<()> {
        let mut timed = Timed::new(&self.stream, Instant::now() + limit);
        wire::send(&mut timed, Kind::Put, &[&mode.to_le_bytes()[..], path.as_bytes()].concat())?;
        let mut buffer = vec![0; MAX_PAYLOAD];
        loop {
            match from.read(&mut buffer)? {
                0 => break,
                count => wire::send(&mut timed, Kind::Data, &buffer[..count])?,
            }
        }
        wire::send(&mut timed, Kind::End, &[])?;
        let answer = wire::receive(&mut timed)?;
        if answer.kind == Kind::End { Ok(()) } else { Err(unexpected(&answer)) }
    }

    /// Reads a file in the guest.
    pub(crate) fn get(&mut self, path: &str, limit: Duration) -> io::Result<Vec<u8>> {
        let mut timed = Timed::new(&self.stream, Instant::now() + limit);
        wire::send(&mut timed, Kind::Get, path.as_bytes())?;
        let mut bytes = Vec::new();
        loop {
            let frame = wire::receive(&mut timed)?;
            match frame.kind {
                Kind::Data => append(&mut bytes, &frame.payload)?,
                Kind::End => return Ok(bytes),
                _ => return Err(unexpected(&frame)),
            }
        }
    }
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    if to.len() + bytes.len() > MOST {
        return Err(io::Error::other("it is more than 256 MiB"));
    }
    to.extend_from_slice(bytes);
    Ok(())
}

/// What the agent says instead: its own words, if it says why.
fn unexpected(frame: &wire::Frame) -> io::Error {
    match frame.kind {
        Kind::Failed => io::Error::other(String::from_utf8_lossy(&frame.payload).into_owned()),
        kind => io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the agent answers with {kind:?}, which is out of order"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const BOOT: &[u8; BOOT_ID] = b"01234567-89ab-cdef-0123-456789abcdef";

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    /// An agent, and a thread that plays the guest.
    fn with_guest(
        play: impl FnOnce(UnixStream) + Send + 'static,
    ) -> (Agent, thread::JoinHandle<()>) {
        let (host, guest) = UnixStream::pair().unwrap();
        (Agent::new(host), thread::spawn(move || play(guest)))
    }

    fn answer_sync(guest: &mut UnixStream) {
        wire::find_sync(guest).unwrap();
        let mut nonce = [0; NONCE];
        guest.read_exact(&mut nonce).unwrap();
        guest.write_all(&[&SYNC[..], &nonce, BOOT].concat()).unwrap();
    }

    #[test]
    fn a_sync_finds_its_answer_in_what_a_lost_conversation_left() {
        let (mut agent, guest) = with_guest(|mut guest| {
            guest.write_all(b"o\x05\0\0\0half a fra").unwrap();
            guest.write_all(&[&SYNC[..], &[0xee; NONCE], BOOT].concat()).unwrap();
            answer_sync(&mut guest);
        });

        assert_eq!(agent.sync(soon()).unwrap().as_bytes(), BOOT);
        guest.join().unwrap();
    }

    #[test]
    fn a_command_s_output_is_collected_until_its_exit() {
        let (mut agent, guest) = with_guest(|mut guest| {
            let request = wire::receive(&mut guest).unwrap();
            assert_eq!(request.payload, [&5000_u64.to_le_bytes()[..], b"ls"].concat());
            for (kind, bytes) in [(Kind::Stdout, "a"), (Kind::Stderr, "b"), (Kind::Stdout, "c")] {
                wire::send(&mut guest, kind, bytes.as_bytes()).unwrap();
            }
            wire::send(&mut guest, Kind::Exit, &Exit::Code(7).to_bytes()).unwrap();
        });

        let output = agent.run("ls", Duration::from_secs(5)).unwrap();

        assert_eq!((output.exit, output.text()), (Exit::Code(7), "ac".into()));
        assert_eq!(output.stderr, b"b");
        guest.join().unwrap();
    }

    #[test]
    fn what_the_agent_refuses_is_an_error_in_its_words() {
        let (mut agent, guest) = with_guest(|mut guest| {
            wire::receive(&mut guest).unwrap();
            wire::send(&mut guest, Kind::Failed, b"/x: no such file").unwrap();
        });

        let error = agent.get("/x", Duration::from_secs(5)).unwrap_err();

        assert_eq!(error.to_string(), "/x: no such file");
        guest.join().unwrap();
    }

    #[test]
    fn nonsense_and_silence_are_errors() {
        let (mut agent, guest) = with_guest(|mut guest| {
            wire::receive(&mut guest).unwrap();
            guest.write_all(b"d\xff\xff\xff\xff").unwrap();
        });
        let error = agent.get("/x", Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        guest.join().unwrap();

        let (host, _silent) = UnixStream::pair().unwrap();
        let error = Agent::new(host).sync(Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
