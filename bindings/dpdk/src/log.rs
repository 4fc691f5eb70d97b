//! What DPDK logs, line by line.
//!
//! # Safety
//! Is called back from C, and must not unwind into it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

use dpdk_sys as c;

use crate::error::c_string;

/// How bad a line is; DPDK's levels (`RTE_LOG_*`), which are syslog's plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "syslog's names")]
#[repr(u32)]
pub enum LogLevel {
    Emergency = c::RTE_LOG_EMERG,
    Alert = c::RTE_LOG_ALERT,
    Critical = c::RTE_LOG_CRIT,
    Error = c::RTE_LOG_ERR,
    Warning = c::RTE_LOG_WARNING,
    Notice = c::RTE_LOG_NOTICE,
    Info = c::RTE_LOG_INFO,
    Debug = c::RTE_LOG_DEBUG,
}

impl LogLevel {
    /// From the worst to the least.
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    fn from_c(level: u32) -> Self {
        Self::ALL.into_iter().find(|known| *known as u32 >= level).unwrap_or(Self::Debug)
    }
}

type Sink = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

/// Where lines go. Written once, by [`log_to`]; C threads read it.
static SINK: OnceLock<Sink> = OnceLock::new();

/// The beginning of a line that has not ended. Every callback comes with the stream's lock held, so
/// this lock is never waited for.
static LINE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A line longer than this is delivered in pieces.
const LINE_MAX: usize = 4096;

/// Sends every line that DPDK logs to `sink`, without its line end, for the rest of the process;
/// the default is stderr and syslog. May be called before [`Eal::init`](crate::Eal::init), which
/// logs most.
///
/// `sink` is called on the thread that logs, with a lock of the C library's held: it must not call
/// DPDK. A panic in it is swallowed.
///
/// # Errors
/// [`LogError::Twice`] from the second call on.
pub fn log_to(sink: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Result<(), LogError> {
    let mut is_new = false;
    SINK.get_or_init(|| {
        is_new = true;
        Box::new(sink)
    });
    if !is_new {
        return Err(LogError::Twice);
    }
    // SAFETY: the callback is a function of this program, and keeps what the shim promises it.
    if unsafe { c::shim_log_to(Some(write)) } != 0 {
        return Err(LogError::Stream(std::io::Error::last_os_error()));
    }
    Ok(())
}

/// Logs what is `level` or worse, from every part of DPDK. May be called before
/// [`Eal::init`](crate::Eal::init); an EAL argument `--log-level` has the last word.
pub fn set_log_level(level: LogLevel) {
    // SAFETY: sets an integer that DPDK's logging functions compare with.
    unsafe { c::rte_log_set_global_level(level as u32) };
    set_log_level_of("*", level);
}

/// Logs what is `level` or worse from the parts of DPDK whose name matches `pattern`, such as
/// `pmd.net.*`. Says whether the pattern could be used.
pub fn set_log_level_of(pattern: &str, level: LogLevel) -> bool {
    let Some(pattern) = c_string(pattern) else { return false };
    // SAFETY: the pattern is terminated, and only read.
    unsafe { c::rte_log_set_level_pattern(pattern.as_ptr(), level as u32) == 0 }
}

/// Called by the stream of the shim with a piece of log.
unsafe extern "C" fn write(level: u32, bytes: *const std::ffi::c_char, length: usize) {
    // SAFETY: the stream passes `length` bytes that it does not touch during the call.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    // Unwinding out of here would be unwinding through C.
    let _panicked = catch_unwind(AssertUnwindSafe(|| {
        let Some(sink) = SINK.get() else { return };
        let mut line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
        split(&mut line, bytes, |text| sink(LogLevel::from_c(level), text));
    }));
}

/// Adds `bytes` to the line that has begun, and hands out every line that ends.
fn split(line: &mut Vec<u8>, bytes: &[u8], mut emit: impl FnMut(&str)) {
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        for part in piece.chunks(LINE_MAX) {
            line.extend_from_slice(part);
            let ends = line.last() == Some(&b'\n');
            if ends || line.len() >= LINE_MAX {
                let text = std::mem::take(line);
                let text = String::from_utf8_lossy(&text);
                let text = text.trim_end();
                if !text.is_empty() {
                    emit(text);
                }
            }
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

/// Why DPDK's log could not be redirected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It goes to another sink already.
    #[error("the log of DPDK has a sink already")]
    Twice,
    /// The C library could not make a stream.
    #[error("can not make a stream for the log of DPDK")]
    Stream(#[source] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let (mut line, mut out) = (Vec::new(), Vec::new());
        for piece in pieces {
            split(&mut line, piece, |text| out.push(text.to_owned()));
        }
        (out, line)
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let (out, rest) = lines(&[b"EAL: Det", b"ected\nEAL: ", b"\n", b"\n\nlast \xFF\nopen"]);
        assert_eq!(out, ["EAL: Detected", "EAL:", "last \u{FFFD}"]);
        assert_eq!(rest, b"open");
    }

    #[test]
    fn a_line_without_end_is_delivered_in_bounded_pieces() {
        let (out, rest) = lines(&[&[b'x'; 3 * LINE_MAX + 5]]);
        assert_eq!(out.iter().map(String::len).collect::<Vec<_>>(), [LINE_MAX; 3]);
        assert_eq!(rest.len(), 5);
    }

    #[test]
    fn every_level_of_c_has_one_here() {
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::from_c(level as u32), level);
        }
        assert_eq!(LogLevel::from_c(0), LogLevel::Emergency);
        assert_eq!(LogLevel::from_c(99), LogLevel::Debug);
    }
}
