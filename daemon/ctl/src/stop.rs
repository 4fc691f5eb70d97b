//! `barewire stop --wait`: until the process is really gone.

use std::time::{Duration, Instant};

use api::Stopping;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::failure::Failure;

/// Waits for the end of the process that answered, at most for its own deadline and `grace` more.
/// Blocks: there is nothing else to do meanwhile.
///
/// A pidfd becomes readable when the process ends, reaped or not (pidfd_open(2)). From another pid
/// namespace the number means nothing, and the process counts as gone at once.
pub(crate) fn wait(stopping: &Stopping, grace: Duration) -> Result<(), Failure> {
    let pid = stopping.pid;
    let failed = |error: Errno| Failure::Wait { pid, source: error.into() };
    let process =
        i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| failed(Errno::INVAL))?;
    let process = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let patience = Duration::from_millis(stopping.deadline_ms).saturating_add(grace);
    let begin = Instant::now();
    loop {
        let left = patience.saturating_sub(begin.elapsed());
        // Longer than the kernel can count is for ever.
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return Err(Failure::StillThere { pid, seconds: patience.as_secs_f64() }),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
