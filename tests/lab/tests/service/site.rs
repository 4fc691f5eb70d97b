//! What every story begins with: a guest with the packages, a configuration, a unit that runs, and its answers.

use std::time::{Duration, Instant};

use lab::{Guest, installed_or_skip};
use serde_json::Value;

/// Where the daemon without a name reads its configuration.
pub(crate) const CONFIG: &str = "/etc/barewire/barewire.toml";
/// Its unit.
pub(crate) const UNIT: &str = "barewired.service";
/// What `echo $?` says after a `barewire-tune apply` whose kernel arguments a boot has to try out.
pub(crate) const PENDING_REBOOT: &str = "40\n";
/// What a daemon, or systemd, does by itself takes less than this on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A guest with the packages; both NICs are vfio-pci's, by the unit that is there for it.
pub(crate) fn bound() -> Option<Guest> {
    let mut guest = installed_or_skip()?;
    bind(&mut guest);
    Some(guest)
}

/// Gives both NICs to vfio-pci, as an operator does.
pub(crate) fn bind(guest: &mut Guest) {
    for nic in ["east", "west"] {
        let device = guest.nic(nic).pci_address().to_owned();
        guest.must(&format!("systemctl start barewire-bind@{device}.service"));
    }
}

/// What drives both NICs.
pub(crate) fn drivers(guest: &mut Guest) -> [String; 2] {
    ["east", "west"].map(|nic| {
        let device = guest.nic(nic).pci_address().to_owned();
        let link = format!("/sys/bus/pci/devices/{device}/driver");
        guest.must(&format!("basename $(readlink {link})")).trim().to_owned()
    })
}

/// The files of a machine's administrator and of its boot loader.
pub(crate) fn files(guest: &mut Guest) -> String {
    guest.must(
        "find /etc /boot/grub -type f -not -path '/etc/barewire/*' -not -name grubenv | sort | xargs sha256sum",
    )
}

/// What there is of a machine's settings: those files, what the kernel was told, and what runs.
pub(crate) fn settings(guest: &mut Guest) -> String {
    files(guest)
        + &guest.must(
            "sysctl -a 2>/dev/null | grep -v -e random -e ns_last_pid -e '_nr = ' -e '-nr = ' -e inode -e dentry -e file-nr | sort; \
             cat /sys/devices/system/node/node*/hugepages/hugepages-*/nr_hugepages \
             /sys/devices/virtual/workqueue/cpumask; systemctl is-active irqbalance; systemctl is-enabled irqbalance; true",
        )
}

/// A guest with that configuration, and its daemon, which is ready.
pub(crate) fn running(config: impl FnOnce(&Guest) -> String) -> Option<Guest> {
    let mut guest = bound()?;
    let text = config(&guest);
    guest.write(CONFIG, 0o644, &text).expect("the guest takes files");
    start(&mut guest, UNIT);
    Some(guest)
}

/// A wire between the NICs, with what is before the ports in the file.
pub(crate) fn wire(guest: &Guest, before: &str) -> String {
    let mut text = before.to_owned();
    for (here, there) in [("east", "west"), ("west", "east")] {
        let device = guest.nic(here).pci_address();
        text += &format!(
            "[[port]]\nname = \"{here}\"\ndevice = \"{device}\"\ninput = \"{here}-in\"\n\
             [[stage]]\nname = \"{here}-in\"\nkind = \"cross\"\nto = \"tx:{there}\"\n"
        );
    }
    text
}

/// One worker, on the node of the NIC "west".
pub(crate) const ONE_WORKER: &str =
    "[cores]\nhousekeeping = \"0-1\"\nworkers = \"3\"\n[memory]\nper_node_mib = 64\n";

/// Starts a unit, which has to come up.
#[track_caller]
pub(crate) fn start(guest: &mut Guest, unit: &str) {
    let begun = Instant::now();
    let started = guest.run(&format!("systemctl start {unit}")).expect("the guest answers");
    assert!(started.success(), "{unit} does not start:\n{}", journal(guest, unit));
    eprintln!("{unit} was ready after {:.1} s", begun.elapsed().as_secs_f64());
}

/// What a unit, and systemd about it, wrote to the journal in this boot.
pub(crate) fn journal(guest: &mut Guest, unit: &str) -> String {
    guest.must(&format!("journalctl --boot --unit {unit} --no-pager --output short-monotonic"))
}

/// Waits until the unit's journal has a line with all these words, and gives it back.
#[track_caller]
pub(crate) fn says(guest: &mut Guest, unit: &str, words: &[&str]) -> String {
    let deadline = Instant::now() + SOON;
    loop {
        let text = journal(guest, unit);
        let line = text.lines().find(|line| words.iter().all(|word| line.contains(word)));
        if let Some(line) = line {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "no line of {unit} has {words:?}:\n{text}");
    }
}

/// Waits until a line of shell succeeds.
#[track_caller]
pub(crate) fn until(guest: &mut Guest, line: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let done = guest.run(line).expect("the guest answers");
        if done.success() {
            return;
        }
        assert!(Instant::now() < deadline, "`{line}` does not come true: {done:?}");
    }
}

/// A property of a unit.
pub(crate) fn property(guest: &mut Guest, unit: &str, name: &str) -> String {
    guest.must(&format!("systemctl show --property {name} --value {unit}")).trim().to_owned()
}

/// What the daemon answers to one of `barewire`'s commands.
#[track_caller]
pub(crate) fn ask(guest: &mut Guest, words: &str) -> Value {
    let text = guest.must(&format!("barewire {words} --json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words}: {error}\n{text}"))
}

/// Every frame that the daemon received was sent, dropped or is still inside; how many it received.
#[track_caller]
pub(crate) fn balanced(guest: &mut Guest) -> u64 {
    let status = ask(guest, "status");
    let balance = &status["balance"];
    let count = |name: &str| balance[name].as_u64().unwrap_or_else(|| panic!("{name}: {status:#}"));
    assert_eq!(count("received"), count("sent") + count("dropped") + count("held"), "{status:#}");
    assert_eq!(count("violations"), 0, "{status:#}");
    count("received")
}
