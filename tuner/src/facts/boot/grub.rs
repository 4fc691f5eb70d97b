//! GRUB's files: the settings that its menu is generated from, the menu, and its environment block.
//!
//! Sources: GRUB 2.12's manual, "Simple configuration handling", "Environment block"; `grub-mkconfig.in` of Debian 12,
//! which sources `/etc/default/grub` and then each `/etc/default/grub.d/*.cfg` in the order of their names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::{Fact, Source};

/// Where the generated menu may be.
pub(super) const MENUS: [&str; 4] =
    ["boot/grub/grub.cfg", "boot/grub2/grub.cfg", "boot/efi/EFI/redhat/grub.cfg", "etc/grub2.cfg"];

/// Where the environment block may be.
const ENVIRONMENTS: [&str; 2] = ["boot/grub/grubenv", "boot/grub2/grubenv"];

/// The most bytes of a menu: a machine with hundreds of kernels has less.
const MENU: usize = 4 << 20;

/// The most drop-ins that are read.
const FILES: usize = 1024;

/// The most levels of submenus.
const DEEPEST: usize = 16;

/// GRUB's files.
#[derive(Debug, Clone, Serialize)]
pub struct Grub {
    /// `/etc/default/grub` first, then the drop-ins in the order in which they are read.
    pub settings: Vec<SettingsFile>,
    /// The generated menu.
    pub menu_file: String,
    /// What can be started.
    pub menu: Fact<Vec<Entry>>,
    /// What the menu says is started: a number, a title, an id, `${saved_entry}`, or `1>2` in a submenu.
    pub default: Option<String>,
    /// The environment block; absent when there is none, and then nothing can be started just once.
    pub environment: Fact<BTreeMap<String, String>>,
}

/// One file that the menu is generated from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsFile {
    /// Where, from the root, without a slash in front.
    pub path: String,
    /// What it assigns, in order; unknown when it can not be read.
    pub assignments: Fact<Vec<Assignment>>,
}

/// One `KEY=value` of a shell file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The variable.
    pub key: String,
    /// The value without its quotes; variables in it are not replaced.
    pub value: String,
    /// Does the value repeat what the variable was before?
    pub keeps_earlier: bool,
    /// Its line, from 1.
    pub line: usize,
}

impl Grub {
    /// Reads it; absent where there is no menu.
    #[must_use]
    pub fn read(source: &Source) -> Fact<Self> {
        let Some(menu_file) = MENUS.into_iter().find(|menu| source.exists(menu)) else {
            return Fact::Absent;
        };
        let mut settings = Vec::new();
        let mut add = |path: String| match source.text(&path) {
            Fact::Absent => {}
            text => settings
                .push(SettingsFile { path, assignments: text.map(|text| assignments(&text)) }),
        };
        add("etc/default/grub".to_owned());
        let names = source.names("etc/default/grub.d").into_value().unwrap_or_default();
        for name in names.iter().filter(|name| name.ends_with(".cfg")).take(FILES) {
            add(format!("etc/default/grub.d/{name}"));
        }
        let text: Fact<String> = source.root().text_up_to(menu_file, MENU).into();
        Fact::Is(Self {
            settings,
            default: text.value().and_then(|text| default(text)),
            menu: text.map(|text| menu(&text, menu_file)),
            menu_file: menu_file.to_owned(),
            environment: environment_fact(source),
        })
    }

    /// The entry that is started next.
    #[must_use]
    pub fn next(&self) -> Fact<Entry> {
        self.menu.as_ref().and_then(|menu| {
            let wanted = self.chosen().unwrap_or_else(|| "0".to_owned());
            match find(menu, &wanted) {
                Some(entry) => Fact::Is(entry.clone()),
                None => match menu.iter().find(|entry| !entry.is_rescue) {
                    // GRUB falls back to the first entry when the wanted one is not there.
                    Some(first) => Fact::Is(first.clone()),
                    None => Fact::unknown(format!("{} has no entry", self.menu_file)),
                },
            }
        })
    }

    /// What the menu starts when nobody chooses, with the environment's variables put in.
    #[must_use]
    pub fn chosen(&self) -> Option<String> {
        let of = |key: &str| {
            let all = self.environment.value()?;
            all.get(key).filter(|value| !value.is_empty()).cloned()
        };
        of("next_entry").or_else(|| match self.default.as_deref() {
            Some("${saved_entry}") | None => of("saved_entry"),
            Some(default) => Some(default.to_owned()),
        })
    }

    /// What the settings make of a variable: the last assignment, with references to itself replaced; `None` when no
    /// file assigns it, or when it is made in a way that only a shell understands.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<String> {
        let mut value: Option<String> = None;
        for file in &self.settings {
            for one in file.assignments.value()?.iter().filter(|one| one.key == key) {
                let earlier = value.take().unwrap_or_default();
                let braced = format!("${{{key}}}");
                let meant = one.value.replace(&braced, &earlier);
                let meant = meant.replace(&format!("${key}"), &earlier);
                if meant.contains(['$', '`']) {
                    return None;
                }
                value = Some(meant);
            }
        }
        value
    }
}

/// What a shell file assigns, as far as it is plain: `KEY=word`, `KEY="a $KEY b"`, `export KEY='x'`, `KEY+=x`.
#[must_use]
pub fn assignments(text: &str) -> Vec<Assignment> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let mut line = first.trim_start().to_owned();
        while line.ends_with('\\') && !line.ends_with("\\\\") {
            line.pop();
            let Some((_, more)) = lines.next() else { break };
            line.push_str(more);
        }
        let line = line.strip_prefix("export ").map_or(line.as_str(), str::trim_start);
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, adds) = match key.strip_suffix('+') {
            Some(key) => (key, true),
            None => (key, false),
        };
        let is_name = !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !key.starts_with(|c: char| c.is_ascii_digit());
        if !is_name {
            continue;
        }
        let value = word(value);
        let value = if adds { format!("${{{key}}}{value}") } else { value };
        found.push(Assignment {
            keeps_earlier: value.contains(&format!("${key}"))
                || value.contains(&format!("${{{key}}}")),
            key: key.to_owned(),
            value,
            line: index + 1,
        });
    }
    found
}

