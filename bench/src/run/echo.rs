//! The kernel's side of group reflect: a program that sends back what comes, inside the path's namespace.
//!
//! It is this program itself, started again with a hidden command, so that nothing has to be installed.

use std::{
    io::{self, Write as _},
    net::{SocketAddrV4, UdpSocket},
    time::Duration,
};

use clap::{Args, ValueEnum};
use config::CpuId;
use linux::{
    bpf::{self, Hook, Instruction, Map, Program},
    packet::PacketSocket,
    socket::set_busy_poll,
    tap::{Reading, Tap},
    xdp_socket::XdpSocket,
};

use super::xdp;

/// `barewire-bench echo`
#[derive(Debug, Clone, Args)]
pub struct EchoArgs {
    /// How
    #[arg(long, value_enum)]
    pub how: How,
    /// The CPU to run on
    #[arg(long)]
    pub cpu: CpuId,
    /// The address and port to be at, for UDP
    #[arg(long, default_value = "198.18.0.2:7")]
    pub at: SocketAddrV4,
    /// The interface, for frames
    #[arg(long, default_value = "dut0")]
    pub interface: String,
    /// The interface that frames are passed on to
    #[arg(long, default_value = "dut1")]
    pub to: String,
}

/// How it waits, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// A UDP socket; it sleeps until something is there.
    Block,
    /// A UDP socket; it asks without end.
    Spin,
    /// A UDP socket; it looks into the device's queue itself for a while, then sleeps.
    BusyPoll,
    /// A packet socket; it asks without end.
    Packet,
    /// An AF_XDP socket; it asks without end.
    XdpSocket,
    /// An XDP program sends frames back; this program only holds it.
    XdpTx,
    /// An XDP program passes frames on; this program only holds it.
    XdpRedirect,
    /// Behind a tap interface; it sleeps until something is there.
    TapBlock,
    /// Behind a tap interface; it asks without end.
    TapSpin,
}

impl How {
    /// As it is written on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Spin => "spin",
            Self::BusyPoll => "busy-poll",
            Self::Packet => "packet",
            Self::XdpSocket => "xdp-socket",
            Self::XdpTx => "xdp-tx",
            Self::XdpRedirect => "xdp-redirect",
            Self::TapBlock => "tap-block",
            Self::TapSpin => "tap-spin",
        }
    }
}

/// The longest frame.
const LONGEST: usize = 16 * 1024;

/// How long a busy poll looks before it sleeps.
const BUSY: Duration = Duration::from_micros(50);

/// Echoes until it is killed. Prints `ready` when it does.
///
/// # Errors
/// What the kernel says.
pub fn run(args: &EchoArgs) -> io::Result<()> {
    linux::thread::pin(args.cpu).map_err(io::Error::other)?;
    let interface = args.interface.as_str();
    match args.how {
        How::Block | How::Spin | How::BusyPoll => {
            let socket = UdpSocket::bind(args.at)?;
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20)?;
            rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, 8 << 20)?;
            if args.how == How::BusyPoll {
                set_busy_poll(&socket, BUSY)?;
            }
            socket.set_nonblocking(args.how == How::Spin)?;
            ready()?;
            datagrams(&socket)
        }
        How::Packet => {
            let socket = PacketSocket::open(interface, 16 << 20)?;
            ready()?;
            let mut buffer = vec![0; LONGEST];
            loop {
                let Some(length) = socket.receive(&mut buffer)? else { continue };
                let frame = &mut buffer[..length.min(LONGEST)];
                if swap(frame) {
                    socket.send(frame)?;
                }
            }
        }
        How::XdpSocket => {
            let mut socket = XdpSocket::open(bpf::interface(interface)?, 0)?;
            let map = Map::of_sockets(1).map_err(io::Error::other)?;
            map.set(0, &socket).map_err(io::Error::other)?;
            let _attached = attach(&xdp::to_socket(&map), interface)?;
            ready()?;
            loop {
                socket.turn(swap)?;
            }
        }
        How::XdpTx => hold(&xdp::send_back(), interface),
        How::XdpRedirect => hold(&xdp::pass_on(bpf::interface(&args.to)?), interface),
        How::TapBlock | How::TapSpin => {
            let reading = if args.how == How::TapSpin { Reading::Asks } else { Reading::Sleeps };
            let mut tap = Tap::open(interface, reading)?;
            // Reading and writing fail until it is up.
            super::link::quiet(interface).map_err(io::Error::other)?;
            ready()?;
            let mut buffer = vec![0; LONGEST];
            loop {
                let Some(length) = tap.receive(&mut buffer)? else { continue };
                let frame = &mut buffer[..length];
                if swap(frame) {
                    tap.send(frame)?;
                }
            }
        }
    }
}

fn attach(program: &[Instruction], interface: &str) -> io::Result<bpf::Attached> {
    let interface = bpf::interface(interface)?;
    let program = Program::load(program).map_err(io::Error::other)?;
    program.attach(interface, Hook::Driver).map_err(io::Error::other)
}

/// Keeps a program at its place until this one is killed.
fn hold(program: &[Instruction], interface: &str) -> io::Result<()> {
    let _attached = attach(program, interface)?;
    ready()?;
    loop {
        std::thread::park();
    }
}

fn ready() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "ready")?;
    out.flush()
}

fn datagrams(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; LONGEST];
    loop {
        match socket.recv_from(&mut buffer) {
            // What can not be sent is lost, and the generator will say so.
            Ok((length, from)) => drop(socket.send_to(&buffer[..length], from)),
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Source for destination: Ethernet, IPv4 and UDP. `false` for everything that is not UDP over IPv4 without options.
fn swap(frame: &mut [u8]) -> bool {
    let is_udp = frame.len() >= 42 && frame[12..15] == [0x08, 0x00, 0x45] && frame[23] == 17;
    if is_udp {
        for (at, length) in [(0, 6), (26, 4), (34, 2)] {
            let (first, second) = frame[at..at + 2 * length].split_at_mut(length);
            first.swap_with_slice(second);
        }
    }
    is_udp
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn swapping_twice_is_nothing_and_once_leaves_the_checksums_right(payload in prop::collection::vec(any::<u8>(), 18..100)) {
            let mut frame = Vec::new();
            PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
                .udp(1000, 7)
                .write(&mut frame, &payload)
                .unwrap();
            let before = frame.clone();

            prop_assert!(swap(&mut frame));

            let swapped = frame.clone();
            let packet = SlicedPacket::from_ethernet(&swapped).unwrap();
            let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (packet.net, packet.transport) else {
                panic!("not UDP any more");
            };
            prop_assert_eq!((udp.source_port(), udp.destination_port()), (7, 1000));
            prop_assert_eq!(ip.header().source(), [10, 0, 0, 2]);
            let sum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload()).unwrap();
            prop_assert_eq!(sum, udp.checksum());
            prop_assert!(swap(&mut frame));
            prop_assert_eq!(frame, before);
        }

        #[test]
        fn any_bytes_are_swapped_or_left(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let before = bytes.clone();
            if !swap(&mut bytes) {
                prop_assert_eq!(bytes, before);
            }
        }
    }
}
