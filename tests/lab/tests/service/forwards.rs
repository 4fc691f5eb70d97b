//! Frames go through, byte for byte, and the process that moves them is what its unit says.

use std::{collections::BTreeMap, time::Duration};

use lab::{
    Guest,
    frames::{exchange, frame},
};

use crate::site::{
    CONFIG, ONE_WORKER, UNIT, ask, balanced, bound, journal, property, running, start, until, wire,
};

/// A receiving, a processing and a transmitting worker.
const STAGED: &str = "[cores]\nhousekeeping = \"0\"\nworkers = \"1-3\"\n[memory]\nper_node_mib = 96\n\
    [pipeline]\nmode = \"staged\"\n";

#[test]
fn run_to_completion_forwards_from_the_moment_it_is_ready() {
    forwards(ONE_WORKER, &[3]);
}

#[test]
fn staged_workers_forward_from_the_moment_they_are_ready() {
    forwards(STAGED, &[1, 2, 3]);
}

fn forwards(before: &str, cpus: &[u64]) {
    let Some(mut guest) = running(|guest| wire(guest, before)) else { return };
    let guest = &mut guest;

    // READY was said: the very first frame has to arrive, each way.
    for (from, to) in [("east", "west"), ("west", "east")] {
        let first = frame(60, 7);
        guest.nic(from).send(&first).unwrap();
        let got = guest.nic(to).recv_that(Duration::from_secs(20), |got| got == first).unwrap();
        assert!(
            got.is_some(),
            "the first frame from {from} to {to} is lost\n{}",
            journal(guest, UNIT)
        );
    }

    let before = interrupts(guest);
    let took = exchange(guest.nic("east"), guest.nic("west"), 600).unwrap();
    eprintln!("600 frames, one after the other, in {:.2} s", took.as_secs_f64());
    let after = interrupts(guest);

    no_device_interrupted(&before, &after, cpus);
    assert!(balanced(guest) >= 602);
    workers_are_on(guest, cpus);
    is_unprivileged(guest);
    tells_a_bug_report(guest);
    has_its_memory_from_hugepages(guest);
    stops_cleanly(guest);
}

/// By interrupt that a device can raise, how often each CPU was.
fn interrupts(guest: &mut Guest) -> BTreeMap<String, Vec<u64>> {
    let text = guest.must("cat /proc/interrupts");
    let lines = text.lines().skip(1).filter_map(|line| {
        let (name, rest) = line.trim_start().split_once(':')?;
        // Those with a name instead of a number are the CPU's own: its timer, calls from other CPUs.
        let _number: u32 = name.parse().ok()?;
        let counts = rest.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let what = rest.split_whitespace().last().unwrap_or_default();
        Some((format!("{name} {what}"), counts))
    });
    lines.collect()
}

#[track_caller]
fn no_device_interrupted(
    before: &BTreeMap<String, Vec<u64>>,
    after: &BTreeMap<String, Vec<u64>>,
    cpus: &[u64],
) {
    for (name, now) in after {
        // The lab's own wires: the serial port it gives orders through, its disk, its clock.
        if ["virtio", "ttyS", "rtc", "timer"].iter().any(|own| name.contains(own)) {
            continue;
        }
        for cpu in cpus {
            let cpu = usize::try_from(*cpu).unwrap();
            let then = before.get(name).map_or(0, |counts| counts[cpu]);
            assert_eq!(now[cpu], then, "interrupt {name} came to CPU {cpu}");
        }
    }
}

