//! As root: two hosts, and barewired is the wire between them.
//!
//! ```text
//!  north                      box: barewired                     south
//!  192.0.2.1   eth0 ══ veth ══ north ─► cross ─► south ══ veth ══ eth0   192.0.2.2
//!  2001:db8::1                       ◄─ cross ◄─                  2001:db8::2
//! ```

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
};

use scenarios::{Daemon, Netns, Setup, Site, configs, netns, skip};

use crate::{say, show};

/// Builds the hosts, lets them talk, shows what was measured.
pub(crate) fn run(interrupted: &AtomicBool) {
    say::chapter("Two hosts, and barewired is the wire between them");
    let (north, wire, south) = netns::two_hosts(1500);
    let site = Site::new();
    let daemon = start(&site, &wire);

    say::chapter("ping, IPv4 and IPv6");
    in_the_foreground(
        interrupted,
        &north,
        "ping",
        &["-c", "5", "-i", "0.2", "-W", "5", "192.0.2.2"],
    );
    in_the_foreground(
        interrupted,
        &north,
        "ping",
        &["-c", "5", "-i", "0.2", "-W", "5", "2001:db8::2"],
    );

    say::chapter("TCP for five seconds (iperf3)");
    let mut server = south.spawn("iperf3", &["--server", "--one-off", "--forceflush"]);
    let mut lines = BufReader::new(server.stdout.take().expect("its output is a pipe")).lines();
    let listening = lines.any(|line| line.is_ok_and(|line| line.contains("listening")));
    assert!(listening, "iperf3's server does not listen");
    in_the_foreground(
        interrupted,
        &north,
        "iperf3",
        &["--client", "192.0.2.2", "--time", "5", "--interval", "0"],
    );
    let _ends_with_its_client = server.wait();

    show::all(daemon);
}

/// With AF_XDP, or, when that does not work here, with AF_PACKET.
fn start(site: &Site, wire: &Netns) -> Daemon {
    let huge = if skip::free_hugepages() >= 128 { "2M" } else { "none" };
    if huge == "none" {
        say::remark("left out: hugepages, since fewer than 128 of 2 MiB are free");
    }
    for driver in ["net_af_xdp", "net_af_packet"] {
        let config = configs::wire(driver, "", 1500, huge);
        let mut daemon = Setup::new(site, &config).netns(wire).spawn();
        match daemon.notice("READY=1") {
            Ok(()) => {
                say::remark(format!("barewired is ready, with {driver}"));
                return daemon;
            }
            Err(why) => {
                say::remark(format!("not with {driver}: barewired {why}. Its last words:"));
                let said = daemon.said();
                let lines: Vec<&str> = said.lines().collect();
                for line in &lines[lines.len().saturating_sub(6)..] {
                    say::remark(format!("  {line}"));
                }
            }
        }
    }
    panic!("barewired starts neither with net_af_xdp nor with net_af_packet");
}

fn in_the_foreground(interrupted: &AtomicBool, host: &Netns, program: &str, args: &[&str]) {
    println!("$ {program} {}", args.join(" "));
    let status = host
        .command(Path::new(program))
        .args(args)
        .stdin(Stdio::null())
        .status()
        .unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
    assert!(!interrupted.load(Ordering::Relaxed), "interrupted");
    assert!(status.success(), "{program} ended with {status}: nothing came back through barewired");
}
