//! A machine to rehearse on: a directory with a kernel's manners.
//!
//! A directory alone takes every write and keeps it as it is. A kernel refuses, clamps, takes a word and does nothing,
//! shows a choice in brackets, and makes files when a directory is made. Every such manner that an executor has to cope
//! with is a [`Rule`] here; and the machine can [die](Fake::die_at) before, within or after any deed.

mod grubby;
mod kernel;
mod systemd;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use config::CpuSet;
use rustix::io::Errno;

use super::{
    Content, EthtoolGroup, Hands, HandsError, Lock, Output, Real, Settings, There, real::failed,
};

/// A machine below a directory that behaves.
#[derive(Debug)]
pub struct Fake {
    real: Real,
    rules: RefCell<Vec<Rule>>,
    /// Units of systemd's: what they are at boot and now.
    units: RefCell<BTreeMap<String, (String, String)>>,
    /// What interfaces have set.
    interfaces: RefCell<BTreeMap<(String, EthtoolGroup), Settings>>,
    /// Every deed so far, in words.
    deeds: RefCell<Vec<String>>,
    death: RefCell<Option<Death>>,
}

/// A manner of the kernel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The file, the command or the interface it is about.
    pub about: String,
    /// The manner.
    pub manner: Manner,
}

/// What the kernel does when something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It refuses with this error (`EIO` for an interrupt that it manages, `EBUSY`, `EINVAL`, `EROFS`).
    Refuse(Errno),
    /// It takes a number, and makes it no larger than this.
    Clamp(i64),
    /// It can be written, and not be read: `EIO`.
    Hide,
    /// It says yes and does nothing.
    Ignore,
    /// The file is gone when the write comes.
    Vanish,
    /// It writes this behind what it was given: `isolated invalid (…)`.
    Say(&'static str),
    /// Somebody else writes this right after it; once.
    WriteOver(&'static str),
    /// The file is gone right after the write.
    Leave,
}

/// When the machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the deed.
    Before,
    /// In the middle of it, where it has one.
    Within,
    /// After it.
    After,
}

#[derive(Debug, Clone, Copy)]
struct Death {
    deed: usize,
    moment: Moment,
}

/// What a death unwinds with; it is not a panic, so that no hook prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Died;

impl Fake {
    /// A machine whose files are below `root`.
    ///
    /// # Errors
    /// [`HandsError::File`] when it is not a directory that can be opened.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, HandsError> {
        Ok(Self {
            real: Real::at(root)?.fleeting(),
            rules: RefCell::default(),
            units: RefCell::default(),
            interfaces: RefCell::default(),
            deeds: RefCell::default(),
            death: RefCell::default(),
        })
    }

    /// From now on the kernel does that with it.
    pub fn rule(&self, about: &str, manner: Manner) {
        self.rules.borrow_mut().push(Rule { about: about.to_owned(), manner });
    }

    /// The kernel has no manners any more.
    pub fn forget_rules(&self) {
        self.rules.borrow_mut().clear();
    }

    /// A unit, in systemd's words: `enabled`, `active`.
    pub fn unit(&self, name: &str, at_boot: &str, now: &str) {
        self.units.borrow_mut().insert(name.to_owned(), (at_boot.to_owned(), now.to_owned()));
    }

    /// What an interface has set.
    pub fn interface(&self, name: &str, group: EthtoolGroup, settings: &[(&str, u32)]) {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.interfaces.borrow_mut().insert((name.to_owned(), group), settings);
    }

    /// Everything that is no file: to compare before and after.
    #[must_use]
    pub fn memory(&self) -> String {
        format!("{:?} {:?}", self.units.borrow(), self.interfaces.borrow())
    }

    /// Every deed so far, in words, and forgets them. Looking is none.
    pub fn deeds(&self) -> Vec<String> {
        self.deeds.take()
    }

    /// From now on, the machine dies at the n-th deed (from 0); `None` lets it live. Dying unwinds with [`Died`].
    pub fn die_at(&self, death: Option<(usize, Moment)>) {
        self.deeds.borrow_mut().clear();
        *self.death.borrow_mut() = death.map(|(deed, moment)| Death { deed, moment });
    }

    /// One deed: counted, and the machine may die of it.
    fn deed<T>(
        &self,
        words: String,
        within: impl FnOnce(),
        deed: impl FnOnce() -> Result<T, HandsError>,
    ) -> Result<T, HandsError> {
        let number = self.deeds.borrow().len();
        self.deeds.borrow_mut().push(words);
        let moment = self.death.borrow().filter(|death| death.deed == number).map(|d| d.moment);
        let die = || std::panic::resume_unwind(Box::new(Died));
        match moment {
            Some(Moment::Before) => die(),
            Some(Moment::Within) => {
                within();
                die()
            }
            Some(Moment::After) => {
                // Whether it went well, nobody learns any more.
                let _ = deed();
                die()
            }
            None => deed(),
        }
    }

    fn manner(&self, about: &str) -> Option<Manner> {
        let rules = self.rules.borrow();
        rules.iter().find(|rule| rule.about == about).map(|rule| rule.manner)
    }

    fn refused(&self, deed: &'static str, path: &str) -> Result<(), HandsError> {
        match self.manner(path) {
            Some(Manner::Refuse(errno)) => Err(failed(deed, path, errno)),
            Some(Manner::Vanish) => Err(failed(deed, path, Errno::NOENT)),
            _ => Ok(()),
        }
    }
}

impl Hands for Fake {
    fn is_live(&self) -> bool {
        true
    }

    fn root(&self) -> &Path {
        self.real.root()
    }

