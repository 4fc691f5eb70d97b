//! `reload --restart-ports`: ports stop and start under a daemon that goes on, with its totals and its socket.

use std::{collections::BTreeMap, fs};

use scenarios::{
    Daemon, Netns, Setup, Site, capture, configs, configs::ENDLESS, cpus, daemon, daemon::Balance,
    frames, load, netns, skip, wait,
};

fn put(site: &Site, config: &str) {
    site.write("barewired.toml", &daemon::with_control(config));
}

/// A reload with or without leave to restart ports.
fn ask(daemon: &Daemon, restart_ports: bool) -> scenarios::http::Answer {
    let body = format!("{{\"restart_ports\":{restart_ports}}}");
    daemon.request("POST", "/v1/reload", Some(&body))
}

fn restart(daemon: &Daemon) -> api::Reload {
    let answer = ask(daemon, true);
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, daemon.state());
    let report: api::Reload = answer.parse();
    assert!(report.ports_restarted, "{report:#?}");
    report
}

/// Everything that only ever grows.
fn totals(daemon: &Daemon) -> BTreeMap<String, u64> {
    let counters = daemon.counters();
    let api::Balance { received, sent, dropped, balanced, violations, .. } = counters.balance;
    assert!(balanced && violations == 0, "{:#?}\n{}", counters.balance, daemon.state());
    let mut totals = BTreeMap::from([
        ("received".to_owned(), received),
        ("sent".to_owned(), sent),
        ("dropped".to_owned(), dropped),
    ]);
    for port in &counters.ports {
        for (what, count) in [
            ("rx_packets", port.rx_packets),
            ("rx_bytes", port.rx_bytes),
            ("tx_packets", port.tx_packets),
            ("tx_bytes", port.tx_bytes),
            ("rx_missed", port.rx_missed),
            ("rx_errors", port.rx_errors),
            ("rx_nombuf", port.rx_nombuf),
            ("tx_errors", port.tx_errors),
        ] {
            totals.insert(format!("port {} {what}", port.name), count);
        }
        for (name, count) in &port.driver {
            totals.insert(format!("port {} driver {name}", port.name), *count);
        }
    }
    for worker in &counters.workers {
        assert!(worker.balanced, "{worker:#?}");
        for (what, count) in [
            ("received", worker.received),
            ("sent", worker.sent),
            ("turns", worker.turns),
            ("polls_busy", worker.polls_busy),
        ] {
            totals.insert(format!("worker {} {what}", worker.worker), count);
        }
    }
    totals.extend(counters.drops.into_iter().map(|(name, count)| (format!("drop {name}"), count)));
    let stages: api::Stages = daemon.get("/v1/stages");
    for stage in stages.stages {
        totals.insert(format!("stage {}", stage.name), stage.packets);
    }
    let latency: api::Latency = daemon.get("/v1/latency");
    for entry in latency.entries {
        let who = format!("latency {:?} {}", entry.worker, entry.port);
        totals.insert(format!("{who} residence"), entry.residence.count);
        totals.insert(format!("{who} bound"), entry.bound.count);
    }
    let stalls: api::Stalls = daemon.get("/v1/stalls");
    totals.insert("stalls".to_owned(), stalls.total);
    totals
}

/// Nothing of before is gone or smaller.
fn assert_grown(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, daemon: &Daemon) {
    for (name, was) in before {
        let is = after.get(name);
        assert!(is >= Some(was), "{name}: {was}, then {is:?}\n{}", daemon.state());
    }
}

/// SIGTERM, code 0 and every buffer back.
fn stop_cleanly(daemon: Daemon) {
    let ended = daemon.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    assert!(!ended.said.contains("kept buffers"), "{}", ended.said);
    assert!(ended.said.contains("all buffers are back in their pool"), "{}", ended.said);
}

