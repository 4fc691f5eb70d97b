//! Packages on a stock Debian: installing starts nothing, removing stops everything and gives the NICs back, purging
//! leaves nothing.

use lab::{Guest, PACKAGES, installed_or_skip};

use crate::site::{CONFIG, ONE_WORKER, UNIT, start, wire};

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
    let drivers = |guest: &mut Guest| {
        ["east", "west"].map(|nic| {
            let device = guest.nic(nic).pci_address().to_owned();
            guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{device}/driver)"))
        })
    };
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
    assert_eq!(drivers(guest), ["vfio-pci\n", "vfio-pci\n"]);

    guest.must(&format!("dpkg --remove {}", PACKAGES.join(" ")));
    assert_eq!(guest.must(units), "");
    assert_eq!(guest.must("pgrep -x barewired || true"), "");
    assert_eq!(drivers(guest), own);
    assert!(guest.must(&format!("cat {CONFIG}")).contains("east-in"), "the configuration stays");

    guest.must(&format!("dpkg --purge {}", PACKAGES.join(" ")));
    assert_eq!(traces(guest), "");
}
