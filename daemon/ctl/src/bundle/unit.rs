//! Whose bundle it is: the unit of the packages that a control socket belongs to, when nobody answers there.

use std::path::{Path, PathBuf};

/// A unit of the packages.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `barewired.service`, with its socket below /run/barewire.
    Daemon,
    /// `barewired@NAME.service`, with its socket below /run/barewire-NAME. The name is as systemd escaped it, in all of
    /// the unit's paths.
    Instance(String),
    /// The socket is somewhere else: it may be anybody's.
    Any,
}

impl Unit {
    /// By the directory of its socket.
    pub(super) fn of(socket: &Path) -> Self {
        let folder = socket.parent().and_then(|folder| folder.strip_prefix("/run").ok());
        match folder.and_then(Path::to_str) {
            Some("barewire") => Self::Daemon,
            Some(folder) if !folder.contains('/') => match folder.strip_prefix("barewire-") {
                Some(name) if !name.is_empty() => Self::Instance(name.to_owned()),
                _ => Self::Any,
            },
            _ => Self::Any,
        }
    }

    /// The file that its command line names.
    pub(super) fn config(&self) -> PathBuf {
        match self {
            Self::Instance(name) => format!("/etc/barewire/{name}.toml").into(),
            Self::Daemon | Self::Any => "/etc/barewire/barewire.toml".into(),
        }
    }

    /// Its name for the journal, or a pattern.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Daemon => vec!["barewired.service".to_owned()],
            Self::Instance(name) => vec![format!("barewired@{name}.service")],
            Self::Any => ["barewired.service", "barewired@*.service"].map(str::to_owned).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_s_directory_names_the_unit_its_file_and_its_journal() {
        for (socket, config, names) in [
            ("/run/barewire/control.sock", "barewire.toml", &["barewired.service"][..]),
            ("/run/barewire-edge/control.sock", "edge.toml", &["barewired@edge.service"]),
            ("/run/barewire-a-b/c", "a-b.toml", &["barewired@a-b.service"]),
            ("/tmp/c.sock", "barewire.toml", &["barewired.service", "barewired@*.service"]),
        ] {
            let unit = Unit::of(Path::new(socket));
            assert_eq!(unit.config(), Path::new("/etc/barewire").join(config), "{socket}");
            assert_eq!(unit.names(), names, "{socket}");
        }
    }

    #[test]
    fn a_directory_that_no_unit_makes_names_none() {
        for socket in ["/run/barewire-/c", "/run/x/barewire-edge/c", "/barewire-edge/c", "c", "/"] {
            assert_eq!(Unit::of(Path::new(socket)), Unit::Any, "{socket}");
        }
    }
}
