use std::collections::BTreeMap;

use config::CpuId;
use linux::activity::CpuTime;

use crate::{
    Fact, Measured,
    Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn},
    checks::sample::{Sample, quiet},
};

fn with_config(extra: &str) -> String {
    format!(
        "{extra}\n[[port]]\nname = \"north\"\ndevice = \"0000:3b:00.0\"\ninput = \"x\"\n{}",
        "[[stage]]\nname = \"x\"\nkind = \"cross\"\nto = \"tx:north\"\n"
    )
}

const CPU: &str = "sys/devices/system/cpu";
const NODE: &str = "sys/devices/system/node";

#[test]
fn a_map_that_holds_together_is_good_and_one_that_does_not_is_bad() {
    Sample::server().expect("TOPO-01", Good);
    let twice = Sample::server().with(&format!("{NODE}/node1/cpulist"), "3-7,12-15");
    assert!(twice.expect("TOPO-01", Bad).details[0].contains("cpu 3 is on node 1"));
    let nowhere = Sample::server().with(&format!("{NODE}/node1/cpulist"), "4-7,12-14");
    assert!(nowhere.expect("TOPO-01", Bad).details[0].contains("cpu 15 is on no node"));
    let forgetful =
        Sample::server().with(&format!("{CPU}/cpu10/topology/thread_siblings_list"), "10");
    assert!(forgetful.expect("TOPO-01", Bad).details[0].contains("cpu 2 says"));
}

#[test]
fn a_map_that_is_not_there_is_unknown_and_one_without_nodes_a_warning() {
    Sample::empty().expect("TOPO-01", Unknown);
    let untold = Sample::server().without(&format!("{CPU}/cpu5/topology"));
    // CPU 13 names CPU 5 as its sibling; without the files of CPU 5 that is a contradiction of the map.
    untold.without(&format!("{CPU}/cpu13/topology")).expect("TOPO-01", Unknown);
    Sample::server().without(NODE).expect("TOPO-01", Warn);
}

#[test]
fn housekeeping_needs_cpu_0_and_a_core_on_each_node_with_a_port() {
    Sample::server().expect("TOPO-02", Good);
    Sample::empty().expect("TOPO-02", Unknown);
    let single = "[cores]\nworkers = \"2-3\"\nhousekeeping = \"0\"\n";
    let outcome = Sample::server().config(&with_config(single)).expect("TOPO-02", Warn);
    assert!(outcome.details.iter().any(|line| line.contains("single CPU")), "{outcome:?}");
    let without_zero = "[cores]\nworkers = \"2-3\"\nhousekeeping = \"1,9\"\n";
    let outcome = Sample::server().config(&with_config(without_zero)).expect("TOPO-02", Warn);
    assert!(outcome.details.iter().any(|line| line.contains("cpu 0 is not")), "{outcome:?}");
    let remote = "[cores]\nworkers = \"2-3\"\nhousekeeping = \"0,4,12\"\n";
    let outcome = Sample::server().config(&with_config(remote)).expect("TOPO-02", Warn);
    assert_eq!(outcome.details, ["there is no whole core on node 0, which has a port"]);
}

#[test]
fn isolating_every_cpu_leaves_none_for_housekeeping() {
    let all = Sample::server()
        .with(&format!("{CPU}/isolated"), "0-7")
        .with(&format!("{CPU}/nohz_full"), "8-15");
    all.expect("TOPO-02", Bad);
    let most = Sample::server()
        .with(&format!("{CPU}/isolated"), "1-7")
        .with(&format!("{CPU}/nohz_full"), "8-15");
    assert_ne!(most.ask("TOPO-02").verdict, Bad);
}

