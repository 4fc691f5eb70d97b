//! Ethernet addresses.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An Ethernet address, in the order of the wire: `02:00:00:00:00:01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

/// A text is not an Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ethernet address such as 02:00:00:00:00:01")]
pub struct MacAddressError;

impl MacAddress {
    /// The address of every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Does the address name a group of stations (the lowest bit of its first byte, IEEE 802-2014 8.2.2)?
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Is this `00:00:00:00:00:00`, which no station has?
    #[must_use]
    pub const fn is_zero(self) -> bool {
        matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl FromStr for MacAddress {
    type Err = MacAddressError;

    /// Six pairs of hexadecimal digits, with colons between them, or with hyphens.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let separator = if text.contains(':') { ':' } else { '-' };
        let mut pairs = text.split(separator);
        let mut bytes = [0; 6];
        for byte in &mut bytes {
            *byte = pairs
                .next()
                .filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or(MacAddressError)?;
        }
        if pairs.next().is_some() { Err(MacAddressError) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacAddress({self})")
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}
