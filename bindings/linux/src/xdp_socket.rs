//! Frames in and out of one receive queue of an interface, through memory shared with the kernel (AF_XDP;
//! Documentation/networking/af_xdp.rst). In copy mode, which every driver can.
//!
//! ```text
//!  chunks      0 1 2 …                                a frame each
//!  fill        ours ─► kernel: chunks to receive into
//!  receive     kernel ─► ours: chunks with frames      ─┐ turned around: out with the same chunk
//!  transmit    ours ─► kernel: chunks to send          ◄┘
//!  completion  kernel ─► ours: chunks that were sent   ─► fill
//! ```
//!
//! # Safety
//! The rings are memory that the kernel reads and writes at the same time. Each has one producer and one consumer: an index
//! that is ours is only written by us, one that is the kernel's only by the kernel; entries between them belong to whoever
//! the protocol says. The kernel checks what we write; what the kernel writes is checked here before it is used.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, Ordering},
};

/// Bytes of a chunk: a frame of usual size.
const CHUNK: usize = 2048;
/// Entries of each ring, and chunks.
const ENTRIES: u32 = 2048;

/// Frames handed over at once.
const BURST: usize = 64;

/// Memory that the kernel knows too.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(length: usize, flags: i32, descriptor: i32, offset: i64) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so no memory that is in use is touched.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, descriptor, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// A place in it, for a `T`.
    fn at<T>(&self, offset: u64) -> io::Result<NonNull<T>> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let is_inside = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.length);
        if !is_inside || !offset.is_multiple_of(align_of::<T>()) {
            return Err(io::Error::other("the kernel names a place outside of its ring"));
        }
        // SAFETY: checked above to be inside of the mapping, which starts at a page.
        let place = unsafe { self.start.add(offset) };
        Ok(place.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and whoever uses it is dropped before or is this socket itself.
        let _failed = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// One ring of entries of type `T`: `u64` addresses, or descriptors.
#[derive(Debug)]
struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    _mapping: Mapping,
}

/// `struct xdp_ring_offset` (linux/if_xdp.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Offsets {
    producer: u64,
    consumer: u64,
    entries: u64,
    flags: u64,
}

/// `struct xdp_desc`
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Descriptor {
    address: u64,
    length: u32,
    options: u32,
}

impl<T: Copy> Ring<T> {
    fn map(socket: &OwnedFd, at: i64, offsets: Offsets) -> io::Result<Self> {
        let size = size_of::<T>() * ENTRIES as usize;
        let end = usize::try_from(offsets.entries).map_err(io::Error::other)?.saturating_add(size);
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let mapping = Mapping::new(end, flags, socket.as_raw_fd(), at)?;
        Ok(Self {
            producer: mapping.at(offsets.producer)?,
            consumer: mapping.at(offsets.consumer)?,
            flags: mapping.at(offsets.flags)?,
            entries: mapping.at(offsets.entries)?,
            _mapping: mapping,
        })
    }

    fn index(&self, which: NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: one of this ring's indices, inside of its mapping, which lives as long as `self`; both sides use atomic
        // operations on it.
        unsafe { which.as_ref() }
    }

    fn entry(&self, index: u32) -> NonNull<T> {
        // SAFETY: masked to below ENTRIES, a power of two, and the mapping holds that many.
        unsafe { self.entries.add((index & (ENTRIES - 1)) as usize) }
    }

    /// Takes one out of a ring that the kernel fills.
    fn take(&mut self) -> Option<T> {
        // Ours, so nobody else writes it.
        let next = self.index(self.consumer).load(Ordering::Relaxed);
        // Acquire: pairs with the kernel's release after it wrote the entry.
        if next == self.index(self.producer).load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: between consumer and producer entries are ours to read, and the kernel has written them.
        let entry = unsafe { self.entry(next).read() };
        // Release: the entry is read before the kernel may use it again.
        self.index(self.consumer).store(next.wrapping_add(1), Ordering::Release);
        Some(entry)
    }

    /// Puts one into a ring that we fill; `false` when it is full.
    fn put(&mut self, entry: T) -> bool {
        let next = self.index(self.producer).load(Ordering::Relaxed);
        // Acquire: pairs with the kernel's release after it read the entry that is written now.
        if next.wrapping_sub(self.index(self.consumer).load(Ordering::Acquire)) >= ENTRIES {
            return false;
        }
        // SAFETY: entries from producer on, as far as the ring is not full, are ours to write.
        unsafe { self.entry(next).write(entry) };
        // Release: the entry is there before the kernel sees the index.
        self.index(self.producer).store(next.wrapping_add(1), Ordering::Release);
        true
    }

    /// Has the kernel taken all that we put in?
    fn is_empty(&self) -> bool {
        let ours = self.index(self.producer).load(Ordering::Relaxed);
        // Nothing is read on the strength of it.
        ours == self.index(self.consumer).load(Ordering::Relaxed)
    }

