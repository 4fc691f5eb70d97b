//! How `barewire-bench` ends.

use std::process::ExitCode;

/// The exit codes, in one place; `barewire-bench --help` prints this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done. What came out of it is in the table, not in the code.
    Measured = 0,
    /// A program did not start, died, or did not do what it was told.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A path has too few trials that count at some load (in fewer than five blocks, or than the plan has), also after
    /// making them again: this machine, as it is now, is not fit to measure on. Of `peer`: more than a tenth do not count.
    Unfit = 3,
    /// Something asked for was left out, because this machine or this user can not do it.
    Skipped = 4,
    /// `compare`: worse than `--fail-on` allows.
    Worse = 5,
    /// Ctrl-C, or a polite kill.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// For `--help`.
pub const TABLE: &str = "Exit codes:
  0    everything asked for was measured (what came out is in the table, not in the code)
  1    a program did not start, died, or did not do what it was told
  2    the command line is wrong
  3    too few trials of a path count (run: in fewer than five blocks at some load, or than the plan has; peer:
       more than a tenth of all do not): the machine is not fit to measure on now
  4    something asked for was left out, because this machine or this user can not do it
  5    compare: worse than --fail-on allows
  130  interrupted";
