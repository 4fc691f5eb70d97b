//! What probes go through on this machine.

pub mod packet;

pub use packet::PacketWire;
