//! What a kernel makes of what is written to its files.

use rustix::io::Errno;

use super::{Fake, Manner, failed};
use crate::{
    Choice,
    change::PARTITION,
    hands::{Content, Hands, HandsError},
};

impl Fake {
    /// A write to a file of the kernel's.
    pub(super) fn kernel_write(&self, path: &str, text: &str) -> Result<(), HandsError> {
        let hands: &dyn Hands = &self.real;
        let Some(before) = hands.file(path)? else {
            return Err(failed("write", path, Errno::NOENT));
        };
        let before = before.bytes.text().unwrap_or_default().to_owned();
        let said = text.trim();
        let after = match self.manner(path) {
            Some(Manner::Ignore) => return Ok(()),
            Some(Manner::Clamp(most)) => match said.parse::<i64>() {
                Ok(number) => format!("{}\n", number.min(most)),
                Err(_) => return Err(failed("write", path, Errno::INVAL)),
            },
            Some(Manner::Say(more)) if said != "member" => format!("{said} {more}\n"),
            _ if path.ends_with("/cgroup.subtree_control") => controllers(&before, said),
            _ if path.ends_with("/driver/unbind") => return self.unbind(path, said),
            _ if path == "sys/bus/pci/drivers_probe" => return self.probe(said),
            _ if path.ends_with("/driver_override") => match said {
                "" => "(null)\n".to_owned(),
                name => format!("{name}\n"),
            },
            _ => match Choice::parse(&before).filter(|_| before.contains('[')) {
                Some(choice) if choice.offered.iter().any(|word| word == said) => {
                    let word = |word: &String| match word == said {
                        true => format!("[{word}]"),
                        false => word.clone(),
                    };
                    choice.offered.iter().map(word).collect::<Vec<_>>().join(" ") + "\n"
                }
                Some(_) => return Err(failed("write", path, Errno::INVAL)),
                None => text.to_owned(),
            },
        };
        self.real.write(path, &after)?;
        match self.manner(path) {
            Some(Manner::WriteOver(other)) => {
                self.rules.borrow_mut().retain(|rule| rule.about != path);
                self.real.write(path, other)?;
            }
            Some(Manner::Leave) => self.real.remove(path)?,
            _ => {}
        }
        match path.strip_suffix("/nr_hugepages") {
            Some(pool) => self.pages_came(pool, &before, &after),
            None => Ok(()),
        }
    }

    /// Hugepages that come are free, and free ones go first.
    fn pages_came(&self, pool: &str, before: &str, after: &str) -> Result<(), HandsError> {
        let (hands, file): (&dyn Hands, _) = (self, format!("{pool}/free_hugepages"));
        let free = hands.text(&file)?.and_then(|free| free.parse::<i64>().ok());
        let numbers = (before.trim().parse::<i64>(), after.trim().parse::<i64>());
        let (Some(free), (Ok(before), Ok(after))) = (free, numbers) else { return Ok(()) };
        self.real.write(&file, &format!("{}\n", free + after - before))
    }

    /// The files that come with a cgroup.
    pub(super) fn kernel_made(&self, path: &str) -> Result<(), HandsError> {
        if path == PARTITION {
            for (name, text) in CPUSET {
                self.real.replace(&format!("{path}/{name}"), &self.mine(text))?;
            }
        }
        Ok(())
    }

    /// The files that go with a cgroup.
    pub(super) fn kernel_unmakes(&self, path: &str) -> Result<(), HandsError> {
        if path == PARTITION {
            for (name, _) in CPUSET {
                self.real.remove(&format!("{path}/{name}"))?;
            }
        }
        Ok(())
    }

    fn mine(&self, text: &str) -> Content {
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        Content { user, group, ..Content::ours(text) }
    }

    fn unbind(&self, path: &str, device: &str) -> Result<(), HandsError> {
        let link = path.strip_suffix("/unbind").unwrap_or(path);
        if !link.ends_with(&format!("{device}/driver")) {
            return Err(failed("write", path, Errno::NODEV));
        }
        self.real.remove(link)
    }

    /// The kernel binds the one driver that may.
    fn probe(&self, device: &str) -> Result<(), HandsError> {
        let dir = format!("sys/bus/pci/devices/{device}");
        let hands: &dyn Hands = self;
        let only = hands.text(&format!("{dir}/driver_override"))?.unwrap_or_default();
        if !matches!(only.as_str(), "" | "(null)")
            && hands.link_name(&format!("{dir}/driver"))?.is_none()
        {
            let at = self.real.root().join(&dir).join("driver");
            std::os::unix::fs::symlink(format!("../../drivers/{only}"), at)
                .map_err(|source| HandsError::File { deed: "link", path: dir, source })?;
        }
        Ok(())
    }
}

/// What a new group of cgroup v2 has of the cpuset controller.
const CPUSET: [(&str, &str); 3] =
    [("cpuset.cpus", "\n"), ("cpuset.cpus.exclusive", "\n"), ("cpuset.cpus.partition", "member\n")];

fn controllers(before: &str, said: &str) -> String {
    let mut on: Vec<&str> = before.split_whitespace().collect();
    for word in said.split_whitespace() {
        let (sign, name) = word.split_at(1);
        on.retain(|known| *known != name);
        if sign == "+" {
            on.push(name);
        }
    }
    on.join(" ") + "\n"
}