/// Threads that poll have one CPU each, as configured; all others are kept away from them.
#[track_caller]
fn workers_are_on(guest: &mut Guest, cpus: &[u64]) {
    let pid = property(guest, UNIT, "MainPID");
    let text = guest.must(&format!(
        "for task in /proc/{pid}/task/*; do echo $(cat $task/comm) \
         $(sed -n 's/^Cpus_allowed:\\t//p' $task/status); done"
    ));
    let all = cpus.iter().fold(0, |all, cpu| all | 1 << cpu);
    let mut workers = 0;
    for line in text.lines() {
        let (name, mask) = line.rsplit_once(' ').expect("a name and a mask");
        let mask = u64::from_str_radix(mask, 16).expect("a mask of CPUs");
        if name.starts_with("bw-worker-") {
            assert_eq!(
                (mask.count_ones(), mask & !all, mask & workers),
                (1, 0, 0),
                "{name}\n{text}"
            );
            workers |= mask;
        } else {
            assert_eq!(mask & all, 0, "{name} may run on a worker's CPU\n{text}");
        }
    }
    assert_eq!(workers, all, "{text}");
}

/// Its own user, without a capability, with its memory locked without a limit.
#[track_caller]
fn is_unprivileged(guest: &mut Guest) {
    let pid = property(guest, UNIT, "MainPID");
    assert_eq!(guest.must(&format!("ps -o user= -p {pid}")).trim(), "barewire");
    let status = guest.must(&format!("cat /proc/{pid}/status /proc/{pid}/limits"));
    for line in
        ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    {
        assert!(status.contains(line), "{line}\n{status}");
    }
    let locked = status.lines().find(|line| line.starts_with("Max locked memory")).unwrap();
    assert_eq!(locked.matches("unlimited").count(), 2, "{locked}");
    assert_eq!(
        guest.must("stat -c '%U:%G %a' /run/barewire/control.sock"),
        "barewire:barewire 660\n"
    );
}

/// The bundle has the answers, the configuration that is in force, and what the unit wrote.
#[track_caller]
fn tells_a_bug_report(guest: &mut Guest) {
    // Where workers have all CPUs but one, an emulated machine may be late with an answer.
    until(
        guest,
        "cd /root && rm -rf barewire-debug-* bundle.tar && \
         barewire debug-bundle bundle.tar > said && ! grep -e '.json: MISSING' -e 'journal.txt: MISSING' said && \
         tar --extract --file bundle.tar",
    );
    let has = |guest: &mut Guest, file: &str, words: &str| {
        let text = guest.must(&format!("cat /root/barewire-debug-*/{file}"));
        assert!(text.contains(words), "{file} has no {words}\n{text}");
    };
    has(guest, "config.toml", "east-in");
    has(guest, "journal.txt", "ready");
    has(guest, "status.json", "\"balance\"");
}

/// Hugepages of the node that the plan says, without a file that stays.
#[track_caller]
fn has_its_memory_from_hugepages(guest: &mut Guest) {
    let pid = property(guest, UNIT, "MainPID");
    let huge = guest.must(&format!("grep huge /proc/{pid}/numa_maps"));
    assert!(huge.contains("kernelpagesize_kB=2048"), "{huge}");
    let plan = ask(guest, "plan");
    for pool in plan["pools"].as_array().unwrap() {
        let node = pool["node"].as_u64().expect("a pool has a node");
        assert!(huge.contains(&format!(" N{node}=")), "node {node}: {huge}");
    }
    assert_eq!(guest.must("ls /dev/hugepages"), "");
}

/// Drains, ends with 0, gives back every page; the NICs go back to their kernel driver with their unit.
#[track_caller]
fn stops_cleanly(guest: &mut Guest) {
    guest.must(&format!("systemctl stop {UNIT}"));
    assert_eq!(property(guest, UNIT, "Result"), "success", "{}", journal(guest, UNIT));
    assert_eq!(property(guest, UNIT, "ExecMainStatus"), "0", "{}", journal(guest, UNIT));
    let log = journal(guest, UNIT);
    assert!(log.contains("balanced=true"), "{log}");
    until(
        guest,
        "cd /sys/devices/system/node; for node in node0 node1; do cd $node/hugepages/hugepages-2048kB; \
         test $(cat free_hugepages) = $(cat nr_hugepages) || exit 1; cd - > /dev/null; done",
    );
    let device = guest.nic("east").pci_address().to_owned();
    guest.must(&format!("systemctl stop barewire-bind@{device}.service"));
    let driver = guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{device}/driver)"));
    assert_ne!(driver, "vfio-pci\n");
}

