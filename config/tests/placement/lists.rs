//! CPUs that are listed: taken exactly, or refused.

use super::*;

#[test]
fn only_a_list_makes_a_second_worker_share_cpu_0() {
    let two = machine(1, 2, 1);

    let refused = place(&two, &auto(), &[vdev("a")], Mode::Staged).unwrap_err();
    let listed = place(&two, &workers("0-1"), &[vdev("a")], Mode::Staged).unwrap();

    assert_eq!(refused, [PlacementError::NotEnough { wanted: 2, available: 1 }]);
    assert_eq!(listed.worker_cpus(), set("0-1"));
    assert_eq!((&listed.housekeeping, &listed.shared), (&set("0"), &set("0")));
    let text = "cpu 0 is a worker and has to do the housekeeping as well";
    assert!(listed.warnings.iter().any(|warning| warning == text), "{:?}", listed.warnings);
}

#[test]
fn a_list_is_taken_exactly_and_its_faults_are_warnings() {
    let placement = rtc(&machine(2, 4, 2), &workers("1,9,4"), &[on("a", 0)]);

    let cpus: Vec<u32> = placement.workers.iter().map(|worker| worker.cpu.get()).collect();
    assert_eq!(cpus, [1, 4, 9]);
    assert_eq!(placement.workers[1].remote_ports, [0]);
    assert_eq!(
        placement.warnings,
        [
            "worker cpu 1,4,9 is not isolated: the scheduler may run other tasks there",
            "worker cpu 1 shares its physical core with cpu 9",
            "worker cpu 9 shares its physical core with cpu 1",
            "worker cpu 4 is on node 1, but no port is",
        ]
    );
}

#[test]
fn strict_turns_every_fault_into_an_error_with_help() {
    let wish = Cores { strict: true, ..workers("1,9,4") };

    let errors = place(&machine(2, 4, 2), &wish, &[on("a", 0)], Mode::RunToCompletion).unwrap_err();

    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors.iter().all(|error| !error.help().is_empty() && error.key() == "cores.workers"));
}

#[test]
fn impossible_lists_are_refused_all_at_once() {
    let mut machine = machine(1, 8, 1);
    machine.cpus[5].online = false;
    machine.cpus[6].allowed = false;
    let wish = Cores { housekeeping: Auto::Set(Box::new(set("1,3"))), ..workers("3,5-6,40") };

    let errors = place(&machine, &wish, &[], Mode::RunToCompletion).unwrap_err();

    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "workers names cpu 40, but this machine has cpu 0-7",
            "workers names cpu 5, which is offline",
            "workers names cpu 6, which this process may not use (its cpuset has 0-4,7)",
            "cpu 3 is in workers and in housekeeping",
        ]
    );
}

#[test]
fn an_empty_list_is_refused() {
    let errors = place(&machine(1, 2, 1), &workers(""), &[], Mode::RunToCompletion).unwrap_err();

    assert!(matches!(errors[..], [PlacementError::Empty { .. }]), "{errors:?}");
}

#[test]
fn one_listed_worker_is_too_few_for_staged_mode() {
    let errors = place(&machine(1, 4, 1), &workers("2"), &[], Mode::Staged).unwrap_err();

    assert_eq!(errors, [PlacementError::TooFewForStaged { workers: 1 }]);
}

#[test]
fn listed_housekeeping_keeps_workers_off_its_cores() {
    let wish = Cores { housekeeping: Auto::Set(Box::new(set("1"))), count: Auto::Set(2), ..auto() };

    let placement = rtc(&machine(1, 4, 2), &wish, &[on("a", 0)]);

    assert_eq!(placement.worker_cpus(), set("2-3"), "not 0, nor 5 beside 1: {placement:#?}");
    assert_eq!(role(&placement, 0), Role::Spare);
}

#[test]
fn housekeeping_that_takes_everything_leaves_no_worker() {
    let wish = Cores { housekeeping: Auto::Set(Box::new(set("0-3"))), ..auto() };

    let errors = place(&machine(1, 4, 1), &wish, &[], Mode::RunToCompletion).unwrap_err();

    assert_eq!(errors, [PlacementError::NotEnough { wanted: 1, available: 0 }]);
}
