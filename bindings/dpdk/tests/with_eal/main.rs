//! Tests with an EAL: virtual devices, no hugepages, no hardware, no root.
//!
//! A process can have one EAL, so every test wants a process of its own: run them with `cargo
//! nextest run`, as `cargo xtask test` does. Under plain `cargo test` all but the first fail, and
//! say why.

#![expect(clippy::unwrap_used, reason = "a test that can not do its work fails")]

mod eal;
mod frames;
mod hotplug;
mod ports;
mod support;
mod traffic;
