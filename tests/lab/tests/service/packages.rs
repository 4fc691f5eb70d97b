//! Packages on a stock Debian: installing starts nothing, upgrading changes neither what runs nor what is configured,
//! removing stops everything and gives NICs and settings back, purging leaves nothing.

use std::collections::BTreeSet;

use lab::{Guest, PACKAGES, installed_or_skip};

use crate::{
    restarts::{AGAIN, flow},
    site::{
        CONFIG, ONE_WORKER, PENDING_REBOOT, UNIT, balanced, bind, drivers, property, running,
        settings, start, wire,
    },
};

/// What has the name in it, below the root: files, and what systemd knows of units.
fn traces(guest: &mut Guest) -> String {
    guest.must(
        "find / -xdev -iname '*barewire*' -not -path '/proc/*' -not -path '/root/*.deb' \
         -not -path '*barewire-lab*' -not -path '/var/log/journal/*'; \
         grep -H barewire /etc/passwd /etc/group /etc/shadow /etc/gshadow; dpkg --list | grep -i barewire; \
         systemctl list-unit-files --no-legend 'barewire*' | grep -v barewire-lab; true",
    )
}

#[test]
fn an_installed_daemon_goes_without_a_trace_and_gives_its_nics_back() {
    let Some(mut guest) = installed_or_skip() else { return };
    let guest = &mut guest;
    let units = "systemctl list-units --no-legend --state=active,failed,activating 'barewire*' | grep -v lab- || true";
    assert_eq!(guest.must(units), "", "installing started something");
    let own = drivers(guest);

    let text = wire(guest, ONE_WORKER);
    guest.write(CONFIG, 0o644, &text).unwrap();
    for nic in ["east", "west"] {
        let device = guest.nic(nic).pci_address().to_owned();
        guest.must(&format!("systemctl enable --quiet barewire-bind@{device}.service"));
    }
    // The NICs come with it: their units belong to it.
    start(guest, UNIT);
    guest.must(&format!("systemctl enable --quiet {UNIT}"));
    assert_eq!(drivers(guest), ["vfio-pci", "vfio-pci"]);

    guest.must(&format!("dpkg --remove {}", PACKAGES.join(" ")));
    assert_eq!(guest.must(units), "");
    assert_eq!(guest.must("pgrep -x barewired || true"), "");
    assert_eq!(drivers(guest), own);
    assert!(guest.must(&format!("cat {CONFIG}")).contains("east-in"), "the configuration stays");

    guest.must(&format!("dpkg --purge {}", PACKAGES.join(" ")));
    assert_eq!(traces(guest), "");
}

/// The packages that were installed, with a later version and another default configuration; their files.
fn next_version(guest: &mut Guest) -> String {
    guest.must(&format!(
        "cd /root && for name in {}; do dpkg-deb --raw-extract $name.deb $name; \
         sed -i 's/^Version: .*/&+next/' $name/DEBIAN/control; done; \
         echo '# of the next version' >> barewire{CONFIG}; \
         for name in {0}; do dpkg-deb -Znone --build $name $name-next.deb > /dev/null; done",
        PACKAGES.join(" ")
    ));
    PACKAGES.map(|name| format!("/root/{name}-next.deb")).join(" ")
}

#[test]
fn an_upgrade_keeps_what_runs_what_is_configured_and_what_is_tuned() {
    let Some(mut guest) = running(|guest| wire(guest, ONE_WORKER)) else { return };
    let guest = &mut guest;
    let balancing = "cat /proc/sys/kernel/numa_balancing";
    let tune = format!("barewire-tune --config {CONFIG}");
    let stock = guest.must(balancing);
    guest.must(&format!("systemctl enable --quiet {UNIT}; {tune} apply --only MEM-11 2>&1"));
    let tuned = guest.must(balancing);
    assert_ne!(tuned, stock);
    let configured = guest.must(&format!("cat {CONFIG}"));
    let process = property(guest, UNIT, "MainPID");
    let files = next_version(guest);
    let frames = flow(guest);

    let said = guest.must(&format!(
        "DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --install {files} 2>&1"
    ));

    assert!(said.contains("'systemctl restart barewired' changes to this one"), "{said}");
    assert!(frames.goes_on(50, AGAIN), "{}", guest.console());
    let tally = frames.end().unwrap();
    assert!(tally.is_whole(), "{tally:?}");
    assert_eq!(property(guest, UNIT, "MainPID"), process, "an upgrade restarts nothing");
    assert_eq!(guest.must(&format!("cat {CONFIG}")), configured);
    guest.must(&format!("tail -1 {CONFIG}.dpkg-dist | grep -q 'of the next version'"));
    assert_eq!(guest.must(&format!("systemctl is-enabled {UNIT}")), "enabled\n");
    balanced(guest);

    guest.must(&format!("systemctl restart {UNIT}"));
    let tally = flow(guest).end().unwrap();
    assert!(tally.is_whole(), "{tally:?}");
    guest.must(&format!("{tune} verify 2>&1"));
    assert_eq!(guest.must(balancing), tuned);
    let bound = guest.run("barewire-tune rollback --pristine 2>&1; echo exit $?").unwrap();
    assert!(bound.text().contains("stop it first"), "{bound:?}");
    guest.must(&format!("systemctl stop {UNIT} && barewire-tune rollback --pristine 2>&1"));
    assert_eq!(guest.must(balancing), stock);
}

#[test]
fn removing_the_tuner_puts_back_what_it_applied_and_stops_nothing_while_it_can_not() {
    let Some(mut guest) = installed_or_skip() else { return };
    let guest = &mut guest;
    let before = settings(guest);
    let text = wire(guest, ONE_WORKER);
    guest.write(CONFIG, 0o644, &text).unwrap();
    bind(guest);
    for nic in ["east", "west"] {
        let device = guest.nic(nic).pci_address().to_owned();
        guest.must(&format!("systemctl enable --quiet barewire-bind@{device}.service"));
    }
    start(guest, UNIT);
    let frames = flow(guest);
    let said = guest.must(&format!("barewire-tune --config {CONFIG} apply 2>&1; echo $?"));
    assert!(said.ends_with(&format!("\n{PENDING_REBOOT}")), "{said}");
    assert_ne!(settings(guest), before);

    let drop_in = "/etc/sysctl.d/90-barewire.conf";
    guest.must(&format!("echo '# somebody was here' >> {drop_in}"));
    let refused = guest.run("dpkg --remove barewire-tune 2>&1").unwrap();
    assert!(!refused.success(), "{refused:?}");
    for words in [drop_in, "Nothing was stopped", "rollback --pristine --force"] {
        assert!(refused.text().contains(words), "{refused:?}");
    }
    guest.must("dpkg --status barewire-tune | grep -q '^Status: .* ok installed$'");
    assert!(frames.goes_on(50, AGAIN), "{}", guest.console());
    frames.end().unwrap();

    guest.must(&format!("sed -i '$d' {drop_in}; dpkg --remove barewire-tune"));

    assert_eq!(property(guest, UNIT, "ActiveState"), "inactive");
    let after = settings(guest);
    let only = |here: &str, there: &str| -> Vec<String> {
        let there: BTreeSet<&str> = there.lines().collect();
        here.lines().filter(|line| !there.contains(line)).map(str::to_owned).collect()
    };
    assert_eq!(only(&after, &before), only(&before, &after), "what is, and what was");
}
