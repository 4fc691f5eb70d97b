//! Each change as commands that a person can paste, and a script can run.
//!
//! Plain POSIX sh: no array, no bracket of bash, every word from outside [quoted](super::quote). A command fails where
//! the change does, so that `set -e` stops a script there.

use std::fmt::Write as _;

use super::{
    Change, EthtoolSetting, PARTITION, SYSCTL_FILE, UnitState,
    quote::{pattern, quote},
    setting_line, sysctl_path,
};
use crate::{boot, facts::boot::Loader};

impl Change {
    /// The commands that make this change on the running machine, one a line of `sh`; all of them, in order.
    ///
    /// ```
    /// use tuner::change::{Change, Form};
    ///
    /// let change = Change::Kernel {
    ///     path: "sys/kernel/mm/transparent_hugepage/enabled".to_owned(),
    ///     value: "madvise".to_owned(),
    ///     form: Form::Choice,
    /// };
    /// assert_eq!(change.shell(), ["echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"]);
    /// ```
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        self.shell_below("")
    }

    /// The same on a machine that is known: a kernel parameter goes where its boot loader keeps it. `root` is as for
    /// [`Change::shell_below`].
    ///
    /// # Errors
    /// What a person has to do, where no command does it.
    pub fn shell_on(&self, loader: Option<&Loader>, root: &str) -> Result<Vec<String>, String> {
        match self {
            Self::BootParameter { key, value } => {
                let arguments = boot::Arguments::of(key, value);
                boot::shell::commands(loader, &arguments, &|path| quote(&format!("{root}/{path}")))
            }
            other => Ok(other.shell_below(root)),
        }
    }

    /// The same for a machine whose files are below `root` (`""` is the running one). Commands such as `ethtool` and
    /// `systemctl` speak to the running machine whatever `root` is.
    #[must_use]
    pub fn shell_below(&self, root: &str) -> Vec<String> {
        let at = |path: &str| quote(&format!("{root}/{path}"));
        match self {
            Self::Sysctl { key, value } => vec![
                echo(value, &at(&sysctl_path(key))),
                replace_line(
                    &format!("^{}[ =]", pattern(key)),
                    &format!("{key} = {value}"),
                    &at(SYSCTL_FILE),
                ),
            ],
            Self::Kernel { path, value, form: _ } => vec![echo(value, &at(path))],
            Self::BootParameter { key, value } => {
                vec![boot::shell::whichever(&boot::Arguments::of(key, value), &at)]
            }
            Self::File { path, content } => {
                let mut lines = Vec::new();
                if let Some((dir, _)) = path.rsplit_once('/') {
                    lines.push(format!("mkdir -p {}", at(dir)));
                }
                lines.push(format!("{} > {}", print(content), at(path)));
                lines
            }
            Self::Setting { path, key, value } => vec![replace_line(
                &format!("^[[:space:]]*{}=", pattern(key)),
                &setting_line(key, value),
                &at(path),
            )],
            Self::Ethtool { interface, setting } => {
                // 80: there was nothing to change.
                vec![format!("ethtool {} || [ $? -eq 80 ]", ethtool(interface, setting))]
            }
            Self::Unit { unit, state } => {
                let verb = match state {
                    UnitState::Disabled => "disable --now",
                    UnitState::Enabled => "enable --now",
                    UnitState::Restarted => "try-restart",
                };
                vec![format!("systemctl {verb} -- {}", quote(unit))]
            }
            Self::Affinity { thread, name, cpus } => vec![format!(
                "[ \"$(cat {})\" != {} ] || taskset -pc {} {thread}",
                at(&format!("proc/{thread}/comm")),
                quote(name),
                quote(&cpus.to_string()),
            )],
            Self::Partition { cpus } => {
                let file = |name: &str| at(&format!("{PARTITION}/{name}"));
                let cpus = cpus.to_string();
                vec![
                    format!("mkdir -p {}", at(PARTITION)),
                    echo("+cpuset", &at("sys/fs/cgroup/cgroup.subtree_control")),
                    // Linux 6.7 and later; before, cpuset.cpus of a child of the root is exclusive enough.
                    format!(
                        "[ ! -e {0} ] || {1}",
                        file("cpuset.cpus.exclusive"),
                        echo(&cpus, &file("cpuset.cpus.exclusive"))
                    ),
                    echo(&cpus, &file("cpuset.cpus")),
                    echo("isolated", &file("cpuset.cpus.partition")),
                    // The write succeeds where the partition is "isolated invalid (…)".
                    format!("[ \"$(cat {})\" = isolated ]", file("cpuset.cpus.partition")),
                ]
            }
            Self::Hugepages { node, size_kib, count } => {
                let file = at(&super::hugepages_path(*node, *size_kib));
                let echo = echo(&count.to_string(), &file);
                // The kernel gives what it finds, and says nothing when it is less.
                vec![echo, format!("[ \"$(cat {file})\" -eq {count} ]")]
            }
            Self::Driver { device, driver } => {
                let dir = format!("sys/bus/pci/devices/{device}");
                let bound = at(&format!("{dir}/driver/unbind"));
                let device = device.to_string();
                vec![
                    format!("modprobe -- {}", quote(driver)),
                    echo(driver, &at(&format!("{dir}/driver_override"))),
                    format!("[ ! -e {bound} ] || {}", echo(&device, &bound)),
                    echo(&device, &at("sys/bus/pci/drivers_probe")),
                ]
            }
            Self::KernelArguments(arguments) => arguments.shell(),
            Self::BootMenu { tool } => vec![tool.command().join(" ")],
        }
    }
}

