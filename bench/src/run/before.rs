//! Before anything is measured: what can be of a plan, on which CPUs, and DPDK in this process.

use bench_result::generator::Via;
use config::CpuSet;
use dpdk::Eal;

use super::{
    RunError,
    arm::{Arm, Driver, Group},
    experiment,
    plan::{External, Member, Plan},
    result::LeftOut,
    throughput::ThroughputPlan,
};
use crate::{
    cli::RunArgs,
    peer::case::Cpus,
    say,
    wire::dpdk::{BUFFERS, KEPT},
};

/// What is going to happen, and for how long.
pub(super) fn announce(plan: &Plan) {
    say::note(format_args!("{}", announced(plan)));
}

/// The same in words.
pub(super) fn announced(plan: &Plan) -> String {
    let trials = plan.trials();
    let again =
        plan.trial() * u32::try_from(trials.div_ceil(experiment::SPARE)).unwrap_or(u32::MAX);
    let searches: usize = plan.throughput.iter().map(ThroughputPlan::searches).sum();
    format!(
        "plan {}: {trials} trials and {searches} searches in about {}; trials that do not count are made again, in {} at most",
        plan.name,
        say::duration(plan.expected()),
        say::duration(again)
    )
}

/// What virtual devices of DPDK's are marked with in plans.
const VDEV: &str = "vdev:";

/// Is the generator DPDK's, with this path?
fn takes_dpdk(arm: Arm) -> bool {
    matches!(arm, Arm::Ring | Arm::Memory | Arm::External)
        || arm.driver() == Some(Driver::VirtioUser)
}

/// More would be too much memory.
const MOST_BUFFERS: u32 = 1 << 18;

/// Does a plan take DPDK in this process?
pub(super) fn needs_dpdk(plan: &Plan) -> bool {
    plan.groups.iter().any(|group| group.generator.is_dpdk()) || plan.needs(takes_dpdk)
}

/// Buffers for everything that a plan starts.
pub(super) fn buffers(plan: &Plan) -> Result<u32, RunError> {
    let groups = plan.groups.iter().filter(|group| group.generator == Via::DpdkAfXdp);
    let devices: usize = groups
        .map(|group| {
            let ends = if group.kind == Group::Forward { 2 } else { 1 };
            ends * group.members().len() * plan.blocks
        })
        .sum();
    let kept = u32::try_from(devices).unwrap_or(u32::MAX).saturating_mul(KEPT);
    let buffers = BUFFERS.saturating_add(kept);
    if buffers > MOST_BUFFERS {
        let most = (MOST_BUFFERS - BUFFERS) / KEPT;
        return Err(RunError::Usage(format!(
            "{devices} devices of net_af_xdp, which keeps buffers of each: {most} are possible; take fewer blocks"
        )));
    }
    Ok(buffers)
}

/// DPDK in this process. Without NICs on ordinary pages: nothing of it can be left behind. NICs want hugepages, which have
/// to be there.
pub(super) fn start_dpdk(
    cpus: Cpus,
    buffers: u32,
    external: Option<&External>,
) -> Result<Eal, RunError> {
    // Three KiB for a buffer, and some for everything else.
    let memory = (32 + buffers / 300).to_string();
    let prefix = format!("--file-prefix=bwgen-{}", std::process::id());
    let lcores = format!("0@{}", cpus.other);
    // net_ring tries to make a ring that it then finds is there, and says so each time.
    let levels = ["--log-level=error", "--log-level=lib.ring:critical"];
    let mut words = vec!["--lcores", &lcores, "--no-telemetry", levels[0], levels[1], &prefix];
    let all = external.iter().flat_map(|external| [&external.out, &external.back]);
    let (virtual_ones, nics): (Vec<&String>, Vec<&String>) =
        all.partition(|port| port.starts_with(VDEV));
    if nics.is_empty() {
        words.extend(["--no-pci", "--no-huge", "--no-shconf", "-m", &memory]);
    } else {
        words.push("--in-memory");
    }
    let devices = virtual_ones.iter().filter_map(|port| port.strip_prefix(VDEV));
    for (option, device) in devices
        .map(|device| ("--vdev", device))
        .chain(nics.iter().map(|port| ("--allow", port.as_str())))
    {
        if !words.contains(&device) {
            words.extend([option, device]);
        }
    }
    Ok(Eal::init(words.into_iter().map(str::to_owned))?)
}

