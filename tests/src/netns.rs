//! Hosts to talk to: network namespaces joined by veth pairs. Root only, and gone afterwards.
//!
//! Names carry our process id, so tests beside each other do not meet; a namespace whose process is gone is a leftover
//! of one that was killed, and is removed when the next one is made. Addresses are inside the namespaces only: nothing
//! of the host's own network is touched.

use std::{
    fs,
    path::Path,
    process::{self, Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A network namespace. On drop its processes are killed and it is removed.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

const PREFIX: &str = "barewire-";

impl Netns {
    /// A new one, with its loopback up.
    ///
    /// # Panics
    /// When it can not be made.
    #[must_use]
    pub fn new(role: &str) -> Netns {
        remove_leftovers();
        let name = format!("{PREFIX}{}-{role}", process::id());
        ip(&["netns", "add", &name]);
        let netns = Netns { name };
        // No duplicate address detection: an address is usable at once.
        for file in ["all/accept_dad", "default/accept_dad"] {
            netns.set(&format!("ipv6/conf/{file}"), "0");
        }
        netns.ip(&["link", "set", "lo", "up"]);
        netns
    }

    /// A new one for a daemon: the kernel's own IPv6 is off, so that its interfaces say nothing by themselves.
    #[must_use]
    pub fn silent(role: &str) -> Netns {
        let netns = Netns::new(role);
        for which in ["all", "default"] {
            netns.set(&format!("ipv6/conf/{which}/disable_ipv6"), "1");
        }
        netns
    }

    /// Its name, for `ip netns exec`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program that will run inside. (`ip netns exec` becomes the program, so its process id is the child's.)
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a program inside, to its end.
    ///
    /// # Panics
    /// When it can not be run, or fails: what it wrote is in the message.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.output(program, args);
        assert!(
            output.status.success(),
            "in {}: {program} {}: {}",
            self.name,
            args.join(" "),
            told(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a program inside, to its end, whatever that is.
    ///
    /// # Panics
    /// When it can not be run.
    #[must_use]
    pub fn output(&self, program: &str, args: &[&str]) -> Output {
        self.command(Path::new(program))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|e| panic!("cannot run {program} in {}: {e}", self.name))
    }

    /// Starts a program inside, beside us.
    ///
    /// # Panics
    /// When it can not be started.
    #[must_use]
    pub fn spawn(&self, program: &str, args: &[&str]) -> Child {
        self.command(Path::new(program))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {program} in {}: {e}", self.name))
    }

    /// Gives an interface an address, with its prefix length.
    pub fn address(&self, interface: &str, address: &str) {
        let mut args = vec!["address", "add", address, "dev", interface];
        if address.contains(':') {
            args.push("nodad");
        }
        self.ip(&args);
    }

    /// An interface's MAC address.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn mac(&self, interface: &str) -> [u8; 6] {
        let text = self.run("cat", &[&format!("/sys/class/net/{interface}/address")]);
        let bytes: Vec<u8> = text
            .trim()
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).expect("a MAC address in sysfs"))
            .collect();
        bytes.try_into().expect("six bytes in a MAC address")
    }

    fn ip(&self, args: &[&str]) {
        let mut all = vec!["-n", &self.name];
        all.extend(args);
        ip(&all);
    }

    /// A setting below /proc/sys/net, as this namespace sees it.
    fn set(&self, file: &str, value: &str) {
        // A kernel without IPv6 lacks the files; what needs them then fails by itself.
        let _absent = self.output("sh", &["-c", &format!("echo {value} > /proc/sys/net/{file}")]);
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Two hosts, and a box between them with the interfaces `north` and `south`: 192.0.2.1 and .2, 2001:db8::1 and ::2.
///
/// # Panics
/// When they can not be made.
#[must_use]
pub fn two_hosts(mtu: u16) -> (Netns, Netns, Netns) {
    let (north, wire, south) = (Netns::new("north"), Netns::silent("box"), Netns::new("south"));
    for (host, name, last) in [(&north, "north", 1), (&south, "south", 2)] {
        join((host, "eth0"), (&wire, name), mtu);
        host.address("eth0", &format!("192.0.2.{last}/24"));
        host.address("eth0", &format!("2001:db8::{last}/64"));
    }
    (north, wire, south)
}

/// Joins `a` and `b` with a veth pair, each a namespace and the name of its new interface. Both ends are up with this
/// MTU, and without the offloads that a veth pair only pretends to have: with them, a daemon in the middle receives TCP
/// with half a checksum, in segments that never existed on a wire. The pair goes with its namespaces.
///
/// # Panics
/// When it can not be made.
pub fn join(a: (&Netns, &str), b: (&Netns, &str), mtu: u16) {
    let mtu = mtu.to_string();
    ip(&[
        "link", "add", a.1, "mtu", &mtu, "netns", &a.0.name, "type", "veth", "peer", "name", b.1,
        "mtu", &mtu, "netns", &b.0.name,
    ]);
    for (netns, interface) in [a, b] {
        netns.run(
            "ethtool",
            &[
                "-K", interface, "rx", "off", "tx", "off", "sg", "off", "tso", "off", "gso", "off",
                "gro", "off", "txvlan", "off", "rxvlan", "off",
            ],
        );
        netns.ip(&["link", "set", interface, "up"]);
    }
    for (netns, interface) in [a, b] {
        wait::until("a veth pair's link", || {
            netns
                .run("cat", &[&format!("/sys/class/net/{interface}/operstate")])
                .starts_with("up")
                .then_some(())
        });
    }
}

/// Removes the namespaces of processes that are gone.
fn remove_leftovers() {
    for name in names() {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner
            .is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
        {
            remove(&name);
        }
    }
}

/// Asks everything that runs in a namespace of this process to end.
pub fn kill_all() {
    let ours = format!("{PREFIX}{}-", process::id());
    for name in names().filter(|name| name.starts_with(&ours)) {
        for pid in pids(&name) {
            let _gone_already = kill_process(pid, Signal::TERM);
        }
    }
}

fn names() -> impl Iterator<Item = String> {
    // Where `ip netns` keeps them.
    fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(PREFIX))
}

fn remove(name: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let inside = pids(name);
        if inside.is_empty() {
            break;
        }
        for pid in inside {
            let _gone_already = kill_process(pid, Signal::KILL);
        }
        // Until the killed are gone.
        thread::sleep(Duration::from_millis(5));
    }
    // In a drop: nothing to be done about a failure, and the next run tries again.
    let _ = Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status();
}

fn pids(name: &str) -> Vec<Pid> {
    let output = Command::new("ip").args(["netns", "pids", name]).stderr(Stdio::null()).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| Pid::from_raw(line.trim().parse().ok()?))
        .collect()
}

fn ip(args: &[&str]) {
    let output = Command::new("ip")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot run ip: {e}"));
    assert!(output.status.success(), "ip {}: {}", args.join(" "), told(&output));
}

fn told(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
