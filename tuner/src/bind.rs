//! Giving devices to poll-mode drivers, and taking them back: what would be done, and why not.

pub mod rules;
