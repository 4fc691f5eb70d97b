//! The lab's hand inside the guest: runs commands and copies files for the host, over a virtio-serial port.
//!
//! It is compiled alone, statically and without any crate, so that it runs in every guest. It survives whatever
//! happens to the host's end: after a snapshot is restored, or when the host gave up, it looks for the next SYNC.
#![forbid(unsafe_code)]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        fs::OpenOptionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

#[path = "../wire.rs"]
#[expect(
    unreachable_pub,
    dead_code,
    reason = "the library shares the file; there it is public, and the host's half is used"
)]
mod wire;

use wire::{Exit, Kind, MAX_PAYLOAD, NONCE, SYNC};

/// Between two looks at a port whose host is away.
const HOST_AWAY: Duration = Duration::from_millis(20);
/// What a command's children may still write after it ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

fn main() {
    let path = Path::new("/dev/virtio-ports").join(wire::PORT);
    loop {
        match OpenOptions::new().read(true).write(true).open(&path) {
            // Only an error of the port itself comes back; then it is opened anew.
            Ok(port) => {
                if let Err(error) = serve(&mut Port(port)) {
                    eprintln!("{}: {error}", path.display());
                }
            }
            Err(error) => eprintln!("cannot open {}: {error}", path.display()),
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// The port. While the host is away, a read returns nothing; here it waits instead.
#[derive(Debug)]
struct Port(File);

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Ok(0) => thread::sleep(HOST_AWAY),
                other => return other,
            }
        }
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn serve(port: &mut Port) -> io::Result<()> {
    wire::find_sync(port)?;
    hello(port)?;
    loop {
        let mut first = [0];
        port.read_exact(&mut first)?;
        if first[0] == SYNC[0] {
            let mut rest = [0; SYNC.len() - 1];
            port.read_exact(&mut rest)?;
            if rest != SYNC[1..] {
                wire::find_sync(port)?;
            }
            hello(port)?;
            continue;
        }
        match wire::receive_rest(first[0], port) {
            Ok(request) => answer(port, request.kind, &request.payload)?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                eprintln!("{error}; waiting for the next conversation");
                wire::find_sync(port)?;
                hello(port)?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn hello(port: &mut Port) -> io::Result<()> {
    let mut nonce = [0; NONCE];
    port.read_exact(&mut nonce)?;
    let boot_id = fs::read("/proc/sys/kernel/random/boot_id")?;
    let mut answer = SYNC.to_vec();
    answer.extend_from_slice(&nonce);
    answer.extend_from_slice(boot_id.trim_ascii());
    port.write_all(&answer)
}

fn answer(port: &mut Port, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let outcome = match kind {
        Kind::Run => run(port, payload),
        Kind::Put => put(port, payload),
        Kind::Get => get(port, payload),
        _ => Err(Trouble::Request("not a request".into())),
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(Trouble::Port(error)) => Err(error),
        Err(Trouble::Request(why)) => {
            let why = &why.as_bytes()[..why.len().min(MAX_PAYLOAD)];
            wire::send(port, Kind::Failed, why)
        }
    }
}

/// Why a request was not fulfilled.
enum Trouble {
    /// The port does not work: nobody to tell it.
    Port(io::Error),
    /// The request can not be fulfilled.
    Request(String),
}

fn refused(what: &str) -> impl FnOnce(io::Error) -> Trouble {
    move |error| Trouble::Request(format!("{what}: {error}"))
}

/// The first `N` bytes, and the rest as text.
fn split<const N: usize>(payload: &[u8]) -> Result<([u8; N], &str), Trouble> {
    let (head, rest) = payload
        .split_first_chunk::<N>()
        .ok_or_else(|| Trouble::Request("a request is cut off".into()))?;
    let text = str::from_utf8(rest).map_err(|error| Trouble::Request(error.to_string()))?;
    Ok((*head, text))
}

/// What a running command's helper threads tell.
enum Event {
    Wrote(Kind, Vec<u8>),
    Closed,
}

fn run(port: &mut Port, payload: &[u8]) -> Result<(), Trouble> {
    let (limit, line) = split::<8>(payload)?;
    let deadline = Instant::now() + Duration::from_millis(u64::from_le_bytes(limit));
    let mut child = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir("/root")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(refused("cannot run /bin/sh"))?;
    let (tell, events) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        pump(stdout, Kind::Stdout, tell.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        pump(stderr, Kind::Stderr, tell);
    }
    let (mut open, mut ended) = (2, None::<(Exit, Instant)>);
    while open > 0 && ended.is_none_or(|(_, at)| at.elapsed() < LAST_WORDS) {
        match events.recv_timeout(Duration::from_millis(10)) {
            Ok(Event::Wrote(kind, bytes)) => {
                wire::send(port, kind, &bytes).map_err(Trouble::Port)?;
            }
            Ok(Event::Closed) => open -= 1,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if ended.is_none() {
            ended = look(&mut child, deadline)?.map(|exit| (exit, Instant::now()));
        }
    }
    // Nobody reads its output any more, but it may still run.
    while ended.is_none() {
        ended = look(&mut child, deadline)?.map(|exit| (exit, Instant::now()));
        if ended.is_none() {
            thread::sleep(Duration::from_millis(2));
        }
    }
    let exit = ended.map_or(Exit::TimedOut, |(exit, _)| exit);
    wire::send(port, Kind::Exit, &exit.to_bytes()).map_err(Trouble::Port)
}

/// Whether the command has ended; kills it, and all it started, once its time is over.
fn look(child: &mut Child, deadline: Instant) -> Result<Option<Exit>, Trouble> {
    if let Some(status) = child.try_wait().map_err(refused("cannot wait for the command"))? {
        return Ok(Some(exit(status)));
    }
    if Instant::now() < deadline {
        return Ok(None);
    }
    let group = format!("-{}", child.id());
    let _gone_already = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _gone_already = child.kill();
    child.wait().map_err(refused("cannot wait for the command"))?;
    Ok(Some(Exit::TimedOut))
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Reads one of the command's pipes until nobody holds its other end.
fn pump(mut pipe: impl Read + Send + 'static, kind: Kind, tell: Sender<Event>) {
    thread::spawn(move || {
        let mut buffer = vec![0; MAX_PAYLOAD];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if tell.send(Event::Wrote(kind, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        let _nobody_waits = tell.send(Event::Closed);
    });
}

/// Writes a file. All of it is read from the port even when it can not be written.
fn put(port: &mut Port, payload: &[u8]) -> Result<(), Trouble> {
    let (mode, path) = split::<4>(payload)?;
    let mut file = create(Path::new(path), u32::from_le_bytes(mode));
    loop {
        let frame = wire::receive(port).map_err(Trouble::Port)?;
        match frame.kind {
            Kind::Data => {
                if let Ok(open) = &mut file
                    && let Err(error) = open.write_all(&frame.payload)
                {
                    file = Err(error);
                }
            }
            Kind::End => break,
            _ => return Err(Trouble::Request("a file was expected".into())),
        }
    }
    file.map_err(refused(path))?;
    wire::send(port, Kind::End, &[]).map_err(Trouble::Port)
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // A program that runs can not be written, but can be replaced.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn get(port: &mut Port, payload: &[u8]) -> Result<(), Trouble> {
    let (_, path) = split::<0>(payload)?;
    let mut file = File::open(path).map_err(refused(path))?;
    let mut buffer = vec![0; MAX_PAYLOAD];
    loop {
        match file.read(&mut buffer).map_err(refused(path))? {
            0 => return wire::send(port, Kind::End, &[]).map_err(Trouble::Port),
            count => wire::send(port, Kind::Data, &buffer[..count]).map_err(Trouble::Port)?,
        }
    }
}
