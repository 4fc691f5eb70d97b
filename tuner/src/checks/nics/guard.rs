//! The data ports and the management path are apart.

use super::super::{
    Check, Context, Outcome,
    judge::settled,
    several::{One, worst},
};
use crate::{Risk, Section, Verdict, guard::Reason};

pub(super) const GUARD: Check = Check {
    id: "NIC-00",
    section: Section::Nics,
    title: "data ports and management path",
    why: "who gives the wrong port to a poll-mode driver cuts themselves off",
    explain: "A port that a poll-mode driver takes disappears from the kernel, and everything with it: addresses, routes, \
              the SSH session. The guard finds what must stay by following what the kernel knows: default routes in \
              every table and of both families, the route to whoever is logged in, addresses that others can reach, \
              storage over the network, containers in other namespaces; then what those stand on (bonds, bridges, \
              VLANs, switches), the physical function of a virtual one, functions in the same IOMMU group, and cards \
              that can only be reset as a whole.\n\nGood is no overlap with the configured data ports. What can not \
              be read counts against every port, and the answer is UNKNOWN: run as root. `bind` refuses by the same \
              reasons.",
    sources: &[
        "Linux Documentation/driver-api/vfio.rst, groups",
        "DPDK usertools/dpdk-devbind.py, whose own guard looks at the IPv4 main table (DPDK pull request 31)",
    ],
    risk: Risk::High,
    cost: "the way into the machine",
    look: guard,
    ..Check::PLAIN
};

fn guard(context: &Context<'_>) -> Outcome {
    settled(|| {
        let ports = context.data_functions()?;
        let judged = ports.iter().map(|port| {
            let reasons = context.intent.guard.of_function(port.address);
            let is_blind = |reason: &&Reason| matches!(reason, Reason::CannotTell { .. });
            let name = port.address;
            match reasons.iter().find(|reason| !is_blind(reason)) {
                Some(reason) => One::new(Verdict::Bad, format!("{name}: {reason}")),
                None => match reasons.first() {
                    Some(reason) => One::new(Verdict::Unknown, format!("{name}: {reason}")),
                    None => One::new(Verdict::Good, format!("{name}: nobody needs it")),
                },
            }
        });
        let outcome = worst(judged, "there is no data port").wanted("nobody needs a data port");
        Ok(match outcome.verdict {
            Verdict::Bad => outcome.advice(
                "configure another port, or move what is named to another interface first; bind --i-know MAC is for \
                 those who sit in front of the machine",
            ),
            _ => outcome,
        })
    })
}
