//! vfio: its modules' parameters, its device files, and what keeps a binding over a reboot.

use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

use crate::{Fact, Source};

/// vfio, and who may use it.
#[derive(Debug, Clone, Serialize)]
pub struct Vfio {
    /// Is `vfio-pci` there as a driver? (Otherwise it is not loaded.)
    pub has_driver: bool,
    /// `vfio.enable_unsafe_noiommu_mode`; absent when vfio is not loaded.
    pub no_iommu: Fact<bool>,
    /// Who may open `/dev/vfio/vfio` and the groups beside it.
    pub files: Fact<Vec<DeviceFile>>,
    /// The user that the daemon runs as, by number; absent when there is no such user, or it runs as root.
    pub service_user: Fact<u32>,
    /// Its group.
    pub service_group: Fact<u32>,
    /// `/etc/driverctl.d`: the files, each named `pci-0000:3b:00.0` or the like, with the driver they hold.
    pub driverctl: Fact<Vec<(String, String)>>,
    /// Is driverctl installed?
    pub has_driverctl: bool,
    /// udev rules that set a driver_override, one line each, with their file.
    pub rules: Vec<(String, String)>,
    /// Other ways by which vfio-pci claims devices at boot: `vfio-pci.ids=` and `options vfio-pci ids=`.
    pub identifiers: Vec<(String, String)>,
}

/// One file under `/dev/vfio`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFile {
    /// Its name: `vfio`, or the number of a group.
    pub name: String,
    /// Who owns it.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Its permissions.
    pub mode: u32,
}

impl DeviceFile {
    /// May this user open it for reading and writing?
    #[must_use]
    pub fn is_open_to(&self, user: u32, group: u32) -> bool {
        let bits = if self.user == user {
            self.mode >> 6
        } else if self.group == group {
            self.mode >> 3
        } else {
            self.mode
        };
        bits & 6 == 6
    }

    /// May everybody?
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        self.mode & 6 == 6
    }
}

/// The user that our unit runs the daemon as, where one is made for it.
const SERVICE_USER: &str = "barewire";

/// Where udev's rules are, the administrator's first.
const RULES: [&str; 3] = ["etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d"];

impl Vfio {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let (service_user, service_group) = service(source);
        Self {
            has_driver: source.exists("sys/bus/pci/drivers/vfio-pci"),
            no_iommu: flag(source, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"),
            files: source.ask("files/dev-vfio", files),
            service_user,
            service_group,
            driverctl: source.names("etc/driverctl.d").map(|names| {
                let text = |name: String| {
                    let driver = source.text(&format!("etc/driverctl.d/{name}")).into_value();
                    (name, driver.unwrap_or_default())
                };
                names.into_iter().take(1024).map(text).collect()
            }),
            has_driverctl: ["usr/sbin/driverctl", "usr/bin/driverctl", "sbin/driverctl"]
                .into_iter()
                .any(|path| source.exists(path)),
            rules: rules(source),
            identifiers: identifiers(source),
        }
    }
}

fn flag(source: &Source, path: &str) -> Fact<bool> {
    source.text(path).and_then(|text| match text.as_str() {
        "Y" | "1" => Fact::Is(true),
        "N" | "0" => Fact::Is(false),
        _ => Fact::unknown(format!("/{path} says \"{text}\"")),
    })
}

/// Permissions are no text of a file, so they are asked for.
fn files() -> Fact<Vec<DeviceFile>> {
    let entries = match std::fs::read_dir("/dev/vfio") {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Fact::Absent,
        Err(error) => return Fact::unknown(format!("cannot read /dev/vfio: {error}")),
    };
    let mut files = Vec::new();
    for entry in entries.take(4096) {
        let Ok(entry) = entry else { continue };
        let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        if !meta.is_dir() {
            let (user, group, mode) = (meta.uid(), meta.gid(), meta.mode() & 0o7777);
            files.push(DeviceFile { name, user, group, mode });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Fact::Is(files)
}

fn service(source: &Source) -> (Fact<u32>, Fact<u32>) {
    let line = source.text("etc/passwd").and_then(|text| {
        let is_it = |line: &&str| line.split(':').next() == Some(SERVICE_USER);
        text.lines().find(is_it).map_or(Fact::Absent, |line| Fact::Is(line.to_owned()))
    });
    let field = |at: usize| {
        line.as_ref().and_then(|line| match line.split(':').nth(at).map(str::parse) {
            Some(Ok(number)) => Fact::Is(number),
            _ => Fact::unknown(format!("/etc/passwd has a broken line for {SERVICE_USER}")),
        })
    };
    (field(2), field(3))
}

/// Lines of udev's rules that set a driver_override.
fn rules(source: &Source) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for dir in RULES {
        let names = source.names(dir).into_value().unwrap_or_default();
        for name in names.into_iter().filter(|name| name.ends_with(".rules")).take(1024) {
            let path = format!("{dir}/{name}");
            let text = source.text(&path).into_value().unwrap_or_default();
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let lines = lines.filter(|line| line.contains("driver_override"));
            found.extend(lines.map(|line| (path.clone(), line.to_owned())));
        }
    }
    found
}

/// `options vfio-pci ids=8086:1592` of modprobe.d.
fn identifiers(source: &Source) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for dir in ["etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d"] {
        let names = source.names(dir).into_value().unwrap_or_default();
        for name in names.into_iter().filter(|name| name.ends_with(".conf")).take(1024) {
            let path = format!("{dir}/{name}");
            let text = source.text(&path).into_value().unwrap_or_default();
            let ours = text.lines().map(str::trim).filter(|line| {
                let mut words = line.split_ascii_whitespace();
                words.next() == Some("options")
                    && matches!(words.next(), Some("vfio-pci" | "vfio_pci"))
                    && words.any(|word| word.starts_with("ids="))
            });
            found.extend(ours.map(|line| (path.clone(), line.to_owned())));
        }
    }
    found
}
