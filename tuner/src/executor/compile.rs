//! What each step of a plan comes down to: knobs, what they are, and what they shall be.

use std::collections::BTreeMap;

use config::CpuSet;

use crate::{
    Fact, Source,
    boot::ArgumentTool,
    change::{Change, EthtoolSetting, Form, PARTITION, UnitState, hugepages_path, setting_line},
    hands::{Content, EthtoolGroup, Hands, Settings},
    journal::{Deed, Effect, Progress, Way},
    knob::{self, Binding, Knob, KnobError, Line, UnitSide, Value},
    plan::{Scope, Step},
};

/// Why a plan can not be carried out as it is.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Something could not be read.
    #[error("cannot tell what {target} is")]
    Knob {
        /// What the step changes.
        target: String,
        /// Why not.
        source: KnobError,
    },
    /// It is not what it was when the plan was made.
    #[error(
        "{target} is {found}, and was {expected} when the plan was made: somebody else is tuning"
    )]
    Moved {
        /// What the step changes.
        target: String,
        /// What it was.
        expected: String,
        /// What it is.
        found: String,
    },
    /// It is not there.
    #[error("{target} can not be set: {problem}")]
    Impossible {
        /// What the step changes.
        target: String,
        /// Why not.
        problem: String,
    },
    /// It is done by hand.
    #[error("{target} is set by hand on this kind of system: {command}")]
    ByHand {
        /// What the step changes.
        target: String,
        /// How.
        command: String,
    },
    /// The machine's directory can not be opened.
    #[error(transparent)]
    Root(#[from] crate::capture::CaptureError),
}

/// What the steps come down to. What is as it should be already comes down to nothing.
///
/// # Errors
/// [`CompileError`]; then nothing of the plan should be done.
pub fn compile(hands: &dyn Hands, steps: &[Step]) -> Result<Vec<Effect>, CompileError> {
    let source = Source::at(hands.root())?;
    let mut compiler =
        Compiler { hands, effects: Vec::new(), becomes: BTreeMap::new(), last: Vec::new() };
    for (index, step) in steps.iter().enumerate() {
        compiler.is_as_planned(&source, step)?;
        compiler.step(index, step, steps)?;
    }
    let mut effects = compiler.last;
    effects.append(&mut compiler.effects);
    Ok(effects)
}

struct Compiler<'a> {
    hands: &'a dyn Hands,
    effects: Vec<Effect>,
    /// What knobs will be after the effects so far, by name.
    becomes: BTreeMap<String, Value>,
    /// Commands that come last on the way back, so that they stand first here.
    last: Vec<Effect>,
}