#[test]
fn without_leave_a_change_of_ports_is_refused_and_named_and_frames_flow_on() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    put(&site, &ENDLESS.replace("net_null0\"", "net_null0\"\nmtu = 3000"));
    let answer = ask(&daemon, false);
    assert_eq!(answer.status, 409, "{answer:?}");
    let problem: api::Problem = answer.parse();
    assert_eq!(
        problem.details,
        ["port \"south\": mtu: 1500 -> 3000: needs a restart of the ports"],
        "{problem:#?}"
    );
    assert!(problem.help.is_some_and(|help| help.contains("--restart-ports")));
    let status: api::Status = daemon.get("/v1/status");
    assert_eq!(status.generation, 1);
    load::wait_for_frames(&daemon);
    stop_cleanly(daemon);
}

#[test]
fn what_needs_a_new_process_is_refused_by_name_even_with_leave() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    let config = ENDLESS.replace("huge = \"none\"", "huge = \"none\"\nper_node_mib = 64");
    put(&site, &config.replace("net_null0\"", "net_null0\"\nmtu = 3000"));
    let answer = ask(&daemon, true);
    assert_eq!(answer.status, 409, "{answer:?}");
    let problem: api::Problem = answer.parse();
    assert_eq!(
        problem.details,
        ["memory.per_node_mib changed: needs a restart of the daemon"],
        "what can be done is not an obstacle: {problem:#?}"
    );
    load::wait_for_frames(&daemon);
}

#[test]
fn with_leave_and_nothing_that_needs_it_no_port_is_touched() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    put(&site, &ENDLESS.replace("kind = \"cross\"", "kind = \"cross\"\nmacs = \"swap\""));
    let answer = ask(&daemon, true);
    assert_eq!(answer.status, 200, "{answer:?}");
    let report: api::Reload = answer.parse();
    assert!(!report.ports_restarted && report.restart.is_none(), "{report:#?}");
}

#[test]
fn every_kind_of_change_under_load_keeps_the_totals_growing_and_the_balance_exact() {
    let site = Site::new();
    let two = cpus::count() >= 2;
    // Explicit CPUs, as the number of workers depends on the mode otherwise.
    let workers = cpus::workers(if two { 2 } else { 1 });
    let wire = format!("[cores]\nhousekeeping = \"0\"\nworkers = \"{workers}\"\n{}", ENDLESS);
    let wire = if two { wire.replace("housekeeping = \"0\"\n", "") } else { wire };
    let daemon = load::started(&site, &wire);
    let more = |config: &str, section: &str| format!("{config}\n{section}\n");
    let south = |keys: &str| wire.replace("net_null0\"", &format!("net_null0\"\n{keys}"));
    let changes = [
        ("descriptors", south("rx_ring = 256\ntx_ring = 128")),
        ("mtu", south("mtu = 1400")),
        ("promiscuous", south("promiscuous = false")),
        ("another device", wire.replace("net_null0", "net_null5")),
        ("other arguments", wire.replace("net_null0", "net_null5,size=128")),
        ("the mode", more(&wire, "[pipeline]\nmode = \"staged\"")),
        ("the rings", more(&wire, "[pipeline]\nmode = \"staged\"\nring_capacity = 256")),
        ("the stall log", more(&wire, "[latency]\nstall_log = 64")),
        (
            "a port more",
            more(
                &wire,
                "[[port]]\nname = \"west\"\ndevice = \"vdev:net_null7,no-rx=1\"\ninput = \"wire\"",
            ),
        ),
        ("the receiver", wire.replace("infinite_rx=1", "infinite_rx=1,phy_mac=0")),
        ("back", wire.clone()),
    ];
    let mut before = totals(&daemon);
    for (number, (what, config)) in (2..).zip(&changes) {
        if !two && config.contains("staged") {
            continue;
        }
        put(&site, config);
        let report = restart(&daemon);
        load::wait_for_frames(&daemon);
        let after = totals(&daemon);
        // A port that was taken away is no longer listed; all else is.
        let listed = daemon.counters().ports.into_iter().map(|port| port.name);
        let listed: Vec<String> = listed.collect();
        before.retain(|name, _| {
            let port = name.strip_prefix("port ").and_then(|rest| rest.split(' ').next());
            port.is_none_or(|port| listed.iter().any(|name| name == port))
        });
        assert_grown(&before, &after, &daemon);
        assert!(after["received"] > before["received"], "{what}");
        if two {
            assert_eq!(report.generation, number, "{what}");
        }
        let cost = report.restart.expect("ports were restarted");
        println!("{what}: {:.1} ms, {cost:?}", cost.blackout_ms);
        before = after;
    }
    let status: api::Status = daemon.get("/v1/status");
    assert_eq!(status.balance.violations, 0);
    stop_cleanly(daemon);
}

