//! Netlink: a socket on which one asks the kernel, and waits for the answer.
//!
//! Sources: `Documentation/userspace-api/netlink/intro.rst` of Linux 6.18.

use std::io;

use netlink_packet_core::{
    DefaultNla, Emitable as _, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP,
    NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer,
    NetlinkHeader, NlaBuffer, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};

/// Why the kernel did not answer.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be opened, written or read.
    #[error("cannot talk to the kernel by netlink")]
    Socket(#[source] io::Error),
    /// The kernel refused; it may say why.
    #[error("the kernel refuses{}", reason(says))]
    Refused {
        /// Its error.
        #[source]
        error: io::Error,
        /// Its own words, if it has some.
        says: Option<String>,
    },
    /// The answer is not what it should be.
    #[error("the kernel's answer is malformed: {0}")]
    Malformed(String),
}

impl NetlinkError {
    /// The error number, if the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Socket(error) | Self::Refused { error, .. } => error.raw_os_error(),
            Self::Malformed(_) => None,
        }
    }
}

fn reason(says: &Option<String>) -> String {
    says.as_ref().map(|says| format!(": {says}")).unwrap_or_default()
}

/// A dump that the kernel says is not consistent is asked for again so often.
const ATTEMPTS: u32 = 8;

/// The most bytes of answers to one question: a full table of the Internet's routes is some hundred MiB.
const MOST: usize = 1 << 30;

/// The attribute with the kernel's own words in an error (`NLMSGERR_ATTR_MSG`).
const ATTR_MSG: u16 = 1;

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// One socket.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    sequence: u32,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its type.
    pub(crate) kind: u16,
    /// What follows the header.
    pub(crate) payload: Vec<u8>,
}

impl Connection {
    /// Opens a socket for a protocol, `NETLINK_ROUTE` or `NETLINK_GENERIC`.
    pub(crate) fn open(protocol: isize) -> Result<Self, NetlinkError> {
        let mut socket = Socket::new(protocol).map_err(NetlinkError::Socket)?;
        socket.bind_auto().map_err(NetlinkError::Socket)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(NetlinkError::Socket)?;
        // Older kernels know neither; the answers are only less talkative then.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        Ok(Self { socket, sequence: 0 })
    }

    /// Asks one question; the answers, without the acknowledgement.
    pub(crate) fn ask(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Answer>, NetlinkError> {
        self.exchange(kind, NLM_F_REQUEST | NLM_F_ACK, payload).map(|(answers, _)| answers)
    }

    /// Asks for everything there is of something.
    pub(crate) fn dump(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Answer>, NetlinkError> {
        let mut answers = Vec::new();
        for _ in 0..ATTEMPTS {
            let (all, is_whole) = self.exchange(kind, NLM_F_REQUEST | NLM_F_DUMP, payload)?;
            answers = all;
            if is_whole {
                return Ok(answers);
            }
        }
        // It changes faster than it can be read: what was there at some moment is still the best answer.
        Ok(answers)
    }

    fn exchange(
        &mut self,
        kind: u16,
        flags: u16,
        payload: &[u8],
    ) -> Result<(Vec<Answer>, bool), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = vec![0; HEADER + payload.len()];
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(message.len())
            .map_err(|_| NetlinkError::Malformed("the question is too long".to_owned()))?;
        header.message_type = kind;
        header.flags = flags;
        header.sequence_number = self.sequence;
        header.emit(&mut message[..HEADER]);
        message[HEADER..].copy_from_slice(payload);
        self.socket.send(&message, 0).map_err(NetlinkError::Socket)?;

        let (mut answers, mut size, mut is_whole) = (Vec::new(), 0_usize, true);
        loop {
            let bytes = match self.socket.recv_from_full() {
                Ok((bytes, _)) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NetlinkError::Socket(error)),
            };
            size = size.saturating_add(bytes.len());
            if size > MOST {
                return Err(NetlinkError::Malformed("the answer has no end".to_owned()));
            }
            let mut rest = bytes.as_slice();
            if rest.is_empty() {
                return Err(NetlinkError::Malformed("an empty answer".to_owned()));
            }
            while !rest.is_empty() {
                let one = NetlinkBuffer::new_checked(rest)
                    .map_err(|error| NetlinkError::Malformed(error.to_string()))?;
                let length = usize::try_from(one.length()).unwrap_or(usize::MAX).max(HEADER);
                let body = rest.get(HEADER..length).unwrap_or_default();
                // What an earlier, abandoned question is still answered is not for us.
                let is_ours = one.sequence_number() == self.sequence;
                let (kind, flags) = (one.message_type(), one.flags());
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                if !is_ours {
                    continue;
                }
                is_whole &= flags & NLM_F_DUMP_INTR == 0;
                match kind {
                    NLMSG_ERROR => {
                        acknowledged(body, flags)?;
                        return Ok((answers, is_whole));
                    }
                    NLMSG_DONE => {
                        // A dump that fails in the middle says so in its end.
                        acknowledged(body, 0)?;
                        return Ok((answers, is_whole));
                    }
                    NLMSG_NOOP => {}
                    kind => answers.push(Answer { kind, payload: body.to_vec() }),
                }
            }
        }
    }
}

/// Is this acknowledgement a success?
fn acknowledged(body: &[u8], flags: u16) -> Result<(), NetlinkError> {
    let Some(code) = body.first_chunk::<4>() else { return Ok(()) };
    let code = i32::from_ne_bytes(*code);
    if code >= 0 {
        return Ok(());
    }
    let mut says = None;
    if flags & NLM_F_ACK_TLVS != 0 {
        // The question's header is repeated and, unless capped, all of it.
        let length = body.get(4..8).and_then(|bytes| bytes.first_chunk::<4>());
        let length = length.map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let repeated = match flags & NLM_F_CAPPED {
            0 => usize::try_from(length).unwrap_or(usize::MAX).max(HEADER),
            _ => HEADER,
        };
        let rest = body.get(4..).and_then(|body| body.get(repeated.next_multiple_of(4)..));
        says = attributes(rest.unwrap_or_default())
            .find(|attribute| attribute.kind() == ATTR_MSG)
            .map(|attribute| text(attribute.value()));
    }
    let error = io::Error::from_raw_os_error(code.checked_neg().unwrap_or(libc::EIO));
    Err(NetlinkError::Refused { error, says })
}

/// The attributes in a payload, up to the first that is not one.
pub(crate) fn attributes(payload: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(payload).map_while(Result::ok)
}

/// A text that ends with a zero.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// Puts attributes one behind the other.
pub(crate) fn encode(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_says_the_kernels_words() {
        let message = DefaultNla::new(ATTR_MSG, b"requested ring size exceeds maximum\0".to_vec());
        let mut body = (-libc::EINVAL).to_ne_bytes().to_vec();
        body.extend([0; HEADER]);
        body.extend(encode(&[message]));

        let error = acknowledged(&body, NLM_F_CAPPED | NLM_F_ACK_TLVS).unwrap_err();

        assert_eq!(error.errno(), Some(libc::EINVAL));
        assert_eq!(error.to_string(), "the kernel refuses: requested ring size exceeds maximum");
    }

    #[test]
    fn a_zero_is_a_success() {
        acknowledged(&[0; 20], 0).unwrap();
        acknowledged(&[], 0).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, flags: u16) {
            let _ = acknowledged(&bytes, flags);
            let total: usize = attributes(&bytes).map(|one| one.value().len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
