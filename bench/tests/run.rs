//! `barewire-bench run` on this machine: what it measures adds up, its files are there, and nothing else is left.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bench::run::{
    arm::Group,
    result::{End, RunResult, SCHEMA},
    trial::{Invalid, Trial},
};

const PLAN: &str = r#"
name = "test"
blocks = 1
is_first = true
warm_up_ms = 20
measure_ms = 100
qualify_ms = 100

[[group]]
kind = "reflect"
arms = [
    "kernel-echo-block", "kernel-echo-spin", "kernel-echo-busy-poll", "xdp-tx", "packet-echo-spin", "xdp-socket-echo-spin",
    "testpmd-af-packet",
]
reference = "kernel-echo-spin"
twin = "kernel-echo-spin"
loads = [2000]
sizes = [64, 1518]

[[group]]
kind = "forward"
arms = ["kernel-route", "kernel-route-rps", "kernel-route-threaded", "kernel-bridge", "xdp-redirect"]
reference = "kernel-route"
loads = [2000]
flows = 7
spacing = { pattern = "bursts", size = 4 }

[[group]]
kind = "tap"
arms = ["tap-echo-block", "tap-echo-spin"]
reference = "tap-echo-spin"
loads = [2000]

[[group]]
kind = "shared"
arms = ["testpmd-virtio"]
reference = "testpmd-virtio"
loads = [2000]

[external]
out = "vdev:net_ring7"
back = "vdev:net_ring7"
mac = "02:00:00:00:00:01"
source = "192.0.2.1"
destination = "192.0.2.2"

[[group]]
kind = "external"
arms = ["external"]
reference = "external"
loads = [2000]

[[group]]
kind = "null"
arms = ["wire", "ring", "memory"]
reference = "wire"
loads = [2000]
spacing = { pattern = "poisson", seed = 1 }
"#;

/// Everything that is searched, in a few seconds.
const SEARCH: &str = r#"
name = "search"
blocks = 1
measure_ms = 100
qualify_ms = 100

[[throughput]]
kind = "reflect"
arms = ["kernel-echo-spin"]
most = 20000
trial_ms = 30
sum_ms = 60
width = 0.3
delays_at = [0.5]
rfc8219 = { stream_ms = 60, repeats = 2 }
rfc2544 = { trial_ms = 50, latency_ms = 50, latency_repeats = 2, burst_ms = 20, burst_repeats = 1, residual_ms = 100, settle_ms = 0 }
"#;

/// Says so and ends the test where it can not run.
fn can_run(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let cpus = linux::thread::affinity().unwrap().len();
    let why = match (is_root, cpus) {
        (false, _) => "namespaces take root".to_owned(),
        (true, 0 | 1) => "two CPUs are needed".to_owned(),
        (true, _) => match Command::new("ip").arg("-V").output() {
            Ok(_) => return true,
            Err(error) => format!("no ip (Debian: iproute2): {error}"),
        },
    };
    eprintln!("SKIPPED: {test}: {why}");
    false
}

/// Processes with this in their environment.
fn marked(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_marked = |path: &Path| {
        fs::read(path.join("environ"))
            .is_ok_and(|text| String::from_utf8_lossy(&text).contains(mark))
    };
    processes
        .filter(|entry| is_marked(&entry.path()))
        .map(|entry| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default())
        .collect()
}

fn start(dir: &Path, mark: &str) -> Child {
    start_with(dir, mark, PLAN)
}

