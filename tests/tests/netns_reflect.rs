//! A box is checked with a plain ping and any UDP client: `reflect` against a real host's network stack.

use std::{net::Ipv4Addr, process::Stdio};

use scenarios::{Netns, Setup, Site, configs, netns, skip, wait};

/// Sends datagrams and expects each of them back; Python, since any UDP client has to do.
const CLIENT: &str = r"
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(10)
client.connect((sys.argv[1], 7))
for length in (0, 1, 2, 100, 1400):
    sent = bytes(i & 255 for i in range(length))
    client.send(sent)
    assert client.recv(2000) == sent, length
print('all back')
";

#[test]
fn a_real_host_pings_and_talks_udp_to_an_af_packet_port() {
    reflects("net_af_packet");
}

#[test]
fn a_real_host_pings_and_talks_udp_to_an_af_xdp_port() {
    reflects("net_af_xdp");
}

fn reflects(driver: &str) {
    if skip::without_root() || ["ping", "ethtool", "python3"].into_iter().any(skip::without_program)
    {
        return;
    }
    let (host, wire) = (Netns::new("host"), Netns::silent("box"));
    netns::join((&host, "eth0"), (&wire, "lan"), 1500);
    host.address("eth0", "192.0.2.9/24");
    host.address("eth0", "2001:db8::9/64");
    let site = Site::new();
    let config = configs::reflector(&format!("{driver}0,iface=lan"));
    let daemon = Setup::new(&site, &config).netns(&wire).start();

    for target in ["192.0.2.1", "2001:db8::1"] {
        host.run("ping", &["-c", "5", "-i", "0.05", "-W", "10", target]);
        host.run("ping", &["-c", "3", "-i", "0.05", "-W", "10", "-s", "1400", target]);
        assert_eq!(host.run("python3", &["-c", CLIENT, target]).trim(), "all back");
    }
    // Not ours: nobody answers, and the drop has its name.
    let other = Ipv4Addr::new(192, 0, 2, 77).to_string();
    let nobody = host
        .command("ping".as_ref())
        .args(["-c", "1", "-W", "1", &other])
        .stdout(Stdio::null())
        .status()
        .expect("ping runs");
    assert!(!nobody.success());
    let counters = wait::until("a frame that was not for us", || {
        let counters = daemon.counters();
        (counters.drops["not_for_us"] > 0).then_some(counters)
    });
    assert!(
        counters.balance.balanced && counters.balance.violations == 0,
        "{:#?}",
        counters.balance
    );
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
}