#[test]
fn a_port_that_does_not_change_goes_on_and_loses_nothing() {
    load::crosses_while(2, |frames| {
        let restarts = restarts_while_a_capture_crosses(frames);
        println!("{restarts} restarts while {frames} frames crossed");
        restarts
    });
}

fn restarts_while_a_capture_crosses(total: u32) -> u64 {
    let site = Site::new();
    let numbered = frames::numbered(total);
    capture::write(&site.path("in.pcap"), &numbered);
    let wire = configs::once();
    let with = |number: u64| {
        format!(
            "{wire}\n[[port]]\nname = \"x\"\ndevice = \"vdev:net_null{number},no-rx=1\"\ninput = \"wire\"\n"
        )
    };
    let daemon = Daemon::start(&site, &with(3));
    let mut restarts = 0_u64;
    while Balance::of(&daemon.counters()).received < u64::from(total) {
        put(&site, &with(4 + restarts % 2));
        let cost = restart(&daemon).restart.expect("ports were restarted");
        assert_eq!((cost.started, cost.kept.len(), cost.dropped), (vec!["x".to_owned()], 2, 0));
        restarts += 1;
    }
    daemon.wait_until_through(u64::from(total));
    stop_cleanly(daemon);
    capture::assert_same(&capture::read(&site.path("out.pcap")), &numbered);
    restarts
}

#[test]
fn ports_that_do_not_come_up_bring_the_old_configuration_back() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    let before = totals(&daemon);
    // The same device with arguments that can not work: only found out when the old one is gone.
    put(&site, &ENDLESS.replace("{dir}/in.pcap", "{dir}/absent.pcap"));
    let answer = ask(&daemon, true);
    assert_eq!(answer.status, 500, "{answer:?}");
    let problem: api::Problem = answer.parse();
    assert!(problem.error.contains("the old one is in force again"), "{problem:#?}");
    assert!(problem.details.iter().any(|line| line.contains("\"north\"")), "{problem:#?}");
    load::wait_for_frames(&daemon);
    assert_grown(&before, &totals(&daemon), &daemon);
    let status: api::Status = daemon.get("/v1/status");
    assert_eq!((status.generation, status.state), (1, api::State::Running));

    // And what was corrected can be put in force.
    put(&site, &ENDLESS.replace("net_null0\"", "net_null0\"\nmtu = 1400"));
    assert_eq!(restart(&daemon).generation, 2);
    stop_cleanly(daemon);
}

#[test]
fn when_not_even_the_old_ports_come_up_it_says_so_and_ends_with_the_code_for_dpdk() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    fs::remove_file(site.path("in.pcap")).expect("our capture");
    put(&site, &ENDLESS.replace("{dir}/in.pcap", "{dir}/absent.pcap"));
    let answer = ask(&daemon, true);
    assert_eq!(answer.status, 500, "{answer:?}");
    let problem: api::Problem = answer.parse();
    assert!(problem.error.contains("barewired ends"), "{problem:#?}");
    assert_eq!(problem.details.len(), 2, "one for each configuration: {problem:#?}");
    let ended = daemon.wait();
    assert_eq!(ended.status.code(), Some(4), "{}", ended.said);
}

