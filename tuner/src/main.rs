//! `barewire-tune`: see the library, which has everything but the process around it.
#![forbid(unsafe_code)]

use std::{
    env,
    io::{self, IsTerminal},
    path::Path,
    process::ExitCode,
};

use tuner::commands::{self, Surroundings};

fn main() -> ExitCode {
    let surroundings = Surroundings {
        stdout_is_terminal: io::stdout().is_terminal(),
        stderr_is_terminal: io::stderr().is_terminal(),
        // https://no-color.org: present and not empty.
        no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|terminal| terminal == "dumb"),
        is_journal: is_journal(),
        ssh_connection: env::var("SSH_CONNECTION").ok(),
        program: env::current_exe().ok(),
        // sd_booted(3): this directory is there exactly where systemd is the init system.
        timers: Path::new("/run/systemd/system").is_dir().then(|| "systemd-run".into()),
    };
    commands::run(env::args_os(), &surroundings, &mut io::stdout(), &mut io::stderr()).into()
}

/// Does standard output go to the journal? `JOURNAL_STREAM` names its device and inode, and is inherited by programs
/// whose output goes elsewhere (systemd.exec(5)).
fn is_journal() -> bool {
    let stream = env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(io::stdout())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}
