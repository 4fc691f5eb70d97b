//! `barewire-bench trex` against something that behaves like TRex: the server is a script, its client library a few classes.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use bench::trex::{SCHEMA, TrexResult};

/// Counts frames as if every hundredth were lost, and refuses the first connection.
const LIBRARY: &str = r#"
import os
class STLError(Exception): pass
class Layer:
    def __init__(self, length, **fields): self.length, self.fields = length, fields
    def __truediv__(self, other):
        return Layer(self.length + len(other), **{**self.fields, **getattr(other, "fields", {})})
    def __len__(self): return self.length
def Ether(**fields): return Layer(14, **fields)
def IP(**fields): return Layer(20, ip=fields)
def UDP(**fields): return Layer(8, udp=fields)
def STLVmFlowVar(**what): return what
def STLVmWrFlowVar(**what): return what
def STLScVmRaw(commands): return commands
def STLTXCont(pps): return pps
def STLFlowLatencyStats(pg_id): return pg_id
class STLPktBuilder:
    def __init__(self, pkt, vm):
        assert vm[0]["max_value"] - vm[0]["min_value"] == 6
        assert pkt.fields["dst"] == "02:00:00:00:00:09" and pkt.fields["ip"]["dst"] == "198.19.0.1"
        self.length = len(pkt)
class STLStream:
    def __init__(self, packet, mode, flow_stats=None):
        self.length, self.pps, self.group = packet.length, mode, flow_stats
tries = 0
class STLClient:
    def __init__(self, server): assert server == "127.0.0.1"
    def connect(self):
        global tries
        tries += 1
        if tries == 1: raise STLError("not yet")
        print("some words of the library")
    def get_server_version(self): return {"version": "v0.0-fake"}
    def acquire(self, ports, force): assert force
    def reset(self, ports): self.streams = []
    def clear_stats(self): pass
    def add_streams(self, streams, ports):
        assert ports == [0]
        self.streams = streams
    def start(self, ports, duration, force): self.seconds = duration
    def wait_on_traffic(self, ports, rx_delay_ms): pass
    def get_stats(self):
        sent = round(sum(stream.pps for stream in self.streams) * self.seconds)
        timed = [stream for stream in self.streams if stream.group == 1]
        assert len(timed) == 1 and timed[0].pps <= 1000
        length = self.streams[0].length
        times = {"average": float(length), "total_min": 1.0, "total_max": 99.5, "jitter": 2}
        errors = {"dropped": 1, "out_of_order": 2, "dup": 3}
        return {
            0: {"opackets": sent},
            1: {"ipackets": sent - sent // 100},
            "latency": {1: {"latency": times, "err_cntrs": errors}},
        }
    def disconnect(self): open(os.environ["LEFT"], "w").write("yes")
"#;

fn install(dir: &Path, server: &str) {
    let library = dir.join("automation/trex_control_plane/interactive/trex/stl");
    fs::create_dir_all(&library).unwrap();
    for package in [library.parent().unwrap(), &library] {
        fs::write(package.join("__init__.py"), "").unwrap();
    }
    fs::write(library.join("api.py"), LIBRARY).unwrap();
    let program = dir.join("t-rex-64");
    fs::write(&program, server).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn trex(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_barewire-bench"))
        .args(["trex", "--config", "/etc/trex_cfg.yaml", "--mac", "02:00:00:00:00:09"])
        .args(["--source", "198.18.0.1", "--destination", "198.19.0.1", "--flows", "7"])
        .args(["--loads", "5000,200000", "--sizes", "64,1518", "--seconds", "0.5", "--dir"])
        .arg(dir)
        .arg("--out")
        .arg(dir.join("trex.json"))
        .env("LEFT", dir.join("left"))
        .output()
        .unwrap()
}

/// Writes how it was called and its number down, and stays.
const SERVER: &str = "#!/bin/sh\necho \"$@\" > called\necho $$ > number\nexec sleep 600\n";

#[test]
fn trex_sends_what_it_is_told_and_is_gone_afterwards() {
    let test = "trex_sends_what_it_is_told_and_is_gone_afterwards";
    if bench::program::find("python3").is_none() {
        eprintln!("SKIPPED: {test}: no python3");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), SERVER);

    let output = trex(dir.path());

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = fs::read_to_string(dir.path().join("trex.json")).unwrap();
    let result: TrexResult = serde_json::from_str(&text).unwrap();
    assert_eq!(result.schema, SCHEMA);
    assert!(result.trex.contains("v0.0-fake"));
    let cells: Vec<(usize, u64, u64)> =
        result.trials.iter().map(|it| (it.size, it.sent, it.returned)).collect();
    let expected =
        [(64, 2500, 2475), (64, 100_000, 99_000), (1518, 2500, 2475), (1518, 100_000, 99_000)];
    assert_eq!(cells, expected);
    // The library's frames have no check sequence.
    assert!((result.trials[3].average_us - 1514.0).abs() < 1e-9, "{:?}", result.trials[3]);
    let errors = &result.trials[0];
    assert_eq!((errors.timed_lost, errors.timed_reordered, errors.timed_twice), (1, 2, 3));
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(summary.contains("200000   1518       100000        99000       1000"), "{summary}");
    let called = fs::read_to_string(dir.path().join("called")).unwrap();
    assert_eq!(called.trim(), "-i --iom 0 --cfg /etc/trex_cfg.yaml");
    assert!(dir.path().join("left").exists(), "the client says good-bye");
    let number = fs::read_to_string(dir.path().join("number")).unwrap();
    assert!(!Path::new("/proc").join(number.trim()).exists(), "the server is left");
}

#[test]
fn without_trex_it_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();

    let output = trex(dir.path());

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("no TRex in") && said.contains("t-rex-64"), "{said}");
}

#[test]
fn a_server_that_dies_is_told_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "#!/bin/sh\necho no such port in the configuration >&2\nexit 3\n");
    let library = dir.path().join("automation/trex_control_plane/interactive/trex/stl/api.py");
    // Nobody is there to be connected to.
    let text = LIBRARY.replace("if tries == 1:", "if True:");
    fs::write(library, text).unwrap();

    let output = trex(dir.path());

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no such port in the configuration"), "{said}");
}
