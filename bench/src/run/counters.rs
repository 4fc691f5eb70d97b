//! What the kernel counted on the way, to check that no frame went missing unseen.

use std::collections::BTreeMap;

pub use bench_result::trial::{Counters, Link};
use config::CpuId;
use linux::{ReadError, Root};

/// Looks; `path` is a process in the path's namespace.
///
/// # Errors
/// [`ReadError`]
pub fn read(
    root: &Root,
    path: Option<u32>,
    measured: CpuId,
    generator: CpuId,
) -> Result<Counters, ReadError> {
    let mut links = root.parse_with("proc/self/net/dev", "interfaces", links)?;
    let mut udp_no_room = 0;
    if let Some(pid) = path {
        let there = format!("proc/{pid}/net");
        links.extend(root.parse_with(&format!("{there}/dev"), "interfaces", self::links)?);
        udp_no_room = root.parse_with(&format!("{there}/snmp"), "counters", udp_no_room_of)?;
    }
    links.remove("lo");
    let backlog_dropped = root.parse_with("proc/net/softnet_stat", "counters", backlog)?;
    let ticks = |cpu| root.parse_with("proc/stat", "times", |text| ticks(text, cpu));
    let (busy, stolen) = ticks(measured)?;
    let (_, also) = if measured == generator { (0, 0) } else { ticks(generator)? };
    Ok(Counters {
        links,
        udp_no_room,
        backlog_dropped,
        busy_ticks: busy,
        stolen_ticks: stolen + also,
    })
}

/// `/proc/net/dev`: eight numbers of what came, eight of what went.
fn links(text: &str) -> Option<BTreeMap<String, Link>> {
    let lines = text.lines().skip(2).map(|line| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers
            .split_ascii_whitespace()
            .map(|word| word.parse().ok())
            .collect::<Option<_>>()?;
        let link = Link {
            received: *numbers.get(1)?,
            receive_dropped: *numbers.get(3)?,
            sent: *numbers.get(9)?,
            send_dropped: *numbers.get(11)?,
        };
        Some((name.trim().to_owned(), link))
    });
    lines.collect()
}

/// `RcvbufErrors` of `/proc/net/snmp`: a line of names, then one of numbers.
fn udp_no_room_of(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let place = lines.next()?.split_ascii_whitespace().position(|name| name == "RcvbufErrors")?;
    lines.next()?.split_ascii_whitespace().nth(place)?.parse().ok()
}

/// The second number of each line of `/proc/net/softnet_stat`, in base 16.
fn backlog(text: &str) -> Option<u64> {
    text.lines()
        .map(|line| u64::from_str_radix(line.split_ascii_whitespace().nth(1)?, 16).ok())
        .sum()
}

/// Busy and stolen ticks of a CPU (proc_stat(5)): user, nice, system, idle, iowait, irq, softirq, steal.
fn ticks(stat: &str, cpu: CpuId) -> Option<(u64, u64)> {
    let name = format!("cpu{cpu}");
    let line = stat.lines().find(|line| line.split_ascii_whitespace().next() == Some(&name))?;
    let numbers: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    let of = |places: &[usize]| places.iter().map(|place| numbers.get(*place).copied()).sum();
    let busy: Option<u64> = of(&[0, 1, 2, 5, 6]);
    Some((busy?, *numbers.get(7)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEV: &str = "Inter-|   Receive                            |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
        \x20   lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n\
        \x20 dut0:      90       1    2    3    4     5          6         7        8       9   10   11   12    13      14         15\n";

    #[test]
    fn each_number_is_found_where_the_kernel_puts_it() {
        let links = links(DEV).unwrap();
        let expected = Link { received: 1, receive_dropped: 3, sent: 9, send_dropped: 11 };
        assert_eq!(links["dut0"], expected);
        let snmp = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 1 2 3 4 5\n";
        assert_eq!(udp_no_room_of(snmp), Some(5));
        assert_eq!(backlog("00000001 0000000a 0\n00000001 00000001 0\n"), Some(11));
        let stat = "cpu 0\ncpu1 1 2 4 1000 1000 8 16 32 0 0\ncpu10 9 9 9 9 9 9 9 9 9 9";
        assert_eq!(ticks(stat, CpuId::new(1).unwrap()), Some((31, 32)));
    }

    #[test]
    fn this_machine_can_be_read() {
        let root = Root::system().unwrap();
        let cpu = linux::thread::affinity().unwrap().first().unwrap();
        let read = || super::read(&root, Some(std::process::id()), cpu, cpu).unwrap();
        let first = read();
        assert!(!first.links.contains_key("lo"));
        let since = read().since(&first);
        assert_eq!(since.links.len(), first.links.len());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text: String) {
            let _links = links(&text);
            let _udp = udp_no_room_of(&text);
            let _backlog = backlog(&text);
            let _ticks = ticks(&text, CpuId::ZERO);
        }
    }
}