/// The last CPU is measured, the first does the rest, unless told otherwise.
pub(super) fn choose_cpus(args: &RunArgs, allowed: &CpuSet) -> Result<Cpus, RunError> {
    let usage = |text: String| Err(RunError::Usage(text));
    let (Some(first), Some(last)) = (allowed.first(), allowed.last()) else {
        return usage("this process may run on no CPU".to_owned());
    };
    let measured = args.cpu.unwrap_or(last);
    let other = args.other_cpu.unwrap_or(if measured == first { last } else { first });
    if let Some(cpu) = [measured, other].into_iter().find(|cpu| !allowed.contains(*cpu)) {
        return usage(format!("cpu {cpu} is not among the CPUs of this process ({allowed})"));
    }
    if measured == other {
        return usage(format!("there have to be two CPUs, and this process may use {allowed}"));
    }
    Ok(Cpus { measured, other })
}

/// What is left of a plan where programs are missing.
pub(super) fn possible(plan: Plan, has_barewired: bool, has_testpmd: bool) -> (Plan, Vec<LeftOut>) {
    let missing = |arm: Arm| {
        if arm.is_barewired() && !has_barewired {
            Some("there is no barewired next to this program; see --barewired")
        } else if arm.is_testpmd() && !has_testpmd {
            Some("there is no dpdk-testpmd (Debian: dpdk-dev); see --testpmd")
        } else {
            None
        }
    };
    let mut left_out = Vec::new();
    for search in &plan.throughput {
        for arm in &search.arms {
            if let Some(why) = missing(*arm) {
                let member = Some(Member { arm: *arm, is_twin: false });
                left_out.push(LeftOut { group: search.kind, member, why: why.to_owned() });
            }
        }
    }
    for group in &plan.groups {
        for member in group.members() {
            if let Some(why) = missing(member.arm) {
                let why = why.to_owned();
                left_out.push(LeftOut { group: group.kind, member: Some(member), why });
            }
        }
        if missing(group.reference).is_some() {
            let why = "its reference can not run".to_owned();
            left_out.push(LeftOut { group: group.kind, member: None, why });
        }
    }
    (plan.without(|arm| missing(arm).is_some()), left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_buffers_for_what_drivers_keep_and_no_end_of_memory() {
        let plan = |blocks: usize, generator: &str| {
            let text = format!(
                "name = \"t\"\nblocks = {blocks}\nmeasure_ms = 100\n[[group]]\nkind = \"forward\"\n\
                 arms = [\"kernel-route\"]\nreference = \"kernel-route\"\nloads = [1000]\n\
                 generator = \"{generator}\"\n"
            );
            buffers(&Plan::parse(&text, "t").unwrap())
        };
        assert_eq!(plan(5, "dpdk-af-packet").unwrap(), BUFFERS);
        assert_eq!(plan(5, "dpdk-af-xdp").unwrap(), BUFFERS + 10 * KEPT);
        assert_eq!(plan(49, "dpdk-af-xdp").unwrap(), BUFFERS + 98 * KEPT);
        assert!(matches!(plan(50, "dpdk-af-xdp"), Err(RunError::Usage(_))));
    }

    #[test]
    fn a_machine_without_programs_still_measures_the_kernel() {
        let (plan, left_out) = possible(Plan::find("standard").unwrap(), false, false);
        assert!(!plan.needs(Arm::is_bypass));
        assert_eq!(plan.groups.len(), 4);
        // Six paths of barewired, seven of testpmd with a twin, and the group whose reference was among them.
        assert_eq!(left_out.len(), 14);
        let (plan, left_out) = possible(Plan::find("standard").unwrap(), true, true);
        assert_eq!((plan, left_out), (Plan::find("standard").unwrap(), vec![]));
    }
}