    /// Does the kernel want to be called?
    fn needs_wakeup(&self) -> bool {
        self.index(self.flags).load(Ordering::Relaxed) & 1 != 0
    }
}

/// An AF_XDP socket that sends frames back, on one thread.
#[derive(Debug)]
pub struct XdpSocket {
    // Before the memory that its rings refer to: closed first.
    socket: OwnedFd,
    receive: Ring<Descriptor>,
    transmit: Ring<Descriptor>,
    fill: Ring<u64>,
    completion: Ring<u64>,
    chunks: Mapping,
    /// Sent, as far as it is not known to be done.
    sending: u32,
    /// Chunks to send frames of our own in.
    free: Vec<u64>,
}

const SOL_XDP: i32 = 283;
const MMAP_OFFSETS: i32 = 1;
const RECEIVE_RING: i32 = 2;
const TRANSMIT_RING: i32 = 3;
const UMEM: i32 = 4;
const FILL_RING: i32 = 5;
const COMPLETION_RING: i32 = 6;
/// Where each ring is mapped.
const RECEIVE_AT: i64 = 0;
const TRANSMIT_AT: i64 = 0x8000_0000;
const FILL_AT: i64 = 0x1_0000_0000;
const COMPLETION_AT: i64 = 0x1_8000_0000;
const BIND_COPY: u16 = 1 << 1;
const BIND_NEED_WAKEUP: u16 = 1 << 3;

/// `struct xdp_umem_reg`, as it was first.
#[repr(C)]
struct UmemRegistration {
    address: u64,
    length: u64,
    chunk: u32,
    headroom: u32,
    flags: u32,
    padding: u32,
}

/// `struct sockaddr_xdp`
#[repr(C)]
struct Address {
    family: u16,
    flags: u16,
    interface: u32,
    queue: u32,
    shared: u32,
}

impl XdpSocket {
    /// Opens one on a receive queue. Frames come once an XDP program sends them here.
    ///
    /// # Errors
    /// The kernel's: `EPERM` without `CAP_NET_RAW`, `EBUSY` when the queue has one, `EINVAL` when there is no such queue.
    pub fn open(interface: u32, queue: u32) -> io::Result<Self> {
        Self::open_with(interface, queue, 0)
    }

