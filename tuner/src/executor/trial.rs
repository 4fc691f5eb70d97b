//! Kernel arguments on trial: the machine is started with them once, and keeps them only if it comes up.
//!
//! ```text
//!  apply           an entry of its own in the boot menu, chosen once (next_entry in GRUB's environment block)
//!  reboot          GRUB forgets the choice as it takes it: a machine that hangs comes back without the arguments
//!  verify --boot   the arguments are there: now they are written where every kernel gets them
//! ```
//! What is lasting is written last, so that the default entry is the old one until then. Making the trial entry the
//! default (`grub-set-default`) would hold the machine to the kernel of that day.
//!
//! Sources: GRUB 2.12's manual, "Environment block" and `grub-reboot`; `41_custom` and `00_header` of Debian 12, which
//! read `custom.cfg` and `next_entry`; the Boot Loader Specification for the entries of the RHEL family.

use crate::{
    Fact, Source,
    boot::{self, Arguments},
    change::Change,
    executor::verify::arguments_of,
    facts::boot::{Boot, Entry as MenuEntry, Loader},
    hands::{Content, Hands},
    journal::{Deed, Effect, Progress, Trial},
    knob::{Knob, Value},
    plan::Step,
};

/// The name of the entry. BLS sorts entries by name, newest first; this one is older than every machine's id.
pub const ENTRY: &str = "a-barewire-trial";

/// Where GRUB keeps what it remembers.
const ENVIRONMENTS: [&str; 2] = ["boot/grub/grubenv", "boot/grub2/grubenv"];

/// Why there can be no trial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kernel arguments can not be tried out here: {0}")]
pub struct NoTrial(pub String);

/// Steps that are taken at once, those that wait, and what tries out the latter.
#[derive(Debug)]
pub struct Split {
    /// All steps: first those that are taken at once, then those that wait.
    pub steps: Vec<Step>,
    /// How many are taken at once.
    pub at_once: usize,
    /// The trial; none when nothing has to wait.
    pub trial: Option<(Trial, Vec<Effect>)>,
}

/// Holds back what makes kernel arguments last, and prepares their trial.
///
/// # Errors
/// [`NoTrial`] where the boot loader could not choose an entry just once.
pub fn split(hands: &dyn Hands, steps: Vec<Step>) -> Result<Split, NoTrial> {
    let is_held = |step: &Step| step.change.needs_reboot();
    let (held, mut all): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(is_held);
    let at_once = all.len();
    let source = Source::at(hands.root()).map_err(|error| NoTrial(error.to_string()))?;
    let is_done = |step: &Step| step.change.is_done(&step.change.current(&source));
    let mut arguments = Arguments::default();
    let mut is_new = false;
    for step in &held {
        if let Some(wanted) = arguments_of(step) {
            is_new |= !is_done(step);
            arguments.merge(&wanted);
        }
    }
    all.extend(held);
    if !is_new {
        // Nothing changes, and what is held comes down to nothing.
        return Ok(Split { at_once: all.len(), steps: all, trial: None });
    }
    let boot = Boot::read(&source);
    let (file, content) = entry(hands, &boot, &arguments)?;
    let environment = environment(hands, &boot)?;
    let trial = Trial {
        entry: ENTRY.to_owned(),
        words: arguments.words(),
        held: (at_once..all.len()).collect(),
    };
    let effect = |knob: Knob, to: Value| -> Result<Effect, NoTrial> {
        let from = knob.read(hands).map_err(|error| NoTrial(error.to_string()))?;
        let deed = Deed::Turn { knob, from, to };
        Ok(Effect { step: at_once, deed, progress: Progress::Planned })
    };
    let effects = vec![
        effect(Knob::File { path: file }, Value::File(content))?,
        effect(
            Knob::Environment { path: environment, variable: "next_entry".to_owned() },
            Value::Text(ENTRY.to_owned()),
        )?,
    ];
    Ok(Split { steps: all, at_once, trial: Some((trial, effects)) })
}

/// Was the machine started with what is on trial?
#[must_use]
pub fn has_come_up(source: &Source, trial: &Trial) -> bool {
    let Fact::Is(line) = source.text("proc/cmdline") else { return false };
    let running = Arguments::from_line(&line);
    let wanted = Arguments::from_line(&trial.words.join(" "));
    wanted.iter().all(|argument| running.get(&argument.key) == Some(&argument.value))
        && wanted.hugepages().iter().all(|(size, n)| running.hugepages().get(size) == Some(n))
}

/// The environment block that GRUB can write when the machine starts.
fn environment(hands: &dyn Hands, boot: &Boot) -> Result<String, NoTrial> {
    match &boot.storage {
        Fact::Is(storage) if storage.is_writable_by_grub() => {}
        Fact::Is(storage) => {
            return Err(NoTrial(format!(
                "GRUB can not write to {} on {}, so that a choice for once would stay",
                storage.filesystem, storage.device
            )));
        }
        Fact::Absent => return Err(NoTrial("what /boot is on is not known".to_owned())),
        Fact::Unknown { why } => {
            return Err(NoTrial(format!("what /boot is on is not known: {why}")));
        }
    }
    for path in ENVIRONMENTS {
        let knob = Knob::Environment { path: path.to_owned(), variable: "next_entry".to_owned() };
        if hands.exists(path).map_err(|error| NoTrial(error.to_string()))? {
            knob.read(hands).map_err(|error| NoTrial(error.to_string()))?;
            return Ok(path.to_owned());
        }
    }
    Err(NoTrial("GRUB has no environment block to remember a choice in".to_owned()))
}

