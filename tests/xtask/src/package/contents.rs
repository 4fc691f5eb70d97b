//! What is in each package, and where it goes.

use std::{fs, path::Path, process::Command};

use super::{control::Release, depends, staging::Staging};
use crate::{
    run::{self, Failure},
    tree,
};

/// One package.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// A line each, of at most 80 characters.
    pub(super) description: &'static [&'static str],
    /// The crates of its programs, for the list of crates that are built in.
    crates: &'static [&'static str],
    pub(super) programs: &'static [Program],
    /// From the tree, to the machine.
    files: &'static [(&'static str, &'static str)],
    /// Every file of a folder.
    folders: &'static [(&'static str, &'static str)],
    /// Besides what its programs link.
    pub(super) depends: &'static [&'static str],
    /// Drivers of DPDK that are loaded at run time, by their files.
    pub(super) drivers: &'static [&'static str],
    pub(super) recommends: &'static [&'static str],
    pub(super) suggests: &'static [&'static str],
}

/// One program.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    has_completions: bool,
}

const fn program(name: &'static str) -> Program {
    Program { name, has_completions: true }
}

/// All of them.
pub(super) const PACKAGES: &[Package] = &[
    Package {
        name: "barewire",
        summary: "DPDK packet daemon that measures every packet",
        description: &[
            "barewired moves packets between ports with DPDK on pinned, NUMA-local cores,",
            "measures each of them and accounts for each of them. barewire looks into a",
            "running daemon and steers it.",
            ".",
            "Installing starts nothing: write /etc/barewire/barewire.toml, then",
            "systemctl enable --now barewired.",
        ],
        crates: &["daemon", "ctl"],
        programs: &[program("barewired"), program("barewire")],
        files: &[
            ("systemd/barewired.service", "lib/systemd/system/barewired.service"),
            ("systemd/barewired@.service", "lib/systemd/system/barewired@.service"),
            ("systemd/sysusers.d/barewire.conf", "usr/lib/sysusers.d/barewire.conf"),
            ("systemd/udev/60-barewire.rules", "lib/udev/rules.d/60-barewire.rules"),
            ("systemd/README.md", "usr/share/doc/barewire/README.md"),
            ("config/examples/default.toml", "etc/barewire/barewire.toml"),
        ],
        folders: &[
            ("config/examples", "usr/share/doc/barewire/examples"),
            ("systemd/drop-ins", "usr/share/doc/barewire/examples/drop-ins"),
        ],
        depends: &["systemd | systemd-standalone-sysusers"],
        drivers: &["bus_pci", "bus_vdev", "mempool_ring", "net_ring"],
        recommends: &["librte-meta-net", "barewire-tune"],
        suggests: &["barewire-bench"],
    },
    Package {
        name: "barewire-tune",
        summary: "makes a server quiet for poll-mode workers, and undoes it",
        description: &[
            "Finds out what disturbs a thread that wants a core for itself: interrupts,",
            "sleep states, housekeeping, memory on the wrong node. Plans what would mend",
            "it, does it step by step with a journal, verifies it after a reboot, and",
            "rolls it back.",
            ".",
            "Installing changes nothing of the machine; removing rolls back what was",
            "applied.",
        ],
        crates: &["tuner"],
        programs: &[program("barewire-tune")],
        files: &[
            (
                "systemd/barewire-tune-apply.service",
                "lib/systemd/system/barewire-tune-apply.service",
            ),
            (
                "systemd/barewire-tune-verify.service",
                "lib/systemd/system/barewire-tune-verify.service",
            ),
            (
                "systemd/barewire-tune-watch.service",
                "lib/systemd/system/barewire-tune-watch.service",
            ),
            ("systemd/barewire-tune-watch.timer", "lib/systemd/system/barewire-tune-watch.timer"),
            ("systemd/barewire-bind@.service", "lib/systemd/system/barewire-bind@.service"),
            ("systemd/tmpfiles.d/barewire-tune.conf", "usr/lib/tmpfiles.d/barewire-tune.conf"),
            (
                "systemd/drop-ins/reassert.conf",
                "usr/share/doc/barewire-tune/examples/drop-ins/reassert.conf",
            ),
        ],
        folders: &[],
        depends: &["systemd | systemd-standalone-tmpfiles", "udev"],
        drivers: &[],
        recommends: &["ethtool", "kmod", "pciutils"],
        suggests: &["barewire"],
    },
    Package {
        name: "barewire-bench",
        summary: "compares packet paths with numbers that can be checked",
        description: &[
            "Measures barewired against DPDK's testpmd and the kernel's path on the same",
            "work, with whole latency distributions and the noise floor beside each.",
        ],
        crates: &["bench"],
        programs: &[Program { name: "barewire-bench", has_completions: false }],
        files: &[],
        folders: &[],
        depends: &[],
        // What its wires between ports need whatever the ports are.
        drivers: &["bus_pci", "bus_vdev", "mempool_ring"],
        recommends: &["barewire", "dpdk-dev", "ethtool", "iproute2", "librte-meta-net"],
        suggests: &["iperf3"],
    },
];

/// Where each shell looks for completions, and under what name.
const COMPLETIONS: &[(&str, &str, &str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions", "", ""),
    ("zsh", "usr/share/zsh/vendor-completions", "_", ""),
    ("fish", "usr/share/fish/vendor_completions.d", "", ".fish"),
];

/// Puts everything of a package below `root`; answers how large it is, in KiB.
pub(super) fn stage(
    package: &Package,
    root: &Path,
    programs: &Path,
    release: &Release,
) -> Result<u64, Failure> {
    let staging = Staging::new(root);
    let top = tree::top();
    for Program { name, has_completions } in package.programs {
        let built = programs.join(name);
        if !built.is_file() {
            return Err(Failure::Check(format!("{} is not built", built.display())));
        }
        staging.program(&built, &format!("usr/bin/{name}"))?;
        staging.man_pages(&built)?;
        for (shell, folder, before, after) in COMPLETIONS {
            if *has_completions {
                let script = run::output(name, Command::new(&built).args(["completions", shell]))?;
                staging.text(&format!("{folder}/{before}{name}{after}"), &script)?;
            }
        }
    }
    for (from, to) in package.files {
        staging.file(&top.join(from), to)?;
    }
    for (from, to) in package.folders {
        let from = top.join(from);
        let entries = fs::read_dir(&from).map_err(Failure::io(from.display().to_string()))?;
        for entry in entries {
            let path = entry.map_err(Failure::io(from.display().to_string()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            staging.file(&path, &format!("{to}/{name}"))?;
        }
    }
    let doc = format!("usr/share/doc/{}", package.name);
    staging.file(&top.join("systemd/debian/copyright"), &format!("{doc}/copyright"))?;
    staging.compressed(&format!("{doc}/changelog.Debian.gz"), &release.changelog(package.name))?;
    staging.compressed(&format!("{doc}/crates.txt.gz"), &depends::crates(package.crates)?)?;
    let overrides = top.join(format!("systemd/debian/{}.lintian-overrides", package.name));
    if overrides.is_file() {
        staging.file(&overrides, &format!("usr/share/lintian/overrides/{}", package.name))?;
    }
    staging.size()
}
