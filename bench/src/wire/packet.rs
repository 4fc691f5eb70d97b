//! Packet sockets of the kernel: the wire that needs no driver and works on any interface.

use std::io;

use linux::packet::PacketSocket;

use crate::probe::{Take, Wire};

/// Room of a socket, in bytes: some ten thousand small frames.
const ROOM: usize = 16 << 20;

/// The longest frame that is looked at.
const LONGEST: usize = 16 * 1024;

/// Frames leave through one interface and come back through the same or another one.
///
/// Each receive takes one frame, so that its stamp has one call in it, and not those for the frames behind it.
#[derive(Debug)]
pub struct PacketWire {
    out: PacketSocket,
    /// None: frames come back where they left.
    back: Option<PacketSocket>,
    frame: Vec<u8>,
    arrived: u64,
    dropped: u64,
}

impl PacketWire {
    /// Opens it. The interfaces may be the same.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(out: &str, back: &str) -> io::Result<Self> {
        let second = if out == back { None } else { Some(PacketSocket::open(back, ROOM)?) };
        Ok(Self {
            out: PacketSocket::open(out, ROOM)?,
            back: second,
            frame: vec![0; LONGEST],
            arrived: 0,
            dropped: 0,
        })
    }

    /// Throws away what came in until now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.next()?.is_some() {}
        let _until_now = self.back.as_ref().unwrap_or(&self.out).statistics()?;
        (self.arrived, self.dropped) = (0, 0);
        Ok(())
    }

    /// Frames that arrived since the last [`flush`](Self::flush), and how many of them the socket had no room for.
    ///
    /// # Errors
    /// The kernel's.
    pub fn arrivals(&mut self) -> io::Result<(u64, u64)> {
        let statistics = self.back.as_ref().unwrap_or(&self.out).statistics()?;
        self.arrived += u64::from(statistics.frames);
        self.dropped += u64::from(statistics.dropped);
        Ok((self.arrived, self.dropped))
    }

    fn next(&mut self) -> io::Result<Option<usize>> {
        let socket = self.back.as_ref().unwrap_or(&self.out);
        socket.receive(&mut self.frame)
    }
}

impl Wire for PacketWire {
    fn send(&mut self, frame: &[u8]) -> io::Result<bool> {
        self.out.send(frame)
    }

    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize> {
        let Some(length) = self.next()? else { return Ok(0) };
        take(&self.frame[..length], None);
        Ok(1)
    }
}
