//! A knob: one thing that has a value, which can be read, written, and written back.
//!
//! A [`Change`](crate::change::Change) is what somebody wants; it comes down to knobs. The journal knows nothing else.

mod cgroup;
mod driver;
mod environment;
mod line;
mod thread;
mod unit;

use config::{CpuSet, PciAddress};
use serde::{Deserialize, Serialize};

use crate::{
    Source,
    boot::{self, ArgumentTool, KernelArguments},
    change::Form,
    hands::{Content, EthtoolGroup, Hands, HandsError, Settings},
};

pub use self::{driver::Binding, line::Line, unit::UnitSide};

/// One thing that has a value. Paths are from the root, without a slash in front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", deny_unknown_fields)]
pub enum Knob {
    /// A file of the kernel.
    Kernel {
        /// The file.
        path: String,
        /// How two of its values compare.
        form: Form,
    },
    /// A file on a disk, as a whole.
    File {
        /// The file.
        path: String,
    },
    /// One `KEY=value` line in a file that is the administrator's.
    Line {
        /// The file.
        path: String,
        /// The key.
        key: String,
    },
    /// A directory, there or not.
    Directory {
        /// The directory.
        path: String,
    },
    /// A controller that a cgroup gives to its children.
    Controller {
        /// The cgroup's directory.
        cgroup: String,
        /// The controller.
        name: String,
    },
    /// Something that ethtool sets.
    Ethtool {
        /// The interface.
        interface: String,
        /// What of it.
        group: EthtoolGroup,
        /// Which settings of that: the others are not ours.
        settings: Vec<String>,
    },
    /// One side of a unit of systemd's.
    Unit {
        /// The unit.
        unit: String,
        /// Which side.
        side: UnitSide,
    },
    /// The CPUs that a thread may run on.
    Affinity {
        /// The thread's number.
        thread: u32,
        /// Its name.
        name: String,
        /// When it began, in clock ticks since boot: a number may go to another thread of the same name.
        began: u64,
    },
    /// The driver of a PCI function.
    Driver {
        /// The function.
        device: PciAddress,
    },
    /// Arguments of the kernel that a program keeps.
    Arguments {
        /// The program.
        tool: ArgumentTool,
        /// The keys it is about.
        keys: Vec<String>,
    },
    /// A variable in GRUB's environment block.
    Environment {
        /// The block.
        path: String,
        /// The variable.
        variable: String,
    },
}

/// What a knob is, was or shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// There is no such thing.
    Absent,
    /// What a file of the kernel says, a unit's state, words.
    Text(String),
    /// A whole file.
    File(Content),
    /// A line.
    Line(Line),
    /// It is there.
    Present,
    /// What an interface has set.
    Ethtool(Settings),
    /// CPUs.
    Cpus(CpuSet),
    /// A driver.
    Driver(Binding),
}

