//! A machine made of files, with commands that do to them what the real ones would.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::{Command, Output},
};

use tuner::Source;

/// The commands: each writes down how it was called; some have an effect.
const COMMANDS: &[(&str, &str)] = &[
    ("ethtool", ""),
    ("systemctl", ""),
    ("modprobe", ""),
    (
        "grubby",
        r#"[ "$1" != --info=ALL ] || [ -e "$ROOT/no-kernels" ] || for kernel in 6.1 6.2 0-rescue-abc; do
            printf 'index=0\nkernel="/boot/vmlinuz-%s"\nargs="ro"\n' $kernel
        done"#,
    ),
    ("rpm-ostree", ""),
    ("bootc", ""),
    ("update-grub", ""),
    ("grub2-mkconfig", ""),
    ("kernel-install", ""),
    (
        "taskset",
        "sed -i \"s/^Cpus_allowed_list:.*/Cpus_allowed_list:\\t$2/\" \"$ROOT/proc/$3/status\"",
    ),
];

/// The machine.
pub(crate) struct Fake {
    dir: tempfile::TempDir,
    root: String,
}

impl Fake {
    /// A machine with commands and without files.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        for (name, effect) in COMMANDS {
            let text = format!(
                "#!/bin/sh\nprintf '%s\\n' \"{name}${{*:+ $*}}\" >> \"$CALLS\"\n{effect}\n"
            );
            fs::write(bin.join(name), text).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        Self { root: root.to_str().unwrap().to_owned(), dir }
    }

    /// Where its files are.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}/{path}", self.root))
    }

    /// Takes a command away.
    pub(crate) fn without(&self, command: &str) {
        fs::remove_file(self.dir.path().join("bin").join(command)).unwrap();
    }

    /// Writes a file.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Whatever is written to the file from now on, whoever reads it back finds this: a kernel that takes a value and
    /// makes something else of it. (`cat` is where that happens.)
    pub(crate) fn answers(&self, path: &str, text: &str) {
        self.file(&format!("{path}.made"), text);
        let cat = "#!/bin/sh\nif [ -e \"$1.made\" ]; then /bin/cp \"$1.made\" \"$1\"; fi\nexec /bin/cat \"$@\"\n";
        let bin = self.dir.path().join("bin/cat");
        fs::write(&bin, cat).unwrap();
        fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&self, path: &str, to: &str) {
        symlink(to, self.path(path)).unwrap();
    }

    /// What a file says.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Is there such a file, in the machine or where the scripts run?
    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).exists() || self.dir.path().join(path).exists()
    }

    /// The machine, to be read.
    pub(crate) fn source(&self) -> Source {
        Source::at(&self.root).unwrap()
    }

    /// Runs lines of shell.
    pub(crate) fn run(&self, lines: &[String]) -> Output {
        let path = format!("{}/bin:{}", self.dir.path().display(), env!("PATH"));
        Command::new("sh")
            .arg("-c")
            .arg(lines.join("\n"))
            .current_dir(self.dir.path())
            .env("PATH", path)
            .env("ROOT", &self.root)
            .env("CALLS", self.dir.path().join("calls"))
            .output()
            .unwrap()
    }

    /// Runs lines of shell that have to succeed, each of them, and says what they print.
    pub(crate) fn run_ok(&self, lines: &[String]) -> String {
        let mut script = vec!["set -eu".to_owned()];
        script.extend_from_slice(lines);
        let output = self.run(&script);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && talk.is_empty(), "{}\n{talk}", lines.join("\n"));
        String::from_utf8(output.stdout).unwrap()
    }

    /// How commands were called since the last time this was asked.
    pub(crate) fn called(&self) -> Vec<String> {
        let file = self.dir.path().join("calls");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        text.lines().map(str::to_owned).collect()
    }

    /// What `grub-mkconfig` makes of the files: it sources them in the order of their names.
    pub(crate) fn grub_variable(&self, name: &str) -> String {
        let script = format!(
            ". {0}/etc/default/grub; for file in {0}/etc/default/grub.d/*.cfg; do . \"$file\"; done; \
             printf %s \"${name}\"",
            self.root
        );
        self.run_ok(&[script])
    }
}
