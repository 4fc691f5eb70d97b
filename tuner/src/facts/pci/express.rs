//! The PCI Express capability in a function's configuration space.
//!
//! Source: `include/uapi/linux/pci_regs.h` of Linux 6.18 (PCI Express Base Specification, 7.5.3).

use serde::{Deserialize, Serialize};

use crate::Fact;

/// PCI Express settings of one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Express {
    /// The most bytes that one read request asks for.
    pub read_request: u32,
    /// The most bytes of one packet's payload.
    pub payload: u32,
    /// The most bytes of payload that it could.
    pub payload_max: u32,
    /// May packets overtake each other?
    pub has_relaxed_ordering: bool,
    /// Has it 256 tags for outstanding requests?
    pub has_extended_tags: bool,
    /// Can it be reset alone?
    pub has_function_reset: bool,
}

/// Where the first capability is said to be.
const CAPABILITIES: usize = 0x34;
/// The status register; bit 4 says that there are capabilities.
const STATUS: usize = 0x06;
const HAS_CAPABILITIES: u16 = 0x10;
/// The capability's number.
const EXPRESS: u8 = 0x10;
/// Device capabilities and device control, from the capability's begin.
const DEVICE: usize = 4;
const CONTROL: usize = 8;
/// Capabilities are a chain in 192 bytes, of four bytes at least.
const MOST: usize = 48;

impl Express {
    /// Finds it; absent of a conventional PCI function. Others than root see only the first 64 bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Fact<Self> {
        let short = || Fact::unknown("the configuration space is only readable by root");
        let Some(status) = bytes.get(STATUS..STATUS + 2) else { return short() };
        if u16::from_le_bytes([status[0], status[1]]) & HAS_CAPABILITIES == 0 {
            return Fact::Absent;
        }
        let Some(&first) = bytes.get(CAPABILITIES) else { return short() };
        let mut at = usize::from(first & !3);
        for _ in 0..MOST {
            if at == 0 {
                return Fact::Absent;
            }
            let Some(&[number, next]) = bytes.get(at..at + 2).and_then(|b| b.first_chunk::<2>())
            else {
                return short();
            };
            if number == EXPRESS {
                return match (bytes.get(at + DEVICE..), bytes.get(at + CONTROL..)) {
                    (Some(device), Some(control)) => {
                        Self::of(device, control).map_or_else(short, Fact::Is)
                    }
                    _ => short(),
                };
            }
            at = usize::from(next & !3);
        }
        Fact::unknown("the configuration space's capabilities go round in a circle")
    }

    fn of(device: &[u8], control: &[u8]) -> Option<Self> {
        let device = u32::from_le_bytes(*device.first_chunk::<4>()?);
        let control = u16::from_le_bytes(*control.first_chunk::<2>()?);
        let bytes = |code: u32| 128_u32 << code;
        Some(Self {
            read_request: bytes(u32::from(control >> 12 & 7)),
            payload: bytes(u32::from(control >> 5 & 7)),
            payload_max: bytes(device & 7),
            has_relaxed_ordering: control & 1 << 4 != 0,
            has_extended_tags: control & 1 << 8 != 0,
            has_function_reset: device & 1 << 28 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn space(device: u32, control: u16) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        bytes[STATUS] = 0x10;
        bytes[CAPABILITIES] = 0x40;
        bytes[0x40..0x42].copy_from_slice(&[0x01, 0x60]);
        bytes[0x60..0x62].copy_from_slice(&[EXPRESS, 0]);
        bytes[0x64..0x68].copy_from_slice(&device.to_le_bytes());
        bytes[0x68..0x6a].copy_from_slice(&control.to_le_bytes());
        bytes
    }

    #[test]
    fn the_settings_are_found_behind_other_capabilities() {
        // 512 bytes of payload possible, function-level reset; 4096-byte reads, 256-byte payload, relaxed, extended tags.
        let express = Express::parse(&space(0x1000_0002, 0x5130));

        assert_eq!(
            express,
            Fact::Is(Express {
                read_request: 4096,
                payload: 256,
                payload_max: 512,
                has_relaxed_ordering: true,
                has_extended_tags: true,
                has_function_reset: true,
            })
        );
    }

    #[test]
    fn what_only_root_sees_is_unknown_and_what_is_not_express_absent() {
        let whole = space(0, 0);
        let mut conventional = whole.clone();
        conventional[STATUS] = 0;
        let mut circle = whole.clone();
        circle[0x41] = 0x40;

        assert!(Express::parse(&whole[..64]).is_unknown());
        assert!(Express::parse(&[]).is_unknown());
        assert_eq!(Express::parse(&conventional), Fact::Absent);
        assert!(Express::parse(&circle).is_unknown());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Fact::Is(express) = Express::parse(&bytes) {
                prop_assert!(express.read_request >= 128 && express.read_request <= 16384);
            }
        }
    }
}
