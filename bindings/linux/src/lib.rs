//! What Linux says about the machine, in files and a few system calls.
//!
//! Everything that is a file is read through a [`Root`]: the directory `/` in production, any other directory in a
//! test or when a saved machine is looked at. What is in the files is not trusted: reads are bounded, symbolic links
//! can not lead out of the root, and nonsense is an error that names the file. What may well be absent is
//! [`Known::Unknown`] with the reason.
//!
//! ```text
//!  Root ─► cpu ──┐
//!       ─► numa ─┼─► topology::discover ─► config::machine::Machine
//!  hwloc ────────┘
//!       ─► pci, net, hugepages, irq, cmdline: what each says, as types
//!  ethtool, route: what the kernel says over netlink
//!  counters: what a thread cost, where the processor and the kernel count it
//!  clock, thread, namespace: the calling thread's own system calls
//!  packet: frames in and out of an interface; tap: one that a program is behind; bpf: programs at its XDP hook;
//!  socket: options; xdp_socket: frames through memory shared with the kernel
//! ```
//!
//! It only reads. What changes the machine (but for the calling thread itself, and what [`ethtool`] can set) is the
//! tuner's.
//!
//! ```
//! use linux::{Root, topology};
//!
//! let root = Root::system()?;
//! let machine = topology::discover(&root)?;
//! assert!(machine.usable().len() > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod activity;
pub mod bpf;
pub mod clock;
pub mod cmdline;
pub mod counters;
pub mod cpu;
pub mod cpuset;
pub mod dimm;
pub mod ethtool;
pub mod hugepages;
pub mod hwloc;
pub mod irq;
mod known;
pub mod log;
pub mod namespace;
pub mod net;
mod netlink;
pub mod numa;
pub mod packet;
pub mod pci;
mod root;
pub mod route;
pub mod socket;
pub mod tap;
pub mod task;
mod text;
pub mod thread;
pub mod topology;
pub mod xdp_socket;

pub use known::Known;
pub use netlink::NetlinkError;
pub use root::{ReadError, Root, Seen};
