//! A new configuration takes the place of the old one between two bursts, or not at all.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use scenarios::{
    Daemon, Site, capture, configs, configs::ENDLESS, daemon, daemon::Balance, frames, load, wait,
};

/// The same ports with a longer graph.
fn longer() -> String {
    ENDLESS.replace("to = \"tx:south\"", "to = \"second\"")
        + "\n[[stage]]\nname = \"second\"\nkind = \"cross\"\nmacs = \"swap\"\nto = \"tx:south\"\n"
}

fn started(site: &Site) -> Daemon {
    load::started(site, ENDLESS)
}

fn put(site: &Site, config: &str) {
    site.write("barewired.toml", &daemon::with_control(config));
}

fn reload(daemon: &Daemon) -> api::Reload {
    let answer = daemon.request("POST", "/v1/reload", Some("{}"));
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, daemon.state());
    answer.parse()
}

#[test]
fn a_reload_every_100_ms_for_30_s_under_load_loses_nothing() {
    let site = Site::new();
    let daemon = started(&site);
    let longer = longer();
    let begun = Instant::now();
    let (mut reloads, mut slowest, mut longest_gap, mut last_sent) = (0, 0.0_f64, 0, 0);
    while begun.elapsed() < Duration::from_secs(30) {
        put(&site, if reloads % 2 == 0 { &longer } else { ENDLESS });
        let report = reload(&daemon);
        reloads += 1;
        assert_eq!(report.generation, 1 + reloads);
        assert!(!report.changes.is_empty() && !report.ports_restarted, "{report:?}");
        slowest = slowest.max(report.took_ms);
        longest_gap = longest_gap.max(report.longest_gap_ns);

        let counters = daemon.counters();
        assert!(counters.balance.balanced, "{:#?}", counters.balance);
        assert_eq!(counters.balance.dropped, 0, "{:#?}", counters.drops);
        // At once, as a rule; somebody else may have the worker's CPU.
        last_sent = wait::until("frames to flow", || {
            let sent = daemon.counters().balance.sent;
            (sent > last_sent).then_some(sent)
        });
        // The beat of the scenario, not a wait for anything.
        let next = begun + Duration::from_millis(100) * u32::try_from(reloads).expect("few");
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let status: api::Status = daemon.get("/v1/status");
    assert_eq!((status.generation, status.balance.violations), (1 + reloads, 0));
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
    println!(
        "{reloads} reloads, {last_sent} frames, the slowest reload took {slowest:.1} ms, \
         the longest poll gap in one was {longest_gap} ns"
    );
}

/// Not by the daemon's own counters: every frame of a long capture is in the file that comes out, in order.
#[test]
fn a_capture_that_crosses_during_reloads_comes_out_whole_and_in_order() {
    load::crosses_while(2, |frames| {
        let reloads = reloads_while_a_capture_crosses(frames);
        println!("{reloads} reloads while {frames} frames crossed");
        reloads
    });
}

fn reloads_while_a_capture_crosses(total: u32) -> u64 {
    let site = Site::new();
    let numbered = frames::numbered(total);
    capture::write(&site.path("in.pcap"), &numbered);
    let wire = configs::once();
    let longer = wire.replace("to = \"tx:south\"", "to = \"second\"")
        + "\n[[stage]]\nname = \"second\"\nkind = \"cross\"\nto = \"tx:south\"\n";
    let daemon = Daemon::start(&site, &wire);
    let mut reloads_under_load = 0_u64;
    while Balance::of(&daemon.counters()).received < u64::from(total) {
        put(&site, if reloads_under_load.is_multiple_of(2) { &longer } else { &wire });
        reload(&daemon);
        reloads_under_load += 1;
    }
    daemon.wait_until_through(u64::from(total));
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
    capture::assert_same(&capture::read(&site.path("out.pcap")), &numbered);
    reloads_under_load
}

#[test]
fn counters_of_a_stage_that_stays_go_on_and_those_of_a_new_one_begin() {
    let site = Site::new();
    let daemon = started(&site);
    let before: api::Stages = daemon.get("/v1/stages");
    put(&site, &longer());
    reload(&daemon);
    wait::until("frames through the new stage", || {
        let stages: api::Stages = daemon.get("/v1/stages");
        let second = stages.stages.iter().find(|stage| stage.name == "second")?;
        (second.packets > 0).then_some(())
    });
    let after: api::Stages = daemon.get("/v1/stages");
    assert!(after.stages[0].packets > before.stages[0].packets);
    assert_eq!(after.stages[0].name, "wire");
}

#[test]
fn a_bad_file_is_refused_with_every_error_and_the_old_configuration_stays() {
    let site = Site::new();
    let daemon = started(&site);
    put(&site, &ENDLESS.replace("tx:south", "tx:nowhere").replace("\"cross\"", "\"corss\""));
    let answer = daemon.request("POST", "/v1/reload", Some("{}"));
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let problem: api::Problem = answer.parse();
    let details = problem.details.join("\n");
    assert!(details.contains("tx:nowhere") && details.contains("corss"), "{problem:#?}");
    assert!(details.contains("barewired.toml:"), "each with its line: {problem:#?}");

    let status: api::Status = daemon.get("/v1/status");
    assert_eq!(status.generation, 1);
    load::wait_for_frames(&daemon);
}

#[test]
fn a_change_that_needs_a_restart_is_refused_and_named() {
    let site = Site::new();
    let daemon = started(&site);
    put(&site, &ENDLESS.replace("huge = \"none\"", "huge = \"none\"\nbuffers = 65536"));
    let answer = daemon.request("POST", "/v1/reload", Some("{}"));
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let problem: api::Problem = answer.parse();
    let said = format!("{} {}", problem.error, problem.details.join("\n"));
    assert!(said.contains("buffers") && said.contains("restart"), "{problem:#?}");
    let status: api::Status = daemon.get("/v1/status");
    assert_eq!(status.generation, 1);
}

#[test]
fn sighup_reloads() {
    let site = Site::new();
    let daemon = started(&site);
    put(&site, &longer());
    daemon.signal(Signal::HUP);
    wait::until("the second configuration", || {
        let status: api::Status = daemon.get("/v1/status");
        (status.generation == 2).then_some(())
    });
    let balance = Balance::of(&daemon.counters());
    assert_eq!(balance.dropped, 0);
}
