//! Why a frame was dropped: one vocabulary for the whole data plane.

use std::fmt;

/// One table gives the enum, its stable names and its count, so that they can not disagree.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a frame was dropped.
        ///
        /// The names ([`DropReason::as_str`]) are part of the control socket's schema: a reason may be added, none
        /// is renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[doc = $doc])+ $variant,)+ }

        impl DropReason {
            /// Every reason, in the order of [`DropReason::index`].
            pub const ALL: [DropReason; [$($name,)+].len()] = [$(DropReason::$variant,)+];

            /// The reason's name in statistics: `tx_full`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    /// A transmit queue stayed full through every retry.
    TxFull = "tx_full",
    /// The ring to the next worker was full.
    RingFull = "ring_full",
    /// The port to send from was not started or had no link.
    PortDown = "port_down",
    /// The daemon was stopping and its deadline was over.
    Shutdown = "shutdown",
    /// The configuration says so: an edge leads to `drop`.
    ByConfig = "by_config",
    /// Received on a port that has no input stage.
    NoInput = "no_input",
    /// The frame, or its first segment, ends before the headers it promises.
    Truncated = "truncated",
    /// An ARP packet whose sender gives an address that no station can have.
    MalformedArp = "malformed_arp",
    /// An IPv4 header with a wrong version or lengths that contradict each other.
    MalformedIpv4 = "malformed_ipv4",
    /// An IPv6 header with a wrong version, or extension headers that can not be followed.
    MalformedIpv6 = "malformed_ipv6",
    /// An ICMP or ICMPv6 message shorter than its kind, or against RFC 4861's rules for it.
    MalformedIcmp = "malformed_icmp",
    /// A UDP length that contradicts the IP packet's.
    MalformedUdp = "malformed_udp",
    /// A checksum is wrong, or is zero where it must not be (UDP over IPv6).
    BadChecksum = "bad_checksum",
    /// A part of a fragmented packet: it can not be answered alone.
    Fragment = "fragment",
    /// To an address that is not ours.
    NotForUs = "not_for_us",
    /// To a group or to everybody: not answered, so that nobody can be flooded through us.
    Multicast = "multicast",
    /// From an address that nobody can answer: unspecified, loopback or a group.
    BadSource = "bad_source",
    /// A protocol or message that the stage does not serve.
    Unsupported = "unsupported",
    /// The answer is longer than the frame's buffer.
    NoRoom = "no_room",
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`DropReason::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many frames were dropped for each reason, since the tally was last emptied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DropTally {
    counts: [u64; DropReason::COUNT],
    total: u64,
}

impl DropTally {
    /// Counts `frames` more.
    pub fn add(&mut self, reason: DropReason, frames: u64) {
        self.counts[reason.index()] += frames;
        self.total += frames;
    }

    /// Moves everything counted in `other` here.
    pub fn absorb(&mut self, other: &mut DropTally) {
        // Nothing was dropped, as a rule: one comparison.
        if other.total != 0 {
            for (mine, theirs) in self.counts.iter_mut().zip(&mut other.counts) {
                *mine += std::mem::take(theirs);
            }
            self.total += std::mem::take(&mut other.total);
        }
    }

    /// Frames dropped for one reason.
    #[must_use]
    pub fn count(&self, reason: DropReason) -> u64 {
        self.counts[reason.index()]
    }

    /// Frames dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().zip(self.counts).filter(|&(_, frames)| frames > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_index_and_has_a_snake_case_name_of_its_own() {
        let mut names = Vec::new();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!(reason.as_str().bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')));
            names.push(reason.as_str());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::COUNT);
    }

    #[test]
    fn absorbing_a_tally_moves_it() {
        let (mut sum, mut part) = (DropTally::default(), DropTally::default());
        sum.add(DropReason::TxFull, 1);
        part.add(DropReason::TxFull, 2);
        part.add(DropReason::Fragment, 5);
        sum.absorb(&mut part);
        assert_eq!(part, DropTally::default());
        assert_eq!(sum.total(), 8);
        assert_eq!(
            sum.iter().collect::<Vec<_>>(),
            [(DropReason::TxFull, 3), (DropReason::Fragment, 5)]
        );
    }
}