/// Why a knob could not be read or turned.
#[derive(Debug, thiserror::Error)]
pub enum KnobError {
    /// The machine did not let it.
    #[error(transparent)]
    Hands(#[from] HandsError),
    /// What is there is not what can be worked with.
    #[error("{what} {problem}")]
    Odd {
        /// The thing.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A program has the device, and the kernel would wait for it to let go, for as long as that takes.
    #[error("{name} (process {process}) uses {device}: stop it first")]
    InUse {
        /// The device.
        device: PciAddress,
        /// The program's number.
        process: u32,
        /// The program's name.
        name: String,
    },
    /// A value of another kind was to be given to it, which no plan does and no sound journal holds.
    #[error("{what} can not have a value of this kind")]
    Kind {
        /// The knob.
        what: String,
    },
}

impl KnobError {
    /// Is what was to be turned not there any more?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Hands(error) if error.is_gone())
    }
}

impl Knob {
    /// What it is, for people; no two knobs have the same name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Kernel { path, .. } | Self::File { path } => format!("/{path}"),
            Self::Line { path, key } => format!("{key} in /{path}"),
            Self::Directory { path } => format!("directory /{path}"),
            Self::Controller { cgroup, name } => format!("controller {name} of /{cgroup}"),
            Self::Ethtool { interface, group, settings } => {
                format!("{} of {interface} ({})", group.name(), settings.join(", "))
            }
            Self::Unit { unit, side } => format!("{unit} {}", side.name()),
            Self::Affinity { thread, name, .. } => format!("affinity of {name} ({thread})"),
            Self::Driver { device } => format!("driver of {device}"),
            Self::Arguments { keys, .. } => format!("kernel arguments {}", keys.join(", ")),
            Self::Environment { path, variable } => format!("{variable} in /{path}"),
        }
    }

    /// Does its value outlive a reboot? The others are the kernel's again then.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::File { path } | Self::Line { path, .. } => is_on_disk(path),
            Self::Directory { path } => is_on_disk(path),
            Self::Unit { side, .. } => *side == UnitSide::AtBoot,
            Self::Arguments { .. } | Self::Environment { .. } => true,
            Self::Kernel { .. }
            | Self::Controller { .. }
            | Self::Ethtool { .. }
            | Self::Affinity { .. }
            | Self::Driver { .. } => false,
        }
    }

    /// Is it a file on a disk that an administrator may have edited since?
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Line { .. })
    }

    /// Does turning it come down to more than one deed, so that a kill may leave it in between?
    #[must_use]
    pub fn is_compound(&self) -> bool {
        match self {
            Self::Driver { .. } | Self::Arguments { .. } | Self::Unit { .. } => true,
            // What was written may have been read back as something else; nothing of that is somebody else's.
            Self::Kernel { .. } | Self::Ethtool { .. } | Self::Controller { .. } => true,
            Self::File { .. }
            | Self::Line { .. }
            | Self::Directory { .. }
            | Self::Affinity { .. }
            | Self::Environment { .. } => false,
        }
    }

    /// What it is now.
    ///
    /// # Errors
    /// [`KnobError`] when that can not be found out; a thing that is not there is [`Value::Absent`].
    pub fn read(&self, hands: &dyn Hands) -> Result<Value, KnobError> {
        Ok(match self {
            Self::Kernel { path, .. } => match hands.file(path)? {
                None => Value::Absent,
                Some(content) => match content.bytes.text() {
                    Some(text) => Value::Text(text.to_owned()),
                    None => return Err(self.odd("is not text")),
                },
            },
            Self::File { path } => hands.file(path)?.map_or(Value::Absent, Value::File),
            Self::Line { path, key } => Value::Line(line::read(hands, path, key)?),
            Self::Directory { path } => match hands.exists(path)? {
                true => Value::Present,
                false => Value::Absent,
            },
            Self::Controller { cgroup, name } => cgroup::read(hands, cgroup, name)?,
            Self::Ethtool { interface, group, settings } => {
                let mut all = hands.ethtool(interface, *group)?;
                all.retain(|name, _| settings.contains(name));
                Value::Ethtool(all)
            }
            Self::Unit { unit, side } => Value::Text(unit::read(hands, unit, *side)?),
            Self::Affinity { thread, name, began } => {
                match thread::read(hands, *thread, name, Some(*began))? {
                    Some(seen) => Value::Cpus(seen.allowed),
                    None => Value::Absent,
                }
            }
            Self::Driver { device } => Value::Driver(driver::read(hands, *device)?),
            Self::Arguments { tool, keys } => self.read_arguments(hands, *tool, keys)?,
            Self::Environment { path, variable } => environment::read(hands, path, variable)?,
        })
    }

    /// Makes it `value`, whatever it is now.
    ///
    /// # Errors
    /// [`KnobError`]
    pub fn write(&self, hands: &dyn Hands, value: &Value) -> Result<(), KnobError> {
        match (self, value) {
            (Self::Kernel { path, form }, Value::Text(text)) => {
                Ok(hands.write(path, &writable(hands, *form, text))?)
            }
            (Self::File { path }, Value::File(content)) => Ok(hands.replace(path, content)?),
            (Self::File { path }, Value::Absent) => Ok(hands.remove(path)?),
            (Self::Line { path, key }, Value::Line(line)) => line::write(hands, path, key, line),
            (Self::Directory { path }, Value::Present) => Ok(hands.make_directory(path, 0o755)?),
            (Self::Directory { path }, Value::Absent) => Ok(hands.remove_directory(path)?),
            (Self::Controller { cgroup, name }, value) => {
                cgroup::write(hands, cgroup, name, *value == Value::Present)
            }
            (Self::Ethtool { interface, group, .. }, Value::Ethtool(settings)) => {
                Ok(hands.set_ethtool(interface, *group, settings)?)
            }
            (Self::Unit { unit, side }, Value::Text(state)) => {
                unit::write(hands, unit, *side, state)
            }
            (Self::Affinity { thread, .. }, Value::Cpus(cpus)) => {
                Ok(hands.set_affinity(*thread, cpus)?)
            }
            (Self::Driver { device }, Value::Driver(binding)) => {
                driver::write(hands, *device, binding)
            }
            (Self::Arguments { tool, keys }, Value::Text(words)) => {
                let add = words.split_whitespace().map(str::to_owned).collect();
                write_arguments(hands, *tool, keys, add)
            }
            (Self::Arguments { tool, keys }, Value::Absent) => {
                write_arguments(hands, *tool, keys, Vec::new())
            }
            (Self::Environment { path, variable }, value) => {
                environment::write(hands, path, variable, value)
            }
            _ => Err(KnobError::Kind { what: self.name() }),
        }
    }

    /// Removes what a killed [`Knob::write`] may have left next to a file.
    ///
    /// # Errors
    /// [`KnobError`]
    pub fn sweep(&self, hands: &dyn Hands) -> Result<(), KnobError> {
        match self {
            Self::File { path } | Self::Line { path, .. } => Ok(hands.sweep(path)?),
            _ => Ok(()),
        }
    }

    /// Do the two values mean the same?
    #[must_use]
    pub fn is_same(&self, one: &Value, other: &Value) -> bool {
        match (self, one, other) {
            (Self::Kernel { form, .. }, Value::Text(one), Value::Text(other)) => {
                form.is_same(one, other)
            }
            (Self::Arguments { .. }, Value::Text(one), Value::Text(other)) => {
                Form::Words.is_same(one, other)
            }
            (Self::Unit { .. }, Value::Text(one), Value::Text(other)) => unit::is_same(one, other),
            (Self::Line { .. }, Value::Line(one), Value::Line(other)) => one.is_same(other),
            (Self::Environment { .. }, one, other) => {
                environment::text(one) == environment::text(other)
            }
            _ => one == other,
        }
    }

    /// Is this an interrupt that goes to some of the CPUs that it was given? irqbalance chooses among them, again and
    /// again, and nobody has changed what was decided.
    #[must_use]
    pub fn is_within(&self, now: &Value, given: &Value) -> bool {
        let (Self::Kernel { path, form: Form::CpuList }, Value::Text(now), Value::Text(given)) =
            (self, now, given)
        else {
            return false;
        };
        let cpus = |text: &str| text.trim().parse::<CpuSet>().ok();
        path.starts_with("proc/irq/")
            && matches!((cpus(now), cpus(given)), (Some(now), Some(given))
                if !now.is_empty() && now.is_subset(&given))
    }

    fn read_arguments(
        &self,
        hands: &dyn Hands,
        tool: ArgumentTool,
        keys: &[String],
    ) -> Result<Value, KnobError> {
        let arguments = KernelArguments { tool, add: Vec::new(), remove: keys.to_vec() };
        let source = Source::at(hands.root()).map_err(|error| self.odd(error.to_string()))?;
        match arguments.current(&source) {
            crate::Fact::Is(words) if words.contains("differs from others") => {
                Err(self.odd(format!("are not the same for every kernel: {words}")))
            }
            crate::Fact::Is(words) => Ok(Value::Text(words)),
            crate::Fact::Absent => Ok(Value::Absent),
            crate::Fact::Unknown { why } => Err(self.odd(format!("are not known: {why}"))),
        }
    }

    fn odd(&self, problem: impl Into<String>) -> KnobError {
        KnobError::Odd { what: self.name(), problem: problem.into() }
    }
}

