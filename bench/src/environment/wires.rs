//! What the wires of a run were: the interfaces at both ends, or the ports, as the first start of each path found them.
//!
//! All paths of a group are to have the same wire. What most of them have is told under the group's name; a path that differs
//! is told by name, so that the difference is seen.

use std::collections::BTreeMap;

use bench_result::{arm::Group, plan::Member, trial::Started};

/// `wire.reflect.gen0.qdisc`; and `wire.reflect.gen0.qdisc.xdp-tx` of a path where it is another one.
#[must_use]
pub fn told(starts: &[Started]) -> BTreeMap<String, String> {
    let mut facts: BTreeMap<(Group, &str), BTreeMap<Member, &str>> = BTreeMap::new();
    for start in starts {
        for (name, value) in &start.wire {
            facts.entry((start.group, name)).or_default().entry(start.member).or_insert(value);
        }
    }
    let mut all = BTreeMap::new();
    for ((group, name), values) in facts {
        let name = format!("wire.{group}.{name}");
        let usual = usual(values.values());
        for (member, value) in values.iter().filter(|(_, value)| **value != usual) {
            all.insert(format!("{name}.{member}"), (*value).to_owned());
        }
        all.insert(name, usual.to_owned());
    }
    all
}

/// What is there most often; of several, the first in order.
fn usual<'v>(values: impl Iterator<Item = &'v &'v str>) -> &'v str {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let most = counts.values().max().copied().unwrap_or(0);
    counts.into_iter().find(|(_, count)| *count == most).map_or("", |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use bench_result::arm::Arm;

    use super::*;

    fn start(group: Group, arm: Arm, wire: &[(&str, &str)]) -> Started {
        let wire = wire.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Started {
            group,
            member: Member { arm, is_twin: false },
            block: 0,
            command: None,
            configuration: None,
            ready_ms: 1.0,
            handoff_ns: None,
            wire: wire.collect(),
        }
    }

    #[test]
    fn what_most_paths_have_is_the_groups_and_who_differs_is_named() {
        let starts = [
            start(Group::Reflect, Arm::XdpTx, &[("dut0.offloads", "gro"), ("gen0.qdisc", "fq")]),
            start(
                Group::Reflect,
                Arm::KernelEchoSpin,
                &[("dut0.offloads", "none"), ("gen0.qdisc", "fq")],
            ),
            start(Group::Reflect, Arm::KernelEchoBlock, &[("dut0.offloads", "none")]),
            start(Group::Null, Arm::Wire, &[("gen0.qdisc", "noqueue")]),
            // Of a later start nothing is asked.
            start(Group::Null, Arm::Wire, &[]),
        ];
        let found = told(&starts);
        let expected = [
            ("wire.null.gen0.qdisc", "noqueue"),
            ("wire.reflect.dut0.offloads", "none"),
            ("wire.reflect.dut0.offloads.xdp-tx", "gro"),
            ("wire.reflect.gen0.qdisc", "fq"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }
}
