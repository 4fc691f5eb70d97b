//! AF_XDP sockets: the wire of the kernel that leaves its protocols out.

use std::io;

use linux::{
    bpf::{self, Attached, Hook, Map, Program},
    xdp_socket::XdpSocket,
};

use crate::{
    probe::{Frames, Take, Wire},
    run::xdp::to_socket,
};

/// One socket for each interface, behind a program that hands it every frame.
#[derive(Debug)]
pub struct XdpWire {
    out: End,
    /// None: frames come back where they left.
    back: Option<End>,
    arrived: u64,
}

/// A socket, and what hands it its frames.
#[derive(Debug)]
struct End {
    // Before the socket that it names: taken away first.
    _attached: Attached,
    _map: Map,
    socket: XdpSocket,
}

impl End {
    fn open(interface: &str) -> io::Result<Self> {
        let interface = bpf::interface(interface)?;
        let socket = XdpSocket::open_both_ways(interface, 0)?;
        let map = Map::of_sockets(1).map_err(io::Error::other)?;
        map.set(0, &socket).map_err(io::Error::other)?;
        let program = Program::load(&to_socket(&map)).map_err(io::Error::other)?;
        let attached = program.attach(interface, Hook::Driver).map_err(io::Error::other)?;
        Ok(Self { _attached: attached, _map: map, socket })
    }
}

impl XdpWire {
    /// Opens it. The interfaces may be the same.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(out: &str, back: &str) -> io::Result<Self> {
        let second = if out == back { None } else { Some(End::open(back)?) };
        Ok(Self { out: End::open(out)?, back: second, arrived: 0 })
    }

    /// Throws away what came in until now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.receive(&mut |_, _| ())? > 0 {}
        self.arrived = 0;
        Ok(())
    }

    /// Frames that arrived since the last [`flush`](Self::flush).
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.arrived
    }
}

impl Wire for XdpWire {
    fn send(&mut self, frames: &Frames) -> io::Result<usize> {
        self.out.socket.send_burst(frames.iter())
    }

    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize> {
        let count = self
            .back
            .as_mut()
            .unwrap_or(&mut self.out)
            .socket
            .receive(&mut |frame| take(frame, None))?;
        self.arrived += count as u64;
        if count == 0 {
            self.out.socket.push()?;
        }
        Ok(count)
    }
}
