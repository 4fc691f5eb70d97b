//! Before everybody else, while a trial lasts: on a machine that others use too, what is measured is the path and not them.
//!
//! Generator and path alike, so that no path is better off. In between everybody has the CPUs: the kernel takes its share
//! for others once they have waited for most of a second, so trials are kept shorter than that, and pauses are between.

use config::CpuId;
use linux::{
    Root,
    thread::{Policy, set_policy},
};

use super::{plan::Plan, start::Running};

/// After a trial others have the CPUs for one part in so many of its time: of any second more than the twentieth that the
/// kernel would take for them in the middle of the next one.
pub const PAUSE: u32 = Plan::PAUSE;

/// Threads that are before all others. Dropping it puts them back.
#[derive(Debug)]
pub struct First {
    threads: Vec<u32>,
}

impl First {
    /// The calling thread and those of the path, as far as the kernel lets us.
    #[must_use]
    pub fn hold(root: &Root, running: &Running<'_>, measured: CpuId) -> Self {
        let all = std::iter::once(linux::thread::id()).chain(running.threads(root, measured));
        let threads = all.filter(|thread| set_policy(*thread, Policy::First).is_ok()).collect();
        Self { threads }
    }
}

impl Drop for First {
    fn drop(&mut self) {
        for thread in &self.threads {
            // Who is gone needs no putting back.
            let _gone = set_policy(*thread, Policy::Normal);
        }
    }
}
