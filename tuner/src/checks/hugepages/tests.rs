use config::NumaNode;

use super::{limits::limit_bytes, *};
use crate::{
    Verdict::*,
    checks::testing::{Fake, table},
};

/// A machine with nodes of so much memory, in MiB, and so many pages of 2 MiB, of which so many are free.
fn nodes(all: &[(u64, u64, u64)]) -> Fake {
    let last = all.len() - 1;
    let mut fake = Fake::new()
        .file("sys/devices/system/node/online", format!("0-{last}"))
        .huge(Huge::M2, 1024);
    for (node, (memory, total, free)) in all.iter().enumerate() {
        let at = format!("sys/devices/system/node/node{node}");
        let cpus = if node == 0 { "0-3" } else { "" };
        fake = fake
            .file(&format!("{at}/cpulist"), cpus)
            .file(&format!("{at}/meminfo"), format!("Node {node} MemTotal: {} kB\n", memory << 10));
        fake = pool(fake, &format!("{at}/hugepages"), *total, *free, "0");
    }
    let sum = |of: fn(&(u64, u64, u64)) -> u64| all.iter().map(of).sum();
    pool(fake, "sys/kernel/mm/hugepages", sum(|n| n.1), sum(|n| n.2), "0")
        .file("sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "0")
}

fn pool(fake: Fake, at: &str, total: u64, free: u64, surplus: &str) -> Fake {
    let at = format!("{at}/hugepages-2048kB");
    fake.file(&format!("{at}/nr_hugepages"), total.to_string())
        .file(&format!("{at}/free_hugepages"), free.to_string())
        .file(&format!("{at}/surplus_hugepages"), surplus)
}

fn daemon(fake: Fake) -> Fake {
    let stat = "9 (barewired) S 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 \
                0 0 0 0 0 0 0 0 0 0 0";
    let status = "Name:\tbarewired\nTgid:\t9\nCpus_allowed_list:\t0-3\nvoluntary_ctxt_switches:\t1\n\
                  nonvoluntary_ctxt_switches:\t1\n";
    fake.file("proc/9/task/9/stat", stat).file("proc/9/task/9/status", status)
}

#[test]
fn each_of_the_workers_nodes_has_the_pages_free() {
    nodes(&[(65_536, 512, 512)]).expect("MEM-01", Good);
    let short = nodes(&[(65_536, 512, 511)]).expect("MEM-01", Bad);
    let wanted = Change::Hugepages { node: Some(NumaNode(0)), size_kib: 2048, count: 513 };
    assert_eq!(short.fix, [wanted]);
    // Free on the other node only.
    nodes(&[(65_536, 0, 0), (65_536, 512, 512)]).expect("MEM-01", Warn);
    nodes(&[(65_536, 0, 0), (65_536, 512, 511)]).expect("MEM-01", Bad);
    // Workers on both.
    let both = |fake: Fake| fake.workers(&[(2, 0), (3, 1)]);
    both(nodes(&[(65_536, 512, 512), (65_536, 512, 512)])).expect("MEM-01", Good);
    both(nodes(&[(65_536, 512, 512), (65_536, 0, 0)])).expect("MEM-01", Warn);
}

#[test]
fn pages_that_the_running_daemon_uses_are_not_missing() {
    nodes(&[(65_536, 512, 0)]).expect("MEM-01", Bad);
    daemon(nodes(&[(65_536, 512, 0)])).expect("MEM-01", Good);
    daemon(nodes(&[(65_536, 511, 0)])).expect("MEM-01", Bad);
}

#[test]
fn pages_are_not_asked_for_where_too_little_would_be_left() {
    // 1 GiB more of 2 GiB leaves 1 GiB, which is just enough.
    assert_eq!(nodes(&[(2048, 0, 0)]).expect("MEM-01", Bad).fix.len(), 1);
    let refused = nodes(&[(2047, 0, 0)]).expect("MEM-01", Bad);
    assert!(refused.fix.is_empty() && refused.advice.is_some(), "{refused:#?}");
}

#[test]
fn a_need_that_does_not_fit_the_machine_is_told_apart() {
    nodes(&[(65_536, 512, 512)]).huge(Huge::None, 1024).expect("MEM-01", NotApplicable);
    let other = nodes(&[(65_536, 512, 512)]).huge(Huge::G1, 1024).expect("MEM-01", Bad);
    assert!(other.seen.contains("only of 2 MiB"), "{}", other.seen);
    nodes(&[(65_536, 512, 512)]).undecided("why").expect("MEM-01", Unknown);
    nodes(&[(65_536, 512, 512)]).workers(&[(2, 5)]).expect("MEM-01", Unknown);
    let torn = "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages";
    nodes(&[(65_536, 512, 512)]).file(torn, "lots").expect("MEM-01", Unknown);
    nodes(&[(65_536, 512, 512)]).huge(Huge::M2, 1025).expect("MEM-01", Bad);
}

#[test]
fn a_machine_without_nodes_is_one_place_and_promised_pages_are_not_free() {
    let machine = |promised: &str| {
        pool(Fake::new(), "sys/kernel/mm/hugepages", 600, 600, "0")
            .file("sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", promised)
            .file("proc/meminfo", "MemTotal: 67108864 kB\nMemAvailable: 1 kB\n")
            .huge(Huge::M2, 1024)
    };
    machine("88").expect("MEM-01", Good);
    let short = machine("89").expect("MEM-01", Bad);
    assert_eq!(short.fix, [Change::Hugepages { node: None, size_kib: 2048, count: 601 }]);
}

#[test]
fn pages_of_a_gibibyte_are_there_or_missed() {
    let gigantic = |fake: Fake| {
        ["nr", "free", "surplus", "resv"].iter().fold(fake, |fake, file| {
            fake.file(&format!("sys/kernel/mm/hugepages/hugepages-1048576kB/{file}_hugepages"), "0")
        })
    };
    let base = || nodes(&[(65_536, 0, 0)]);
    gigantic(base()).expect("MEM-02", Good);
    base().expect("MEM-02", Warn);
    base().huge(Huge::G1, 1024).expect("MEM-02", Bad);
    let able = base().file("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : pdpe1gb\n");
    assert!(able.expect("MEM-02", Warn).seen.contains("the kernel does not"));
}

#[test]
fn hugepages_on_the_command_line_are_understood_and_there() {
    let at = |line: &str, verdict| {
        nodes(&[(65_536, 512, 512)]).file("proc/cmdline", line).expect("MEM-03", verdict)
    };
    at("quiet", NotApplicable);
    at("hugepagesz=2M hugepages=512", Good);
    at("hugepages=512", Good);
    at("hugepages=0:512", Good);
    at("hugepages=513", Warn);
    at("hugepages=1:512", Bad);
    at("hugepagesz=1G hugepages=4", Bad);
    at("hugepages=512 hugepages=512", Bad);
    at("\0", Unknown);
}

#[test]
fn enough_is_left_on_each_node() {
    let at = |memory: u64, pages: u64, verdict| {
        let fake = nodes(&[(memory, pages, pages)]);
        fake.expect("MEM-04", verdict)
    };
    // 10 % of 64 GiB.
    at(65_536, 29_491, Good);
    at(65_536, 29_492, Warn);
    // 5 %.
    at(65_536, 31_129, Warn);
    at(65_536, 31_130, Bad);
    // 2 GiB and 1 GiB count on small nodes.
    at(4096, 1024, Good);
    at(4096, 1025, Warn);
    at(4096, 1536, Warn);
    at(4096, 1537, Bad);
    // What is missing counts as if it were reserved.
    nodes(&[(4096, 0, 0)]).huge(Huge::M2, 3073).expect("MEM-04", Bad);
    nodes(&[(4096, 0, 0)]).huge(Huge::M2, 3072).expect("MEM-04", Warn);
    // A small node without hugepages is not badly tuned.
    nodes(&[(512, 0, 0)]).huge(Huge::None, 0).expect("MEM-04", Good);
    table!("MEM-04", [] => NotApplicable);
}

#[test]
fn nobody_may_fill_the_pool_who_should_not() {
    const FILE: &str = "proc/mounts";
    table!(
        "MEM-05",
        [(FILE, "x /x ext4 rw 0 0\n")] => Good,
        [(FILE, "h /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n")] => Good,
        [(FILE, "h /mnt/huge hugetlbfs rw,mode=1777,pagesize=2M 0 0\n")] => Warn,
        [] => NotApplicable,
        [(FILE, "\0")] => Unknown,
    );
}

#[test]
fn files_that_no_process_has_mapped_are_left_over() {
    const MOUNTS: (&str, &str) = ("proc/mounts", "h /dev/hugepages hugetlbfs rw 0 0\n");
    const FILE: (&str, &str) = ("dev/hugepages/rtemap_3", "");
    table!("MEM-06", [MOUNTS] => Good, [MOUNTS, FILE] => Unknown, [] => NotApplicable);
    let scanned = |paths: &[&str], hidden: u32| {
        let answer = serde_json::json!({ "paths": paths, "hidden": hidden });
        Fake::new().files(&[MOUNTS, FILE]).answer("hugepages/mapped", &Fact::Is(answer))
    };
    scanned(&["/dev/hugepages/rtemap_3"], 0).expect("MEM-06", Good);
    scanned(&["/dev/hugepages/rtemap_3"], 7).expect("MEM-06", Good);
    scanned(&[], 7).expect("MEM-06", Unknown);
    let left = scanned(&[], 0).expect("MEM-06", Bad);
    assert_eq!(left.details, ["/dev/hugepages/rtemap_3"]);
}

#[test]
fn nothing_is_taken_beyond_the_pool() {
    let at = |allowed: &str, surplus: &str, verdict| {
        pool(nodes(&[(65_536, 0, 0)]), "sys/kernel/mm/hugepages", 0, 0, surplus)
            .file(&overcommit_file(2048), allowed)
            .expect("MEM-07", verdict)
    };
    at("0", "0", Good);
    assert_eq!(at("8", "0", Warn).fix.len(), 1);
    assert!(at("0", "1", Warn).fix.is_empty());
    at("some", "0", Unknown);
    table!("MEM-07", [] => NotApplicable);
}

#[test]
fn limits_of_units_have_letters() {
    for (text, limit) in [("infinity", None), ("64", Some(64)), ("8M", Some(8 << 20))] {
        assert_eq!(limit_bytes(text), Some(limit), "{text}");
    }
    for odd in ["", "8X", "-1", "99999999999999999T", "8 M"] {
        assert_eq!(limit_bytes(odd), None, "{odd}");
    }
}

#[test]
fn the_daemon_may_lock_its_memory() {
    let unit = |text: &str| {
        Fake::new()
            .file("usr/lib/systemd/system/barewired.service", format!("[Service]\n{text}\n"))
            .huge(Huge::M2, 1024)
    };
    unit("LimitMEMLOCK=infinity").expect("MEM-16", Good);
    unit("LimitMEMLOCK=1024M").expect("MEM-16", Warn);
    unit("LimitMEMLOCK=1023M").expect("MEM-16", Warn);
    let bad = unit("LimitMEMLOCK=1023M").port("0000:3b:00.0").expect("MEM-16", Bad);
    assert!(matches!(&bad.fix[..], [Change::File { content, .. }] if content.contains("infinity")));
    unit("LimitMEMLOCK=1024M").port("0000:3b:00.0").expect("MEM-16", Warn);
    unit("").port("0000:3b:00.0").expect("MEM-16", Bad);
    unit("LimitMEMLOCK=lots").expect("MEM-16", Unknown);
    table!("MEM-16", [] => NotApplicable);

    // The limit of the process goes before what its unit says.
    let process = |limit: serde_json::Value| {
        let answer = serde_json::json!([{ "id": 9, "maps": { "is": 5 }, "may_lock": limit }]);
        unit("LimitMEMLOCK=infinity")
            .port("0000:3b:00.0")
            .answer("memory/daemons", &Fact::Is(answer))
    };
    process(serde_json::json!({ "is": null })).expect("MEM-16", Good);
    process(serde_json::json!({ "is": 1 << 20 })).expect("MEM-16", Bad);
}

#[test]
fn vfio_has_room_for_all_mappings() {
    const FILE: &str = "sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
    let at = |limit: &str, huge, verdict| {
        Fake::new().file(FILE, limit).huge(huge, 1024).expect("MEM-19", verdict)
    };
    at("65535", Huge::M2, Good);
    at("513", Huge::M2, Good);
    at("512", Huge::M2, Bad);
    let small = at("65535", Huge::None, Bad);
    assert!(matches!(&small.fix[..], [Change::Kernel { value, .. }] if value == "524288"));
    at("many", Huge::M2, Unknown);
    table!("MEM-19", [] => NotApplicable);
}
