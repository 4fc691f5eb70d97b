//! The Debian packages, installed over a copy of this machine that forgets everything: what they bring, what an upgrade
//! leaves alone, and that nothing stays.

#![expect(clippy::unwrap_used, reason = "what these helpers do is part of the tests")]

use std::{
    fs,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use scenarios::{Site, programs, skip};

const PACKAGES: [&str; 3] = ["barewire", "barewire-tune", "barewire-bench"];

/// Makes the packages of what is built.
fn packages(site: &Site) -> Option<PathBuf> {
    let tools = ["dpkg-deb", "dpkg-shlibdeps", "strip", "gzip", "unshare"];
    if skip::without_root() || tools.into_iter().any(skip::without_program) {
        return None;
    }
    if skip::without_program("lintian") {
        eprintln!("the packages are tested all the same, but not by lintian");
    }
    let out = site.path("packages");
    let made = Command::new(programs::built("xtask"))
        .args(["package", "--quick", "--no-setup", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    // That of lintian fails the command, too.
    assert!(made.status.success(), "{said}");
    Some(out)
}

/// This machine, with changes that go into a folder: an overlay in a mount namespace of its own. Each script gets a new
/// namespace and finds the changes of those before it.
struct Copy<'a> {
    site: &'a Site,
}

impl<'a> Copy<'a> {
    /// `None` where the kernel does not let us.
    fn new(site: &'a Site) -> Option<Self> {
        for folder in ["layers", "run"] {
            fs::create_dir(site.path(folder)).unwrap();
        }
        let copy = Self { site };
        // systemd seems to run, but whoever calls it only leaves a note; what is asked of files is done.
        let fakes = r#"
            mkdir -p /run/systemd/system
            mv /usr/bin/systemctl /usr/bin/systemctl.real
            printf '#!/bin/sh\ncase "$*" in *preset*) exec systemctl.real "$@";; esac\n' > /usr/bin/systemctl
            for name in systemctl deb-systemd-invoke udevadm; do
                [ $name = systemctl ] || { rm -f /usr/bin/$name; echo '#!/bin/sh' > /usr/bin/$name; }
                echo "echo $name \"\$@\" >> /run/called" >> /usr/bin/$name
                chmod 755 /usr/bin/$name
            done"#;
        let made = copy.run(fakes);
        if !made.status.success() {
            skip::skip(&format!(
                "needs an overlay of the root directory: {}",
                String::from_utf8_lossy(&made.stderr).trim()
            ));
            return None;
        }
        Some(copy)
    }

    /// Runs lines of a shell in it.
    fn run(&self, script: &str) -> Output {
        fs::write(self.site.path("run/script"), format!("set -e\n{script}\n")).unwrap();
        // Layers can not be on an overlay, so they are in memory, and carried over from script to script as an archive.
        let around = r#"
            cd "$1"
            mount -t tmpfs none layers
            mkdir layers/upper layers/work layers/root
            [ ! -e upper.tar ] || tar --xattrs --xattrs-include='*' -C layers -xpf upper.tar
            mount -t overlay none -o lowerdir=/,upperdir=layers/upper,workdir=layers/work layers/root
            mount -t proc none layers/root/proc
            mount --rbind /dev layers/root/dev
            mount --bind run layers/root/run
            status=0
            env -i PATH="$PATH" LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot layers/root sh /run/script || status=$?
            tar --xattrs --xattrs-include='*' -C layers -cpf upper.tar upper
            exit $status
        "#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", around, "sh"]);
        command.arg(self.site.dir()).output().unwrap()
    }

    /// The same, which has to work; answers with what it printed.
    fn must(&self, script: &str) -> String {
        let done = self.run(script);
        let (out, err) =
            (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{script}\n{out}\n{err}");
        out.into_owned()
    }

    /// What the system manager was asked, so far.
    fn called(&self) -> String {
        fs::read_to_string(self.site.path("run/called")).unwrap_or_default()
    }

    /// Puts packages where scripts find them: /run/<name>.deb
    fn bring(&self, folder: &Path) {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if let Some((package, _)) = name.split_once('_') {
                fs::copy(&path, self.site.path(&format!("run/{package}.deb"))).unwrap();
            }
        }
    }

    /// Files that are not as they are on this machine: below `/var/lib/dpkg`, `/var/cache` and `/var/log` there may be
    /// some, and of what was put there by this harness nothing is said.
    fn differences(&self) -> Vec<String> {
        let list = self.site.path("upper");
        let _of_the_last_time = fs::remove_dir_all(&list);
        let mut untar = Command::new("tar");
        untar.arg("-C").arg(self.site.dir()).arg("-xpf").arg(self.site.path("upper.tar"));
        assert!(untar.status().unwrap().success());
        let mut found = Vec::new();
        let mut folders = vec![list.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&list).unwrap().display().to_string();
                let kind = fs::symlink_metadata(&path).unwrap().file_type();
                let here = Path::new("/").join(&name);
                let is_same = if kind.is_dir() {
                    folders.push(path.clone());
                    here.is_dir()
                } else if kind.is_char_device() {
                    // Overlay's way of saying that a file is gone.
                    !here.exists()
                } else {
                    fs::read(&path).ok() == fs::read(&here).ok()
                };
                if !is_same {
                    found.push(name);
                }
            }
        }
        let is_ours = |name: &str| {
            let fakes = ["systemctl", "systemctl.real", "deb-systemd-invoke", "udevadm"];
            fakes.iter().any(|fake| name.ends_with(&format!("/{fake}")))
        };
        // dpkg's own state, caches, logs; and the copies that passwd's tools keep of the files before.
        let may_differ = |name: &str| {
            ["var/lib/dpkg", "var/cache", "var/log", "run"].iter().any(|at| name.starts_with(at))
                || ["etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-"].contains(&name)
        };
        found.retain(|name| !is_ours(name) && !may_differ(name));
        found.sort();
        found
    }
}