fn start_with(dir: &Path, mark: &str, text: &str) -> Child {
    let plan = dir.join("plan.toml");
    fs::write(&plan, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_barewire-bench"))
        .args(["run", "--color", "never", "--out"])
        .arg(dir.join("out"))
        .arg(&plan)
        .env("BAREWIRE_BENCH_TEST", mark)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a plan to its end, and looks that nothing is left.
fn run(dir: &Path, mark: &str, plan: &str) -> (Option<i32>, String, RunResult) {
    let child = start_with(dir, mark, plan);
    let process = child.id();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    wait_until_nothing_is_left(mark, process);
    let text = fs::read_to_string(dir.join("out/result.json"));
    let text = text.unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code(), said, serde_json::from_str(&text).unwrap())
}

/// Names that a process of ours might leave where everybody can write.
fn left_of(process: u32) -> Vec<String> {
    let name_has = |name: &str| {
        let own = process.to_string();
        name.split(|c: char| !c.is_ascii_digit()).any(|number| number == own)
    };
    ["/tmp", "/run", "/run/dpdk", "/dev/shm", "/dev/hugepages", "/mnt", "/run/netns"]
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.path().to_str().map(str::to_owned))
        .filter(|path| {
            let name = path.rsplit('/').next().unwrap_or_default();
            (name.starts_with("bw") || name.starts_with("barewire-bench")) && name_has(name)
        })
        .collect()
}

fn interfaces() -> BTreeSet<String> {
    fs::read_dir("/sys/class/net")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("gen") || name.starts_with("dut"))
        .collect()
}

fn wait_until_nothing_is_left(mark: &str, process: u32) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let (processes, files) = (marked(mark), left_of(process));
        if processes.is_empty() && files.is_empty() && interfaces().is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left: {processes:?}, {files:?}, {:?}", interfaces());
        std::thread::yield_now();
    }
}

/// What has to hold whatever the machine is busy with.
fn check(trial: &Trial) {
    let counts = &trial.counts;
    assert_eq!(counts.sent, counts.returned + counts.lost(), "{trial:?}");
    assert!(counts.sent <= trial.intended, "{trial:?}");
    assert_eq!((counts.damaged, counts.duplicates), (0, 0), "{trial:?}");
    let unaccounted = |fault: &Invalid| matches!(fault, Invalid::Sent { .. } | Invalid::Unbalanced);
    assert!(!trial.faults.iter().any(unaccounted), "{trial:?}");
    let times = distribution::decode(&trial.response_hdr).unwrap();
    assert_eq!(times.len(), counts.returned, "{trial:?}");
    let services = distribution::decode(&trial.service_hdr).unwrap();
    assert!(services.max() <= times.max() + times.max() / 500, "{trial:?}");
}

/// What a result depends on: of the machine, of the wires, of the programs.
fn check_environment(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let all: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    for wanted in ["kernel", "kernel.command_line", "nics", "dpdk", "cpu.model"] {
        assert!(all.contains_key(wanted), "{wanted}: {text}");
    }
    for (name, value) in [
        ("wire.reflect.gen0.driver", "veth"),
        ("wire.reflect.dut0.driver", "veth"),
        ("wire.reflect.gen0.qdisc", "noqueue"),
        ("wire.reflect.dut0.qdisc", "noqueue"),
        ("wire.forward.dut1.qdisc", "noqueue"),
        ("wire.external.out.pmd", "net_ring"),
    ] {
        assert!(all.get(name).is_some_and(|it| it.starts_with(value)), "{name}: {text}");
    }
    for interface in ["gen0", "dut0"] {
        let offloads = &all[&format!("wire.reflect.{interface}.offloads")];
        let joining = ["rx-gro", "tx-tcp-segmentation", "tx-generic-segmentation"];
        assert!(
            offloads.split(' ').all(|name| !joining.contains(&name)),
            "{interface}: {offloads}"
        );
    }
}

