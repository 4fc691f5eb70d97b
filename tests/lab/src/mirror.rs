//! Where Debian's packages come from: the mirrors that the host's own apt sources name.

use std::process::Command;

use crate::{LabError, program};

/// Debian's archive and its security updates, as this host reaches them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrors {
    archive: String,
    security: Option<String>,
}

impl Mirrors {
    /// Those of the host.
    pub(crate) fn of_the_host() -> Result<Mirrors, LabError> {
        let mut command = Command::new("apt-get");
        // The label is the archive's own name for itself, so no host name is needed to know it.
        command.args(["indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"]);
        let listed = program::output("the Debian mirror", &mut command)?;
        Mirrors::in_list(&listed).ok_or_else(|| {
            LabError::Missing(
                "apt knows no Debian mirror on this machine: add one to its sources, then apt-get update"
                    .into(),
            )
        })
    }

    fn in_list(listed: &str) -> Option<Mirrors> {
        let of = |label: &str| {
            listed
                .lines()
                .filter_map(|line| line.split_once('|'))
                .find(|(name, _)| *name == label)
                .map(|(_, uri)| uri.trim().to_owned())
        };
        Some(Mirrors { archive: of("Debian")?, security: of("Debian-Security") })
    }

    /// Lines of a sources.list for one suite.
    pub(crate) fn sources(&self, suite: &str) -> Vec<String> {
        let archive = &self.archive;
        let mut lines = vec![
            format!("deb {archive} {suite} main"),
            format!("deb {archive} {suite}-updates main"),
        ];
        if let Some(security) = &self.security {
            lines.push(format!("deb {security} {suite}-security main"));
        }
        lines
    }
}

/// What a program that fetches packages says when it can not reach them, which is not the lab's fault.
const UNREACHABLE: [&str; 5] = [
    "Could not resolve",
    "Could not connect",
    "Connection timed out",
    "Failed to fetch",
    "Temporary failure",
];

/// The same error, or that the mirror is missing, when that is what the program said.
pub(crate) fn or_unreachable(error: LabError) -> LabError {
    let said = error.tail().unwrap_or_default();
    match said.lines().find(|line| UNREACHABLE.iter().any(|words| line.contains(words))) {
        Some(line) => {
            LabError::Missing(format!("the Debian mirror can not be reached: {}", line.trim()))
        }
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirrors_are_those_of_debian_itself() {
        let listed = "Docker CE|http://a.example/docker/\nDebian-Security|http://b.example/security/\n\
            Debian|http://c.example/debian/\n";

        let mirrors = Mirrors::in_list(listed).unwrap();

        assert_eq!(
            mirrors.sources("bookworm"),
            [
                "deb http://c.example/debian/ bookworm main",
                "deb http://c.example/debian/ bookworm-updates main",
                "deb http://b.example/security/ bookworm-security main",
            ]
        );
        assert_eq!(Mirrors::in_list("Ubuntu|http://d.example/ubuntu/\n"), None);
    }

    #[test]
    fn a_mirror_that_can_not_be_reached_is_told_from_a_package_that_is_broken() {
        let said = |output: &str| {
            or_unreachable(LabError::Program {
                what: "unpacking Debian".into(),
                program: "mmdebstrap".into(),
                how: "ended with 25".into(),
                output: output.into(),
            })
        };
        let away = "Err:1 stable\n  Temporary failure resolving 'a.example'\nE: done";
        assert!(matches!(said(away), LabError::Missing(_)));
        let broken = "dpkg: error processing package grub-pc";
        assert!(matches!(said(broken), LabError::Program { .. }));
    }
}
