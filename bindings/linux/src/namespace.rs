//! Leaving the machine's network and mounts for own ones, which vanish with the process.
//!
//! # Safety
//! `unshare(2)` moves the calling thread only, and the environment may be changed only while nobody reads it; both are done
//! when there is no other thread.

use std::{fs::File, io, os::fd::AsFd as _, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{ReadError, Root};

/// Why the process is still where it was.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// Only the calling thread would leave, and the others would stay.
    #[error("{threads} threads run already, and only one may")]
    Threads {
        /// How many there are.
        threads: usize,
    },
    /// They could not be counted.
    #[error("the threads of this process can not be counted")]
    Count(#[from] ReadError),
    /// The kernel refused.
    #[error("no namespaces of our own (root may have them)")]
    Refused(#[source] io::Error),
}

/// Takes this process into a new, empty network namespace and a copy of its mounts. What is mounted from then on is not
/// seen outside once propagation is set to private. Threads and programs that are started later are in there, too.
///
/// # Errors
/// [`LeaveError`]
pub fn leave_network_and_mounts(root: &Root) -> Result<(), LeaveError> {
    alone(root)?;
    // SAFETY: no memory is touched, and no other thread of this process exists (counted above) that would stay behind
    // and share what it should not.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    if result == 0 { Ok(()) } else { Err(LeaveError::Refused(io::Error::last_os_error())) }
}

fn alone(root: &Root) -> Result<(), LeaveError> {
    match root.names("proc/self/task")?.len() {
        1 => Ok(()),
        threads => Err(LeaveError::Threads { threads }),
    }
}

/// Sets a variable of this process's environment, for libraries that can be told in no other way.
///
/// # Errors
/// [`LeaveError::Threads`]
pub fn set_variable(root: &Root, name: &str, value: &std::path::Path) -> Result<(), LeaveError> {
    alone(root)?;
    // SAFETY: no other thread of this process exists (counted above), so nobody reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
    Ok(())
}

/// Does something in the network namespace of a process, on a thread of its own: the calling one stays where it is. Netlink
/// and sockets are of that namespace there; a mounted sysfs is still of the one that it was mounted in.
///
/// # Errors
/// When the process is gone, or its namespace may not be entered, which takes `CAP_SYS_ADMIN`.
pub fn in_network_of<T: Send>(process: u32, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let theirs = File::open(format!("/proc/{process}/ns/net"))?;
    // A thread that ends with the work is the one that moves.
    let there = || -> io::Result<T> {
        move_into_link_name_space(theirs.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(work())
    };
    thread::scope(|scope| match scope.spawn(there).join() {
        Ok(done) => done,
        Err(_) => Err(io::Error::other("the thread that went into the namespace died")),
    })
}
