//! The lab itself: is the machine what it says, and does the guest do what it is told?

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lab::{Exit, guest_or_skip, image_or_skip, under_test};

#[test]
fn the_machine_has_two_nodes_with_two_cpus_and_memory_each() {
    let Some(mut guest) = guest_or_skip() else { return };

    for (node, cpus) in [("node0", "0-1\n"), ("node1", "2-3\n")] {
        let dir = format!("/sys/devices/system/node/{node}");
        assert_eq!(guest.must(&format!("cat {dir}/cpulist")), cpus);
        let memory = guest.must(&format!("grep MemTotal {dir}/meminfo"));
        let kib: u64 = memory.split_whitespace().nth(3).unwrap().parse().unwrap();
        assert!((1_300_000..1_600_000).contains(&kib), "{node}: {memory}");
    }
    assert_eq!(guest.must("cat /sys/devices/system/node/node0/distance"), "10 21\n");
}

#[test]
fn each_nic_is_on_the_bus_of_its_node_and_alone_in_its_iommu_group() {
    let Some(mut guest) = guest_or_skip() else { return };

    for (name, node) in [("east", "0\n"), ("west", "1\n")] {
        let nic = guest.nic(name);
        let mac = nic.mac().map(|byte| format!("{byte:02x}")).join(":");
        let dir = format!("/sys/bus/pci/devices/{}", nic.pci_address());
        assert_eq!(guest.must(&format!("cat {dir}/numa_node")), node, "{name}");
        assert_eq!(guest.must(&format!("ls {dir}/iommu_group/devices | wc -l")), "1\n", "{name}");
        let interface = guest.interface(name);
        assert_eq!(guest.must(&format!("cat /sys/class/net/{interface}/address")), mac + "\n");
    }
    assert_eq!(guest.must("cat /sys/class/iommu/dmar0/intel-iommu/version"), "1:0\n");
}

/// QEMU's own trouble, which `IOMMU` of the library's machine.rs avoids: without that, this hangs.
#[test]
fn no_cpu_loses_its_timer_while_another_one_changes_the_memory_map() {
    let Some(mut guest) = guest_or_skip() else { return };
    let dir = format!("/sys/bus/pci/devices/{}", guest.nic("west").pci_address());
    // Memory and bus mastering of a NIC that nobody drives, on and off; the register is at offset 4.
    let flip = format!(
        "use Fcntl; sysopen(F, '{dir}/config', O_RDWR) or die; \
         for (1..3000) {{ for my $on (6, 0) {{ sysseek(F, 4, 0); syswrite(F, pack('v', $on)) == 2 or die; }} }}"
    );
    guest.write("/root/flip.pl", 0o644, &flip).unwrap();

    guest.must(&format!(
        "basename {dir} > {dir}/driver/unbind; for cpu in 1 2 3; do \
         taskset -c $cpu perl -e 'select(undef, undef, undef, 0.0003) until -e \"/run/flipped\"' & done; \
         taskset -c 0 perl /root/flip.pl; touch /run/flipped; wait"
    ));
}

#[test]
fn a_command_s_output_and_exit_come_back_apart_and_whole() {
    let Some(mut guest) = guest_or_skip() else { return };

    let output = guest.run("seq 100000; echo trouble >&2; exit 7").unwrap();
    let killed = guest.run("kill -9 $$").unwrap();

    assert_eq!(output.exit, Exit::Code(7));
    assert_eq!(output.stdout.len(), 588_895);
    assert!(output.text().ends_with("\n100000\n"));
    assert_eq!(output.stderr, b"trouble\n");
    assert_eq!(killed.exit, Exit::Signal(9));
}

#[test]
fn a_command_that_takes_too_long_is_an_error_and_the_next_one_works() {
    let Some(mut guest) = guest_or_skip() else { return };

    let limit = Duration::from_millis(700);
    let error = guest.run_within("echo so far; sleep 1000", limit).unwrap_err();

    assert!(format!("{error:?}").contains("so far"), "{error:?}");
    assert!(format!("{error:?}").contains("took longer than 0.7 s"), "{error:?}");
    // The console is shown, from GRUB's first words in the boot that the snapshot was taken of.
    assert!(format!("{error:?}").contains("Loading Linux"), "{error:?}");
    // Its children were killed as well; the brackets keep pgrep from finding its own shell.
    assert_eq!(guest.must("pgrep -f '[s]leep 1000' || echo none"), "none\n");
}