#[test]
fn a_sibling_of_a_worker_is_offline_or_isolated_or_bad() {
    // The planner leaves them idle, but anything may run there.
    let open = Sample::server().expect("TOPO-03", Warn);
    assert_eq!((open.details.len(), open.fix.len()), (2, 2));
    Sample::server().with(&format!("{CPU}/isolated"), "2-3,10-11").expect("TOPO-03", Good);
    let offline = Sample::server().with(&format!("{CPU}/online"), "0-9,12-15");
    let offline = offline
        .with(&format!("{CPU}/cpu2/topology/thread_siblings_list"), "2")
        .with(&format!("{CPU}/cpu3/topology/thread_siblings_list"), "3");
    offline.expect("TOPO-03", Good);
    Sample::server().workers("2,10").expect("TOPO-03", Bad);
    let kept = "[cores]\nworkers = \"2\"\nhousekeeping = \"0,8,10\"\n";
    Sample::server().config(&with_config(kept)).expect("TOPO-03", Bad);
    Sample::empty().expect("TOPO-03", Unknown);
}

#[test]
fn a_sibling_that_was_busy_is_bad_however_isolated() {
    let with_busy = |busy: u64| {
        let time = CpuTime { user: busy, idle: 100 - busy, ..CpuTime::default() };
        let times = BTreeMap::from([(CpuId::new(10).unwrap(), time)]);
        let measured = Measured { cpu_times: Fact::Is(times), ..quiet() };
        Sample::server().with(&format!("{CPU}/isolated"), "2-3,10-11").measured(measured)
    };
    with_busy(5).expect("TOPO-03", Good);
    with_busy(6).expect("TOPO-03", Bad);
}

#[test]
fn without_threads_there_are_no_siblings() {
    let mut machine = Sample::server();
    for cpu in 0..16 {
        let file = format!("{CPU}/cpu{cpu}/topology/thread_siblings_list");
        machine = machine.with(&file, &cpu.to_string());
    }
    machine.expect("TOPO-03", NotApplicable);
}

#[test]
fn a_port_is_polled_on_its_node_or_near_it() {
    Sample::server().expect("TOPO-04", Good);
    Sample::server().workers("4-5").expect("TOPO-04", Bad);
    let near = |distance: &str| {
        let table = format!("{NODE}/node0/distance");
        Sample::server().with(&table, &format!("10 {distance}")).workers("4-5")
    };
    near("20").expect("TOPO-04", Warn);
    near("21").expect("TOPO-04", Bad);
    Sample::server().without_config().expect("TOPO-04", NotApplicable);
    let silent = Sample::server().function("0000:3b:00.0", -1);
    silent.expect("TOPO-04", Unknown);
}

#[test]
fn a_device_that_does_not_say_its_node_is_judged_by_what_it_could_be() {
    Sample::server().expect("TOPO-05", Good);
    let silent = || Sample::server().function("0000:3b:00.0", -1);
    silent().expect("TOPO-05", Bad);
    let local = "sys/bus/pci/devices/0000:3b:00.0/local_cpulist";
    silent().with(local, "4-7").expect("TOPO-05", Warn);
    silent().with(local, "0-15").expect("TOPO-05", Bad);
    let told = with_config("[cores]\nworkers = \"2-3\"\n")
        .replace("input = \"x\"", "input = \"x\"\nnuma_node = 1");
    silent().config(&told).expect("TOPO-05", Good);
    let one = silent().with(&format!("{NODE}/online"), "0");
    one.with(&format!("{NODE}/node0/cpulist"), "0-15").expect("TOPO-05", Info);
    let odd = Sample::server().with("sys/bus/pci/devices/0000:3b:00.0/numa_node", "many");
    odd.expect("TOPO-05", Unknown);
    Sample::server().without_config().expect("TOPO-05", NotApplicable);
}

