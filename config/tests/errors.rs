//! What an operator reads when the file is wrong.

use config::{Diagnostic, Errors};

/// A valid file; cases put something wrong in its place.
const PORTS: &str = r#"
[[port]]
name = "north"
device = "0000:3b:00.0"
input = "north-in"

[[port]]
name = "south"
device = "0000:3b:00.1"
input = "south-in"
"#;

const STAGES: &str = r#"
[[stage]]
name = "north-in"
kind = "cross"
to = "tx:south"

[[stage]]
name = "south-in"
kind = "cross"
to = "tx:north"
"#;

fn errors(text: &str) -> Errors {
    match config::parse(text, "barewire.toml") {
        Ok(config) => panic!("this is valid:\n{text}\n{config:#?}"),
        Err(errors) => errors,
    }
}

/// Each text with what is said of it.
fn all(texts: &[String]) -> String {
    let said: Vec<String> = texts
        .iter()
        .map(|text| {
            let lines = (1..).zip(text.lines());
            let numbered: String = lines.map(|(at, line)| format!("{at:3} {line}\n")).collect();
            format!("{}\n{}\n", numbered.trim_end(), errors(text))
        })
        .collect();
    said.join("\n")
}

/// The keys of sections that are wrong, in a file that is right otherwise.
fn sections(texts: &[&str]) -> String {
    let text = |text: &&str| {
        let file = format!("{text}\n{PORTS}{STAGES}");
        let said = errors(&file).to_string();
        format!("{text}\n{said}\n")
    };
    texts.iter().map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_valid_file_of_these_tests_is_valid() {
    config::parse(&format!("{PORTS}{STAGES}"), "barewire.toml").unwrap();
}

#[test]
fn wrong_values_say_what_is_wanted() {
    let said = sections(&[
        "[cores]\nhousekeeping = 0\nworkers = \"2-\"\ncount = 0\nstrict = \"yes\"",
        "[cores]\nworkers = \"\"",
        "[cores]\nworkers = \"9000\"",
        "[cores]\nhousekeeping = \"0-3\"\nworkers = \"2-5\"",
        "[cores]\nworkers = \"2-5\"\ncount = 2",
        "[memory]\nhuge = \"2MB\"\nper_node_mib = \"a lot\"\nbuffers = -1",
        "[memory]\nhuge = true\nper_node_mib = 1.5\nbuffers = 99999999999999999999999",
        "[pipeline]\nmode = \"run_to_completion\"\nburst = 65\nring_capacity = 1000\ntx_retries = 1e3",
        "[pipeline]\nring_capacity = 32\nburst = 0x41",
        "[latency]\nhistograms = 1\nstall_threshold = 20\nstall_log = 4095\nhardware_timestamps = []",
        "[latency]\nstall_threshold = \"20\"",
        "[latency]\nstall_threshold = \"0.5ms\"",
        "[latency]\nstall_threshold = \"99999999999999999999m\"",
        "[latency]\nstall_threshold = \"2s\"",
        "[control]\nsocket = \"control.sock\"\ngroup = \"\"\nstop_timeout = \"5\"\nlink_timeout = 2026-01-01",
        "[control]\nsocket = \"/a\\u0000b\"",
        "[log]\nlevel = \"inof\"\nformat = \"yaml\"",
        "[log]\nlevel = \"info,barewired=\"",
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn unknown_keys_get_the_key_that_was_meant() {
    let said = sections(&[
        "[cores]\nworker = \"2-5\"\nhouse = 1",
        "[memroy]\nhuge = \"1G\"",
        "[pipelines]\nburst = 1\n[ports]\nname = \"x\"\n[tuning]\na = 1",
        "surprise = 1",
        "[pipeline]\nbrust = 16\nBURST = 16\n\"bu\\u001b[31mrst\" = 1",
        "pipeline = 3\nlog = \"info\"",
        "[[memory]]\nhuge = \"1G\"",
        "[pipeline.burst]\nsize = 1",
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_socket_path_too_long_for_a_socket_is_refused() {
    let long = format!("[control]\nsocket = \"/run/{}.sock\"", "a".repeat(120));
    let said = sections(&[&long]);
    insta::assert_snapshot!(said);
    let fits = format!("[control]\nsocket = \"/{}\"\n{PORTS}{STAGES}", "a".repeat(106));
    config::parse(&fits, "barewire.toml").unwrap();
}

/// A file of these ports and the usual stages.
fn with_ports(ports: &str) -> String {
    format!("{ports}{STAGES}")
}

/// A file of the usual ports and these stages.
fn with_stages(stages: &str) -> String {
    format!("{}\n{stages}", PORTS.trim())
}

#[test]
fn ports_that_can_not_be_are_refused() {
    let said = all(&[
        with_ports("[[port]]\nname = \"north\"\n[[port]]\ndevice = \"0000:3b:00.1\""),
        with_ports(
            "[[port]]\nname = \"north\"\ndevice = \"0000:3b:00.0\"\ninput = \"north-inn\"\n\
             [[port]]\nname = \"south\"\ndevice = \"3b:00.0\"\ninput = \"tx:north\"",
        ),
        with_ports(
            "[[port]]\nname = \"north\"\ndevice = \"eth0\"\ninput = \"north-in\"\n\
             [[port]]\nname = \"north\"\ndevice = \"vdev:pcap\"\ninput = \"drop\"",
        ),
        with_ports(
            "[[port]]\nname = \"north\"\ndevice = \"vdev:net_pcap0,rx_pcap=a b\"\ninput = \"none\"\n\
             [[port]]\nname = \"south\"\ndevice = \"vdev:net_ring0,\"\ninput = 1",
        ),
        with_ports(
            "[[port]]\nname = \"north\"\ndevice = \"vdev:net_null0\"\ninput = \"north-in\"\nmtu = 9601\n\
             rx_queues = 0\ntx_queues = \"all\"\nrx_ring = 31\ntx_ring = 1.0\npromiscuous = \"on\"\n\
             addresses = [\"192.0.2.1/24\", \"192.0.2.300\", 7, \"224.0.0.1\"]\nnuma_node = -1\n\
             [[port]]\nname = \"south\"\ndevice = \"vdev:net_null0,size=64\"\ninput = \"south-in\"\n\
             addresses = \"192.0.2.1\"",
        ),
        with_ports("[port]\nname = \"north\""),
        with_ports("port = [1, 2]"),
        with_ports("port = { name = \"north\" }"),
        with_ports(""),
        with_ports(
            "[[port]]\nname = \"9lives\"\ndevice = \"vdev:net_null0\"\ninput = \"north-in\"\n\
             [[port]]\nname = \"drop\"\ndevice = \"vdev:net_null1\"\ninput = \"south-in\"",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_port_that_is_neither_received_from_nor_sent_to_is_refused() {
    let text = format!(
        "{PORTS}{STAGES}\n[[port]]\nname = \"spare\"\ndevice = \"0000:5e:00.0\"\ninput = \"none\"\n"
    );
    let said = errors(&text);
    insta::assert_snapshot!(said);
}

#[test]
fn graphs_that_can_not_be_are_refused() {
    let said = all(&[
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"cross\"\nto = \"tx:sotuh\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"cross\"\nto = \"nort-in\"",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"cross\"\nto = \"south\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"cross\"\nto = \"Drop\"",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"count\"\nto = \"a\"\n\
             [[stage]]\nname = \"a\"\nkind = \"count\"\nto = \"b\"\n\
             [[stage]]\nname = \"b\"\nkind = \"sample\"\nevery = 2\nsampled = \"a\"\nto = \"north-in\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"count\"\nto = \"south-in\"",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"count\"\nto = \"drop\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"count\"\nto = \"drop\"\n\
             [[stage]]\nname = \"island\"\nkind = \"count\"\nto = \"shore\"\n\
             [[stage]]\nname = \"shore\"\nkind = \"count\"\nto = \"drop\"",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"count\"\nto = \"drop\"\n\
             [[stage]]\nname = \"north-in\"\nkind = \"count\"\nto = \"drop\"\n\
             [[stage]]\nname = \"south-in\"\nto = \"drop\"\n\
             [[stage]]\nkind = \"cross\"\n",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn stages_that_can_not_be_are_refused() {
    let said = all(&[
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"corss\"\nto = \"drop\"\n\
             [[stage]]\nname = \"south-in\"\nkind = 3\nto = \"drop\"",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"count\"\nto = \"drop\"\nevery = 3\nsampled = \"drop\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"cross\"\nto = \"drop\"\nother = \"drop\"\nudp_echo = false",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"sample\"\nto = \"drop\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"sample\"\nto = \"drop\"\nsampled = \"drop\"\nevery = 0",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"cross\"\nto = \"drop\"\nmacs = \"rewrite\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"cross\"\nto = \"drop\"\nsource = \"02:00:00:00:00:01\"",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"cross\"\nto = \"drop\"\nmacs = \"rewrite\"\n\
             source = \"01:00:5e:00:00:01\"\ndestination = \"2:0\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"cross\"\nto = \"drop\"\nmacs = \"swop\"",
        ),
        with_stages(
            "[[stage]]\nname = \"north-in\"\nkind = \"reflect\"\nto = \"tx:north\"\n\
             [[stage]]\nname = \"south-in\"\nkind = \"reflect\"\nto = \"tx:south\"\naddresses = [\"192.0.2.0/24\"]",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn reflect_is_content_with_addresses_of_its_own_of_its_ports_or_with_any() {
    let reflect = "[[stage]]\nname = \"s\"\nkind = \"reflect\"\nto = \"tx:p\"\n";
    let port = "[[port]]\nname = \"p\"\ndevice = \"vdev:net_tap0\"\ninput = \"s\"\n";
    let addresses = "addresses = [\"192.0.2.1\"]\n";
    assert!(config::parse(&format!("{port}{reflect}"), "f").is_err());
    config::parse(&format!("{port}{addresses}{reflect}"), "f").unwrap();
    config::parse(&format!("{port}{reflect}{addresses}"), "f").unwrap();
    config::parse(&format!("{port}{reflect}any_address = true\n"), "f").unwrap();
}

#[test]
fn what_is_not_toml_is_said_once_for_each_line() {
    let said = all(&[
        "[cores\nworkers = \"2-5\"\n".to_owned(),
        "[cores]\nworkers = \"2-5\nstrict = maybe\n".to_owned(),
        "[cores]\nstrict = true\nstrict = false\n[memory]\n[memory]\n= 3\n".to_owned(),
        format!("{PORTS}{STAGES}\nx = {}1{}\n", "[".repeat(200), "]".repeat(200)),
        "a\u{0}b = 1\n\u{1b}[2J\n".to_owned(),
        "{\"json\": true}".to_owned(),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn errors_of_all_kinds_come_together_in_the_order_of_the_file() {
    let text = "[pipeline]\nbrust = 1\nburst = \"many\"\n\
                [[port]]\nname = \"a\"\ndevice = \"vdev:net_null0\"\ninput = \"s\"\nmtu = 1\n\
                [[stage]]\nname = \"s\"\nkind = \"count\"\nto = \"tx:b\"\n";
    let errors = errors(text);
    let lines: Vec<_> = errors.diagnostics().iter().map(|error| error.line.unwrap()).collect();
    assert_eq!(lines, [2, 3, 8, 12], "{errors}");
    let keys: Vec<_> = errors.diagnostics().iter().map(|error| error.key.as_str()).collect();
    assert_eq!(keys, ["pipeline.brust", "pipeline.burst", "port.a.mtu", "stage.s.to"]);
}

#[test]
fn errors_are_data_too() {
    let text = "[pipeline]\nbrust = 16\n";
    let said = serde_json::to_string_pretty(&errors(text)).unwrap();
    insta::assert_snapshot!(said);
}

#[test]
fn a_million_errors_are_counted_and_a_hundred_listed() {
    let keys: String = (0..20_000).map(|at| format!("key{at} = 1\n")).collect();
    let errors = errors(&format!("[cores]\n{keys}"));
    assert_eq!(errors.diagnostics().len(), 100);
    assert_eq!(errors.omitted(), 19_900);
    assert!(errors.to_string().ends_with("\nand 19900 more"));
}

#[test]
fn more_ports_and_stages_than_dpdk_takes_are_refused() {
    let ports: String = (0..33)
        .map(|at| {
            format!("[[port]]\nname = \"p{at}\"\ndevice = \"vdev:net_null{at}\"\ninput = \"s0\"\n")
        })
        .collect();
    let stages: String = (0..257)
        .map(|at| format!("[[stage]]\nname = \"s{at}\"\nkind = \"count\"\nto = \"s{}\"\n", at + 1))
        .collect();
    let text = errors(&format!("{ports}{stages}")).to_string();
    assert!(text.contains("more than 32 of [[port]]"), "{text}");
    assert!(text.contains("more than 256 of [[stage]]"), "{text}");
}

#[test]
fn a_file_larger_than_a_mebibyte_is_refused_and_not_read_to_its_end() {
    let text = "#".repeat(1024 * 1024 + 1);
    let said =
        "barewire.toml: the file is larger than 1048576 bytes\nhelp: is this the right file?";
    assert_eq!(errors(&text).to_string(), said);
    let endless = config::load("/dev/zero".as_ref()).unwrap_err();
    assert!(endless.to_string().contains("larger than 1048576 bytes"), "{endless}");
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    for path in [missing.as_path(), folder.path()] {
        let errors = config::load(path).unwrap_err();
        let [Diagnostic { file, line: None, message, .. }] = errors.diagnostics() else {
            panic!("{errors:?}")
        };
        assert_eq!(file, &path.display().to_string());
        assert!(message.starts_with("the file can not be read: "), "{message}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"[cores]\n# gr\xfc\xdfe\n").unwrap();
    let errors = config::load(&path).unwrap_err();
    assert_eq!(errors.diagnostics()[0].line, Some(2));
    assert_eq!(errors.diagnostics()[0].message, "the text is not UTF-8");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_errors() {
    let text = format!("\u{feff}{PORTS}{STAGES}").replace('\n', "\r\n");
    config::parse(&text, "barewire.toml").unwrap();
    let wrong = format!("[cores]\r\nstrict = 1\r\n{PORTS}{STAGES}");
    assert_eq!(errors(&wrong).diagnostics()[0].line, Some(2));
}

#[test]
fn nothing_of_the_file_moves_the_cursor() {
    let text = "[cores]\n\"\\u001b]0;x\\u0007\" = 1\nworkers = \"\u{202e}1\u{9b}31m\"\n\
                [[port]]\nname = \"\\u0000\\u001b[31m\"\n";
    let shown = format!("{}\n{:#?}", errors(text), errors(text).diagnostics());
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
}
