//! Model-specific registers of x86, through the `msr` driver.

use std::{fs::File, io::ErrorKind, os::unix::fs::FileExt as _};

use config::CpuId;

use crate::Fact;

/// How often a system management interrupt was served: Intel's `MSR_SMI_COUNT`, since Nehalem.
pub const SMI_COUNT: u64 = 0x34;
/// The time-stamp counter.
pub const TSC: u64 = 0x10;
/// Counts at a constant rate while the CPU is awake.
pub const MPERF: u64 = 0xE7;
/// Counts at the CPU's own frequency while it is awake.
pub const APERF: u64 = 0xE8;

/// Reads a register. The kernel asks the CPU itself, with an interrupt: not for a worker's CPU in a measurement.
///
/// On a machine that answers ([`Source::ask`](crate::Source::ask)) only; nothing of it is a file that a capture keeps.
#[must_use]
pub fn read(cpu: CpuId, register: u64) -> Fact<u64> {
    let path = format!("/dev/cpu/{cpu}/msr");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => {
            return Fact::unknown(match error.kind() {
                ErrorKind::NotFound => format!("there is no {path}: the msr driver is not loaded"),
                ErrorKind::PermissionDenied => format!("{path} may not be read by this user"),
                _ => format!("cannot open {path}: {error}"),
            });
        }
    };
    let mut value = [0; 8];
    match file.read_exact_at(&mut value, register) {
        Ok(()) => Fact::Is(u64::from_le_bytes(value)),
        // The driver answers EIO when the CPU refuses.
        Err(error) => {
            Fact::unknown(format!("CPU {cpu} does not tell register {register:#x}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_of_a_cpu_that_is_not_there_is_unknown_and_says_why() {
        let last = CpuId::MAX;

        let why = read(last, SMI_COUNT).why().unwrap().to_owned();

        assert!(why.contains(&format!("/dev/cpu/{last}/msr")), "{why}");
    }
}
