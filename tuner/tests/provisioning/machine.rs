//! A machine made of files.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_barewire-tune");

const MENU: &str = "\
menuentry 'a' --id a {
  linux /vmlinuz root=/dev/sda1 ro quiet
}
if [ -f  ${config_directory}/custom.cfg ]; then
  source ${config_directory}/custom.cfg
fi
";

/// Writes a file, and the folders above it.
pub(crate) fn put(root: &Path, path: &str, text: &str) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, text).unwrap();
}

/// Writes a program.
pub(crate) fn put_program(root: &Path, path: &str, text: &str) {
    put(root, path, text);
    fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Writes the files of a virtual machine with two CPUs, which swaps more than a poll-mode worker likes.
pub(crate) fn virtual_machine(root: &Path) {
    fs::create_dir_all(root.join("var/lib")).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("tests/fixtures/sysroots/vm-2-cpus/.");
    let copied = Command::new("cp").arg("-a").arg(from).arg(root).status().unwrap();
    assert!(copied.success());
    put(root, "proc/sys/vm/swappiness", "60\n");
    boots(root, "one", "root=/dev/sda1 ro quiet");
}

/// Writes what a boot with these kernel arguments shows.
pub(crate) fn boots(root: &Path, id: &str, arguments: &str) {
    put(root, "proc/sys/kernel/random/boot_id", &format!("{id}\n"));
    put(root, "proc/cmdline", &format!("{arguments}\n"));
}

/// Writes Debian's GRUB, so that kernel arguments can be tried out.
pub(crate) fn grub(root: &Path) {
    put(root, "proc/sys/kernel/osrelease", "6.12.1-amd64\n");
    put(root, "proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    put(root, "boot/grub/grub.cfg", MENU);
    put(root, "etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n");
    fs::create_dir_all(root.join("etc/default/grub.d")).unwrap();
    grub_environment(root);
}

/// GRUB's environment without a choice: it empties it as it takes it.
pub(crate) fn grub_environment(root: &Path) {
    let mut block = "# GRUB Environment Block\nsaved_entry=a\n".to_owned();
    block.extend(std::iter::repeat_n('#', 1024 - block.len()));
    put(root, "boot/grub/grubenv", &block);
}

/// The packaged configuration, which needs no card and no hugepages.
pub(crate) fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("config/examples/default.toml")
}

/// A `barewire-tune` that writes down how it is called, and then is the real one.
pub(crate) struct Recorder {
    log: PathBuf,
}

impl Recorder {
    /// Puts it there. `as_if_it_cut_off`: its plans say of every step that it may cut off whoever is logged in.
    pub(crate) fn at(program: &Path, as_if_it_cut_off: bool) -> Self {
        let log = program.with_extension("log");
        let cut_off = if as_if_it_cut_off {
            r#"case "$*" in *"plan --format json"*)
                "$program" "$@" | sed 's/"blast": "[a-z]*"/"blast": "management"/'
                exit
            esac"#
        } else {
            ""
        };
        let text = format!(
            "#!/bin/sh\nprogram='{PROGRAM}'\n{{ printf '%s\\037' \"$@\"; echo; }} >> '{}'\n{cut_off}\nexec \"$program\" \"$@\"\n",
            log.display()
        );
        let name = program.file_name().unwrap().to_str().unwrap();
        put_program(program.parent().unwrap(), name, &text);
        Self { log }
    }

    /// How it was called, and then forgets.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let _ = fs::remove_file(&self.log);
        let words = |line: &str| line.split_terminator('\x1f').map(str::to_owned).collect();
        text.lines().map(words).collect()
    }
}

/// Everything below a folder: paths with what is in them.
pub(crate) fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(path.clone());
            }
            let content = if kind.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            found.push((path, content));
        }
    }
    found.sort();
    found
}

/// What a program said, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
