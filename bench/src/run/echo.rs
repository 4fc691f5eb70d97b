//! The kernel's side of group reflect: a program that sends back what comes, inside the path's namespace.
//!
//! It is this program itself, started again with a hidden command, so that nothing has to be installed.

use std::{
    io::{self, Write as _},
    net::{SocketAddrV4, UdpSocket},
};

use clap::{Args, ValueEnum};
use config::CpuId;
use linux::packet::PacketSocket;

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
}

/// How it waits, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// A UDP socket; it sleeps until something is there.
    Block,
    /// A UDP socket; it asks without end.
    Spin,
    /// A packet socket; it asks without end.
    Packet,
}

/// The longest frame.
const LONGEST: usize = 16 * 1024;

/// Echoes until it is killed. Prints `ready` when it does.
///
/// # Errors
/// What the kernel says.
pub fn run(args: &EchoArgs) -> io::Result<()> {
    linux::thread::pin(args.cpu).map_err(io::Error::other)?;
    match args.how {
        How::Block | How::Spin => {
            let socket = UdpSocket::bind(args.at)?;
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20)?;
            rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, 8 << 20)?;
            socket.set_nonblocking(args.how == How::Spin)?;
            ready()?;
            datagrams(&socket)
        }
        How::Packet => {
            let socket = PacketSocket::open(&args.interface, 16 << 20)?;
            ready()?;
            frames(&socket)
        }
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

fn frames(socket: &PacketSocket) -> io::Result<()> {
    let mut buffer = vec![0; LONGEST];
    loop {
        let Some(length) = socket.receive(&mut buffer)? else { continue };
        let frame = &mut buffer[..length.min(LONGEST)];
        if swap(frame) {
            socket.send(frame)?;
        }
    }
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