/// Commands for several changes: the same value for many files is one loop.
#[must_use]
pub fn shell_all(changes: &[Change]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = changes;
    while let [first, ..] = rest {
        let same = match first {
            Change::Kernel { value, .. } => rest
                .iter()
                .take_while(|c| matches!(c, Change::Kernel { value: v, .. } if v == value))
                .count(),
            _ => 1,
        };
        let (run, behind) = rest.split_at(same);
        rest = behind;
        match run {
            [Change::Kernel { value, .. }, _, ..] => {
                let paths: Vec<String> = run
                    .iter()
                    .filter_map(|change| match change {
                        Change::Kernel { path, .. } => Some(quote(&format!("/{path}"))),
                        _ => None,
                    })
                    .collect();
                // A loop ends as its last command does; the others must not be forgotten.
                lines.push(format!(
                    "for file in {}; do {} || exit 1; done",
                    paths.join(" "),
                    echo(value, "\"$file\"")
                ));
            }
            _ => lines.extend(run.iter().flat_map(Change::shell)),
        }
    }
    lines
}

/// Writes one line to a file that is quoted already.
fn echo(value: &str, file: &str) -> String {
    let word = quote(value);
    // What `echo` does with a dash in front or a backslash differs from shell to shell.
    if word == value && !value.starts_with('-') {
        format!("echo {word} > {file}")
    } else {
        format!("printf '%s\\n' {word} > {file}")
    }
}

/// Prints a text of lines.
pub(crate) fn print(content: &str) -> String {
    let (body, format) = match content.strip_suffix('\n') {
        Some(body) => (body, "printf '%s\\n'"),
        None => (content, "printf %s"),
    };
    if format == "printf %s" {
        return format!("{format} {}", quote(body));
    }
    let mut command = format.to_owned();
    for line in body.split('\n') {
        // Writing into a String can not fail.
        let _ = write!(command, " \\\n  {}", quote(line));
    }
    command
}

/// Puts one line at the end of a file, in place of those that match; the file keeps its owner and mode. `file` is
/// quoted already.
fn replace_line(matching: &str, line: &str, file: &str) -> String {
    format!(
        "{{ sed {} {file} 2>/dev/null || :; printf '%s\\n' {}; }} > {file}.new && cat {file}.new > {file} && rm {file}.new",
        quote(&format!("/{matching}/d")),
        quote(line),
    )
}

fn ethtool(interface: &str, setting: &EthtoolSetting) -> String {
    let interface = quote(interface);
    let switch = |on: bool| if on { "on" } else { "off" };
    let number = |name: &str, value: Option<u32>| {
        value.map(|value| format!(" {name} {value}")).unwrap_or_default()
    };
    match setting {
        EthtoolSetting::Rings { rx, tx } => {
            format!("-G {interface}{}{}", number("rx", *rx), number("tx", *tx))
        }
        EthtoolSetting::Coalesce { adaptive, rx_usecs, tx_usecs } => {
            let adaptive = adaptive
                .map(|on| format!(" adaptive-rx {0} adaptive-tx {0}", switch(on)))
                .unwrap_or_default();
            let (rx, tx) = (number("rx-usecs", *rx_usecs), number("tx-usecs", *tx_usecs));
            format!("-C {interface}{adaptive}{rx}{tx}")
        }
        EthtoolSetting::Channels { combined } => format!("-L {interface} combined {combined}"),
        EthtoolSetting::Features(features) => {
            let each =
                features.iter().map(|(name, on)| format!(" {} {}", quote(name), switch(*on)));
            format!("-K {interface}{}", each.collect::<String>())
        }
        EthtoolSetting::Pause { rx, tx } => {
            format!("-A {interface} rx {} tx {}", switch(*rx), switch(*tx))
        }
        EthtoolSetting::Eee(on) => format!("--set-eee {interface} eee {}", switch(*on)),
    }
}
