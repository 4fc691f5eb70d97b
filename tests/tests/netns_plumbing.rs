//! The harness itself: what the namespace scenarios stand on, without any program of ours in the middle.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use scenarios::{Netns, netns, skip};

#[test]
fn two_namespaces_joined_by_a_veth_pair_reach_each_other_at_once() {
    if skip::without_root() {
        return;
    }
    let (north, south) = (Netns::new("north"), Netns::new("south"));
    netns::join((&north, "eth0"), (&south, "eth0"), 9000);
    north.address("eth0", "192.0.2.1/24");
    north.address("eth0", "2001:db8::1/64");
    south.address("eth0", "192.0.2.2/24");
    south.address("eth0", "2001:db8::2/64");

    north.run("ping", &["-c", "2", "-i", "0.1", "-W", "5", "-M", "do", "-s", "8900", "192.0.2.2"]);
    north.run("ping", &["-c", "2", "-i", "0.1", "-W", "5", "2001:db8::2"]);
    assert_ne!(north.mac("eth0"), south.mac("eth0"));
}

#[test]
fn a_namespace_takes_its_processes_with_it() {
    if skip::without_root() {
        return;
    }
    let netns = Netns::new("brief");
    let name = netns.name().to_owned();
    let mut inside = netns.spawn("cat", &["/dev/zero"]);
    drop(netns);

    let status = inside.wait().expect("our child");
    assert!(!status.success(), "it was killed");
    assert!(!Path::new("/run/netns").join(&name).exists());
    let left = Command::new("ip").args(["netns", "pids", &name]).stderr(Stdio::null()).status();
    assert!(!left.expect("ip runs").success(), "there is no such namespace any more");
}
