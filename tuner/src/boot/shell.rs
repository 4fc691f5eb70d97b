//! How a shell sets kernel arguments, with the boot loader that the machine has.
//!
//! Each command reads what is there when it runs and writes it back with the arguments set: two of them, one after the
//! other, set both.

use super::{ArgumentTool, Arguments, KernelArguments, MenuTool, grub};
use crate::{
    change::{print, quote},
    facts::boot::Loader,
};

/// The file that kernel-install makes entries with.
pub const KERNEL_INSTALL: &str = "etc/kernel/cmdline";

/// The commands that set these arguments for the next boot; `at` says where a file is, quoted.
///
/// # Errors
/// What a person has to do, where no command does it one argument at a time.
pub fn commands(
    loader: Option<&Loader>,
    arguments: &Arguments,
    at: &dyn Fn(&str) -> String,
) -> Result<Vec<String>, String> {
    match loader {
        Some(Loader::Grub { has_drop_ins: true, .. }) => Ok(vec![drop_in(arguments, at)]),
        Some(Loader::Grub { has_drop_ins: false, menu }) => {
            let tool = MenuTool::GrubMkconfig { menu: menu.clone() };
            let lines = print(&grub::lines(arguments, true));
            Ok(vec![format!("{lines} >> {} && {}", at(grub::SETTINGS), tool.command().join(" "))])
        }
        Some(Loader::GrubBls { .. }) => {
            Ok(KernelArguments::with(ArgumentTool::Grubby, arguments).shell())
        }
        Some(Loader::SystemdBoot { .. }) => Ok(vec![kernel_install(arguments, at)]),
        Some(Loader::Ostree) => {
            Ok(KernelArguments::with(ArgumentTool::RpmOstree, arguments).shell())
        }
        Some(Loader::Bootc | Loader::Uki { .. } | Loader::Zipl | Loader::RaspberryPi { .. })
        | None => Err(format!("{}: {arguments}", by_hand(loader))),
    }
}

/// The same where nobody knows which loader it is: a machine with grubby is taken for one with BLS entries.
#[must_use]
pub fn whichever(arguments: &Arguments, at: &dyn Fn(&str) -> String) -> String {
    let grubby = KernelArguments::with(ArgumentTool::Grubby, arguments).shell().join("; ");
    format!("if command -v grubby > /dev/null; then {grubby}; else {}; fi", drop_in(arguments, at))
}

/// Where a person sets the arguments of a machine on which we do not.
#[must_use]
pub fn by_hand(loader: Option<&Loader>) -> String {
    match loader {
        Some(Loader::Grub { .. } | Loader::GrubBls { .. } | Loader::SystemdBoot { .. }) => {
            "the boot loader's settings are changed by hand".to_owned()
        }
        Some(Loader::Ostree) => {
            "this system's next deployment gets its kernel arguments by hand".to_owned()
        }
        Some(Loader::Bootc) => {
            "this image-based system gets its kernel arguments by hand".to_owned()
        }
        Some(Loader::Uki { .. }) => {
            "the command line is inside a signed kernel image, which has to be built anew"
                .to_owned()
        }
        Some(Loader::Zipl) => {
            "the parameters of /etc/zipl.conf or of the boot entries are set by hand".to_owned()
        }
        Some(Loader::RaspberryPi { file }) => {
            format!("the one line of /{file} is edited by hand")
        }
        None => {
            "nothing on this machine starts its kernel (a hypervisor or a network does), so its \
                 command line is set there"
                .to_owned()
        }
    }
}

fn drop_in(arguments: &Arguments, at: &dyn Fn(&str) -> String) -> String {
    let lines = print(&grub::lines(arguments, true));
    let menu = MenuTool::UpdateGrub.command().join(" ");
    format!("mkdir -p {} && {lines} >> {} && {menu}", at(grub::DROP_IN_DIR), at(grub::DROP_IN))
}

/// Without the file, kernel-install takes what the running kernel was started with.
fn kernel_install(arguments: &Arguments, at: &dyn Fn(&str) -> String) -> String {
    let file = at(KERNEL_INSTALL);
    let patterns: Vec<String> = ["BOOT_IMAGE", "initrd"]
        .into_iter()
        .map(grub::pattern)
        .chain(patterns(arguments))
        .collect();
    let patterns = patterns.join("|");
    // In front: what stands behind a `--` is init's, and the kernel does not read it.
    let ours = match arguments.words().join(" ") {
        words if words.is_empty() => String::new(),
        words => quote(&format!("{words} ")),
    };
    format!(
        "mkdir -p {} && words=$(cat {file} 2> /dev/null || cat {}) && (set -f; set --; for word in $words; do \
         case $word in {patterns}) ;; *) set -- \"$@\" \"$word\" ;; esac; done; printf '%s\\n' {ours}\"$*\") \
         > {file}.new && cat {file}.new > {file} && rm {file}.new && \
         kernel-install add \"$(uname -r)\" \"/lib/modules/$(uname -r)/vmlinuz\"",
        at("etc/kernel"),
        at("proc/cmdline"),
    )
}

fn patterns(arguments: &Arguments) -> impl Iterator<Item = String> {
    arguments.keys().into_iter().map(|key| grub::pattern(&key))
}
