//! The programs that keep kernel arguments, where no file of ours can.

use serde::{Deserialize, Serialize};

use super::Arguments;
use crate::{
    Fact, Source,
    change::{BootValue, quote},
};

/// What makes the boot menu from files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MenuTool {
    /// Debian and Ubuntu.
    UpdateGrub,
    /// The RHEL and SUSE families, where GRUB's entries are generated.
    GrubMkconfig {
        /// The menu, from the root, without a slash in front.
        menu: String,
    },
    /// systemd-boot, for one kernel.
    KernelInstall {
        /// Its version: `6.12.0-1-amd64`.
        version: String,
    },
}

impl MenuTool {
    /// The command, word by word.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::UpdateGrub => vec!["update-grub".to_owned()],
            Self::GrubMkconfig { menu } => {
                // Arch, Gentoo and whoever else has it under its own name.
                let name =
                    if menu.starts_with("boot/grub/") { "grub-mkconfig" } else { "grub2-mkconfig" };
                vec![name.to_owned(), "-o".to_owned(), format!("/{menu}")]
            }
            Self::KernelInstall { version } => vec![
                "kernel-install".to_owned(),
                "add".to_owned(),
                version.clone(),
                format!("/lib/modules/{version}/vmlinuz"),
            ],
        }
    }

    /// The command, for a shell.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        self.argv().iter().map(|word| quote(word)).collect()
    }
}

/// What a shell puts in place of one kernel.
const UPDATE: &str = "--update-kernel=\"$kernel\"";
/// How a shell learns of all kernels but the one for repairs.
const KERNELS: &str = "$(grubby --info=ALL | sed -n 's/^kernel=\"*\\([^\"]*\\)\"*$/\\1/p' | grep -v rescue | sort -u)";
/// What it does when there are none: nothing set is no success.
const NO_KERNELS: &str = "[ -n \"$kernels\" ] || { echo 'grubby names no kernel' >&2; exit 1; }";

/// What keeps kernel arguments itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArgumentTool {
    /// BLS entries of the RHEL family.
    Grubby,
    /// ostree systems: a new deployment.
    RpmOstree,
    /// Image-based systems.
    Bootc,
}

/// Kernel arguments that are set by a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelArguments {
    /// The program.
    pub tool: ArgumentTool,
    /// The words to set, in order.
    pub add: Vec<String>,
    /// The keys to take out first, whatever their value: those that are set, and those that have to go.
    pub remove: Vec<String>,
}

impl KernelArguments {
    /// These arguments, by that program.
    #[must_use]
    pub fn with(tool: ArgumentTool, arguments: &Arguments) -> Self {
        Self { tool, add: arguments.words(), remove: arguments.keys() }
    }

    /// What is set and what is taken out.
    #[must_use]
    pub fn arguments(&self) -> Arguments {
        let mut all = Arguments::default();
        for key in &self.remove {
            all.set(key, BootValue::Absent);
        }
        all.merge(&Arguments::from_line(&self.add.join(" ")));
        all
    }

    /// The commands, word by word. `kernels` are those that grubby shall be told of: it takes `ALL` too, and then takes
    /// the entry for repairs along, which has to start whatever the arguments do.
    #[must_use]
    pub fn argv(&self, kernels: &[String]) -> Vec<Vec<String>> {
        match self.tool {
            ArgumentTool::Grubby => kernels.iter().flat_map(|kernel| self.grubby(kernel)).collect(),
            ArgumentTool::RpmOstree => {
                let mut call = vec!["rpm-ostree".to_owned(), "kargs".to_owned()];
                call.extend(self.remove.iter().map(|key| format!("--delete-if-present={key}")));
                call.extend(self.add.iter().map(|word| format!("--append-if-missing={word}")));
                vec![call]
            }
            ArgumentTool::Bootc => {
                let words = ["bootc", "loader-entries", "set-options-for-source", "--source"];
                let mut call: Vec<String> = words.map(str::to_owned).to_vec();
                call.extend(["barewire".to_owned(), "--options".to_owned(), self.add.join(" ")]);
                vec![call]
            }
        }
    }

    /// In two calls: within one, it depends on the version of grubby which comes first.
    fn grubby(&self, kernel: &str) -> Vec<Vec<String>> {
        let grubby =
            |what: String| vec!["grubby".to_owned(), format!("--update-kernel={kernel}"), what];
        let mut calls = Vec::new();
        if !self.remove.is_empty() {
            calls.push(grubby(format!("--remove-args={}", self.remove.join(" "))));
        }
        if !self.add.is_empty() {
            calls.push(grubby(format!("--args={}", self.add.join(" "))));
        }
        calls
    }

    /// The commands, for a shell; which kernels there are, it asks grubby.
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        let line = |argv: &Vec<String>| argv.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" ");
        match self.tool {
            ArgumentTool::Grubby => {
                let calls: Vec<String> = self
                    .grubby("KERNEL")
                    .iter()
                    .map(|call| line(call).replacen("--update-kernel=KERNEL", UPDATE, 1))
                    .collect();
                let calls = calls.join(" && ");
                vec![format!(
                    "(kernels={KERNELS}; {NO_KERNELS}; for kernel in $kernels; do {calls} || exit 1; done)"
                )]
            }
            ArgumentTool::RpmOstree | ArgumentTool::Bootc => {
                self.argv(&[]).iter().map(line).collect()
            }
        }
    }

    /// The words that are set afterwards.
    #[must_use]
    pub fn wanted(&self) -> String {
        self.add.join(" ")
    }

    /// What the boot entries say of these keys now; absent where they say nothing, unknown where they differ or are
    /// not files.
    #[must_use]
    pub fn current(&self, source: &Source) -> Fact<String> {
        match self.tool {
            ArgumentTool::Grubby => super::entries::current(source, &self.remove),
            ArgumentTool::RpmOstree | ArgumentTool::Bootc => {
                Fact::unknown("what the next deployment is started with is not a file")
            }
        }
    }
}