fn write_arguments(
    hands: &dyn Hands,
    tool: ArgumentTool,
    keys: &[String],
    add: Vec<String>,
) -> Result<(), KnobError> {
    let odd = |problem: String| KnobError::Odd { what: "the boot entries".to_owned(), problem };
    let kernels = match tool {
        ArgumentTool::Grubby => {
            // Those of now: one may have come, or gone, since this was decided.
            let source = Source::at(hands.root()).map_err(|error| odd(error.to_string()))?;
            match boot::kernels(&source) {
                crate::Fact::Is(kernels) if !kernels.is_empty() => kernels,
                crate::Fact::Is(_) | crate::Fact::Absent => {
                    return Err(odd("start no kernel but the one for repairs".to_owned()));
                }
                crate::Fact::Unknown { why } => return Err(odd(format!("are not known: {why}"))),
            }
        }
        ArgumentTool::RpmOstree | ArgumentTool::Bootc => Vec::new(),
    };
    for call in (KernelArguments { tool, add, remove: keys.to_vec() }).argv(&kernels) {
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        hands.must_run(&call)?;
    }
    Ok(())
}

/// What has to be written so that a file of the kernel says `text` again: the kernel takes the word in brackets, and
/// nothing where it says nothing.
fn writable(hands: &dyn Hands, form: Form, text: &str) -> String {
    if !hands.is_live() && text.ends_with('\n') {
        // Nobody reads it: what was there goes back as it was.
        return text.to_owned();
    }
    let trimmed = text.trim();
    let word = match form {
        Form::Choice => form.canonical(trimmed).unwrap_or_else(|| trimmed.to_owned()),
        Form::Text | Form::Number | Form::Words | Form::CpuList | Form::CpuMask | Form::Flag => {
            trimmed.to_owned()
        }
    };
    format!("{word}\n")
}

/// Below these, nothing outlives a reboot.
fn is_on_disk(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    !matches!(first, "sys" | "proc" | "dev" | "run")
}

impl Value {
    /// For a table: short, on one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let shorten = |text: &str| {
            let line: String =
                text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            match line.char_indices().nth(60) {
                Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
                None => line,
            }
        };
        match self {
            Self::Absent => "absent".to_owned(),
            Self::Text(text) if text.trim().is_empty() => "nothing".to_owned(),
            Self::Text(text) => shorten(text),
            Self::File(content) => {
                format!("a file of {} bytes", content.bytes.as_slice().len())
            }
            Self::Line(line) => shorten(&line.summary()),
            Self::Present => "there".to_owned(),
            Self::Ethtool(settings) => {
                let each = settings.iter().map(|(name, value)| format!("{name} {value}"));
                shorten(&each.collect::<Vec<_>>().join(" "))
            }
            Self::Cpus(cpus) => cpus.to_string(),
            Self::Driver(binding) => binding.summary(),
        }
    }
}

pub(crate) use self::{driver::users, thread::read as read_thread};