impl Compiler<'_> {
    /// Refuses a step whose value moved since the plan was made, as far as files tell.
    fn is_as_planned(&self, source: &Source, step: &Step) -> Result<(), CompileError> {
        let now = step.change.current(source);
        let form = step.change.form();
        let same = match (&step.from, &now) {
            (Fact::Unknown { .. }, _)
            | (_, Fact::Unknown { .. })
            | (Fact::Absent, Fact::Absent) => true,
            (Fact::Is(then), Fact::Is(now)) => form.is_same(then, now),
            (Fact::Is(_), Fact::Absent) | (Fact::Absent, Fact::Is(_)) => false,
        };
        // The second `apply` of a plan finds what the first one left; and irqbalance moves interrupts all the time.
        if same || step.change.is_done(&now) || is_moved_all_the_time(&step.change) {
            return Ok(());
        }
        let word = |fact: &Fact<String>| match fact {
            Fact::Is(text) => format!("\"{}\"", Value::Text(text.clone()).summary()),
            Fact::Absent => "absent".to_owned(),
            Fact::Unknown { why } => format!("unknown ({why})"),
        };
        Err(CompileError::Moved {
            target: step.change.target(),
            expected: word(&step.from),
            found: word(&now),
        })
    }

    fn step(&mut self, index: usize, step: &Step, steps: &[Step]) -> Result<(), CompileError> {
        let impossible = |problem: &str| CompileError::Impossible {
            target: step.change.target(),
            problem: problem.to_owned(),
        };
        match &step.change {
            Change::Sysctl { .. } | Change::BootParameter { .. } => {
                Err(impossible("a plan takes it apart into what is written; this one does not"))
            }
            Change::Kernel { path, value, form } => self.kernel(index, step, path, value, *form),
            Change::Hugepages { node, size_kib, count } => {
                let path = hugepages_path(*node, *size_kib);
                self.kernel(index, step, &path, &count.to_string(), Form::Number)
            }
            Change::File { path, content } => {
                self.parents(index, step, path)?;
                let knob = Knob::File { path: path.clone() };
                let from = self.now(step, &knob)?;
                let to = match &from {
                    Value::File(there) => there.with_text(content.clone()),
                    _ => self.ours(content),
                };
                self.turn(index, knob, from, Value::File(to));
                Ok(())
            }
            Change::Setting { path, key, value } => self.setting(index, step, path, key, value),
            Change::Ethtool { interface, setting } => self.ethtool(index, step, interface, setting),
            Change::Unit { unit, state } => self.unit(index, step, unit, *state, steps),
            Change::Affinity { thread, name, cpus } => {
                self.affinity(index, step, *thread, name, cpus)
            }
            Change::Partition { cpus } => self.partition(index, step, cpus),
            Change::Driver { device, driver } => {
                let knob = Knob::Driver { device: *device };
                let from = self.now(step, &knob)?;
                if !self.exists(step, &format!("sys/bus/pci/devices/{device}"))? {
                    return Err(impossible("there is no such function"));
                }
                let Value::Driver(now) = &from else { return Ok(()) };
                if now.driver.as_ref() != Some(driver) {
                    self.turn(index, knob, from, Value::Driver(Binding::only(driver)));
                }
                Ok(())
            }
            Change::KernelArguments(arguments) => match arguments.tool {
                ArgumentTool::Grubby => {
                    let keys = arguments.remove.clone();
                    let knob = Knob::Arguments { tool: arguments.tool, keys };
                    let from = self.now(step, &knob)?;
                    let to = match arguments.wanted() {
                        words if words.is_empty() => Value::Absent,
                        words => Value::Text(words),
                    };
                    self.turn(index, knob, from, to);
                    Ok(())
                }
                ArgumentTool::RpmOstree | ArgumentTool::Bootc => Err(CompileError::ByHand {
                    target: step.change.target(),
                    command: arguments.shell().join("; "),
                }),
            },
            Change::BootMenu { tool } => {
                let is_stale = self.effects.iter().any(|effect| {
                    steps.get(effect.step).is_some_and(|step| step.change.needs_reboot())
                });
                if is_stale {
                    self.after(index, &tool.argv());
                }
                Ok(())
            }
        }
    }

    fn kernel(
        &mut self,
        index: usize,
        step: &Step,
        path: &str,
        value: &str,
        form: Form,
    ) -> Result<(), CompileError> {
        if step.scope == Scope::Boot {
            return Ok(());
        }
        let knob = Knob::Kernel { path: path.to_owned(), form };
        match self.now(step, &knob)? {
            Value::Absent if is_about_an_interrupt(path) => Ok(()),
            Value::Absent => Err(CompileError::Impossible {
                target: step.change.target(),
                problem: format!("there is no /{path}"),
            }),
            from => {
                self.turn(index, knob, from, Value::Text(value.to_owned()));
                Ok(())
            }
        }
    }

    /// A line in a file that is not ours. A list of CPUs that is there is added to, never replaced: the administrator
    /// has reasons of their own.
    fn setting(
        &mut self,
        index: usize,
        step: &Step,
        path: &str,
        key: &str,
        value: &str,
    ) -> Result<(), CompileError> {
        self.parents(index, step, path)?;
        let knob = Knob::Line { path: path.to_owned(), key: key.to_owned() };
        let mut from = self.now(step, &knob)?;
        // An earlier line of ours made the file, or ended its last line.
        let is_longer = self.effects.iter().any(|effect| match &effect.deed {
            Deed::Turn {
                knob: Knob::Line { path: other, .. },
                from: Value::Line(Line::NoFile | Line::NoLine { .. }),
                ..
            } => other == path,
            _ => false,
        });
        if is_longer && matches!(&from, Value::Line(Line::NoFile | Line::NoLine { .. })) {
            from = Value::Line(Line::NoLine { is_ended: true });
        }
        let mut line = setting_line(key, value);
        let mut is_ended = true;
        if let Value::Line(Line::Is { line: there, is_ended: ended }) = &from {
            is_ended = *ended;
            let said = unquoted(there, key);
            if let (true, Some(ours), Some(theirs)) =
                (key.ends_with("_CPULIST"), cpus(value), said.as_deref().and_then(cpus))
            {
                line = setting_line(key, &ours.union(&theirs).to_string());
            }
            if said == unquoted(&line, key) {
                return Ok(());
            }
        }
        self.turn(index, knob, from, Value::Line(Line::Is { line, is_ended }));
        Ok(())
    }

    fn ethtool(
        &mut self,
        index: usize,
        step: &Step,
        interface: &str,
        setting: &EthtoolSetting,
    ) -> Result<(), CompileError> {
        let (group, wanted) = wanted_settings(setting);
        let all = self
            .hands
            .ethtool(interface, group)
            .map_err(|error| unknown(step, KnobError::Hands(error)))?;
        let mut to = Settings::new();
        for (name, value) in wanted {
            let names = linux::ethtool::kernel_names(&name, all.keys());
            // adaptive-rx may be there without adaptive-tx; what is there is set.
            if names.is_empty() && !name.starts_with("adaptive-") {
                return Err(CompileError::Impossible {
                    target: step.change.target(),
                    problem: format!("{interface} has no \"{name}\" that could be changed"),
                });
            }
            to.extend(names.into_iter().map(|name| (name.clone(), value)));
        }
        let knob = Knob::Ethtool {
            interface: interface.to_owned(),
            group,
            settings: to.keys().cloned().collect(),
        };
        let from = self.now(step, &knob)?;
        self.turn(index, knob, from, Value::Ethtool(to));
        Ok(())
    }

    fn unit(
        &mut self,
        index: usize,
        step: &Step,
        unit: &str,
        state: UnitState,
        steps: &[Step],
    ) -> Result<(), CompileError> {
        let (at_boot, now) = match state {
            UnitState::Enabled => ("enabled", "active"),
            UnitState::Disabled => ("disabled", "inactive"),
            UnitState::Restarted => {
                let is_asked_for = self.effects.iter().any(|effect| {
                    let other = steps.get(effect.step);
                    other.is_some_and(|other| other.checks.iter().any(|c| step.checks.contains(c)))
                });
                if is_asked_for {
                    let words = ["systemctl", "try-restart", "--", unit];
                    self.after(index, &words.map(str::to_owned));
                }
                return Ok(());
            }
        };
        let knob = Knob::Unit { unit: unit.to_owned(), side: UnitSide::AtBoot };
        let from = self.now(step, &knob)?;
        let said = match &from {
            Value::Text(word) => word.as_str(),
            _ => "",
        };
        if said == "not-found" {
            return Ok(());
        }
        // The others (static, masked, generated, alias) have no switch of their own.
        if matches!(said, "enabled" | "enabled-runtime" | "disabled") {
            self.turn(index, knob, from, Value::Text(at_boot.to_owned()));
        }
        let knob = Knob::Unit { unit: unit.to_owned(), side: UnitSide::Now };
        let from = self.now(step, &knob)?;
        self.turn(index, knob, from, Value::Text(now.to_owned()));
        Ok(())
    }

    fn affinity(
        &mut self,
        index: usize,
        step: &Step,
        thread: u32,
        name: &str,
        cpus: &CpuSet,
    ) -> Result<(), CompileError> {
        let seen = knob::read_thread(self.hands, thread, name, None)
            .map_err(|source| unknown(step, source))?;
        // It ended meanwhile.
        let Some(seen) = seen else { return Ok(()) };
        let knob = Knob::Affinity { thread, name: name.to_owned(), began: seen.began };
        self.turn(index, knob, Value::Cpus(seen.allowed), Value::Cpus(cpus.clone()));
        Ok(())
    }

    /// A slice of the root of cgroup v2 that is a partition of its own, without load balancing.
    ///
    /// `Documentation/admin-guide/cgroup-v2.rst` of Linux 6.18, "cpuset.cpus.partition": a valid one reads back as
    /// `isolated`, another one as `isolated invalid (…)`.
    fn partition(&mut self, index: usize, step: &Step, cpus: &CpuSet) -> Result<(), CompileError> {
        let (root, _) = PARTITION.rsplit_once('/').unwrap_or(("sys/fs/cgroup", ""));
        let read = |path: &str| {
            self.hands.text(path).map_err(|error| unknown(step, KnobError::Hands(error)))
        };
        let has_cpuset = read(&format!("{root}/cgroup.controllers"))?
            .is_some_and(|all| all.split_whitespace().any(|name| name == "cpuset"));
        if !has_cpuset {
            return Err(CompileError::Impossible {
                target: step.change.target(),
                problem: format!("/{root} is no hierarchy of cgroup v2 with the cpuset controller"),
            });
        }
        let controller = Knob::Controller { cgroup: root.to_owned(), name: "cpuset".to_owned() };
        let had_cpuset = self.now(step, &controller)?;
        let directory = Knob::Directory { path: PARTITION.to_owned() };
        let was_there = self.now(step, &directory)?;
        // Linux 6.7 and later have it; a child's files are the same as those of other groups at this level.
        let has_exclusive = self.exists(step, &format!("{PARTITION}/cpuset.cpus.exclusive"))?
            || (was_there == Value::Absent && self.kernel_is_at_least(6, 7));
        let is_new = had_cpuset == Value::Absent || was_there == Value::Absent;
        self.turn(index, controller, had_cpuset, Value::Present);
        self.turn(index, directory, was_there, Value::Present);
        let files = [
            ("cpuset.cpus.exclusive", Form::CpuList, "\n", cpus.to_string(), has_exclusive),
            ("cpuset.cpus", Form::CpuList, "\n", cpus.to_string(), true),
            ("cpuset.cpus.partition", Form::Text, "member\n", "isolated".to_owned(), true),
        ];
        for (name, form, default, value, is_there) in files {
            if !is_there {
                continue;
            }
            let knob = Knob::Kernel { path: format!("{PARTITION}/{name}"), form };
            let from = match self.now(step, &knob)? {
                // It will be there once the directory is.
                Value::Absent if is_new => Value::Text(default.to_owned()),
                from => from,
            };
            self.turn(index, knob, from, Value::Text(value));
        }
        Ok(())
    }

    fn kernel_is_at_least(&self, major: u32, minor: u32) -> bool {
        let release = self.hands.text("proc/sys/kernel/osrelease").ok().flatten();
        let parts = release.as_deref().and_then(|text| {
            let mut parts = text.split(|c: char| !c.is_ascii_digit());
            Some((parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?))
        });
        parts.is_some_and(|version| version >= (major, minor))
    }

    /// The directories that have to be made for a file.
    fn parents(&mut self, index: usize, step: &Step, path: &str) -> Result<(), CompileError> {
        for (at, _) in path.match_indices('/') {
            let knob = Knob::Directory { path: path[..at].to_owned() };
            let from = self.now(step, &knob)?;
            self.turn(index, knob, from, Value::Present);
        }
        Ok(())
    }

    fn exists(&self, step: &Step, path: &str) -> Result<bool, CompileError> {
        self.hands.exists(path).map_err(|error| unknown(step, KnobError::Hands(error)))
    }

    /// What a knob will be when this effect's turn comes.
    fn now(&self, step: &Step, knob: &Knob) -> Result<Value, CompileError> {
        match self.becomes.get(&knob.name()) {
            Some(value) => Ok(value.clone()),
            None => knob.read(self.hands).map_err(|source| unknown(step, source)),
        }
    }

    fn turn(&mut self, step: usize, knob: Knob, from: Value, to: Value) {
        if knob.is_same(&from, &to) {
            return;
        }
        self.becomes.insert(knob.name(), to.clone());
        let deed = Deed::Turn { knob, from, to };
        self.effects.push(Effect { step, deed, progress: Progress::Planned });
    }

    /// Runs a command here, and at the end of the way back.
    fn after(&mut self, step: usize, command: &[String]) {
        let effect = |way| Effect {
            step,
            deed: Deed::Run { command: command.to_vec(), way },
            progress: Progress::Planned,
        };
        self.effects.push(effect(Way::There));
        self.last.push(effect(Way::Back));
    }

    /// A file of whoever owns the machine's files: root, or whoever made the directory that stands for one.
    fn ours(&self, text: &str) -> Content {
        let (user, group) = match self.hands.is_live() {
            true => (0, 0),
            false => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        };
        Content { user, group, ..Content::ours(text) }
    }
}

