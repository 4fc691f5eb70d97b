//! An interface with a program behind it instead of a wire (Documentation/networking/tuntap.rst).
//!
//! # Safety
//! `TUNSETIFF` reads and writes a `struct ifreq`, which is handed to it whole.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
};

/// The program's side of a tap interface. The interface goes when this is dropped.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

/// How reading waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It sleeps until a frame is there.
    Sleeps,
    /// It answers at once.
    Asks,
}

const NAME: usize = 16;

impl Tap {
    /// Makes an interface of this name in the network namespace of the calling thread; it is down.
    ///
    /// # Errors
    /// The kernel's: `EPERM` without `CAP_NET_ADMIN`, `EBUSY` when there is one, `EINVAL` for a name that is too long.
    pub fn open(name: &str, reading: Reading) -> io::Result<Self> {
        if name.len() >= NAME || name.bytes().any(|byte| byte == 0) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = if reading == Reading::Asks { libc::O_NONBLOCK } else { 0 };
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/net/tun")?;
        // struct ifreq: a name of 16 bytes, then a union of 24, of which the flags are the first two.
        let mut request = [0_u8; 40];
        request[..name.len()].copy_from_slice(name.as_bytes());
        let kind = libc::IFF_TAP | libc::IFF_NO_PI;
        let kind = u16::try_from(kind).expect("both flags are below 2^16");
        request[NAME..NAME + 2].copy_from_slice(&kind.to_ne_bytes());
        // SAFETY: the file is open; TUNSETIFF reads and writes a struct ifreq, which has 40 bytes on 64-bit machines and
        // is `request`.
        let answer =
            unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { file }) }
    }

    /// Takes one frame that the kernel sent through the interface; `None` when there is none now.
    ///
    /// # Errors
    /// The kernel's: `EIO` while the interface is down.
    pub fn receive(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.file.read(into) {
            Ok(length) => Ok(Some(length)),
            Err(error) if is_nothing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets the kernel receive one frame from the interface; `false` when there is no room now.
    ///
    /// # Errors
    /// The kernel's: `EIO` while the interface is down.
    pub fn send(&mut self, frame: &[u8]) -> io::Result<bool> {
        match self.file.write(frame) {
            Ok(_) => Ok(true),
            Err(error) if is_nothing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_can_not_be_is_refused() {
        for name in ["sixteen-letters-", "with\0zero"] {
            let error = Tap::open(name, Reading::Asks).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
