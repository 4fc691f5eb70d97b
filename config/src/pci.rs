//! PCI addresses.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The address of a PCI function: domain, bus, device, function.
///
/// Read as `0000:3b:00.0`, or as `3b:00.0` in domain 0; written with the domain, as sysfs does. Domains beyond
/// `ffff` exist behind Intel VMD, so a domain has up to eight digits.
///
/// ```
/// let address: config::PciAddress = "3B:00.1".parse()?;
/// assert_eq!(address.to_string(), "0000:3b:00.1");
/// # Ok::<(), config::PciAddressError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// A text is not a PCI address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a PCI address such as 0000:3b:00.0")]
pub struct PciAddressError;

impl PciAddress {
    /// An address of its parts, or `None` when `device` is larger than 31 or `function` larger than 7.
    #[must_use]
    pub const fn new(domain: u32, bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < 32 && function < 8 {
            Some(Self { domain, bus, device, function })
        } else {
            None
        }
    }

    /// The domain, or segment; 0 on most machines.
    #[must_use]
    pub const fn domain(self) -> u32 {
        self.domain
    }

    /// The bus.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The device, or slot: 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.device
    }

    /// The function: 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.function
    }
}

/// Between `least` and `most` hexadecimal digits, and nothing else.
fn hex(text: &str, least: usize, most: usize) -> Result<u32, PciAddressError> {
    if !(least..=most).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(PciAddressError);
    }
    u32::from_str_radix(text, 16).map_err(|_| PciAddressError)
}

/// Up to two hexadecimal digits.
fn hex_byte(text: &str, most: usize) -> Result<u8, PciAddressError> {
    u8::try_from(hex(text, 1, most)?).map_err(|_| PciAddressError)
}

impl FromStr for PciAddress {
    type Err = PciAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, function) = text.rsplit_once('.').ok_or(PciAddressError)?;
        let (text, device) = text.rsplit_once(':').ok_or(PciAddressError)?;
        let (domain, bus) = match text.rsplit_once(':') {
            Some((domain, bus)) => (hex(domain, 4, 8)?, bus),
            None => (0, text),
        };
        Self::new(domain, hex_byte(bus, 2)?, hex_byte(device, 2)?, hex_byte(function, 1)?)
            .ok_or(PciAddressError)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

impl fmt::Debug for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PciAddress({self})")
    }
}

impl TryFrom<String> for PciAddress {
    type Error = PciAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PciAddress> for String {
    fn from(address: PciAddress) -> Self {
        address.to_string()
    }
}