/// The first word of a shell text, without quotes.
fn word(text: &str) -> String {
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_ascii_whitespace() || c == ';' || c == '#' && word.is_empty() => {
                break;
            }
            (None, '\\') => word.extend(chars.next()),
            (Some('"'), '\\') => match chars.next() {
                // In double quotes a backslash only speaks for these.
                Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => word.push('\\'),
            },
            (_, c) => word.push(c),
        }
    }
    word
}

/// What a generated menu offers.
#[must_use]
pub fn menu(text: &str, file: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    // For each open block: its place if it is a menu entry or a submenu. Other braces (functions, ifs) have none.
    let mut open: Vec<Option<Block>> = Vec::new();
    let mut counts = vec![0_usize];
    for line in text.lines() {
        let line = line.trim();
        let words = words(line);
        let first = words.first().map(String::as_str);
        let kind = match first {
            Some("menuentry") => Some(false),
            Some("submenu") => Some(true),
            _ => None,
        };
        if let Some(is_submenu) = kind.filter(|_| line.ends_with('{')) {
            let level = open.iter().flatten().count();
            if level >= DEEPEST {
                return entries;
            }
            counts.truncate(level + 1);
            counts.resize(level + 1, 0);
            let index = counts[level];
            let place = open.iter().flatten().map(|block| block.index).chain([index]).collect();
            counts[level] += 1;
            let title = words.get(1).cloned().unwrap_or_default();
            open.push(Some(Block { index, is_submenu }));
            if !is_submenu {
                let id = id(&words).unwrap_or_else(|| title.clone());
                let is_rescue = ["recovery", "rescue"].iter().any(|word| {
                    id.to_ascii_lowercase().contains(word)
                        || title.to_ascii_lowercase().contains(word)
                });
                let file = file.to_owned();
                let (kernel, line) = (String::new(), String::new());
                entries.push(Entry { id, title, place, kernel, line, file, is_rescue });
            }
            continue;
        }
        match first {
            Some("linux" | "linux16" | "linuxefi") => {
                let is_in_entry = open.iter().flatten().next_back().is_some_and(|b| !b.is_submenu);
                let mut parts = line.splitn(3, [' ', '\t']).skip(1);
                if let (true, Some(entry), Some(kernel)) =
                    (is_in_entry, entries.last_mut(), parts.next())
                {
                    kernel.clone_into(&mut entry.kernel);
                    parts.next().unwrap_or_default().trim().clone_into(&mut entry.line);
                }
            }
            Some("}") => {
                open.pop();
            }
            _ if line.ends_with('{') => open.push(None),
            _ => {}
        }
    }
    // Firmware settings, memory tests and other systems start no Linux.
    entries.retain(|entry| !entry.kernel.is_empty());
    entries
}

struct Block {
    index: usize,
    is_submenu: bool,
}

/// `--id x`, or what follows `$menuentry_id_option`.
fn id(words: &[String]) -> Option<String> {
    let mut words = words.iter();
    words.find(|word| *word == "--id" || *word == "$menuentry_id_option")?;
    words.next().cloned()
}

/// The words of one line, without quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && words.len() < 64 {
        let mut quote: Option<char> = None;
        let end = rest.find(|c: char| {
            match quote {
                Some(open) if c == open => quote = None,
                None if matches!(c, '\'' | '"') => quote = Some(c),
                _ => {}
            }
            c.is_ascii_whitespace() && quote.is_none()
        });
        let (one, after) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word(one));
        rest = after.trim_start();
    }
    words
}

/// `set default="…"`: the last one outside of the branch for `next_entry` counts.
fn default(text: &str) -> Option<String> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix("set default="));
    values.map(word).rfind(|value| value != "${next_entry}")
}

/// The entry that a default means: a place (`1>2`), an id or a title; in a submenu with its parents in front.
#[must_use]
pub fn find<'a>(menu: &'a [Entry], wanted: &str) -> Option<&'a Entry> {
    let numbers: Option<Vec<usize>> =
        wanted.split('>').map(|part| part.trim().parse().ok()).collect();
    if let Some(place) = numbers {
        // A submenu stands for its first entry.
        return menu.iter().find(|entry| entry.place.starts_with(&place));
    }
    let last = wanted.rsplit('>').next().unwrap_or(wanted).trim();
    menu.iter().find(|entry| entry.id == last || entry.title == last)
}

/// The environment block's variables, if there is one.
pub(super) fn environment(source: &Source) -> Option<BTreeMap<String, String>> {
    environment_fact(source).into_value()
}

fn environment_fact(source: &Source) -> Fact<BTreeMap<String, String>> {
    for path in ENVIRONMENTS {
        match source.text(path) {
            Fact::Absent => {}
            Fact::Unknown { why } => return Fact::Unknown { why },
            Fact::Is(text) if text.starts_with("# GRUB Environment Block") => {
                let lines = text.lines().filter(|line| !line.starts_with('#'));
                let pairs = lines.filter_map(|line| line.split_once('='));
                return Fact::Is(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
            }
            Fact::Is(_) => return Fact::unknown(format!("{path} is not an environment block")),
        }
    }
    Fact::Absent
}