#[test]
fn a_run_adds_up_and_leaves_its_files_and_nothing_else() {
    let test = "a_run_adds_up_and_leaves_its_files_and_nothing_else";
    if !can_run(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("{test}-{}", std::process::id());
    let child = start(dir.path(), &mark);
    let process = child.id();

    let output = child.wait_with_output().unwrap();

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A busy machine makes trials invalid; a machine without testpmd leaves it out.
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{:?}: {said}", output.status);
    wait_until_nothing_is_left(&mark, process);
    let out = dir.path().join("out");
    let text = fs::read_to_string(out.join("result.json")).unwrap();
    let result: RunResult = serde_json::from_str(&text).unwrap();
    assert_eq!((result.schema.as_str(), &result.end), (SCHEMA, &End::Complete));
    let left_out: Vec<String> = result.left_out.iter().map(|out| out.why.clone()).collect();
    let is_whole = bench::program::find("dpdk-testpmd").is_none() || left_out.is_empty();
    assert!(is_whole, "{left_out:?}");
    assert!(result.trials.len() >= 21, "{}", result.trials.len());
    result.trials.iter().for_each(check);
    let valid = result.trials.iter().filter(|trial| trial.is_valid());
    for trial in valid {
        let stem =
            format!("{}-{}-{}-{}", trial.group, trial.member, trial.cell.load, trial.cell.size);
        for ending in ["hlog", "hgrm"] {
            let file = out.join(format!("{stem}.{ending}"));
            assert!(file.is_file(), "{}", file.display());
        }
        let log = fs::read_to_string(out.join(format!("{stem}.hlog"))).unwrap();
        for tag in ["Tag=response", "Tag=service", "Tag=warmup", "Tag=gap-gen"] {
            assert!(log.contains(tag), "{log}");
        }
    }
    let lines = fs::read_to_string(out.join("trials.csv")).unwrap().lines().count();
    assert_eq!(lines, result.trials.len() + 1);
    check_environment(&out.join("env.json"));
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    for wanted in ["reflect: 2000 frames of 1518 bytes", "host of class", "kernel-bridge"] {
        assert!(summary.contains(wanted), "{summary}");
    }

    let page = dir.path().join("again.html");
    let report = |run: &Path| {
        let program = env!("CARGO_BIN_EXE_barewire-bench");
        Command::new(program).arg("report").arg("--out").arg(&page).arg(run).output().unwrap()
    };
    let mut pages = Vec::new();
    for run in [out.clone(), out.join("result.json")] {
        let made = report(&run);
        assert_eq!((made.status.code(), &made.stderr), (Some(0), &vec![]), "{made:?}");
        assert_eq!(String::from_utf8_lossy(&made.stdout).trim(), page.to_str().unwrap());
        pages.push(fs::read_to_string(&page).unwrap());
        fs::remove_file(&page).unwrap();
    }
    assert_eq!(pages[0], pages[1]);
    for part in result.groups.iter().map(|group| format!("id=\"{}-title\"", group.kind)) {
        assert!(pages[0].contains(&part), "{part}");
    }
    assert!(pages[0].contains(&result.seed.to_string()));
    let nothing = report(&dir.path().join("nowhere"));
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nowhere"), "{nothing:?}");
    assert!(!page.exists());

    let compared = Command::new(env!("CARGO_BIN_EXE_barewire-bench"))
        .arg("compare")
        .args([&out, &out])
        .args(["--json", "--fail-on", "p50>1.05"])
        .output()
        .unwrap();
    assert!(compared.status.success(), "{compared:?}");
    let answer: serde_json::Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!(answer["environment"], serde_json::json!([]));
    assert!(!answer["rows"].as_array().unwrap().is_empty());
}

/// One wire for both, and every generator that it can have.
const GENERATOR: &str = r#"
name = "generator"
blocks = 1
is_first = true
warm_up_ms = 20
measure_ms = 100
qualify_ms = 100

[[group]]
kind = "reflect"
arms = ["kernel-echo-spin"]
reference = "kernel-echo-spin"
loads = [2000]
flows = 5
generator = "GENERATOR"
FRAMES

[[group]]
kind = "forward"
arms = ["kernel-route", "kernel-bridge"]
reference = "kernel-bridge"
loads = [2000]
generator = "GENERATOR"
mix = "imix"
"#;

/// Three frames, 1 and 3 ms apart.
fn capture(file: &Path) {
    use pcap_file::pcap::{PcapPacket, PcapWriter};
    let mut writer = PcapWriter::new(fs::File::create(file).unwrap()).unwrap();
    for (ms, length) in [(0, 60), (1, 1514), (4, 200)] {
        let packet = PcapPacket::new(Duration::from_millis(ms), length, &[0; 60]);
        writer.write_packet(&packet).unwrap();
    }
}

#[test]
fn every_generator_sends_mixes_and_captures_and_gets_them_back() {
    let test = "every_generator_sends_mixes_and_captures_and_gets_them_back";
    if !can_run(test) {
        return;
    }
    for (generator, pmd) in [
        ("packet-socket", None),
        ("xdp-socket", None),
        ("dpdk-af-packet", Some("net_af_packet")),
        ("dpdk-af-xdp", Some("net_af_xdp")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("three.pcap");
        capture(&file);
        let replay = format!("replay = \"{}\"", file.display());
        let plan = GENERATOR.replace("GENERATOR", generator).replace("FRAMES", &replay);
        let mark = format!("{test}-{generator}-{}", std::process::id());

        let (code, said, result) = run(dir.path(), &mark, &plan);

        assert!(matches!(code, Some(0 | 3)), "{generator}: {said}");
        assert_eq!(result.left_out, [], "{generator}");
        for trial in &result.trials {
            check(trial);
            // A busy machine may keep a path off its CPU for a whole trial, which does not count then.
            assert!(trial.counts.returned > 0 || !trial.is_valid(), "{generator}: {trial:?}");
            // 64, 1518 and 204 bytes; and IMIX.
            let mean = if trial.group == Group::Reflect { 595 } else { 354 };
            assert_eq!(trial.cell.size, mean, "{generator}");
        }
        let found = result.environment.get("wire.reflect.out.pmd").map(String::as_str);
        assert_eq!(found, pmd, "{generator}");
    }
}

#[test]
fn a_port_that_does_not_stamp_is_left_out_when_its_stamps_are_asked_for() {
    let test = "a_port_that_does_not_stamp_is_left_out_when_its_stamps_are_asked_for";
    if !can_run(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("{test}-{}", std::process::id());
    let head = "name = \"stamps\"\nblocks = 1\nmeasure_ms = 100\nqualify_ms = 100\n";
    let external =
        PLAN.find("[external]").unwrap()..PLAN.find("[[group]]\nkind = \"null\"").unwrap();
    let external = PLAN[external].replacen("out =", "stamps = \"hardware\"\nout =", 1);

    let (code, said, result) = run(dir.path(), &mark, &format!("{head}{external}"));

    assert_eq!(code, Some(4), "{said}");
    assert_eq!((result.trials.len(), result.left_out.len()), (0, 1));
    assert!(result.left_out[0].why.contains("does not stamp frames"), "{:?}", result.left_out);
}

#[test]
fn what_is_searched_adds_up() {
    let test = "what_is_searched_adds_up";
    if !can_run(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("{test}-{}", std::process::id());
    let child = start_with(dir.path(), &mark, SEARCH);
    let process = child.id();

    let output = child.wait_with_output().unwrap();

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    wait_until_nothing_is_left(&mark, process);
    let text = fs::read_to_string(dir.path().join("out/result.json")).unwrap();
    let result: RunResult = serde_json::from_str(&text).unwrap();
    assert_eq!((result.throughput.len(), &result.left_out), (1, &vec![]));
    let found = &result.throughput[0];
    let goals: Vec<&str> = found.searches.iter().map(|search| search.goal.as_str()).collect();
    assert_eq!(goals, ["pdr", "ndr", "rfc2544"]);
    for search in &found.searches {
        let is_told = search.is_regular || !search.remark.is_empty();
        assert!(is_told, "{search:?}");
        if let (Some(lower), Some(upper)) = (search.lower, search.upper) {
            assert!(lower < upper, "{search:?}");
        }
    }
    for trial in found.trials.iter().chain(&found.frame_loss) {
        assert!(trial.returned <= trial.sent && trial.sent <= trial.intended, "{trial:?}");
    }
    assert!(!found.frame_loss.is_empty() && found.back_to_back.is_some(), "{found:?}");
    for delay in &found.delays {
        assert!(delay.typical_ns <= delay.worst_ns || delay.worst_ns.is_none(), "{delay:?}");
    }
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    // A machine on which nothing goes without a loss has no throughput rate.
    if let Some(repeated) = &found.repeated {
        assert_eq!(repeated.repeats, 2, "{found:?}");
        assert!(summary.contains("2 streams: typical"), "{summary}");
    }
    for wanted in ["MLRsearch", "NDR: ", "RFC2544: ", "RFC 2544 back-to-back"] {
        assert!(summary.contains(wanted), "{summary}");
    }
}

#[test]
fn whenever_it_is_killed_nothing_is_left() {
    let test = "whenever_it_is_killed_nothing_is_left";
    if !can_run(test) {
        return;
    }
    // While it looks at the host, while paths start or are measured, and while it searches. The order of paths is another
    // one each time.
    let places = [(PLAN, 0..12), (SEARCH, 1..5)];
    let places = places.into_iter().flat_map(|(plan, lines)| lines.map(move |line| (plan, line)));
    for (plan, line) in places {
        let dir = tempfile::tempdir().unwrap();
        let mark = format!("{test}-{line}-{}", std::process::id());
        let mut child = start_with(dir.path(), &mark, plan);
        let process = child.id();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let last = said.map_while(Result::ok).nth(line);
        assert!(last.is_some(), "it ended before line {line}");
        // Some of what the line announces is under way then, at another place each time.
        let until = Instant::now() + Duration::from_millis(37 * line as u64);
        while Instant::now() < until {
            std::thread::yield_now();
        }

        child.kill().unwrap();

        child.wait().unwrap();
        wait_until_nothing_is_left(&mark, process);
    }
}

#[test]
fn an_interrupt_ends_a_long_trial_and_what_there_is_is_kept() {
    let test = "an_interrupt_ends_a_long_trial_and_what_there_is_is_kept";
    if !can_run(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("{test}-{}", std::process::id());
    let plan = PLAN.replace("measure_ms = 100", "measure_ms = 900000");
    // Nobody goes first for that long.
    let plan = plan.replace("is_first = true\n", "");
    let mut child = start_with(dir.path(), &mark, &plan);
    let process = child.id();
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    let first_trial = said.map_while(Result::ok).find(|line| line.starts_with("trial 1 of"));
    assert!(first_trial.is_some());

    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap(),
        rustix::process::Signal::INT,
    )
    .unwrap();

    assert_eq!(child.wait().unwrap().code(), Some(130));
    wait_until_nothing_is_left(&mark, process);
    let text = fs::read_to_string(dir.path().join("out/result.json")).unwrap();
    let result: RunResult = serde_json::from_str(&text).unwrap();
    assert_eq!(result.end, End::Interrupted);
    for file in ["report.html", "env.json", "trials.csv"] {
        assert!(dir.path().join("out").join(file).is_file(), "{file}");
    }
    let page = fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    assert!(page.contains("interrupted") && page.contains("</html>"), "{page}");
}

#[test]
fn how_long_a_plan_takes_is_said_without_measuring() {
    let said = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire-bench"));
        let output = command.args(["run", "--how-long"]).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, strict, _) = said(&["rfc2544"]);
    assert_eq!(code, Some(0));
    assert!(strict.contains("14 searches") && strict.contains(" h "), "{strict}");
    let (code, short, _) = said(&["soak", "--minutes", "10"]);
    assert_eq!(code, Some(0));
    assert!(short.contains("60 trials") && short.contains(" 9 min"), "{short}");
    let (code, _, why) = said(&["standard", "--minutes", "1"]);
    assert_eq!(code, Some(2), "{why}");
    assert!(why.contains("at least"), "{why}");
}
