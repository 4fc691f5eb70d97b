//! What probes go through on this machine.

pub mod dpdk;
pub mod packet;
pub mod stamps;
pub mod xdp;

use std::io;

pub use self::{
    dpdk::{DpdkWire, DpdkWireError, Generator},
    packet::PacketWire,
    xdp::XdpWire,
};
use crate::probe::Wire;

/// One of them.
#[derive(Debug)]
pub enum Way<'eal> {
    /// Packet sockets on interfaces of the kernel.
    Packet(PacketWire),
    /// AF_XDP sockets on interfaces of the kernel.
    Xdp(Box<XdpWire>),
    /// Ports of DPDK.
    Dpdk(Box<DpdkWire<'eal>>),
}

impl Way<'_> {
    /// Does something with it as it is used in the loop.
    ///
    /// # Errors
    /// What that answers; that the ports are closed.
    pub fn with<R, E: From<io::Error>>(
        &mut self,
        work: impl FnOnce(&mut dyn Wire) -> Result<R, E>,
    ) -> Result<R, E> {
        match self {
            Self::Packet(wire) => work(wire),
            Self::Xdp(wire) => work(wire.as_mut()),
            Self::Dpdk(wire) => match wire.turn() {
                Some(mut turn) => work(&mut turn),
                None => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            },
        }
    }

    /// Throws away what came in until now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Packet(wire) => wire.flush(),
            Self::Xdp(wire) => wire.flush(),
            Self::Dpdk(wire) => {
                wire.flush();
                wire.begin().map_err(io::Error::other)
            }
        }
    }

    /// Of frames that came since the last [`flush`](Self::flush), where the device stamps them: how many it stamped, how
    /// many it did not, and how wrong a stamp may be, in ns.
    #[must_use]
    pub fn stamped(&self) -> Option<(u64, u64, u64)> {
        match self {
            Self::Packet(_) | Self::Xdp(_) => None,
            Self::Dpdk(wire) => wire.stamped(),
        }
    }

    /// Frames that arrived since the last [`flush`](Self::flush), and how many of them we had no room for.
    ///
    /// # Errors
    /// The kernel's.
    pub fn arrivals(&mut self) -> io::Result<(u64, u64)> {
        match self {
            Self::Packet(wire) => wire.arrivals(),
            Self::Xdp(wire) => Ok((wire.arrived(), 0)),
            Self::Dpdk(wire) => Ok((wire.arrived(), 0)),
        }
    }
}