/// The file of the entry to try, and what is in it.
fn entry(
    hands: &dyn Hands,
    boot: &Boot,
    arguments: &Arguments,
) -> Result<(String, Content), NoTrial> {
    let next = match &boot.next {
        Fact::Is(next) => next,
        Fact::Absent => return Err(NoTrial("there is no boot menu".to_owned())),
        Fact::Unknown { why } => return Err(NoTrial(why.clone())),
    };
    let text = |path: &str| -> Result<Option<String>, NoTrial> {
        let file = hands.file(path).map_err(|error| NoTrial(error.to_string()))?;
        Ok(file.and_then(|file| file.bytes.text().map(str::to_owned)))
    };
    let menu = text(&next.file)?.ok_or_else(|| NoTrial(format!("/{} went away", next.file)))?;
    let (path, content) = match boot.loader() {
        Some(Loader::Grub { .. }) => {
            let dir = next.file.rsplit_once('/').map_or("", |(dir, _)| dir);
            let path = format!("{dir}/custom.cfg");
            if !menu.contains("custom.cfg") {
                return Err(NoTrial(format!("/{} does not read custom.cfg", next.file)));
            }
            let content = grub_entry(&menu, next, arguments)
                .ok_or_else(|| NoTrial(format!("the entry \"{}\" is not understood", next.id)))?;
            (path, content)
        }
        Some(Loader::GrubBls { .. }) => {
            let dir = next.file.rsplit_once('/').map_or("", |(dir, _)| dir);
            (format!("{dir}/{ENTRY}.conf"), bls_entry(&menu, arguments))
        }
        Some(other) => {
            return Err(NoTrial(format!("{other:?} has no choice for once that we know")));
        }
        None => return Err(NoTrial("no boot loader is known".to_owned())),
    };
    if text(&path)?.is_some_and(|there| !there.starts_with(MARK)) {
        return Err(NoTrial(format!("/{path} is somebody else's")));
    }
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    Ok((path, Content { user, group, mode: 0o600, ..Content::ours(content) }))
}

/// How our files begin.
const MARK: &str = "# Written by barewire-tune for one trial boot.\n";

/// A copy of a menu entry, with our name and our arguments.
fn grub_entry(menu: &str, next: &MenuEntry, arguments: &Arguments) -> Option<String> {
    let lines: Vec<&str> = menu.lines().collect();
    let is_head = |line: &str| {
        let line = line.trim_start();
        line.starts_with("menuentry ")
            && line.ends_with('{')
            && (line.contains(&format!("'{}'", next.id))
                || line.contains(&format!("'{}'", next.title)))
    };
    let start = lines.iter().position(|line| is_head(line))?;
    let indent = lines[start].len() - lines[start].trim_start().len();
    let end = lines[start..]
        .iter()
        .position(|line| line.trim() == "}" && line.len() - line.trim_start().len() == indent)?
        + start;
    let mut text =
        format!("{MARK}menuentry 'Trial of barewire-tune' --unrestricted --id {ENTRY} {{\n");
    let mut has_kernel = false;
    for line in &lines[start + 1..end] {
        let mut words = line.trim_start().splitn(3, [' ', '\t']);
        match (words.next(), words.next()) {
            (Some(verb @ ("linux" | "linux16" | "linuxefi")), Some(kernel)) => {
                let rest = words.next().unwrap_or_default();
                let with = boot::rewrite(rest, arguments);
                text.push_str(&format!("\t{verb}\t{kernel} {with}\n"));
                has_kernel = true;
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text.push_str("}\n");
    has_kernel.then_some(text)
}

/// A copy of an entry of the Boot Loader Specification, with our name and our arguments.
fn bls_entry(entry: &str, arguments: &Arguments) -> String {
    let mut text = MARK.to_owned();
    for line in entry.lines() {
        match line.split_once(char::is_whitespace) {
            Some(("title", title)) => {
                text.push_str(&format!("title {} (trial of barewire-tune)\n", title.trim()));
            }
            Some(("options", options)) => {
                text.push_str(&format!("options {}\n", boot::rewrite(options.trim(), arguments)));
            }
            // The class and the id of the machine's own entries would make it one of them.
            Some(("id" | "grub_class", _)) => {}
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// The effects that take a trial's entry out of the menu once it is not needed; the choice was forgotten by GRUB.
#[must_use]
pub fn clean(hands: &dyn Hands, entry: &crate::journal::Entry) -> Vec<Effect> {
    let of_trial = entry.effects.iter().filter_map(|effect| match &effect.deed {
        Deed::Turn { knob: Knob::File { path }, to: Value::File(ours), .. } => {
            let is_it = ours.bytes.text().is_some_and(|text| text.starts_with(MARK));
            is_it.then(|| (Knob::File { path: path.clone() }, Value::File(ours.clone())))
        }
        _ => None,
    });
    of_trial
        // What somebody edited since stays.
        .filter(|(knob, ours)| knob.read(hands).is_ok_and(|now| now == *ours))
        .map(|(knob, from)| Effect {
            step: 0,
            deed: Deed::Turn { knob, from, to: Value::Absent },
            progress: Progress::Planned,
        })
        .collect()
}

/// Is there something among the steps that could be tried?
#[must_use]
pub fn is_wanted(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.change {
        Change::KernelArguments(_) => true,
        Change::File { path, .. } => path == boot::grub::DROP_IN,
        _ => false,
    })
}
