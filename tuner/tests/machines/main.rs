//! Whole machines, each one text file in `tests/fixtures/machines`: what is said of them, what is planned, and what the
//! commands do that are printed for them.

#![expect(clippy::unwrap_used, reason = "a test panics where it can not go on")]

mod carried;
mod commands;
mod configured;
mod consumers;
mod fixture;
mod notation;
mod planted;
mod refused;
mod reports;
