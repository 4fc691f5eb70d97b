//! A stock machine with the tuner on it, and how it is asked.

use std::time::Instant;

use lab::{Guest, guest_or_skip};
use serde_json::Value;

/// What the tuner is given: a port on each node, one worker, and 2 MiB pages of each node.
pub(crate) const CONFIG: &str = "/etc/barewire/barewire.toml";

/// The tuner's exit codes, as `barewire-tune --help` prints them.
pub(crate) const PENDING_REBOOT: i32 = 40;
pub(crate) const REFUSED: i32 = 50;
pub(crate) const INCOMPLETE: i32 = 61;
pub(crate) const FAILED: i32 = 70;

/// A stock machine with the tuner and a configuration on it.
pub(crate) fn stock() -> Option<Guest> {
    let mut guest = guest_or_skip()?;
    if !guest.install_or_skip("barewire-tune") {
        return None;
    }
    configure(&mut guest, "count = 1", &[("east", "west"), ("west", "east")]);
    Some(guest)
}

/// Writes a configuration: of which cores the workers are, and the ports, each with the one that it sends to.
pub(crate) fn configure(guest: &mut Guest, cores: &str, ports: &[(&str, &str)]) {
    let mut config = format!("[memory]\nper_node_mib = 128\n[cores]\n{cores}\n");
    for (here, there) in ports {
        let device = guest.nic(here).pci_address();
        config += &format!(
            "[[port]]\nname = \"{here}\"\ndevice = \"{device}\"\ninput = \"{here}-in\"\n\
             [[stage]]\nname = \"{here}-in\"\nkind = \"cross\"\nto = \"tx:{there}\"\n"
        );
    }
    guest.write(CONFIG, 0o644, &config).expect("the guest takes files");
}

/// Runs the tuner, expects that exit code, and gives back what it wrote.
#[track_caller]
pub(crate) fn tune(guest: &mut Guest, words: &str, code: i32) -> String {
    tune_with(guest, "", words, code)
}

/// The same, with variables in its environment.
#[track_caller]
pub(crate) fn tune_with(guest: &mut Guest, variables: &str, words: &str, code: i32) -> String {
    let line =
        format!("{variables} barewire-tune --config {CONFIG} {words} 2>&1; echo \"exit $?\"");
    let text = guest.must(&line);
    let (text, exit) = text.trim_end().rsplit_once("exit ").expect("the shell says the exit code");
    assert_eq!(exit, code.to_string(), "barewire-tune {words}:\n{text}");
    text.to_owned()
}

/// Runs the tuner for an answer in JSON.
#[track_caller]
pub(crate) fn ask(guest: &mut Guest, words: &str) -> Value {
    let text = guest.must(&format!("barewire-tune --config {CONFIG} {words} --json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words}: {error}\n{text}"))
}

pub(crate) fn reboot(guest: &mut Guest, what: &str) {
    let begun = Instant::now();
    guest.reboot().unwrap_or_else(|error| panic!("{what}: {error:?}"));
    eprintln!("{what} took {:.0} s", begun.elapsed().as_secs_f64());
}

/// The CPUs that the workers have, as the plan sees it.
pub(crate) fn workers(guest: &mut Guest) -> String {
    let said = tune(guest, "analyze --id ISO-01", 0);
    let (_, rest) = said.split_once("workers on CPU ").expect("it says whose CPUs it looks at");
    rest.split(", everything").next().unwrap_or_default().to_owned()
}