#[test]
fn packages_come_stay_and_go_without_a_trace() {
    let site = Site::new();
    let Some(made) = packages(&site) else { return };
    let Some(copy) = Copy::new(&site) else { return };
    copy.bring(&made);
    let before = copy.differences();
    assert_eq!(before, Vec::<String>::new(), "before anything is installed");

    // --- installed: users, files, nothing started
    let all: String = PACKAGES.map(|name| format!(" /run/{name}.deb")).concat();
    copy.must(&format!("dpkg --no-triggers --install{all}"));
    let said = copy.must(
        "getent passwd barewire; getent group barewire-vfio\n\
         /usr/bin/barewired check --config /etc/barewire/barewire.toml\n\
         for program in barewired barewire barewire-tune barewire-bench; do $program --version; done\n\
         stat -c '%a %U:%G %n' /var/lib/barewire /etc/barewire/barewire.toml\n\
         cd /etc/systemd/system && find . -name '*barewire*' -printf '%P\\n' | sort\n\
         test -s /usr/share/man/man1/barewire-tune-apply.1.gz\n\
         test -s /usr/share/bash-completion/completions/barewired",
    );
    for wanted in [
        "barewire:x:",
        "barewire-vfio:x:",
        "/etc/barewire/barewire.toml: ok",
        "755 root:root /var/lib/barewire\n",
        "644 root:root /etc/barewire/barewire.toml\n",
        "multi-user.target.wants/barewire-tune-apply.service\n",
        "multi-user.target.wants/barewire-tune-verify.service\n",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is not in\n{said}");
    }
    assert_eq!(said.matches("multi-user.target.wants").count(), 2, "{said}");
    let called = copy.called();
    assert!(called.contains("systemctl daemon-reload"), "{called}");
    for word in ["start", "restart", "stop", "--now"] {
        assert!(!called.split_whitespace().any(|said| said == word), "{called}");
    }

    // --- an upgrade keeps the configuration, and does not touch what runs
    let newer = "dpkg-deb --raw-extract /run/barewire.deb /run/new\n\
        sed -i 's/^Version: .*/&.1/' /run/new/DEBIAN/control\n\
        echo '# a new default' >> /run/new/etc/barewire/barewire.toml\n\
        dpkg-deb -Zgzip -z1 --build /run/new /run/newer.deb\n\
        echo '# mine' >> /etc/barewire/barewire.toml; cp /etc/barewire/barewire.toml /etc/barewire/edge.toml\n\
        dpkg --no-triggers --force-confdef --force-confold --install /run/newer.deb\n\
        tail -n 1 /etc/barewire/barewire.toml; dpkg-query --show barewire";
    let said = copy.must(newer);
    assert!(said.contains("# mine\n") && said.contains("-1.1\n"), "{said}");
    let called = copy.called();
    assert!(!called.contains("deb-systemd-invoke"), "{called}");

    // --- removed: the daemon is stopped, the configuration stays
    a_tuner_that_can_not_undo_what_it_did_stays(&copy);
    copy.must("dpkg --no-triggers --remove barewire-bench barewire-tune barewire");
    let called = copy.called();
    assert!(
        called.contains("deb-systemd-invoke stop barewired.service barewired@*.service"),
        "{called}"
    );
    assert!(called.contains("barewire-bind@*.service"), "{called}");
    let stays = copy.differences();
    assert!(stays.contains(&"etc/barewire/barewire.toml".to_owned()), "{stays:#?}");
    assert!(
        !stays.iter().any(|name| name.starts_with("usr/") || name.starts_with("lib/")),
        "{stays:#?}"
    );

    // --- purged: nothing stays, nor what an operator enabled
    copy.must(
        "cd /etc/systemd/system; mkdir -p barewired.service.requires multi-user.target.wants\n\
         ln -s /lib/systemd/system/barewired@.service multi-user.target.wants/barewired@edge.service\n\
         ln -s /lib/systemd/system/barewire-bind@.service \
               barewired.service.requires/barewire-bind@0000:3b:00.0.service",
    );
    copy.must("dpkg --no-triggers --purge barewire-bench barewire-tune barewire");
    assert_eq!(copy.differences(), Vec::<String>::new());
    copy.must(
        "! getent passwd barewire && ! getent group barewire && ! getent group barewire-vfio",
    );
}

fn a_tuner_that_can_not_undo_what_it_did_stays(copy: &Copy<'_>) {
    copy.must("mkdir /var/lib/barewire/tune; echo 'no journal' > /var/lib/barewire/tune/0001.json");
    let refused = copy.run("dpkg --no-triggers --remove barewire-tune");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("undone, so the package is not removed"), "{said}");
    copy.must("barewire-tune --version; rm -r /var/lib/barewire/tune");
}
