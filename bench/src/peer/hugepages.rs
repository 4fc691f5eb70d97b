//! Hugepages for the time of a run.

use std::{fs, io};

use linux::{Root, hugepages};

use crate::say;

const FILE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

/// Pages that were reserved for us; dropping it restores the number that was there before.
#[derive(Debug)]
pub struct Reserved {
    before: u64,
}

/// Why there are not enough hugepages.
#[derive(Debug, thiserror::Error)]
pub enum HugepagesError {
    /// The kernel has none of this size.
    #[error("this kernel has no hugepages of 2 MiB")]
    None,
    /// Not root.
    #[error(
        "{free} hugepages of 2 MiB are free of {wanted} wanted, and only root can reserve more"
    )]
    NotRoot {
        /// Free now.
        free: u64,
        /// Needed.
        wanted: u64,
    },
    /// The kernel did not find that many.
    #[error("only {free} of {wanted} hugepages of 2 MiB could be had")]
    TooFew {
        /// Free after trying.
        free: u64,
        /// Needed.
        wanted: u64,
    },
    /// Reading or writing failed.
    #[error("cannot reserve hugepages")]
    Io(#[source] io::Error),
}

/// Makes sure that so many pages of 2 MiB are free. `None` when they are already.
///
/// # Errors
/// [`HugepagesError`]; what was there before is there again.
pub fn ensure(root: &Root, wanted: u64) -> Result<Option<Reserved>, HugepagesError> {
    let pool = || {
        let pools = hugepages::machine(root)
            .map_err(|error| HugepagesError::Io(io::Error::other(error)))?;
        pools.into_iter().find(|pool| pool.size_kib == 2048).ok_or(HugepagesError::None)
    };
    let now = pool()?;
    if now.available() >= wanted {
        return Ok(None);
    }
    if !rustix::process::geteuid().is_root() {
        return Err(HugepagesError::NotRoot { free: now.available(), wanted });
    }
    let target = now.total + wanted - now.available();
    let reserved = Reserved { before: now.total };
    say::note(format_args!("reserving hugepages of 2 MiB: {target} instead of {}", now.total));
    fs::write(FILE, target.to_string()).map_err(HugepagesError::Io)?;
    let free = pool()?.available();
    if free < wanted {
        return Err(HugepagesError::TooFew { free, wanted });
    }
    Ok(Some(reserved))
}

impl Drop for Reserved {
    fn drop(&mut self) {
        match fs::write(FILE, self.before.to_string()) {
            Ok(()) => {
                say::note(format_args!("hugepages of 2 MiB: {} again, as before", self.before))
            }
            Err(error) => say::note(format_args!(
                "the hugepages could not be given back ({error}): write {} to {FILE}",
                self.before
            )),
        }
    }
}
