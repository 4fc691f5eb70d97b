//! systemd's units, and other programs that tune.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{Fact, Source, hands::command};

/// The units that some check asks about.
pub const WATCHED: [&str; 17] = [
    "auto-cpufreq.service",
    "barewired.service",
    "cpufrequtils.service",
    "cpupower.service",
    "fwupd-refresh.timer",
    "irqbalance.service",
    "ksm.service",
    "ksmtuned.service",
    "numad.service",
    "ondemand.service",
    "power-profiles-daemon.service",
    "snapd.service",
    "stalld.service",
    "thermald.service",
    "tlp.service",
    "tuned-ppd.service",
    "tuned.service",
];

/// systemd's units, and other programs that tune.
#[derive(Debug, Clone, Serialize)]
pub struct Units {
    /// The [watched](WATCHED) units.
    pub units: BTreeMap<&'static str, Unit>,
    /// Did systemd itself say which of them run?
    pub was_asked: bool,
    /// The timers that start at boot.
    pub timers: Fact<Vec<String>>,
    /// The profile that TuneD was told to keep.
    pub tuned_profile: Fact<String>,
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Is there a file for it?
    pub is_installed: bool,
    /// Is it started at boot?
    pub is_enabled: Fact<bool>,
    /// Does it run?
    pub is_active: Fact<bool>,
    /// How much memory it may lock: `LimitMEMLOCK`, in bytes or `infinity`. Absent where its files do not say.
    pub memlock: Fact<String>,
}

/// What `systemctl show` says of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// `loaded`, `not-found`, `masked`.
    pub load: String,
    /// `active`, `inactive`, `failed`.
    pub active: String,
    /// `enabled`, `disabled`, `static`, `masked`.
    pub file: String,
    /// In bytes, or `infinity`.
    pub memlock: String,
}

/// The folders of unit files, the first wins.
const FOLDERS: [&str; 4] =
    ["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// How long systemd may think about it.
const PATIENCE: Duration = Duration::from_secs(2);

impl Units {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let shown = source.ask("units/shown", || show(source));
        let wanted = wanted(source);
        let units = WATCHED.map(|name| (name, unit(source, name, shown.value(), &wanted)));
        let timers = match (wanted.is_empty(), source.exists(FOLDERS[2])) {
            (true, false) => Fact::Absent,
            _ => Fact::Is(wanted.into_iter().filter(|name| name.ends_with(".timer")).collect()),
        };
        Self {
            units: units.into(),
            was_asked: shown.value().is_some(),
            timers,
            tuned_profile: source.text("etc/tuned/active_profile").and_then(|profile| {
                if profile.is_empty() { Fact::Absent } else { Fact::Is(profile) }
            }),
        }
    }

    /// One of the [watched](WATCHED) units.
    #[must_use]
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.get(name)
    }

    /// Is it known to run?
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        self.unit(name).is_some_and(|unit| unit.is_active == Fact::Is(true))
    }
}

/// The units that some target or other unit wants at boot, by the links that `systemctl enable` makes and those that
/// distributions ship.
fn wanted(source: &Source) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    for folder in FOLDERS {
        for name in source.names(folder).into_value().unwrap_or_default() {
            if name.ends_with(".wants") || name.ends_with(".requires") {
                wanted.extend(
                    source.names(&format!("{folder}/{name}")).into_value().unwrap_or_default(),
                );
            }
        }
    }
    wanted
}

fn unit(
    source: &Source,
    name: &str,
    shown: Option<&BTreeMap<String, Shown>>,
    wanted: &BTreeSet<String>,
) -> Unit {
    let file =
        FOLDERS.iter().map(|folder| format!("{folder}/{name}")).find(|file| source.exists(file));
    let is_masked =
        source.link_name(&format!("{}/{name}", FOLDERS[0])).value().is_some_and(|to| to == "null");
    match shown.and_then(|shown| shown.get(name)) {
        Some(shown) => Unit {
            is_installed: !matches!(shown.load.as_str(), "not-found" | ""),
            is_enabled: Fact::Is(matches!(
                shown.file.as_str(),
                "enabled" | "enabled-runtime" | "linked" | "alias"
            )),
            is_active: Fact::Is(matches!(
                shown.active.as_str(),
                "active" | "activating" | "reloading"
            )),
            memlock: match shown.memlock.as_str() {
                "" => Fact::Absent,
                memlock => Fact::Is(memlock.to_owned()),
            },
        },
        None => Unit {
            is_active: is_active(source, name, file.is_some()),
            is_installed: file.is_some() && !is_masked,
            is_enabled: Fact::Is(file.is_some() && !is_masked && wanted.contains(name)),
            memlock: file.map_or(Fact::Absent, |file| memlock(source, name, &file)),
        },
    }
}

