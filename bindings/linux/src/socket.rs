//! Options of sockets that no safe wrapper knows.
//!
//! # Safety
//! An option is handed to the kernel as an int with its true size.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
    time::Duration,
};

/// Lets receiving calls look into the device's queue themselves for so long before they sleep (socket(7), SO_BUSY_POLL),
/// and rather than be interrupted (SO_PREFER_BUSY_POLL; Linux 5.11).
///
/// # Errors
/// The kernel's: `EPERM` without `CAP_NET_ADMIN`.
pub fn set_busy_poll(socket: &impl AsFd, time: Duration) -> io::Result<()> {
    let micros = i32::try_from(time.as_micros()).unwrap_or(i32::MAX);
    for (option, value) in [(libc::SO_BUSY_POLL, micros), (libc::SO_PREFER_BUSY_POLL, 1)] {
        let size = libc::socklen_t::try_from(size_of::<i32>()).expect("four fits");
        // SAFETY: the socket is open, as it is borrowed. Both options take an int, which is what `value` is and what the
        // size says; the kernel only reads it.
        let result = unsafe {
            libc::setsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast::<libc::c_void>(),
                size,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
