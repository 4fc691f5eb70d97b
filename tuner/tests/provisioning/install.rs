//! What installers do with the examples: cloud-init, Anaconda's `%post`, and the Debian installer's `late_command`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    thread,
};

use crate::{
    examples,
    jail::{Jail, Network, went_well},
    machine::{self, PROGRAM, put, put_program, said},
    skip,
};

const ADDRESS: &str = "https://provision.example.net/barewire.tar";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/barewire-first-boot.service";

/// The archive that installers unpack.
pub(crate) fn payload() -> Vec<u8> {
    let output = Command::new(examples().join("payload/make"))
        .arg(PROGRAM)
        .arg(machine::config())
        .arg(examples().join("waivers.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Answers every request with these bytes, until the test ends.
fn serve(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            // Who has enough may hang up.
            let _ = stream.write_all(&bytes);
        }
    });
    address
}

/// An example, with an address that exists.
fn example(path: &str) -> String {
    let text = fs::read_to_string(examples().join(path)).unwrap();
    assert!(text.contains(ADDRESS), "{text}");
    text.replace(ADDRESS, &format!("http://{}/barewire.tar", serve(payload())))
}

fn lacks(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        !["/usr/bin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(program).exists())
    });
    if let Some(program) = missing {
        skip(&format!("needs {program}"));
    }
    missing.is_some()
}

/// What every installer is to leave behind.
#[track_caller]
fn is_installed(root: &Path) {
    for path in ["etc/barewire/barewire.toml", "etc/barewire/waivers.toml"] {
        assert!(root.join(path).is_file(), "{path}");
    }
    assert_eq!(
        fs::read(root.join("usr/local/libexec/barewire-first-boot")).unwrap(),
        fs::read(examples().join("payload/barewire-first-boot")).unwrap()
    );
    assert!(
        fs::read(root.join("usr/local/bin/barewire-tune")).unwrap() == fs::read(PROGRAM).unwrap()
    );
    let wanted = fs::read_link(root.join(WANTED)).unwrap();
    assert_eq!(wanted.file_name().unwrap(), "barewire-first-boot.service");
}

#[test]
fn a_kickstart_installation_enables_the_unit_that_tunes_at_the_first_boot() {
    if lacks(&["curl"]) {
        return;
    }
    let Some(jail) = Jail::new() else { return };
    let text = example("kickstart/barewire.ks");
    let (_, post) = text.split_once("%post").unwrap();
    let (options, script) = post.split_once('\n').unwrap();
    assert!(options.contains("--erroronfail"), "{options}");
    let (script, _) = script.split_once("%end").unwrap();

    let output = jail.run(script, Network::Ours);

    went_well(&output);
    is_installed(&jail.upper());
    assert!(!jail.upper().join("tmp/barewire.tar").exists());
}

#[test]
fn a_preseeded_installation_enables_the_unit_that_tunes_at_the_first_boot() {
    if lacks(&["wget"]) {
        return;
    }
    let Some(jail) = Jail::new() else { return };
    // debconf joins the lines that end in a backslash.
    let text = example("preseed/barewire.cfg").replace("\\\n", " ");
    let (_, script) = text.split_once("preseed/late_command string").unwrap();
    // debian-installer-utils: runs a command in the new system.
    put_program(
        &jail.upper(),
        "usr/local/bin/in-target",
        "#!/bin/sh\nexec chroot /target \"$@\"\n",
    );

    let output = jail.install(script.trim());

    went_well(&output);
    is_installed(&jail.target());
    assert!(!jail.target().join("tmp/barewire.tar").exists());
    assert!(!jail.upper().join(WANTED).exists(), "the installer is not the new system");
}

#[test]
fn cloud_init_takes_the_user_data_and_does_what_it_says() {
    // On a machine that is no cloud guest, `apt-get install cloud-init` would run at the next boot: not in set-up.
    if lacks(&["cloud-init", "curl"]) {
        return;
    }
    let schema = Command::new("cloud-init")
        .args(["schema", "--config-file"])
        .arg(examples().join("cloud-init/user-data"))
        .output()
        .unwrap();
    assert!(schema.status.success(), "{}", said(&schema));
    let Some(jail) = Jail::new() else { return };
    let upper = jail.upper();
    put(&upper, "var/lib/cloud/seed/nocloud/user-data", &example("cloud-init/user-data"));
    put(&upper, "var/lib/cloud/seed/nocloud/meta-data", "instance-id: one\n");
    // Packages are the package manager's part, and the network is this machine's.
    put(
        &upper,
        "etc/cloud/cloud.cfg",
        "datasource_list: [NoCloud]\ndatasource: {NoCloud: {fs_label: null}}\nnetwork: {config: disabled}\n\
         disable_root: false\nusers: []\nsystem_info: {distro: debian}\n\
         cloud_init_modules: [write-files]\ncloud_config_modules: [runcmd]\n\
         cloud_final_modules: [scripts-user]\n",
    );
    for leftover in ["etc/cloud/cloud.cfg.d/90_dpkg.cfg", "etc/cloud/cloud-init.disabled"] {
        if Path::new("/").join(leftover).exists() {
            put(&upper, leftover, "");
        }
    }

    let output = jail.run(
        "set -e; cloud-init init --local; cloud-init init; cloud-init modules --mode=config; cloud-init modules --mode=final",
        Network::Ours,
    );

    went_well(&output);
    is_installed(&upper);
    let config = fs::read_to_string(upper.join("etc/barewire/barewire.toml")).unwrap();
    assert!(config.contains("name = \"wire\""), "the payload's does not replace it: {config}");
    assert!(config::parse(&config, "user-data").is_ok(), "{config}");
    let waivers = fs::read_to_string(upper.join("etc/barewire/waivers.toml")).unwrap();
    assert!(tuner::gate::waivers(&waivers).is_ok(), "{waivers}");
}

#[test]
fn the_payload_is_files_of_root_s_and_no_folders() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("barewire.tar");
    fs::write(&archive, payload()).unwrap();
    let output =
        Command::new("tar").args(["--list", "--verbose", "--file"]).arg(&archive).output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();

    assert_eq!(list.lines().count(), 5, "{list}");
    assert!(list.lines().all(|line| line.starts_with("-rw") && line.contains(" 0/0 ")), "{list}");
    for name in ["bin/barewire-tune", "libexec/barewire-first-boot"] {
        let line = list.lines().find(|line| line.ends_with(name)).unwrap();
        assert!(line.starts_with("-rwxr-xr-x"), "{line}");
    }
}

#[test]
fn systemd_takes_the_unit() {
    let Some(jail) = Jail::new() else { return };
    let root = jail.upper();
    fs::write(root.join("barewire.tar"), payload()).unwrap();

    let output = jail.run(
        "tar --extract --file /barewire.tar --directory / && \
         systemd-analyze verify --man=no /etc/systemd/system/barewire-first-boot.service",
        Network::None,
    );

    let text = said(&output);
    if text.contains("not found") {
        return skip("needs systemd-analyze");
    }
    assert!(output.status.success() && !text.contains("barewire-first-boot.service:"), "{text}");
}