/// Does a service run, by its control group? What leaves no process behind can not be seen so.
fn is_active(source: &Source, name: &str, is_installed: bool) -> Fact<bool> {
    let tops = ["sys/fs/cgroup/system.slice", "sys/fs/cgroup/systemd/system.slice"];
    if tops.iter().any(|top| source.exists(&format!("{top}/{name}"))) {
        return Fact::Is(true);
    }
    let leaves_no_process =
        ["cpupower.service", "cpufrequtils.service", "tlp.service", "ksm.service"];
    let is_known = !is_installed
        || !source.exists("run/systemd/system")
        || (tops.iter().any(|top| source.exists(top))
            && name.ends_with(".service")
            && !leaves_no_process.contains(&name));
    if is_known {
        Fact::Is(false)
    } else {
        Fact::unknown(format!("systemd was not asked about {name}"))
    }
}

/// The last `LimitMEMLOCK=` of a unit's file and drop-ins.
fn memlock(source: &Source, name: &str, file: &str) -> Fact<String> {
    let mut files = vec![file.to_owned()];
    // Drop-ins count by their name, whatever folder they are in (systemd.unit(5)).
    let mut drop_ins = BTreeMap::new();
    for folder in FOLDERS.iter().rev() {
        let folder = format!("{folder}/{name}.d");
        for drop_in in source.names(&folder).into_value().unwrap_or_default() {
            if drop_in.ends_with(".conf") {
                let path = format!("{folder}/{drop_in}");
                drop_ins.insert(drop_in, path);
            }
        }
    }
    files.extend(drop_ins.into_values());
    let mut last = Fact::Absent;
    for file in files {
        match source.text(&file) {
            Fact::Is(text) => {
                let mut said =
                    text.lines().filter_map(|line| line.trim().strip_prefix("LimitMEMLOCK="));
                if let Some(value) = said.next_back() {
                    last = Fact::Is(value.trim().to_owned());
                }
            }
            Fact::Absent => {}
            Fact::Unknown { why } => return Fact::Unknown { why },
        }
    }
    last
}

/// Asks systemd, where it runs.
fn show(source: &Source) -> Fact<BTreeMap<String, Shown>> {
    if !source.exists("run/systemd/system") {
        return Fact::Absent;
    }
    let mut command = vec![
        "systemctl",
        "show",
        "--no-pager",
        "--property=Names,LoadState,ActiveState,UnitFileState,LimitMEMLOCK",
        "--",
    ];
    command.extend(WATCHED);
    match command::run(&command, PATIENCE) {
        Ok(output) if output.code == Some(0) => Fact::Is(parse(&output.stdout)),
        Ok(output) => {
            let said = output.stderr.lines().next().unwrap_or("it said nothing").to_owned();
            Fact::unknown(format!("systemctl show failed: {said}"))
        }
        Err(error) => Fact::unknown(error.to_string()),
    }
}

/// Reads what `systemctl show` says of several units: `Key=value` lines, an empty line between two units.
fn parse(text: &str) -> BTreeMap<String, Shown> {
    let mut all = BTreeMap::new();
    for block in text.split("\n\n") {
        let mut shown = Shown::default();
        let mut names = "";
        for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "Names" => names = value,
                "LoadState" => shown.load = value.to_owned(),
                "ActiveState" => shown.active = value.to_owned(),
                "UnitFileState" => shown.file = value.to_owned(),
                "LimitMEMLOCK" => shown.memlock = value.to_owned(),
                _ => {}
            }
        }
        // A unit answers by all its names.
        for name in names.split_ascii_whitespace().filter(|name| WATCHED.contains(name)) {
            all.insert(name.to_owned(), shown.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests;
