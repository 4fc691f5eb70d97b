//! The EAL, threads and the log.

use std::sync::mpsc;

use dpdk::{Eal, EalError, LogLevel, Ring, ThreadError, lcore_id};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::support;

#[test]
fn a_second_initialisation_is_refused_while_the_first_lives_and_after() {
    let eal = support::eal(&[]);
    assert!(matches!(Eal::init(support::args(&[], &[])), Err(EalError::Twice)));
    drop(eal);
    assert!(matches!(Eal::init(support::args(&[], &[])), Err(EalError::Twice)));
}

#[test]
fn arguments_that_can_not_work_are_refused_before_dpdk_sees_them() {
    assert!(matches!(Eal::init(["--help".to_owned()]), Err(EalError::Help { .. })));
    assert!(matches!(Eal::init(["a\0b".to_owned()]), Err(EalError::ZeroByte { .. })));
    // And the one chance is still there.
    let _eal = support::eal(&[]);
}

#[test]
fn an_unknown_argument_is_an_error_with_dpdks_reason() {
    if dpdk_sys::ABI >= 26 {
        // Said in the documentation of Eal::init.
        eprintln!("SKIPPED: an_unknown_argument: this DPDK ends the process");
        return;
    }
    let error = Eal::init(["--no-such-option".to_owned()]).unwrap_err();
    assert!(matches!(error, EalError::Init(_)), "{error:?}");
}

#[test]
fn arguments_that_the_eal_leaves_unread_are_an_error() {
    let error = Eal::init(support::args(&[], &["--", "left", "over"])).unwrap_err();
    assert!(matches!(error, EalError::Unused { count: 2 }), "{error:?}");
}

#[test]
fn the_version_is_the_one_that_was_built_against() {
    let version = Eal::version().strip_prefix("DPDK ").unwrap();
    let release = dpdk_sys::gate::check(version).unwrap();
    assert_eq!(release.abi, dpdk_sys::ABI);
}

#[test]
fn initialisation_leaves_the_threads_affinity_as_it_was() {
    // One CPU fewer than the process has, where there is more than one, so that a reset to all is
    // noticed too.
    let all = sched_getaffinity(None).unwrap();
    let mut mine = CpuSet::new();
    let last = (0..CpuSet::MAX_CPU).rfind(|cpu| all.is_set(*cpu)).unwrap();
    mine.set(last);
    sched_setaffinity(None, &mine).unwrap();
    let _eal = support::eal(&[]);
    assert_eq!(sched_getaffinity(None).unwrap(), mine);
}

#[test]
fn a_registered_thread_has_an_lcore_id_until_it_is_dropped() {
    let eal = support::eal(&[]);
    let main = lcore_id().expect("the initialising thread is the main lcore");
    assert!(matches!(eal.register_thread(), Err(ThreadError::Already)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(lcore_id(), None);
            let registered = eal.register_thread().unwrap();
            assert_eq!(lcore_id(), Some(registered.lcore()));
            assert_ne!(registered.lcore(), main);
            assert!(matches!(eal.register_thread(), Err(ThreadError::Already)));
            drop(registered);
            assert_eq!(lcore_id(), None);
        });
    });
}

#[test]
fn lcore_ids_run_out_with_an_error_and_come_back() {
    let eal = support::eal(&[]);
    let (ids, all_ids) = mpsc::channel();
    std::thread::scope(|scope| {
        let (eal, mut stop) = (&eal, Vec::new());
        for _ in 0..dpdk_sys::RTE_MAX_LCORE {
            let (done, until) = mpsc::channel::<()>();
            stop.push(done);
            let ids = ids.clone();
            scope.spawn(move || {
                let registered = eal.register_thread();
                ids.send(registered.as_ref().map(|r| r.lcore()).map_err(|e| e.to_string()))
                    .unwrap();
                until.recv().unwrap_err();
            });
        }
        let answers: Vec<_> = stop.iter().map(|_| all_ids.recv().unwrap()).collect();
        // The main lcore has one of the ids, so one thread got none.
        let refused: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
        assert_eq!(refused, ["all 128 lcore ids are taken"], "{answers:?}");
    });
    std::thread::scope(|scope| {
        scope.spawn(|| drop(eal.register_thread().unwrap()));
    });
}

#[test]
fn what_dpdk_logs_arrives_line_by_line_with_its_level() {
    let (lines, log) = mpsc::channel();
    dpdk::log_to(move |level, line| {
        let _ = lines.send((level, line.to_owned()));
    })
    .unwrap();
    assert!(matches!(dpdk::log_to(|_, _| ()), Err(dpdk::LogError::Twice)));
    let error = Eal::init(support::args(&["no_such_driver"], &[])).unwrap_err();
    let log: Vec<_> = log.try_iter().collect();
    let said = log.iter().find(|(_, line)| line.contains("no_such_driver"));
    let (level, line) = said.unwrap_or_else(|| panic!("{error}: {log:?}"));
    assert_eq!(*level, LogLevel::Error, "{line}");
    assert!(log.iter().all(|(_, line)| !line.contains('\n') && !line.is_empty()), "{log:?}");
}

#[test]
fn a_sink_that_panics_does_not_take_dpdk_down() {
    dpdk::log_to(|_, _| panic!("on purpose")).unwrap();
    dpdk::set_log_level(LogLevel::Debug);
    let _eal = support::eal(&["net_null0"]);
}

#[test]
fn a_ring_of_dpdks_keeps_words_in_order_and_refuses_what_does_not_fit() {
    let eal = support::eal(&[]);
    let mut ring = Ring::create(&eal, "words", 8).unwrap();
    let (mut producer, mut consumer) = ring.split();
    assert_eq!(producer.enqueue(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), 7);
    assert_eq!(consumer.len(), 7);
    let mut words = [0; 4];
    assert_eq!((consumer.dequeue(&mut words), words), (4, [1, 2, 3, 4]));
    assert_eq!((consumer.dequeue(&mut words), &words[..3]), (3, &[5, 6, 7][..]));
    assert!(consumer.is_empty());
    assert_eq!(Ring::create(&eal, "odd", 7).unwrap_err().source.unwrap().number(), 22);
}