fn unknown(step: &Step, source: KnobError) -> CompileError {
    CompileError::Knob { target: step.change.target(), source }
}

/// Does a daemon change it whenever it likes, so that what it was when the plan was made says nothing?
fn is_moved_all_the_time(change: &Change) -> bool {
    matches!(change, Change::Kernel { path, .. } if is_about_an_interrupt(path))
}

/// Interrupts come and go with their devices.
pub(super) fn is_about_an_interrupt(path: &str) -> bool {
    path.starts_with("proc/irq/")
        && path.split('/').nth(2).is_some_and(|n| n.parse::<u32>().is_ok())
}

fn cpus(text: &str) -> Option<CpuSet> {
    text.trim().parse().ok()
}

/// The value of a `KEY=value` line, without quotes.
fn unquoted(line: &str, key: &str) -> Option<String> {
    let value = line.trim().strip_prefix(key)?.strip_prefix('=')?.trim();
    let inside = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value);
    Some(inside.to_owned())
}

/// A change of ethtool's by names.
fn wanted_settings(setting: &EthtoolSetting) -> (EthtoolGroup, Settings) {
    let of = |all: &[(&str, Option<u32>)]| -> Settings {
        all.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?))).collect()
    };
    let on = |is_on: bool| Some(u32::from(is_on));
    match setting {
        EthtoolSetting::Rings { rx, tx } => (EthtoolGroup::Rings, of(&[("rx", *rx), ("tx", *tx)])),
        EthtoolSetting::Coalesce { adaptive, rx_usecs, tx_usecs } => {
            let adaptive = adaptive.and_then(on);
            let all = [
                ("adaptive-rx", adaptive),
                ("adaptive-tx", adaptive),
                ("rx-usecs", *rx_usecs),
                ("tx-usecs", *tx_usecs),
            ];
            (EthtoolGroup::Coalesce, of(&all))
        }
        EthtoolSetting::Channels { combined } => {
            (EthtoolGroup::Channels, of(&[("combined", Some(*combined))]))
        }
        EthtoolSetting::Features(features) => (
            EthtoolGroup::Features,
            features.iter().map(|(name, is_on)| (name.clone(), u32::from(*is_on))).collect(),
        ),
        EthtoolSetting::Pause { rx, tx } => {
            (EthtoolGroup::Pause, of(&[("rx", on(*rx)), ("tx", on(*tx))]))
        }
        EthtoolSetting::Eee(is_on) => (EthtoolGroup::Eee, of(&[("eee", on(*is_on))])),
    }
}
