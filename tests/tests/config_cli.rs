//! `barewired check`, `plan` and `graph`: what they say about good files, and that a bad one is exit code 2.
//! (Bad files by the hundred are in bad_configs.rs.)

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use scenarios::{Site, programs};

fn barewired(args: &[&str], config: &Path) -> Output {
    Command::new(programs::barewired())
        .args(args)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .expect("barewired can be started")
}

fn examples() -> Vec<PathBuf> {
    let folder = programs::top().join("config/examples");
    let mut examples: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the examples")
        .map(|entry| entry.expect("a folder lists its files").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    examples.sort();
    assert!(!examples.is_empty());
    examples
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn every_example_is_valid() {
    for example in examples() {
        succeeded(&barewired(&["check"], &example));
        let said = succeeded(&barewired(&["check", "--json"], &example));
        let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(json["schema"], 1, "{}: {json:#}", example.display());
    }
}

#[test]
fn every_examples_graph_can_be_drawn_in_three_ways() {
    for example in examples() {
        let text = succeeded(&barewired(&["graph"], &example));
        let dot = succeeded(&barewired(&["graph", "--format", "dot"], &example));
        let json: serde_json::Value =
            serde_json::from_str(&succeeded(&barewired(&["graph", "--json"], &example)))
                .expect("JSON");
        let config = config::load(&example).expect("a valid example");
        assert!(dot.trim_start().starts_with("digraph") && dot.trim_end().ends_with('}'), "{dot}");
        for stage in &config.stages {
            assert!(text.contains(&stage.name), "{} is not in\n{text}", stage.name);
            assert!(dot.contains(&stage.name), "{} is not in\n{dot}", stage.name);
            assert!(json.to_string().contains(&stage.name), "{} is not in\n{json:#}", stage.name);
        }
        assert_eq!(json["schema"], 1, "{json:#}");
    }
}

#[test]
fn the_packaged_default_can_be_planned_on_this_machine() {
    let default = programs::top().join("config/examples/default.toml");
    let plan: api::Plan =
        serde_json::from_str(&succeeded(&barewired(&["plan", "--json"], &default)))
            .expect("a plan");
    assert_eq!(plan.workers.len(), 1);
    assert_eq!(plan.ports.len(), 2);
    assert!(plan.eal_args.iter().any(|arg| arg == "--no-huge"), "{:?}", plan.eal_args);
    let text = succeeded(&barewired(&["plan"], &default));
    assert!(text.contains("north") && text.contains("south"), "{text}");
}

#[test]
fn all_errors_of_a_file_are_said_at_once_each_with_its_line_and_key() {
    let site = Site::new();
    let file = site.write(
        "bad.toml",
        "[cores]\nworkers = \"2-x\"\n\n[[port]]\nname = \"a\"\ndevice = \"nonsense\"\ninput = \"missing\"\n\n[memmory]\n",
    );
    let output = barewired(&["check"], &file);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for place in ["bad.toml:2: ", "bad.toml:6: ", "bad.toml:9: "] {
        assert!(said.contains(place), "{place} is not in\n{said}");
    }
    assert!(said.contains("help:"), "{said}");
    assert!(output.stdout.is_empty(), "stdout is for data");
}

#[test]
fn every_verb_refuses_a_bad_file_with_exit_code_2() {
    let site = Site::new();
    let file = site.write("bad.toml", "[cores]\nworkers = 7\n");
    for verb in ["run", "check", "plan", "graph"] {
        let output = barewired(&[verb], &file);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{verb}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(String::from_utf8_lossy(&output.stderr).contains("bad.toml:2: "));
    }
}

#[test]
fn what_is_wrong_with_a_plan_or_its_machine_is_json_in_the_file_s_form_too() {
    let site = Site::new();
    let good = fs::read_to_string(programs::top().join("config/examples/default.toml")).unwrap();
    let far =
        good.replace("workers = \"auto\"", "workers = \"1000\"").replace("\ncount = 1\n", "\n");
    assert_ne!(far, good);
    let file = site.write("far.toml", &far);
    let absent = site.path("no-such-root").display().to_string();
    for args in [&["plan", "--json"][..], &["plan", "--json", "--root", &absent]] {
        let output = barewired(args, &file);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&json["schema"], &json["omitted"]), (&1.into(), &0.into()), "{json:#}");
        let error = &json["errors"][0];
        assert_eq!(error["file"], file.display().to_string(), "{json:#}");
        let message = error["message"].as_str().expect("a message");
        assert!(!message.is_empty() && said.contains(message), "{message} is not in {said}");
    }
}

#[test]
fn a_file_that_is_not_there_and_wrong_usage_are_exit_code_2() {
    let site = Site::new();
    let absent = barewired(&["check"], &site.path("absent.toml"));
    assert_eq!(absent.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("absent.toml"));
    let usage = barewired(&["chekc"], &site.path("absent.toml"));
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let default = programs::top().join("config/examples/default.toml");
    for verb in ["plan", "graph"] {
        let mut child = Command::new(programs::barewired())
            .args([verb, "--json", "--config"])
            .arg(&default)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("barewired can be started");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("our child");
        assert!(
            output.status.success(),
            "{verb}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn where_nobody_hears_what_is_wrong_the_exit_code_says_it() {
    let site = Site::new();
    let wrong = site.write("wrong.toml", "[memory]\nhuge = 5\n");
    let absent = site.path("absent.toml");
    let good = programs::top().join("config/examples/default.toml");
    for (verb, config, code) in [
        ("check", &wrong, 2),
        ("plan", &absent, 2),
        ("run", &wrong, 2),
        ("graph", &wrong, 2),
        ("check", &good, 0),
    ] {
        let full = fs::File::options().write(true).open("/dev/full").expect("the device");
        let (unread, closed) = std::io::pipe().expect("a pipe");
        drop(unread);
        for stderr in [Stdio::from(full), Stdio::from(closed)] {
            let status = Command::new(programs::barewired())
                .args([verb, "--config"])
                .arg(config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(stderr)
                .status()
                .expect("barewired can be started");
            assert_eq!(status.code(), Some(code), "{verb} {}", config.display());
        }
    }
}

#[test]
fn a_machine_that_can_not_be_read_is_named_with_the_file_that_is_missing() {
    let site = Site::new();
    let root = site.path("nothing");
    fs::create_dir(&root).expect("our site");
    let root = root.to_str().expect("text");
    let output =
        barewired(&["plan", "--root", root], &programs::top().join("config/examples/default.toml"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the machine can not be read: "), "{said}");
    assert!(said.contains("sys/devices/system/cpu/online"), "{said}");
}

#[test]
fn a_device_that_can_not_be_made_is_told_with_what_to_do() {
    let site = Site::new();
    let config = r#"
[memory]
huge = "none"
[control]
socket = "{dir}/control.sock"
[[port]]
name = "north"
device = "vdev:net_pcap0,rx_pcap={dir}/absent.pcap"
input = "wire"
[[stage]]
name = "wire"
kind = "cross"
to = "tx:north"
"#;
    let output = barewired(&["run"], &site.write("device.toml", config));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("port \"north\" (net_pcap0)"), "{said}");
    assert!(said.contains("absent.pcap: No such file"), "the driver's own words: {said}");
    assert!(said.contains("\nhelp: DPDK's own lines above"), "{said}");
}