    /// Opens one to send frames of our own ([`send_burst`](Self::send_burst)) and to [`receive`](Self::receive) others, each
    /// with half of the chunks.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_both_ways(interface: u32, queue: u32) -> io::Result<Self> {
        Self::open_with(interface, queue, ENTRIES / 2)
    }

    fn open_with(interface: u32, queue: u32, own: u32) -> io::Result<Self> {
        // SAFETY: no pointer is passed.
        let socket = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: made just now, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let length = CHUNK * ENTRIES as usize;
        let chunks = Mapping::new(length, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
        let registration = UmemRegistration {
            address: chunks.start.as_ptr() as u64,
            length: length as u64,
            chunk: u32::try_from(CHUNK).map_err(io::Error::other)?,
            headroom: 0,
            flags: 0,
            padding: 0,
        };
        set(&socket, UMEM, &registration)?;
        for ring in [FILL_RING, COMPLETION_RING, RECEIVE_RING, TRANSMIT_RING] {
            set(&socket, ring, &ENTRIES)?;
        }
        let [receive, transmit, fill, completion] = offsets(&socket)?;
        let mut opened = Self {
            receive: Ring::map(&socket, RECEIVE_AT, receive)?,
            transmit: Ring::map(&socket, TRANSMIT_AT, transmit)?,
            fill: Ring::map(&socket, FILL_AT, fill)?,
            completion: Ring::map(&socket, COMPLETION_AT, completion)?,
            socket,
            chunks,
            sending: 0,
            free: (0..u64::from(own)).map(|chunk| chunk * CHUNK as u64).collect(),
        };
        for chunk in u64::from(own)..u64::from(ENTRIES) {
            opened.fill.put(chunk * CHUNK as u64);
        }
        opened.bind(interface, queue)?;
        Ok(opened)
    }

    fn bind(&self, interface: u32, queue: u32) -> io::Result<()> {
        let address = Address {
            family: u16::try_from(libc::AF_XDP).map_err(io::Error::other)?,
            flags: BIND_COPY | BIND_NEED_WAKEUP,
            interface,
            queue,
            shared: 0,
        };
        let size = libc::socklen_t::try_from(size_of::<Address>()).map_err(io::Error::other)?;
        // SAFETY: the socket is open; `address` is a whole sockaddr_xdp of the size given, which the kernel only reads.
        let answer = unsafe {
            libc::bind(self.socket.as_raw_fd(), (&raw const address).cast::<libc::sockaddr>(), size)
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes the frames that are there, lets `change` change each, and sends those that it answers `true` for back. Says how
    /// many there were.
    ///
    /// # Errors
    /// The kernel's: `ENETDOWN` when the interface is down.
    pub fn turn(&mut self, mut change: impl FnMut(&mut [u8]) -> bool) -> io::Result<usize> {
        let mut count = 0;
        while let Some(descriptor) = self.receive.take() {
            count += 1;
            let is_sent = change(self.frame(descriptor)?) && self.transmit.put(descriptor);
            if is_sent {
                self.sending += 1;
            } else {
                self.give_back(descriptor.address);
            }
        }
        if self.sending > 0 && (count > 0 || self.transmit.needs_wakeup()) {
            self.kick()?;
        }
        while let Some(chunk) = self.completion.take() {
            self.sending = self.sending.saturating_sub(1);
            self.give_back(chunk);
        }
        Ok(count)
    }

    /// Sends frames of ours with one call, the first one first; says how many there was room for. For one that was opened
    /// both ways. (A call in copy mode sends 32; more take more calls, see [`push`](Self::push).)
    ///
    /// # Errors
    /// The kernel's: `ENETDOWN` when the interface is down; a frame that does not fit into a chunk.
    pub fn send_burst<'f>(&mut self, frames: impl Iterator<Item = &'f [u8]>) -> io::Result<usize> {
        while let Some(chunk) = self.completion.take() {
            self.sending = self.sending.saturating_sub(1);
            self.free.push(chunk / CHUNK as u64 * CHUNK as u64);
        }
        let mut count = 0;
        for frame in frames {
            if frame.len() > CHUNK {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            let Some(address) = self.free.pop() else { break };
            let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
            let descriptor = Descriptor { address, length, options: 0 };
            self.frame(descriptor)?.copy_from_slice(frame);
            if !self.transmit.put(descriptor) {
                self.free.push(address);
                break;
            }
            self.sending += 1;
            count += 1;
        }
        self.kick()?;
        Ok(count)
    }

    /// Asks the kernel again to send what it left where it was: a busy device, or more than it sends with one call.
    ///
    /// # Errors
    /// The kernel's: `ENETDOWN` when the interface is down.
    pub fn push(&self) -> io::Result<()> {
        if self.transmit.is_empty() { Ok(()) } else { self.kick() }
    }

    /// Hands the frames that are there, a burst at most, to `take`; says how many there were. For one that was opened both ways.
    ///
    /// # Errors
    /// When the kernel names a frame that can not be.
    pub fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        let mut count = 0;
        while count < BURST
            && let Some(descriptor) = self.receive.take()
        {
            count += 1;
            take(self.frame(descriptor)?);
            self.give_back(descriptor.address);
        }
        Ok(count)
    }

    fn frame(&mut self, descriptor: Descriptor) -> io::Result<&mut [u8]> {
        let outside = || io::Error::other("the kernel names a frame outside of the chunks");
        let start = usize::try_from(descriptor.address).map_err(|_| outside())?;
        let length = descriptor.length as usize;
        if start.checked_add(length).is_none_or(|end| end > self.chunks.length) {
            return Err(outside());
        }
        // SAFETY: inside of the chunks, as checked; ordinary memory of ours, initialised by being mapped.
        let start = unsafe { self.chunks.start.add(start) };
        // SAFETY: the kernel gave this chunk to us with the descriptor, and touches it no more until it is put into a ring
        // again, which takes `&mut self`.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), length) })
    }

    /// There are as many chunks as entries, so there is room.
    fn give_back(&mut self, address: u64) {
        let chunk = CHUNK as u64;
        let _has_room = self.fill.put(address / chunk * chunk);
    }

    /// In copy mode sending is a call.
    fn kick(&self) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: nothing is passed but the socket, which is open.
        let answer =
            unsafe { libc::sendto(self.socket.as_raw_fd(), ptr::null(), 0, flags, ptr::null(), 0) };
        if answer >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::EINTR) => Ok(()),
            _ => Err(error),
        }
    }
}

impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the socket is open, and `value` is a whole T of the size given, which the kernel only reads.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            SOL_XDP,
            option,
            ptr::from_ref(value).cast::<libc::c_void>(),
            size,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Where the parts of each ring are: receive, transmit, fill, completion (`struct xdp_mmap_offsets`).
fn offsets(socket: &OwnedFd) -> io::Result<[Offsets; 4]> {
    let mut found = [Offsets::default(); 4];
    let mut size = libc::socklen_t::try_from(size_of_val(&found)).map_err(io::Error::other)?;
    // SAFETY: the socket is open; the kernel writes at most as many bytes as `size` says, which is that of `found`, plain
    // numbers all.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            SOL_XDP,
            MMAP_OFFSETS,
            found.as_mut_ptr().cast::<libc::c_void>(),
            &raw mut size,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    if size as usize != size_of_val(&found) {
        return Err(io::Error::other("the kernel is older than 5.4"));
    }
    Ok(found)
}
