//! How `barewired` ends.

use std::process::ExitCode;

/// The exit codes, in one place; `barewired --help` prints this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked; `run`: it was told to stop, and every frame is accounted for.
    Success = 0,
    /// Something failed that is nobody's configuration: a worker died, the control socket could not be made, …
    Failure = 1,
    /// The command line or the configuration file is wrong.
    Config = 2,
    /// This machine can not do what the configuration asks: CPUs, hugepages, NUMA nodes.
    Machine = 3,
    /// DPDK refused: the EAL, a device, a queue.
    Dpdk = 4,
    /// It stopped, but frames or packet buffers were lost on the way, or the deadline passed.
    Unclean = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// For `--help`.
pub const TABLE: &str = "Exit codes:
  0  did what was asked (run: stopped when told to, every frame accounted for)
  1  failed for a reason that is neither configuration, machine nor DPDK
  2  the command line or the configuration file is wrong
  3  this machine can not do what the configuration asks (CPUs, hugepages, NUMA)
  4  DPDK refused (EAL, device, queue)
  5  stopped, but frames or buffers were lost on the way or the deadline passed";
