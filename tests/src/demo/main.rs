//! `barewire-demo`: real packets through barewired, and what it measured of them. Run it with `cargo xtask demo`.
//!
//! As root: two hosts (network namespaces) joined by barewired, with a real ping and a real TCP transfer between them.
//! Otherwise: the bundled capture, replayed from memory. Exit codes: 0 shown, 1 failed, 2 wrong usage, 130 interrupted;
//! nothing is left behind in any case.
#![forbid(unsafe_code)]

use std::{
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use clap::Parser;
use scenarios::netns;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

mod replay;
mod say;
mod show;
mod wire;

/// Real packets through barewired, and what it measured of them.
#[derive(Debug, Parser)]
struct Options {
    /// Replay the bundled capture, even when we could make network namespaces
    #[arg(long)]
    capture: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    if let Err(error) = watch(&interrupted) {
        eprintln!("demo: cannot catch signals: {error}");
        return ExitCode::from(1);
    }
    // The harness panics when something is not as it should be; here that is a plain message, and everything is undone
    // on the way out.
    let quiet = Arc::clone(&interrupted);
    panic::set_hook(Box::new(move |info| {
        if !quiet.load(Ordering::Relaxed) {
            let payload = info.payload();
            let message = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("something is wrong, and nobody knows what");
            eprintln!("demo: {message}");
        }
    }));
    let shown = panic::catch_unwind(AssertUnwindSafe(|| demo(&options, &interrupted)));
    if interrupted.load(Ordering::Relaxed) {
        eprintln!("demo: interrupted, and everything is undone");
        return ExitCode::from(130);
    }
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(_told_by_the_hook) => ExitCode::from(1),
    }
}

fn demo(options: &Options, interrupted: &AtomicBool) {
    let root = rustix::process::geteuid().is_root();
    if root && !options.capture {
        wire::run(interrupted);
    } else {
        let why = if root { "as asked" } else { "we are not root" };
        replay::run(why, interrupted);
    }
}

/// On a signal: remember it, and end what runs in our namespaces, so that whoever waits for it goes on (and cleans up).
fn watch(interrupted: &Arc<AtomicBool>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let interrupted = Arc::clone(interrupted);
    thread::spawn(move || {
        for _signal in signals.forever() {
            interrupted.store(true, Ordering::Relaxed);
            netns::kill_all();
        }
    });
    Ok(())
}
