//! The kernel's log.
//!
//! Source: `Documentation/ABI/testing/dev-kmsg` of Linux 6.18.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Read as _},
    os::unix::fs::OpenOptionsExt as _,
};

/// The most bytes of one record, as the kernel has it.
const RECORD: usize = 8192;

/// The most records: the log is a ring of some MiB at most.
const MOST: usize = 1 << 18;

/// The log's lines that are still there, the oldest first, without their time and level.
///
/// # Errors
/// [`io::Error`] when `/dev/kmsg` can not be opened or read, which takes root where `kernel.dmesg_restrict` is 1.
pub fn lines() -> io::Result<Vec<String>> {
    let mut file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg")?;
    let (mut lines, mut buffer) = (Vec::new(), vec![0; RECORD]);
    for _ in 0..MOST {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => lines.extend(text(&buffer[..length])),
            // The end; and: this record was overwritten before it could be read.
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

/// `level,sequence,time,flags;text`, then lines with a blank in front that say more.
fn text(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (_, text) = record.split_once(';')?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_its_text_without_what_stands_before_and_behind() {
        let record = b"6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=net\n";

        assert_eq!(text(record).as_deref(), Some("NET: Registered protocol family 10"));
        assert_eq!(text(b"nothing"), None);
    }
}