#[test]
fn what_can_be_seen_to_fail_beforehand_is_refused_with_everything_running() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    let port = |device: &str| {
        format!("{}\n[[port]]\nname = \"x\"\ndevice = \"{device}\"\ninput = \"wire\"\n", ENDLESS)
    };
    for (config, word) in [
        (port("vdev:net_nonsense0"), "net_nonsense0"),
        (port("vdev:net_pcap7,rx_pcap={dir}/absent.pcap"), "net_pcap7"),
        (ENDLESS.replace("net_null0\"", "net_null0\"\ntx_queues = 128\nrx_queues = 128"), ""),
        (ENDLESS.replace("huge = \"none\"", "huge = \"none\"\nbuffers = 4000000"), "4000000"),
    ] {
        let stalls = daemon.counters().workers.len();
        put(&site, &config);
        let answer = ask(&daemon, true);
        if answer.status == 200 && word.is_empty() {
            // net_null may have that many queues.
            continue;
        }
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(answer.body.contains(word), "{word}: {answer:?}");
        assert_eq!(daemon.counters().workers.len(), stalls);
        load::wait_for_frames(&daemon);
    }
    // Nothing was left behind that the next one would trip over.
    put(&site, &port("vdev:net_null7,no-rx=1"));
    let _report = restart(&daemon);
    stop_cleanly(daemon);
}

#[test]
fn the_control_socket_and_the_service_manager_see_one_daemon() {
    let site = Site::new();
    let mut daemon = load::started(&site, ENDLESS);
    // A connection from before is answered after.
    let early = scenarios::http::connect(daemon.socket()).expect("the socket takes connections");
    put(&site, &ENDLESS.replace("net_null0\"", "net_null0\"\nmtu = 1400"));
    let output = daemon.barewire(["reload", "--restart-ports"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("no frame was received for") && said.contains("south"), "{said}");
    daemon.notice("RELOADING=1").unwrap();
    daemon.notice("READY=1").unwrap();
    drop(early);
    let status: api::Status = daemon.get("/v1/status");
    assert_eq!((status.generation, status.state), (2, api::State::Running));
    stop_cleanly(daemon);
}

#[test]
fn stalls_can_be_followed_over_a_restart_and_a_change_of_the_number_of_workers() {
    if cpus::count() < 2 {
        skip::skip("needs two CPUs");
        return;
    }
    let site = Site::new();
    let config = |workers: usize, mode: &str| {
        let list = cpus::workers(2);
        let _ = workers;
        format!(
            "[cores]\nworkers = \"{list}\"\n{}\n[pipeline]\nmode = \"{mode}\"\n[latency]\nstall_threshold = \"1us\"\n",
            ENDLESS
        )
    };
    let daemon = load::started(&site, &config(2, "run-to-completion"));
    let first = wait::until("stalls", || {
        let stalls: api::Stalls = daemon.get("/v1/stalls");
        (stalls.total > 0).then_some(stalls)
    });
    put(&site, &config(2, "staged"));
    restart(&daemon);
    let next: Vec<String> = first.next.iter().map(u64::to_string).collect();
    let later: api::Stalls = daemon.get(&format!("/v1/stalls?after={}", next.join(",")));
    assert!(later.total >= first.total, "{} then {}", first.total, later.total);
    for stall in &later.stalls {
        let seen = first.next.get(stall.worker).copied().unwrap_or(0);
        assert!(stall.sequence > seen, "{stall:?} was seen before");
    }
    stop_cleanly(daemon);
}

#[test]
fn a_stop_during_a_restart_is_a_clean_stop() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    put(&site, &ENDLESS.replace("net_null0\"", "net_null0\"\nmtu = 1400"));
    let socket = daemon.socket().to_owned();
    let asked = std::thread::spawn(move || {
        scenarios::http::request(&socket, "POST", "/v1/reload", Some("{\"restart_ports\":true}"))
    });
    daemon.wait_for_line("stopping the workers");
    stop_cleanly(daemon);
    // Answered, or cut off by the end: both are an end.
    let _ = asked.join().expect("no panic");
}

