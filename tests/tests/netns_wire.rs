//! Real hosts with barewired as the wire between them: ping, TCP and UDP, IPv4 and IPv6, small and jumbo frames.
//!
//! ```text
//!  north ══ veth ══ box: barewired ══ veth ══ south
//! ```

use std::io::{BufRead as _, BufReader};

use scenarios::{Daemon, Netns, Setup, Site, configs, netns, skip};

/// Two hosts and a box; fields are dropped in this order: the daemon first.
struct Wire {
    daemon: Daemon,
    _site: Site,
    north: Netns,
    south: Netns,
    _wire: Netns,
}

impl Wire {
    /// `args` for both devices.
    fn new(driver: &str, args: &str, mtu: u16, huge: &str) -> Wire {
        let (north, wire, south) = netns::two_hosts(mtu);
        let site = Site::new();
        let config = configs::wire(driver, args, mtu, huge);
        let daemon = Setup::new(&site, &config).netns(&wire).start();
        Wire { daemon, _site: site, north, south, _wire: wire }
    }

    fn ping(&self, size: &str) {
        for target in ["192.0.2.2", "2001:db8::2"] {
            self.north.run(
                "ping",
                &["-c", "5", "-i", "0.05", "-W", "10", "-M", "do", "-s", size, target],
            );
        }
    }

    /// A transfer from north to south, and back; the receiver has to get something.
    fn transfer(&self, target: &str, args: &[&str]) {
        let mut server = self.south.spawn("iperf3", &["--server", "--one-off", "--forceflush"]);
        let mut lines = BufReader::new(server.stdout.take().expect("its output is a pipe")).lines();
        let listening = lines.any(|line| line.is_ok_and(|line| line.contains("listening")));
        assert!(listening, "iperf3's server does not listen");
        let mut all = vec!["--json", "--time", "2", "--client", target];
        all.extend(args);
        let said = self.north.run("iperf3", &all);
        server.wait().expect("our child");
        let report: serde_json::Value = serde_json::from_str(&said).expect("iperf3's report");
        let received =
            ["sum_received", "sum"].iter().find_map(|sum| report["end"][*sum]["bytes"].as_u64());
        assert!(
            received > Some(1_000_000),
            "received {received:?} bytes: {said}\n{}",
            self.daemon.state()
        );
        println!("{target} {args:?}: {} MB in 2 s", received.unwrap_or(0) / 1_000_000);
    }

    /// Nothing was dropped by us, and what came in on one side went out of the other.
    fn ends_clean(self) {
        let counters = self.daemon.counters();
        assert!(
            counters.balance.balanced && counters.balance.violations == 0,
            "{:#?}",
            counters.balance
        );
        assert_eq!(counters.drops.values().sum::<u64>(), 0, "{:#?}", counters.drops);
        let (north, south) = (&counters.ports[0], &counters.ports[1]);
        assert!(north.rx_packets > 0 && south.rx_packets > 0, "{counters:#?}");
        let ended = self.daemon.stop();
        assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
    }
}

/// Whether we can not be hosts here.
fn can_not() -> bool {
    skip::without_root() || ["ping", "iperf3", "ethtool"].into_iter().any(skip::without_program)
}

#[test]
fn ping_and_tcp_cross_af_xdp_ports() {
    if can_not() {
        return;
    }
    let wire = Wire::new("net_af_xdp", "", 1500, "none");
    wire.ping("56");
    wire.ping("1400");
    wire.transfer("192.0.2.2", &[]);
    wire.transfer("2001:db8::2", &["--reverse"]);
    wire.ends_clean();
}

#[test]
fn ping_and_tcp_cross_af_packet_ports() {
    if can_not() {
        return;
    }
    let wire = Wire::new("net_af_packet", "", 1500, "none");
    wire.ping("56");
    wire.ping("1400");
    wire.transfer("192.0.2.2", &["--reverse"]);
    wire.transfer("2001:db8::2", &[]);
    wire.ends_clean();
}

#[test]
fn udp_crosses_without_loss_at_a_rate_that_the_hosts_can_take() {
    if can_not() {
        return;
    }
    let wire = Wire::new("net_af_packet", "", 1500, "none");
    wire.transfer("192.0.2.2", &["--udp", "--bitrate", "20M", "--length", "1400"]);
    wire.ends_clean();
}

#[test]
fn jumbo_frames_cross_af_packet_ports() {
    if can_not() {
        return;
    }
    // One frame of 9000 bytes fits a slot of its rings; the driver's default is 2048.
    let args = ",framesz=9216,blocksz=36864,framecnt=256";
    let wire = Wire::new("net_af_packet", args, 9000, "none");
    wire.ping("8952");
    wire.transfer("192.0.2.2", &[]);
    wire.ends_clean();
}

#[test]
fn hugepages_carry_af_xdp_as_well() {
    if can_not() || skip::without_hugepages(128) {
        return;
    }
    let before = skip::free_hugepages();
    let wire = Wire::new("net_af_xdp", "", 1500, "2M");
    wire.ping("1400");
    wire.transfer("192.0.2.2", &[]);
    wire.ends_clean();
    scenarios::wait::until("the hugepages", || (skip::free_hugepages() == before).then_some(()));
}