#[test]
fn only_workers_that_hand_over_need_a_common_cache() {
    Sample::server().expect("TOPO-06", NotApplicable);
    let staged = |workers: &str| {
        with_config(&format!("[cores]\nworkers = \"{workers}\"\n[pipeline]\nmode = \"staged\"\n"))
    };
    Sample::server().config(&staged("2-3")).expect("TOPO-06", Good);
    Sample::server().config(&staged("3-4")).expect("TOPO-06", Bad);
    let split = Sample::server().with(&format!("{CPU}/cpu3/cache/index3/shared_cpu_list"), "3,11");
    split.config(&staged("2-3")).expect("TOPO-06", Warn);
    let both = Sample::server().with(&format!("{CPU}/cpu3/cache/index3/shared_cpu_list"), "3,11");
    both.config(&staged("2-4")).expect("TOPO-06", Bad);
    let untold = Sample::server().without(&format!("{CPU}/cpu3/cache"));
    untold.config(&staged("2-3")).expect("TOPO-06", Unknown);
}

#[test]
fn cpu_0_is_no_worker() {
    Sample::server().expect("TOPO-07", Good);
    Sample::server().workers("0-1").expect("TOPO-07", Bad);
    Sample::empty().expect("TOPO-07", Unknown);
}

#[test]
fn workers_that_are_offline_are_brought_up_if_they_are_there() {
    Sample::server().expect("TOPO-08", Good);
    let stopped = Sample::server().with(&format!("{CPU}/online"), "0-2,4-15");
    let outcome = stopped.expect("TOPO-08", Bad);
    assert_eq!((outcome.fix.len(), outcome.advice), (1, None));
    let outcome = Sample::server().workers("3,99").expect("TOPO-08", Bad);
    assert!(outcome.fix.is_empty() && outcome.advice.unwrap().contains("cpu 99"));
    Sample::empty().expect("TOPO-08", Unknown);
}

#[test]
fn channels_are_judged_by_the_driver_that_knows_them() {
    let mc = "sys/devices/system/edac/mc/mc0";
    let with = |modules: &[(u32, u32)]| {
        let mut machine = Sample::server().with(&format!("{mc}/max_location"), "channel 1 slot 0");
        for (channel, mib) in modules {
            let dir = format!("{mc}/dimm{channel}");
            machine = machine
                .with(&format!("{dir}/dimm_location"), &format!("channel {channel} slot 0"))
                .with(&format!("{dir}/size"), &mib.to_string());
        }
        machine
    };
    with(&[(0, 8192), (1, 8192)]).expect("TOPO-09", Good);
    with(&[(0, 8192), (1, 4096)]).expect("TOPO-09", Warn);
    with(&[(0, 8192)]).expect("TOPO-09", Bad);
    Sample::server().expect("TOPO-09", NotApplicable);
}

#[test]
fn slots_do_not_tell_channels() {
    let with = |sizes: &[u16]| {
        let mut machine = Sample::server();
        for (index, size) in sizes.iter().enumerate() {
            let mut raw = vec![0_u8; 0x22];
            (raw[0], raw[1]) = (17, 0x22);
            raw[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
            let text = String::from_utf8(raw).unwrap();
            machine = machine.with(&format!("sys/firmware/dmi/entries/17-{index}/raw"), &text);
        }
        machine
    };
    with(&[64, 64]).expect("TOPO-09", Info);
    with(&[64, 0, 64]).expect("TOPO-09", Info);
    with(&[64, 32]).expect("TOPO-09", Warn);
    with(&[64, 0]).expect("TOPO-09", Bad);
    with(&[64]).expect("TOPO-09", Info);
    with(&[0]).expect("TOPO-09", NotApplicable);
}

#[test]
fn masks_are_understood_up_to_the_largest_machine() {
    Sample::server().expect("TOPO-10", Good);
    Sample::server().with(&format!("{CPU}/possible"), "0-8191").expect("TOPO-10", Good);
    Sample::server().with(&format!("{CPU}/possible"), "0-8192").expect("TOPO-10", Bad);
    let mask = "proc/irq/default_smp_affinity";
    Sample::server().with(mask, "ff,,00000000").expect("TOPO-10", Bad);
    Sample::server().with(mask, "ff,00000000").expect("TOPO-10", Good);
    Sample::empty().expect("TOPO-10", NotApplicable);
}
