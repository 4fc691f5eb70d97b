//! A thread that is still the one that was meant: by number, name and the moment it began.

use config::CpuSet;

use super::KnobError;
use crate::hands::Hands;

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When it began, in clock ticks since boot.
    pub(crate) began: u64,
    /// The CPUs it may run on.
    pub(crate) allowed: CpuSet,
}

/// The thread of this number, if it has this name and, where that is asked, began then; none when it ended.
pub(crate) fn read(
    hands: &dyn Hands,
    thread: u32,
    name: &str,
    began: Option<u64>,
) -> Result<Option<Seen>, KnobError> {
    let dir = format!("proc/{thread}");
    let part = |file: &str| match hands.text(&format!("{dir}/{file}")) {
        Err(error) if error.is_gone() => Ok(None),
        result => result,
    };
    let (Some(comm), Some(stat), Some(status)) = (part("comm")?, part("stat")?, part("status")?)
    else {
        return Ok(None);
    };
    let seen = (|| {
        let (_, after) = stat.rsplit_once(')')?;
        // Field 22 of proc_pid_stat(5); what follows the name begins with field 3.
        let began = after.split_ascii_whitespace().nth(19)?.parse().ok()?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some(Seen { began, allowed: list.trim().parse().ok()? })
    })();
    let Some(seen) = seen else {
        let problem = "does not say when it began and where it may run".to_owned();
        return Err(KnobError::Odd { what: format!("/{dir}"), problem });
    };
    let is_it = comm == name && began.is_none_or(|began| began == seen.began);
    Ok(is_it.then_some(seen))
}
