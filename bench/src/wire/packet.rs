//! Packet sockets of the kernel: the wire that needs no driver and works on any interface.

use std::io;

use linux::packet::{BURST, PacketSocket};

use crate::probe::{Frames, Take, Wire};

/// Room of a socket, in bytes: some ten thousand small frames.
const ROOM: usize = 16 << 20;

/// The longest frame that is looked at; not a round number, so that buffers do not share cache sets.
const LONGEST: usize = 9 * 1024 + 64;

/// Frames leave through one interface and come back through the same or another one.
///
/// A receive takes one frame, so that its stamp has one call in it, and not what it takes to fetch those behind it; once
/// there was one, the next takes all that are there.
#[derive(Debug)]
pub struct PacketWire {
    out: PacketSocket,
    /// None: frames come back where they left.
    back: Option<PacketSocket>,
    buffers: Vec<Vec<u8>>,
    /// The last receive found something.
    is_coming: bool,
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
            buffers: vec![vec![0; LONGEST]; BURST],
            is_coming: false,
            arrived: 0,
            dropped: 0,
        })
    }

    /// Throws away what came in until now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.receive(&mut |_, _| ())? > 0 {}
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
}

impl Wire for PacketWire {
    fn send(&mut self, frames: &Frames) -> io::Result<usize> {
        self.out.send_burst(frames.iter())
    }

    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize> {
        let Self { out, back, buffers, is_coming, .. } = self;
        let most = if *is_coming { BURST } else { 1 };
        let socket = back.as_ref().unwrap_or(out);
        let count = socket.receive_burst(&mut buffers[..most], &mut |frame| take(frame, None))?;
        *is_coming = count > 0;
        Ok(count)
    }
}
