//! What stands behind a port, as text: a PCI address, or `vdev:` and what DPDK's `--vdev` takes.

use std::{fmt, str::FromStr};

use crate::{Device, PciAddress};

/// The longest name of a device that DPDK takes (`RTE_DEV_NAME_MAX_LEN` is 64, with the final NUL).
const MAX_NAME: usize = 63;
/// The longest arguments that are taken, in bytes.
const MAX_ARGS: usize = 1024;

/// A text does not name a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Neither form.
    #[error(
        "that is neither a PCI address such as \"0000:3b:00.0\" nor \"vdev:\" with a virtual device"
    )]
    NotADevice,
    /// A virtual device without driver and number.
    #[error("the name of a virtual device is a driver and a number, such as net_pcap0")]
    VdevName,
    /// Arguments that DPDK would read differently, or not at all.
    #[error(
        "the arguments of a virtual device are key=value pairs with commas between them, without blanks or quotes"
    )]
    VdevArgs,
    /// Arguments beyond the limit.
    #[error("the arguments of a virtual device are longer than {MAX_ARGS} bytes")]
    VdevArgsTooLong,
}

impl DeviceError {
    /// What an operator can do about it.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::NotADevice => {
                "`lspci -D` lists PCI addresses; a kernel interface such as eth1 is reached with \
                 \"vdev:net_af_xdp0,iface=eth1\""
            }
            Self::VdevName | Self::VdevArgs | Self::VdevArgsTooLong => {
                "write it as \"vdev:net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap\""
            }
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(vdev) = text.strip_prefix("vdev:") else {
            return text.parse::<PciAddress>().map(Self::Pci).map_err(|_| DeviceError::NotADevice);
        };
        let (name, args) = vdev.split_once(',').unwrap_or((vdev, ""));
        if !is_vdev_name(name) {
            return Err(DeviceError::VdevName);
        }
        if args.len() > MAX_ARGS {
            return Err(DeviceError::VdevArgsTooLong);
        }
        // The EAL ends an argument at a NUL, and rte_kvargs splits at commas outside of brackets.
        if vdev.len() > name.len() && !args.split(',').all(is_vdev_arg) {
            return Err(DeviceError::VdevArgs);
        }
        Ok(Self::Vdev { name: name.to_owned(), args: args.to_owned() })
    }
}

fn is_vdev_name(name: &str) -> bool {
    let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name.len() <= MAX_NAME
        && driver.len() < name.len()
        && driver.starts_with(|c: char| c.is_ascii_lowercase())
        && driver.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// One `key=value`, or a key alone, or what a list in brackets leaves between two commas.
fn is_vdev_arg(arg: &str) -> bool {
    !arg.is_empty()
        && !arg.starts_with('=')
        && arg.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'`'))
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => address.fmt(f),
            Self::Vdev { name, args } if args.is_empty() => write!(f, "vdev:{name}"),
            Self::Vdev { name, args } => write!(f, "vdev:{name},{args}"),
        }
    }
}
