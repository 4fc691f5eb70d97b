//! The tuner on a machine that really boots: everything it promises of a stock Debian, and the way back.

mod bind;
mod capture;
mod faults;
mod findings;
mod flow;
mod held;
mod power_cut;
mod stock;
mod trial;
mod watch;
mod whole;
