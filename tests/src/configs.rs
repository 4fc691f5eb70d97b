//! Configurations that several scenarios start with. `{dir}` is the site's directory.

/// Frames replayed from `in.pcap` in memory without end, over a wire to nowhere.
pub const ENDLESS: &str = r#"
[memory]
huge = "none"

[[port]]
name = "north"
device = "vdev:net_pcap0,rx_pcap={dir}/in.pcap,infinite_rx=1"
input = "wire"

[[port]]
name = "south"
device = "vdev:net_null0"
input = "none"

[[stage]]
name = "wire"
kind = "cross"
to = "tx:south"
"#;

/// [`ENDLESS`] with an end: the frames of `in.pcap` cross once, into `out.pcap`.
#[must_use]
pub fn once() -> String {
    ENDLESS
        .replace(",infinite_rx=1", "")
        .replace("vdev:net_null0", "vdev:net_pcap1,tx_pcap={dir}/out.pcap")
}

/// A wire from capture files to capture files, of which each queue has one; `workers` is a list of CPUs.
#[must_use]
pub fn captures(mode: &str, workers: &str, rx_files: &[String], tx_files: &[String]) -> String {
    let list = |key: &str, files: &[String]| -> String {
        files.iter().map(|file| format!(",{key}={{dir}}/{file}")).collect()
    };
    let (rx, tx) = (list("rx_pcap", rx_files), list("tx_pcap", tx_files));
    let queues = rx_files.len();
    format!(
        r#"
[cores]
workers = "{workers}"

[memory]
huge = "none"

[pipeline]
mode = "{mode}"
ring_capacity = 65536

[[port]]
name = "north"
device = "vdev:net_pcap0{rx}"
rx_queues = {queues}
input = "north-in"

[[port]]
name = "south"
device = "vdev:net_pcap1{tx}"
input = "none"

[[stage]]
name = "north-in"
kind = "cross"
to = "tx:south"
"#
    )
}

/// A box that answers for 192.0.2.1 and 2001:db8::1 on this device, its port `lan`.
#[must_use]
pub fn reflector(device: &str) -> String {
    format!(
        r#"
[memory]
huge = "none"

[[port]]
name = "lan"
device = "vdev:{device}"
addresses = ["192.0.2.1/24", "2001:db8::1/64"]
input = "echo"

[[stage]]
name = "echo"
kind = "reflect"
to = "tx:lan"
"#
    )
}

/// A wire between the interfaces `north` and `south`; `args` for both devices.
#[must_use]
pub fn wire(driver: &str, args: &str, mtu: u16, huge: &str) -> String {
    let port = |number: usize, name: &str| {
        format!(
            r#"
[[port]]
name = "{name}"
device = "vdev:{driver}{number},iface={name}{args}"
mtu = {mtu}
input = "{name}-in"
"#
        )
    };
    let stage = |from: &str, to: &str| {
        format!("\n[[stage]]\nname = \"{from}-in\"\nkind = \"cross\"\nto = \"tx:{to}\"\n")
    };
    let (ports, stages) =
        (port(0, "north") + &port(1, "south"), stage("north", "south") + &stage("south", "north"));
    format!("\n[memory]\nhuge = \"{huge}\"\n{ports}{stages}")
}
