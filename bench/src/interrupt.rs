//! Ctrl-C, and waiting that it can end.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long nothing looks whether somebody wants us to end.
pub const STEP: Duration = Duration::from_millis(100);

/// Knows whether somebody wants us to end. The signals only set it, so that every `Drop` still runs: programs are
/// killed, hugepages given back, directories removed.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

/// Somebody wants us to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn install() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// # Errors
    /// [`Interrupted`], from the signal on.
    pub fn check(&self) -> Result<(), Interrupted> {
        // Relaxed: the flag carries no other data.
        if self.0.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }

    /// Lets time pass. For trials, which last as long as they are meant to.
    ///
    /// # Errors
    /// [`Interrupted`], at most [`STEP`] after the signal.
    pub fn pass(&self, time: Duration) -> Result<(), Interrupted> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(STEP));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_ends_every_wait() {
        let interrupt = Interrupt(Arc::new(AtomicBool::new(true)));
        assert_eq!(interrupt.pass(Duration::from_secs(3600)), Err(Interrupted));
        assert_eq!(interrupt.pass(Duration::ZERO), Err(Interrupted));
    }
}
