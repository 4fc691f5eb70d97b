//! Why something could not be done to a port.

use std::fmt;

use crate::error::Errno;

/// A step that failed: the port as it was before, and why.
pub struct Failed<P> {
    /// The port, in the state it was in.
    pub port: P,
    /// Why.
    pub error: PortError,
}

impl<P> fmt::Debug for Failed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<P> From<Failed<P>> for PortError {
    /// Drops the port.
    fn from(failed: Failed<P>) -> Self {
        failed.error
    }
}

/// Why something could not be done to a port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The EAL has probed no such device, or the port was closed.
    #[error("no port is named \"{name}\"; there {}", probed_list(.probed))]
    NotFound {
        /// The name asked for.
        name: String,
        /// The names of all ports.
        probed: String,
    },
    /// Somebody has it already.
    #[error("port \"{name}\" is claimed already")]
    Claimed {
        /// The port.
        name: String,
    },
    /// Another part of DPDK has it.
    #[error("port \"{name}\" belongs to {owner}")]
    Owned {
        /// The port.
        name: String,
        /// What DPDK calls the owner.
        owner: String,
    },
    /// The device has fewer queues.
    #[error("port \"{port}\": {asked} {direction} queues, but it offers 1 to {most}")]
    Queues {
        /// The port.
        port: String,
        /// "receive" or "transmit".
        direction: &'static str,
        /// Queues asked for.
        asked: u16,
        /// Queues there are.
        most: u16,
    },
    /// The device does not do this MTU.
    #[error("port \"{port}\": an MTU of {asked}, but it offers {least} to {most}")]
    Mtu {
        /// The port.
        port: String,
        /// Bytes asked for.
        asked: u16,
        /// The least it does.
        least: u16,
        /// The most it does.
        most: u16,
    },
    /// The port is closed.
    #[error("port {id} is closed")]
    Closed {
        /// Id of the port.
        id: u16,
    },
    /// DPDK's or the driver's own reason.
    #[error("port \"{port}\": can not {action}")]
    Driver {
        /// The port.
        port: String,
        /// What was tried.
        action: &'static str,
        /// What DPDK said.
        source: Errno,
    },
}

fn probed_list(probed: &str) -> String {
    if probed.is_empty() { "is none at all".to_owned() } else { format!("are {probed}") }
}
