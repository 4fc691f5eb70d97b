//! A virtual bare-metal machine, for tests that need a real boot.
//!
//! Debian on an emulated server: two NUMA nodes, an IOMMU with real groups, NICs on the bus of their node, GRUB on a
//! disk. A test boots it or restores a snapshot of it, runs commands in it, copies files, reboots it, cuts its power,
//! and holds the other end of every NIC's cable.
//!
//! ```text
//!  Recipe ─► Lab::build ─► Image ─┬─ Guest::boot ────────────► Guest ─┬─ run, copy_in, copy_out
//!            (Debian's packages)  └─ Snapshot::of ─► Guest::restore ──┤─ reboot, power_cut, console
//!                                     + Machine                       └─ nic("east") ─► send, recv
//! ```
//!
//! It is emulated in software, so it needs no virtualisation by the host, and nothing timed in it means anything: tests
//! ask what the machine *is* and *does*. A guest lives in processes and one folder that are gone with it, also when
//! the test is killed. Every wait has a limit, and what fails shows the end of the guest's console.
//!
//! `cargo xtask lab build` makes the images, `cargo xtask lab test` runs the tests; without an image they are skipped.
//!
//! ```no_run
//! // igb NICs "east" on node 0 and "west" on node 1, restored in two seconds; nothing when there is no image.
//! let Some(mut guest) = lab::guest_or_skip() else { return Ok(()) };
//!
//! assert_eq!(guest.must("cat /sys/devices/system/node/online"), "0-1\n");
//! guest.must("echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX nohz_full=2-3\"' >> /etc/default/grub; update-grub");
//! guest.reboot()?;
//! assert!(guest.must("cat /proc/cmdline").contains("nohz_full=2-3"));
//! # Ok::<(), lab::LabError>(())
//! ```
#![forbid(unsafe_code)]

mod agent;
mod bypass;
mod cache;
mod error;
mod flow;
pub mod frames;
mod guest;
mod image;
mod installed;
mod keeper;
mod machine;
mod mirror;
mod nic;
mod program;
mod qemu;
mod qmp;
mod recipe;
mod skip;
mod snapshot;
mod soak;
mod timed;
mod wire;

pub use agent::Output;
pub use cache::Cache;
pub use error::LabError;
pub use flow::{Flow, Tally};
pub use guest::Guest;
pub use image::{Image, Lab};
pub use installed::{PACKAGES, installed, installed_or_skip, packages_or_skip};
pub use machine::{Machine, Model};
pub use nic::Nic;
pub use recipe::{Debian, Kernel, Recipe};
pub use skip::{cache_of_this_tree, guest_or_skip, image_or_skip, skip, under_test};
pub use snapshot::Snapshot;
pub use soak::{Soaked, soak};
pub use wire::Exit;