    fn look(&self, path: &str) -> Result<There, HandsError> {
        if self.manner(path) == Some(Manner::Hide) {
            return Err(failed("read", path, Errno::IO));
        }
        self.real.look(path)
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HandsError> {
        self.deed(
            format!("write {path}"),
            || (),
            || {
                self.refused("write", path)?;
                self.kernel_write(path, text)
            },
        )
    }

    fn replace(&self, path: &str, file: &Content) -> Result<(), HandsError> {
        let half_way = || {
            // A kill between the writing and the renaming; what it leaves is what `sweep` is for.
            let whole = path.rsplit_once('/').map_or(path.to_owned(), |(dir, name)| {
                format!("{dir}/{}", super::real::in_the_making(name))
            });
            let _ = self.real.replace(&whole, file);
        };
        self.deed(format!("replace {path}"), half_way, || {
            self.refused("write", path)?;
            self.real.replace(path, file)
        })
    }

    fn remove(&self, path: &str) -> Result<(), HandsError> {
        self.deed(
            format!("remove {path}"),
            || (),
            || {
                self.refused("remove", path)?;
                self.real.remove(path)
            },
        )
    }

    fn sweep(&self, path: &str) -> Result<(), HandsError> {
        self.real.sweep(path)
    }

    fn make_directory(&self, path: &str, mode: u32) -> Result<(), HandsError> {
        self.deed(
            format!("make {path}"),
            || (),
            || {
                self.refused("make", path)?;
                self.real.make_directory(path, mode)?;
                self.kernel_made(path)
            },
        )
    }

    fn remove_directory(&self, path: &str) -> Result<(), HandsError> {
        self.deed(
            format!("remove {path}"),
            || (),
            || {
                self.refused("remove", path)?;
                self.kernel_unmakes(path)?;
                self.real.remove_directory(path)
            },
        )
    }

    fn names(&self, path: &str) -> Result<Vec<String>, HandsError> {
        self.real.names(path)
    }

    fn link_name(&self, path: &str) -> Result<Option<String>, HandsError> {
        self.real.link_name(path)
    }

    fn run(&self, command: &[&str], _limit: Duration) -> Result<Output, HandsError> {
        let words = command.join(" ");
        if let Some(answer) = self.systemd_says(command) {
            return Ok(answer);
        }
        self.deed(
            format!("run {words}"),
            || (),
            || {
                let no = Output { code: Some(1), stdout: String::new(), stderr: "no".to_owned() };
                let yes = Output { code: Some(0), ..no.clone() };
                match self.manner(&words) {
                    Some(Manner::Refuse(_)) => return Ok(no),
                    Some(Manner::Ignore) => return Ok(yes),
                    Some(Manner::Vanish) => {
                        let source = std::io::ErrorKind::NotFound.into();
                        return Err(HandsError::Run { command: words.clone(), source });
                    }
                    // Manners of files.
                    Some(
                        Manner::Clamp(_)
                        | Manner::Say(_)
                        | Manner::Hide
                        | Manner::WriteOver(_)
                        | Manner::Leave,
                    )
                    | None => {}
                }
                self.systemd_does(command);
                self.grubby_does(command)?;
                Ok(yes)
            },
        )
    }

    fn ethtool(&self, interface: &str, group: EthtoolGroup) -> Result<Settings, HandsError> {
        let interfaces = self.interfaces.borrow();
        let found = interfaces.get(&(interface.to_owned(), group)).cloned();
        found.ok_or_else(|| HandsError::Interface {
            deed: "read",
            what: group.name(),
            interface: interface.to_owned(),
            source: Box::new(linux::ethtool::EthtoolError::NoInterface {
                interface: interface.to_owned(),
            }),
        })
    }

    fn set_ethtool(
        &self,
        interface: &str,
        group: EthtoolGroup,
        settings: &Settings,
    ) -> Result<(), HandsError> {
        self.deed(
            format!("set {} of {interface}", group.name()),
            || (),
            || {
                self.refused("set", interface)?;
                let mut interfaces = self.interfaces.borrow_mut();
                let most = match self.manner(interface) {
                    Some(Manner::Clamp(most)) => u32::try_from(most).unwrap_or(u32::MAX),
                    _ => u32::MAX,
                };
                let is_ignored = self.manner(interface) == Some(Manner::Ignore);
                if let Some(now) = interfaces.get_mut(&(interface.to_owned(), group))
                    && !is_ignored
                {
                    now.extend(
                        settings.iter().map(|(name, value)| (name.clone(), (*value).min(most))),
                    );
                }
                Ok(())
            },
        )
    }

    fn set_affinity(&self, thread: u32, cpus: &CpuSet) -> Result<(), HandsError> {
        self.deed(
            format!("affinity {thread}"),
            || (),
            || {
                if let Some(Manner::Refuse(errno)) = self.manner(&format!("proc/{thread}")) {
                    return Err(HandsError::Affinity { thread, source: errno.into() });
                }
                let path = format!("proc/{thread}/status");
                let Some(text) = (self as &dyn Hands).text(&path)? else {
                    return Err(HandsError::Affinity { thread, source: Errno::SRCH.into() });
                };
                let line = |line: &str| match line.starts_with("Cpus_allowed_list:") {
                    true => format!("Cpus_allowed_list:\t{cpus}\n"),
                    false => format!("{line}\n"),
                };
                self.real.write(&path, &text.lines().map(line).collect::<String>())
            },
        )
    }

    fn lock(&self, path: &str, wait: Duration) -> Result<Lock, HandsError> {
        self.real.lock(path, wait)
    }
}
