//! What changes while frames flow: a reload loses none of them, a restart says what it cost.

use std::time::Duration;

use lab::{Flow, Guest, frames::is_carried};

use crate::site::{
    CONFIG, ONE_WORKER, UNIT, ask, balanced, journal, property, running, says, wire,
};

/// How long frames may take to flow again.
pub(crate) const AGAIN: Duration = Duration::from_secs(90);

/// Frames a second: few enough that a slow machine forwards them all.
const RATE: u32 = 400;

/// From east to west.
pub(crate) fn flow(guest: &Guest) -> Flow {
    let flow = Flow::begin(guest.nic("east"), guest.nic("west"), RATE).unwrap();
    assert!(flow.goes_on(50, AGAIN), "nothing is forwarded\n{}", guest.console());
    flow
}

#[test]
fn a_reload_by_systemctl_loses_no_frame() {
    let Some(mut guest) = running(|guest| wire(guest, ONE_WORKER)) else { return };
    let guest = &mut guest;
    let text = wire(guest, ONE_WORKER);
    let flow = flow(guest);

    for round in 0..5 {
        let other = text.replace("kind = \"cross\"\n", "kind = \"cross\"\nmacs = \"keep\"\n")
            + &format!("[pipeline]\nburst = {}\n", 8 + round);
        guest.write(CONFIG, 0o644, &other).unwrap();
        guest.must(&format!("systemctl reload {UNIT}"));
        assert!(flow.goes_on(20, AGAIN), "{}", journal(guest, UNIT));
    }

    let tally = flow.end().unwrap();
    assert!(tally.is_whole(), "{tally:?}\n{}", journal(guest, UNIT));
    assert_eq!(ask(guest, "status")["generation"], 6);
    balanced(guest);
}

#[test]
fn a_reload_that_is_refused_fails_says_why_and_changes_nothing() {
    let Some(mut guest) = running(|guest| wire(guest, ONE_WORKER)) else { return };
    let guest = &mut guest;
    let flow = flow(guest);
    guest.must(&format!("sed -i 's/to = \"tx:west\"/to = \"tx:nowhere\"/' {CONFIG}"));

    let refused = guest.run(&format!("systemctl reload {UNIT}")).unwrap();

    assert!(!refused.success(), "{refused:?}");
    says(guest, UNIT, &["nowhere"]);
    assert_eq!(property(guest, UNIT, "ActiveState"), "active");
    assert_eq!(ask(guest, "status")["generation"], 1);
    assert!(flow.goes_on(20, AGAIN), "{}", journal(guest, UNIT));
    let tally = flow.end().unwrap();
    assert!(tally.is_whole(), "{tally:?}");
}

#[test]
fn ports_restart_for_a_reload_that_says_so_and_the_cost_is_told() {
    let Some(mut guest) = running(|guest| wire(guest, ONE_WORKER)) else { return };
    let guest = &mut guest;
    let flow = flow(guest);
    guest.must(&format!("sed -i '/^name = \"east\"/a rx_ring = 256' {CONFIG}"));

    let refused = guest.run("barewire reload 2>&1").unwrap();
    assert!(!refused.success() && refused.text().contains("--restart-ports"), "{refused:?}");
    let answer = ask(guest, "reload --restart-ports");

    assert_eq!(answer["restart"]["started"][0], "east", "{answer:#}");
    assert_eq!(answer["restart"]["in_time"], true, "{answer:#}");
    let blackout = answer["restart"]["blackout_ms"].as_f64().unwrap();
    assert!(flow.goes_on(50, AGAIN), "{}", journal(guest, UNIT));
    let tally = flow.end().unwrap();
    eprintln!(
        "ports restarted in {blackout:.0} ms, from outside {:?}; {tally:?}",
        tally.longest_gap
    );
    assert_eq!((tally.twice, tally.out_of_order, tally.changed), (0, 0, 0), "{tally:?}");
    balanced(guest);
}

#[test]
fn a_restart_says_for_how_long_nothing_was_received() {
    let Some(mut guest) = running(|guest| wire(guest, ONE_WORKER)) else { return };
    let guest = &mut guest;
    let flow = flow(guest);
    assert!(!journal(guest, UNIT).contains("blackout_ms"), "the first start restarts nothing");

    guest.must(&format!("systemctl restart {UNIT}"));

    let line = says(guest, UNIT, &["ready", "blackout_ms="]);
    assert!(flow.goes_on(50, AGAIN), "{}", journal(guest, UNIT));
    let tally = flow.end().unwrap();
    eprintln!("{line}\nfrom outside {:?}; {tally:?}", tally.longest_gap);
    assert_eq!((tally.twice, tally.out_of_order, tally.changed), (0, 0, 0), "{tally:?}");
    balanced(guest);
}

#[test]
fn a_pair_of_ports_is_handed_from_one_instance_to_another() {
    let Some(mut guest) = crate::site::bound() else { return };
    let guest = &mut guest;
    for name in ["old", "new"] {
        let text = wire(guest, ONE_WORKER)
            + &format!("[control]\nsocket = \"/run/barewire-{name}/control.sock\"\n");
        guest.write(&format!("/etc/barewire/{name}.toml"), 0o644, &text).unwrap();
    }
    crate::site::start(guest, "barewired@old");
    let flow = flow(guest);

    // Both at once is refused, and the one that has the ports does not notice.
    let both = guest.run("systemctl start barewired@new").unwrap();
    let log = journal(guest, "barewired@new");
    assert!(!both.success(), "{log}");
    eprintln!("two daemons on one port:\n{log}");
    assert!(flow.goes_on(50, AGAIN), "{}", journal(guest, "barewired@old"));
    guest.must("systemctl stop barewired@new; systemctl reset-failed barewired@new || :");

    guest.must("systemctl stop barewired@old && systemctl start barewired@new");

    assert!(flow.goes_on(50, AGAIN), "{}", journal(guest, "barewired@new"));
    let tally = flow.end().unwrap();
    eprintln!("handed over; nothing came out for {:?}; {tally:?}", tally.longest_gap);
    assert_eq!((tally.twice, tally.out_of_order, tally.changed), (0, 0, 0), "{tally:?}");
    for (from, to) in [("east", "west"), ("west", "east")] {
        let frame = lab::frames::frame(64, 1 << 20);
        assert!(is_carried(guest.nic(from), guest.nic(to), &frame).unwrap());
    }
}
