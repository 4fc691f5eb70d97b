//! Whole Ethernet frames in and out of an interface, through the kernel's packet sockets (packet(7)).
//!
//! # Safety
//! Binding to an interface takes a `sockaddr_ll`, and the options of packet sockets are numbers that no safe wrapper
//! knows; both are handed to the kernel with their true size. Bursts are arrays of pointers to buffers that are borrowed
//! until the call is back.

use std::{
    array,
    ffi::CString,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, OwnedFd},
    ptr,
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

/// Frames that one call takes at most.
pub const BURST: usize = 32;

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

    /// Sends frames with one call, a [`BURST`] of them at most, the first one first; says how many there was room for.
    ///
    /// # Errors
    /// As [`send`](Self::send), of the first frame.
    pub fn send_burst<'f>(&self, frames: impl Iterator<Item = &'f [u8]>) -> io::Result<usize> {
        let mut parts = [NOTHING; BURST];
        let mut count = 0;
        for (part, frame) in parts.iter_mut().zip(frames) {
            // Sending only reads it.
            *part = vector(frame.as_ptr().cast_mut(), frame.len());
            count += 1;
        }
        let mut messages = messages(&mut parts);
        let wanted = libc::c_uint::try_from(count).expect("at most a burst");
        // SAFETY: the socket is open as long as `self`; the first `wanted` messages have one part each, which is a frame
        // that is borrowed until after this call and which sendmmsg(2) only reads.
        let sent = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                wanted,
                libc::MSG_DONTWAIT,
            )
        };
        some_of(sent)
    }

    /// Receives the frames that are there with one call, as many as there are buffers and a [`BURST`] at most, and hands
    /// each to `take`; says how many there were. What is longer than its buffer is cut off.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_burst(
        &self,
        buffers: &mut [Vec<u8>],
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<usize> {
        let mut parts = [NOTHING; BURST];
        let mut count = 0;
        for (part, buffer) in parts.iter_mut().zip(buffers.iter_mut()) {
            *part = vector(buffer.as_mut_ptr(), buffer.len());
            count += 1;
        }
        let mut messages = messages(&mut parts);
        let wanted = libc::c_uint::try_from(count).expect("at most a burst");
        let (socket, flags) = (self.socket.as_raw_fd(), libc::MSG_DONTWAIT);
        // SAFETY: the socket is open as long as `self`; the first `wanted` messages have one part each, which is a buffer
        // of its own that nobody else uses until after this call. There is no time out.
        let received = unsafe {
            libc::recvmmsg(socket, messages.as_mut_ptr(), wanted, flags, ptr::null_mut())
        };
        let received = some_of(received)?;
        for (message, buffer) in messages.iter().zip(buffers.iter()).take(received) {
            take(&buffer[..buffer.len().min(message.msg_len as usize)]);
        }
        Ok(received)
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

/// No part of a message.
const NOTHING: libc::iovec = vector(ptr::null_mut(), 0);

const fn vector(start: *mut u8, length: usize) -> libc::iovec {
    libc::iovec { iov_base: start.cast(), iov_len: length }
}

/// A message for each part, which has to live as long as they do.
fn messages(parts: &mut [libc::iovec; BURST]) -> [libc::mmsghdr; BURST] {
    let first = parts.as_mut_ptr();
    array::from_fn(|index| {
        // SAFETY: numbers and pointers, all of which may be zero.
        let mut message: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        message.msg_hdr.msg_iov = first.wrapping_add(index);
        message.msg_hdr.msg_iovlen = 1;
        message
    })
}

/// What a call answers that may do a part of what it is asked for.
fn some_of(count: libc::c_int) -> io::Result<usize> {
    if let Ok(count) = usize::try_from(count) {
        return Ok(count);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::EINTR) => Ok(0),
        _ => Err(error),
    }
}

pub(crate) fn interface_index(interface: &str) -> io::Result<u32> {
    let name = CString::new(interface).map_err(io::Error::other)?;
    // SAFETY: `name` ends with a zero and lives until the call returns; if_nametoindex(3) only reads it.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 { Err(io::Error::last_os_error()) } else { Ok(index) }
}
