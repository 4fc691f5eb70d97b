//! `barewired`: moves packets between ports with DPDK, measures every one of them, and loses none.
//!
//! ```text
//!  file ─► Config ─► Plan ─► eal_args ─► Eal, pools, ports ─► workers ─► (reload, stop) ─► report
//!                                                               │
//!                             control socket ◄── answers ◄── State: what workers write
//! ```
//! Each step is a value that `barewired check`, `plan` and `graph` print.
#![forbid(unsafe_code)]
#![expect(
    unreachable_pub,
    reason = "a program has no public surface; pub says: used by other modules"
)]

mod answers;
mod cli;
mod commands;
mod control;
mod eal_args;
mod exit;
mod facts;
mod logging;
mod plan;
mod reload;
mod runtime;
mod rx_clock;
mod state;
mod witness;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let started = std::time::Instant::now();
    commands::run(cli::Cli::parse(), started).into()
}
