//! Whole Ethernet frames in and out of an interface, through the kernel's packet sockets (packet(7)).
//!
//! # Safety
//! Binding to an interface takes a `sockaddr_ll`, and the options of packet sockets are numbers that no safe wrapper
//! knows; both are handed to the kernel with their true size.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
};

/// A packet socket on one interface. Nothing waits on it.
///
/// It receives every frame that comes in there, whoever it is addressed to, and none that leaves.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

/// What became of frames that came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PacketStatistics {
    /// Frames that were there to be received, those that were dropped included.
    pub frames: u32,
    /// Frames that were dropped because the socket's buffer was full.
    pub dropped: u32,
}

impl PacketSocket {
    /// Opens one, with room for so many bytes each way. (A frame of 64 bytes takes about 800 of them.)
    ///
    /// # Errors
    /// The kernel's: `EPERM` without `CAP_NET_RAW`, `ENODEV` when there is no such interface.
    pub fn open(interface: &str, room: usize) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol yet: it would receive from every interface until it is bound.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let opened = Self { socket };
        // linux/if_packet.h; since Linux 4.20.
        opened.set(libc::SOL_PACKET, 23, 1)?;
        let room = i32::try_from(room).unwrap_or(i32::MAX / 2);
        opened.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, room)?;
        opened.set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, room)?;
        opened.bind(interface_index(interface)?)?;
        Ok(opened)
    }

    fn set(&self, level: i32, option: i32, value: i32) -> io::Result<()> {
        let size = libc::socklen_t::try_from(size_of::<i32>()).expect("four fits");
        // SAFETY: the socket is open as long as `self`. Every option set here takes an int, which is what `value` is and
        // what the size says; the kernel only reads it.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                (&raw const value).cast::<libc::c_void>(),
                size,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn bind(&self, index: u32) -> io::Result<()> {
        let every_protocol = u16::try_from(libc::ETH_P_ALL).expect("a protocol has 16 bits");
        let address = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).expect("a family has 16 bits"),
            sll_protocol: every_protocol.to_be(),
            sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let size = libc::socklen_t::try_from(size_of_val(&address)).expect("twenty fits");
        // SAFETY: the socket is open as long as `self`; `address` is a whole sockaddr_ll of the size given, which is
        // what bind(2) reads for AF_PACKET.
        let result = unsafe {
            libc::bind(self.socket.as_raw_fd(), (&raw const address).cast::<libc::sockaddr>(), size)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Sends one frame, without its check sequence; `false` when there is no room now.
    ///
    /// # Errors
    /// The kernel's: `ENETDOWN` when the interface is down, `ENXIO` when it is gone.
    #[inline]
    pub fn send(&self, frame: &[u8]) -> io::Result<bool> {
        match send(&self.socket, frame, SendFlags::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Receives one frame; `None` when there is none now. What is longer than `into` is cut off.
    ///
    /// # Errors
    /// The kernel's: `ENETDOWN` once when the interface went down.
    #[inline]
    pub fn receive(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.socket, into, RecvFlags::empty()) {
            Ok((length, _)) => Ok(Some(length)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// What came in since this was last asked.
    ///
    /// # Errors
    /// The kernel's; none is known.
    pub fn statistics(&self) -> io::Result<PacketStatistics> {
        // struct tpacket_stats: packets, drops.
        let mut counts = [0_u32; 2];
        let mut size = libc::socklen_t::try_from(size_of_val(&counts)).expect("eight fits");
        // SAFETY: the socket is open as long as `self`. For PACKET_STATISTICS (packet(7)) the kernel writes a
        // tpacket_stats, two unsigned ints, and no more than `size` says, which is that of `counts`.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                counts.as_mut_ptr().cast::<libc::c_void>(),
                &raw mut size,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(PacketStatistics { frames: counts[0], dropped: counts[1] })
    }
}

pub(crate) fn interface_index(interface: &str) -> io::Result<u32> {
    let name = CString::new(interface).map_err(io::Error::other)?;
    // SAFETY: `name` ends with a zero and lives until the call returns; if_nametoindex(3) only reads it.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 { Err(io::Error::last_os_error()) } else { Ok(index) }
}
