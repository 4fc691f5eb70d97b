use std::collections::BTreeMap;

use config::CpuId;
use linux::activity::Softnet;

use crate::{
    Fact, Measured,
    Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn},
    change::Change,
    checks::sample::{Sample, quiet},
};

fn with(name: &str, value: &str) -> Sample {
    Sample::empty().with(&format!("proc/sys/net/{name}"), value)
}

#[test]
fn busy_polling_is_information_but_on_a_real_time_kernel() {
    let poll = |poll: &str, read: &str, build: &str| {
        with("core/busy_poll", poll)
            .with("proc/sys/net/core/busy_read", read)
            .with("proc/sys/kernel/version", build)
    };
    poll("0", "0", "#1 SMP PREEMPT_RT").expect("NET-01", Good);
    assert_eq!(poll("50", "0", "#1 SMP PREEMPT_DYNAMIC").expect("NET-01", Info).fix.len(), 2);
    poll("0", "50", "#1 SMP").expect("NET-01", Info);
    poll("50", "50", "#1 SMP PREEMPT_RT").expect("NET-01", Bad);
    poll("much", "0", "#1 SMP").expect("NET-01", Unknown);
    Sample::empty().expect("NET-01", NotApplicable);
}

#[test]
fn what_guides_turn_off_in_tcp_is_put_back() {
    for (id, name) in [("NET-02", "tcp_timestamps"), ("NET-03", "tcp_sack")] {
        let value = |value: &str| with(&format!("ipv4/{name}"), value);
        value("1").expect(id, Good);
        let bad = value("0").expect(id, Bad);
        let key = format!("net.ipv4.{name}");
        assert_eq!(bad.fix, [Change::Sysctl { key, value: "1".to_owned() }]);
        value("7").expect(id, Unknown);
        value("on").expect(id, Unknown);
        Sample::empty().expect(id, NotApplicable);
    }
    with("ipv4/tcp_timestamps", "2").expect("NET-02", Good);
}

#[test]
fn large_buffers_need_a_reason() {
    let limits = |core: i64, tcp: i64| {
        with("core/rmem_max", &core.to_string())
            .with("proc/sys/net/ipv4/tcp_rmem", &format!("4096\t131072\t{tcp}"))
    };
    let limit = 64 << 20;
    limits(212_992, 6_291_456).expect("NET-04", Info);
    limits(limit, limit).expect("NET-04", Info);
    limits(limit + 1, 4096).expect("NET-04", Warn);
    limits(4096, limit + 1).expect("NET-04", Warn);
    with("core/rmem_max", "1").with("proc/sys/net/ipv4/tcp_rmem", "1 2").expect("NET-04", Unknown);
    Sample::empty().expect("NET-04", NotApplicable);
}

#[test]
fn a_backlog_is_only_raised_when_it_dropped() {
    let counted = |dropped: u64, squeezed: u64| {
        let one = Softnet { processed: 100, dropped, squeezed };
        let softnet = BTreeMap::from([(CpuId::new(0).unwrap(), one)]);
        with("core/netdev_max_backlog", "1000")
            .measured(Measured { softnet: Fact::Is(softnet), ..quiet() })
    };
    counted(0, 0).expect("NET-05", Good);
    counted(0, 3).expect("NET-05", Info);
    let bad = counted(1, 0).expect("NET-05", Bad);
    let key = "net.core.netdev_max_backlog".to_owned();
    assert_eq!(bad.fix, [Change::Sysctl { key, value: "2000".to_owned() }]);
    with("core/netdev_max_backlog", "1000").expect("NET-05", NotApplicable);
    let blind = Measured { softnet: Fact::unknown("no"), ..quiet() };
    Sample::empty().measured(blind).expect("NET-05", Unknown);
}

#[test]
fn a_switch_that_does_nothing_is_only_mentioned() {
    with("ipv4/tcp_low_latency", "1").expect("NET-06", Info);
    with("ipv4/tcp_low_latency", "0").expect("NET-06", NotApplicable);
    with("ipv4/tcp_low_latency", "x").expect("NET-06", Unknown);
    Sample::empty().expect("NET-06", NotApplicable);
}