#[test]
fn a_reflector_answers_udp_byte_for_byte_on_the_node_of_its_nic() {
    let Some(mut guest) = running(reflector) else { return };
    let plan = ask(&mut guest, "plan");
    assert_eq!(plan["workers"][0]["node"], 1, "{plan:#}");
    let west = guest.nic("west");
    let mac = west.mac();
    let (here, there) = (([2, 0, 0, 0, 0, 1], [192, 0, 2, 9], 40_000), (mac, [192, 0, 2, 1], 7));

    for length in [0, 1, 18, 700, 1472] {
        let data: Vec<u8> = (0..length).map(|n: u16| n.to_le_bytes()[0]).collect();
        let (asked, expected) = (udp(here, there, &data), udp(there, here, &data));
        west.send(&asked).unwrap();
        let got = west
            .recv_that(Duration::from_secs(20), |got| got.get(12..14) == Some(&[8, 0]))
            .unwrap();
        let mut got = got.unwrap_or_else(|| panic!("no answer to {length} bytes"));
        assert_eq!(got.len(), expected.len(), "{length} bytes");
        // Whoever sends anew chooses the time to live, and its checksum follows.
        got[22] = expected[22];
        got[24..26].copy_from_slice(&expected[24..26]);
        assert_eq!(got, expected, "{length} bytes");
    }
    balanced(&mut guest);
}

/// The port "west", on node 1, which answers for 192.0.2.1.
fn reflector(guest: &Guest) -> String {
    format!(
        "[cores]\ncount = 1\n[memory]\nper_node_mib = 64\n[[port]]\nname = \"west\"\ndevice = \"{}\"\n\
         addresses = [\"192.0.2.1/24\"]\ninput = \"echo\"\n\
         [[stage]]\nname = \"echo\"\nkind = \"reflect\"\nto = \"tx:west\"\n",
        guest.nic("west").pci_address()
    )
}

type Address = ([u8; 6], [u8; 4], u16);

/// A datagram in IPv4 in Ethernet. A UDP checksum of zero says that there is none (RFC 768).
fn udp(from: Address, to: Address, data: &[u8]) -> Vec<u8> {
    let length = |more: usize| u16::try_from(data.len() + more).unwrap().to_be_bytes();
    let mut ip = vec![0x45, 0];
    ip.extend(length(28));
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend([from.1, to.1].concat());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = [&to.0[..], &from.0, &[8, 0], &ip].concat();
    frame.extend([from.2.to_be_bytes(), to.2.to_be_bytes(), length(8), [0, 0]].concat());
    frame.extend(data);
    frame.resize(frame.len().max(60), 0);
    frame
}

#[test]
fn strict_placement_refuses_a_worker_on_the_other_node_and_names_both() {
    let Some(mut guest) = bound() else { return };
    let text = reflector(&guest).replace("count = 1", "strict = true\nworkers = \"1\"");
    guest.write(CONFIG, 0o644, &text).unwrap();

    let started = guest.run(&format!("systemctl start {UNIT}")).unwrap();

    let log = journal(&mut guest, UNIT);
    assert!(!started.success(), "{log}");
    for words in ["worker cpu 1 is on node 0", "port \"west\" is on node 1"] {
        assert!(log.contains(words), "{words}\n{log}");
    }
    // 3, for the machine: systemd tries again, in case it is mended.
    assert_eq!(property(&mut guest, UNIT, "ExecMainStatus"), "3", "{log}");

    // Without it the same is a warning.
    guest.write(CONFIG, 0o644, &text.replace("strict = true\n", "")).unwrap();
    guest.must(&format!("systemctl stop {UNIT}"));
    start(&mut guest, UNIT);
    let warnings = ask(&mut guest, "status")["warnings"].to_string();
    assert!(warnings.contains("node"), "{warnings}");
}
