//! What the host and the agent in the guest say to each other, over one virtio-serial port.
//!
//! ```text
//!  host                                   agent
//!  SYNC nonce            ──────────────►  (finds SYNC in whatever a lost connection left)
//!                        ◄──────────────  SYNC nonce boot-id
//!  Run limit command     ──────────────►
//!                        ◄──────────────  Stdout bytes, Stderr bytes, … Exit how
//!  Put mode path, Data…, End ──────────►
//!                        ◄──────────────  End | Failed why
//!  Get path              ──────────────►
//!                        ◄──────────────  Data…, End | Failed why
//! ```
//! A frame is one byte of kind, the payload's length (u32, little-endian), the payload. One request at a time.
//!
//! This file is also part of the agent, which is compiled without any crate: std only.

use std::io::{self, Read, Write};

/// The name of the port: `/dev/virtio-ports/<PORT>` in the guest.
pub(crate) const PORT: &str = "barewire.lab";
/// Begins a conversation, from both sides. Its first byte is no frame's kind.
pub(crate) const SYNC: [u8; 16] = *b"\x01barewire-lab-1\n";
/// Bytes of the number that ties an answer to its SYNC.
pub(crate) const NONCE: usize = 8;
/// Bytes of `/proc/sys/kernel/random/boot_id`, without the newline.
pub(crate) const BOOT_ID: usize = 36;
/// The longest payload of a frame; files go in frames of this size.
pub(crate) const MAX_PAYLOAD: usize = 64 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Run a command: milliseconds it may take (u64, little-endian), then a line for `sh -c`.
    Run,
    /// Write a file: its mode (u32, little-endian), then its path; [`Kind::Data`] and [`Kind::End`] follow.
    Put,
    /// Read a file: its path.
    Get,
    /// Some of a file.
    Data,
    /// The end of a file; as an answer to one: it is written.
    End,
    /// It did not work: why, in words.
    Failed,
    /// Some of what the command wrote to its standard output.
    Stdout,
    /// Some of what the command wrote to its standard error.
    Stderr,
    /// How the command ended: an [`Exit`].
    Exit,
}

const KINDS: [(Kind, u8); 9] = [
    (Kind::Run, b'R'),
    (Kind::Put, b'P'),
    (Kind::Get, b'G'),
    (Kind::Data, b'd'),
    (Kind::End, b'z'),
    (Kind::Failed, b'f'),
    (Kind::Stdout, b'o'),
    (Kind::Stderr, b'e'),
    (Kind::Exit, b'x'),
];

impl Kind {
    fn byte(self) -> u8 {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, byte)| *byte)
    }

    fn from_byte(byte: u8) -> Option<Kind> {
        KINDS.iter().find(|(_, known)| *known == byte).map(|(kind, _)| *kind)
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// Killed by the agent: it took longer than it may.
    TimedOut,
}

impl Exit {
    /// As the payload of the agent's last frame about a command.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 5] {
        let (how, number) = match self {
            Exit::Code(code) => (0, code),
            Exit::Signal(signal) => (1, signal),
            Exit::TimedOut => (2, 0),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [how, a, b, c, d]
    }

    /// From the payload of the agent's last frame about a command.
    #[must_use]
    pub fn from_bytes(payload: &[u8]) -> Option<Exit> {
        let (how, number) = payload.split_first()?;
        let number = i32::from_le_bytes(number.try_into().ok()?);
        match how {
            0 => Some(Exit::Code(number)),
            1 => Some(Exit::Signal(number)),
            2 => Some(Exit::TimedOut),
            _ => None,
        }
    }
}

/// One frame, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// What it is.
    pub(crate) kind: Kind,
    /// What it carries.
    pub(crate) payload: Vec<u8>,
}

/// Writes one frame, in one write.
///
/// # Errors
/// The writer's; `InvalidInput` for a payload above [`MAX_PAYLOAD`].
pub(crate) fn send(to: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    if payload.len() > MAX_PAYLOAD {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame's payload is too long"));
    }
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(payload.len() + 5);
    bytes.push(kind.byte());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(payload);
    to.write_all(&bytes)
}

/// Reads one frame.
///
/// # Errors
/// The reader's; `InvalidData` for what is no frame.
pub(crate) fn receive(from: &mut impl Read) -> io::Result<Frame> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    receive_rest(kind[0], from)
}

/// Reads the rest of a frame whose first byte has been read.
///
/// # Errors
/// As [`receive`].
pub(crate) fn receive_rest(kind: u8, from: &mut impl Read) -> io::Result<Frame> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let kind =
        Kind::from_byte(kind).ok_or_else(|| bad(&format!("{kind:#04x} is no frame's kind")))?;
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_PAYLOAD {
        return Err(bad("a frame says that it is too long"));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(Frame { kind, payload })
}

/// Reads, byte by byte, up to and including the next [`SYNC`].
///
/// # Errors
/// The reader's.
pub(crate) fn find_sync(from: &mut impl Read) -> io::Result<()> {
    let mut last = [0; SYNC.len()];
    while last != SYNC {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        last.rotate_left(1);
        last[SYNC.len() - 1] = byte[0];
    }
    Ok(())
}
