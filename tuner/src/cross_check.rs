//! What other tools measured, beside what we did: cyclictest, oslat, rtla and the kernel's hwlat tracer.
//!
//! ```text
//!  file ─► rt_tests | rtla | tracer ─► Theirs ─┐
//!                            Measurement ──────┴─► rows of ours and theirs, each with its error
//! ```
//! Each tool counts in steps of its own, most of a microsecond, so each of its figures is a range. Two runs are never the
//! same run: rows that agree say that the tools do not contradict each other, and no more.

mod rows;
mod rt_tests;
mod rtla;
mod tracer;

#[cfg(test)]
mod tests;

use std::{fs, io, path::Path};

use config::CpuId;
use serde::Serialize;

pub use rows::{Row, Unit, compare};

/// The largest file that is read, in bytes.
const MOST: u64 = 16 << 20;
/// The most threads or CPUs of a file.
const COLUMNS: usize = 8192;

/// What somebody else measured, of one CPU, or of all that a file doesn't tell apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Theirs {
    /// The tool: `cyclictest`.
    pub tool: &'static str,
    /// What it asked.
    pub question: Question,
    /// Where; none when the file does not say.
    pub cpu: Option<CpuId>,
    /// For how long, in seconds, where the file says.
    pub seconds: Option<f64>,
    /// Its histogram, in ascending order.
    pub steps: Vec<Step>,
    /// Values beyond the last step.
    pub over: u64,
    /// The longest, as a range of nanoseconds.
    pub max: Option<(u64, u64)>,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// How late a thread wakes up.
    WakeUp,
    /// How late the timer's interrupt is; we do not ask that.
    TimerInterrupt,
    /// How long a spinning thread was not running: every turn of its loop.
    Reading,
    /// The same, only what was longer than a threshold of the tool's.
    Gap,
    /// How long nothing of the kernel ran either: the firmware or the hardware.
    Hardware,
}

/// So many values in a range of nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The least that is counted here.
    pub from_ns: u64,
    /// The greatest.
    pub to_ns: u64,
    /// How many.
    pub count: u64,
}

/// Why a file is not a result.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It can't be read.
    #[error("{path} can't be read")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is too large.
    #[error("{path} is larger than 16 MiB")]
    Large {
        /// The file.
        path: String,
    },
    /// It is something else, or broken.
    #[error("{path} is no result of cyclictest, oslat, rtla or hwlat: {why}")]
    Wrong {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads what another tool wrote: `cyclictest --json`, `-h` or its summary, `oslat --json`, `rtla timerlat hist`,
/// `rtla osnoise hist`, or the `trace` of the hwlat tracer.
///
/// # Errors
/// [`ImportError`]
pub fn read(file: &Path) -> Result<Vec<Theirs>, ImportError> {
    let path = file.display().to_string();
    let unread = |source| ImportError::Read { path: path.clone(), source };
    if fs::metadata(file).map_err(unread)?.len() > MOST {
        return Err(ImportError::Large { path });
    }
    // A file of /sys says nothing of its size.
    let mut bytes = Vec::new();
    let open = fs::File::open(file).map_err(unread)?;
    io::Read::read_to_end(&mut io::Read::take(open, MOST + 1), &mut bytes).map_err(unread)?;
    if bytes.len() as u64 > MOST {
        return Err(ImportError::Large { path });
    }
    let wrong = |why: String| ImportError::Wrong { path: path.clone(), why };
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not text".to_owned()))?;
    parse(&text).map_err(wrong)
}

/// The same from text; the error says what is wrong.
pub(crate) fn parse(text: &str) -> Result<Vec<Theirs>, String> {
    let theirs = if text.trim_start().starts_with('{') {
        rt_tests::json(text)?
    } else if text.contains("# RTLA ") {
        rtla::histogram(text)?
    } else if text.contains("inner/outer(us):") {
        tracer::hwlat(text)?
    } else {
        rt_tests::text(text)?
    };
    match theirs.is_empty() {
        true => Err("it has no measurement in it".to_owned()),
        false => Ok(theirs),
    }
}

impl Theirs {
    /// Nothing yet.
    fn new(tool: &'static str, question: Question) -> Self {
        Self { tool, question, cpu: None, seconds: None, steps: Vec::new(), over: 0, max: None }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.steps.iter().fold(self.over, |sum, step| sum.saturating_add(step.count))
    }

    /// The range that a quantile lies in; the end is open where it is beyond the last step.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<(u64, Option<u64>)> {
        let count = self.count();
        if count == 0 || self.steps.is_empty() {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among so many is needed to a few digits, and is between 1 and the count"
        )]
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count);
        let mut seen = 0_u64;
        for step in &self.steps {
            seen = seen.saturating_add(step.count);
            if seen >= rank {
                return Some((step.from_ns, Some(step.to_ns)));
            }
        }
        let last = self.steps.last()?.to_ns;
        Some((last, self.max.map(|max| max.1.max(last))))
    }

    /// At least and at most how many values were of `ns` or more.
    #[must_use]
    pub fn beyond(&self, ns: u64) -> (u64, u64) {
        let sum = |is: fn(&Step, u64) -> bool| {
            let steps = self.steps.iter().filter(|step| is(step, ns));
            steps.fold(self.over, |sum, step| sum.saturating_add(step.count))
        };
        (sum(|step, ns| step.from_ns >= ns), sum(|step, ns| step.to_ns > ns))
    }
}

/// A whole number of microseconds as nanoseconds.
fn micros(value: u64) -> Result<u64, String> {
    value.checked_mul(1000).ok_or_else(|| format!("{value} microseconds are more than fits"))
}

/// A CPU by its number.
fn cpu(number: u64) -> Result<CpuId, String> {
    u32::try_from(number)
        .ok()
        .and_then(CpuId::new)
        .ok_or_else(|| format!("there is no CPU {number}"))
}