#[test]
fn a_daemon_in_the_background_does_not_hold_the_command_that_started_it() {
    let Some(mut guest) = guest_or_skip() else { return };

    let output = guest.must("sleep 1000 & echo $!");

    let pid: u32 = output.trim().parse().unwrap();
    assert_eq!(guest.must(&format!("cat /proc/{pid}/comm")), "sleep\n");
}

#[test]
fn files_go_in_and_come_out_unchanged() {
    let Some(mut guest) = guest_or_skip() else { return };
    let host = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("every-byte");
    // All bytes, in an order that no frame's length divides.
    let content: Vec<u8> =
        (0..5_000_003_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    fs::File::create(&host).unwrap().write_all(&content).unwrap();

    let begun = Instant::now();
    guest.copy_in(&host, "/srv/a new folder/file").unwrap();
    guest.must("cp '/srv/a new folder/file' /srv/other");
    guest.copy_out("/srv/other", &host).unwrap();

    eprintln!("5 MB in, copied, and out in {:.2} s", begun.elapsed().as_secs_f64());
    assert!(fs::read(&host).unwrap() == content, "5 MB came back otherwise");
    let error = guest.read("/srv/nothing").unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error:?}");
    fs::remove_file(&host).unwrap();
}

#[test]
fn a_guest_starts_from_the_same_state_each_time_and_knows_the_time() {
    let Some(mut first) = guest_or_skip() else { return };
    first.must("echo changed > /srv/mark; sync");
    drop(first);

    let mut second = guest_or_skip().unwrap();

    assert_eq!(second.must("cat /srv/mark 2>/dev/null || echo none"), "none\n");
    let there: u64 = second.must("date +%s").trim().parse().unwrap();
    let here = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(here.as_secs().abs_diff(there) < 60, "the guest says {there}, the host {here:?}");
}

/// The folders of this process's guests, and the processes that have one in their command line.
fn left_by(pid: u32) -> (usize, usize) {
    let run = lab::cache_of_this_tree().join("run");
    let folders = fs::read_dir(run)
        .expect("the cache can be read")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{pid}-")))
        .count();
    let processes = fs::read_dir("/proc")
        .expect("/proc can be read")
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|cmdline| String::from_utf8_lossy(cmdline).contains(&format!("/run/{pid}-0")))
        .count();
    (folders, processes)
}

#[test]
fn nothing_of_a_guest_is_left_on_the_host() {
    let Some(guest) = guest_or_skip() else { return };
    let me = std::process::id();
    assert!(matches!(left_by(me), (1, 1..)), "{:?}", left_by(me));

    drop(guest);

    assert_eq!(left_by(me), (0, 0));
}

#[test]
fn nothing_of_a_guest_is_left_when_its_test_is_killed() {
    let (recipe, _) = under_test();
    // Its snapshot exists once another test has run; this one only needs the image.
    if image_or_skip(&recipe).is_none() {
        return;
    }
    drop(guest_or_skip());
    let mut shell = Command::new(env!("CARGO_BIN_EXE_barewire-lab"));
    let machine = std::env::var("BAREWIRE_LAB_MACHINE").unwrap_or_default();
    shell.arg("--cache").arg(lab::cache_of_this_tree()).args(machine.split_whitespace());
    let mut shell =
        shell.arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    writeln!(stdin, "echo a guest is up").unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "a guest is up\n");
    assert!(matches!(left_by(shell.id()), (1, 1..)), "{:?}", left_by(shell.id()));

    shell.kill().unwrap();
    shell.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(30);
    while left_by(shell.id()) != (0, 0) {
        assert!(Instant::now() < deadline, "{:?}", left_by(shell.id()));
        std::thread::sleep(Duration::from_millis(20));
    }
}