/// A daemon that answers on a kernel interface, and a host that pings it.
struct Pinged {
    daemon: Daemon,
    site: Site,
    config: String,
    north: Netns,
    _wire: Netns,
}

impl Pinged {
    fn over(driver: &str) -> Self {
        let (north, wire) = (Netns::new("north"), Netns::silent("box"));
        netns::join((&north, "eth0"), (&wire, "north"), 1500);
        north.address("eth0", "192.0.2.9/24");
        let site = Site::new();
        let config = configs::reflector(&format!("{driver},iface=north"));
        let daemon = Setup::new(&site, &config).netns(&wire).start();
        let pinged = Self { daemon, site, config, north, _wire: wire };
        pinged.ping();
        pinged
    }

    fn ping(&self) {
        let args = ["-q", "-c", "3", "-i", "0.2", "-W", "5", "192.0.2.1"];
        let status = self.north.spawn("ping", &args).wait().expect("our child");
        assert!(status.success(), "{}", self.daemon.state());
    }
}

#[test]
fn real_hosts_reach_each_other_again_after_their_ports_were_restarted() {
    if skip::without_root() || skip::without_program("ping") {
        return;
    }
    let host = Pinged::over("net_af_packet0");
    let mut before = totals(&host.daemon);
    for mtu in [1400, 1500, 1300] {
        put(&host.site, &host.config.replace("input = ", &format!("mtu = {mtu}\ninput = ")));
        let report = restart(&host.daemon);
        println!("{:?}", report.restart);
        host.ping();
        let after = totals(&host.daemon);
        assert_grown(&before, &after, &host.daemon);
        assert!(after["sent"] > before["sent"]);
        before = after;
    }
    stop_cleanly(host.daemon);
}

#[test]
fn a_driver_that_can_be_set_up_once_goes_on_and_a_change_of_its_port_is_refused() {
    if skip::without_root() || skip::without_program("ping") {
        return;
    }
    let host = Pinged::over("net_af_xdp0");
    put(&host.site, &host.config.replace("input = ", "rx_ring = 1024\ninput = "));
    let answer = ask(&host.daemon, true);
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body.contains("can not be set up a second time"), "{answer:?}");
    host.ping();

    let other = "\n[[port]]\nname = \"x\"\ndevice = \"vdev:net_null7,no-rx=1\"\ninput = \"echo\"\n";
    put(&host.site, &format!("{}{other}", host.config));
    let cost = restart(&host.daemon).restart.expect("ports were restarted");
    assert_eq!((cost.started, cost.kept), (vec!["x".to_owned()], vec!["lan".to_owned()]));
    host.ping();
    assert_eq!(host.daemon.stop().status.code(), Some(0));
}

#[test]
fn frames_of_every_sort_are_unchanged_before_and_after() {
    let site = Site::new();
    let sent = frames::everyday();
    capture::write(&site.path("in.pcap"), &sent);
    let wire = configs::once();
    let daemon = Daemon::start(&site, &wire);
    let all = u64::try_from(sent.len()).expect("few");
    daemon.wait_until_through(all);
    // The receiving device is made anew, and so reads its file again; the sending one goes on.
    put(&site, &wire.replace("in.pcap", "again.pcap"));
    capture::write(&site.path("again.pcap"), &sent);
    let cost = restart(&daemon).restart.expect("ports were restarted");
    assert_eq!(
        (cost.started.as_slice(), cost.kept.as_slice()),
        (["north".to_owned()].as_slice(), ["south".to_owned()].as_slice())
    );
    let counters = daemon.wait_until_through(2 * all);
    assert_eq!(counters.ports[0].driver["rx_good_packets"], 2 * all, "{:#?}", counters.ports[0]);
    stop_cleanly(daemon);
    capture::assert_same(&capture::read(&site.path("out.pcap")), &[sent.clone(), sent].concat());
}
