//! The harness of the scenarios: the built programs, run as an operator runs them, and looked at from outside.
//!
//! A scenario starts `barewired` on a configuration in a directory of its own ([`Site`]), waits until it says READY,
//! sends frames through it (a capture file through net_pcap, or real hosts in network namespaces), reads its control
//! socket, and compares with what was expected from frames built independently ([`frames`]). Nothing here knows how
//! barewired works inside.
//!
//! ```text
//!  Site (temporary directory)            Daemon (process)                       Netns (root only)
//!  ├─ in.pcap      ◄─ capture::write     ├─ READY over a socket of ours         ├─ ip netns add
//!  ├─ barewired.toml                     ├─ control.sock ◄─ http, barewire      ├─ veth pairs, offloads off
//!  └─ out.pcap     ─► capture::read      └─ killed on drop, stderr shown        └─ removed on drop
//! ```
//!
//! A test that can not run here says so with [`skip`], and `cargo xtask test` counts it.
//!
//! ```
//! use scenarios::{Site, capture, frames};
//!
//! let site = Site::new();
//! let sent = vec![frames::udp4(1, b"hello"), frames::arp_request([192, 0, 2, 1], [192, 0, 2, 9])];
//! capture::write(&site.path("in.pcap"), &sent);
//! assert_eq!(capture::read(&site.path("in.pcap")), sent);
//! ```
#![forbid(unsafe_code)]

pub mod capture;
pub mod configs;
pub mod cpus;
pub mod daemon;
pub mod frames;
pub mod http;
pub mod latency;
pub mod load;
pub mod mutations;
pub mod netns;
pub mod programs;
pub mod site;
pub mod skip;
pub mod wait;

pub use daemon::{Daemon, Ended, Setup};
pub use netns::Netns;
pub use site::Site;
