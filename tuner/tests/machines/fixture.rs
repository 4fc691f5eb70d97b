//! A machine of the fixtures, unpacked.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use tuner::{
    Facts, Finding, Intent, Source,
    checks::{self, Context},
    commands::{self, Surroundings},
    plan::{Plan, Wishes},
};

use crate::notation::{self, Item, Machine};

/// A machine in a directory that goes with it.
pub(crate) struct Fixture {
    _dir: tempfile::TempDir,
    root: PathBuf,
    /// What it is called.
    pub(crate) name: String,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

/// The names of all machines.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixtures().join("machines"))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".machine").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    names
}

/// All machines.
pub(crate) fn all() -> impl Iterator<Item = Fixture> {
    names().into_iter().map(|name| Fixture::new(&name))
}

impl Fixture {
    /// Unpacks a machine.
    pub(crate) fn new(name: &str) -> Self {
        let place = fixtures().join("machines");
        let text = fs::read_to_string(place.join(format!("{name}.machine"))).unwrap();
        let part = |name: &str| fs::read_to_string(place.join("parts").join(name)).ok();
        let machine = notation::parse(&text, &part).unwrap_or_else(|why| panic!("{name}: {why}"));
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        unpack(&machine, &root);
        Self { _dir: dir, root, name: name.to_owned() }
    }

    /// Where its files are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A place beside it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.root.with_file_name(name)
    }

    /// The machine, to be read.
    pub(crate) fn source(&self) -> Source {
        Source::at(&self.root).unwrap()
    }

    /// What it is for: its own configuration, if it has one.
    pub(crate) fn intent(&self, facts: &Facts) -> Intent {
        match fs::read_to_string(self.root.join("barewire.toml")) {
            Ok(text) => Intent::new(&config::parse(&text, "barewire.toml").unwrap(), facts),
            Err(_) => Intent::without_config(facts).unwrap(),
        }
    }

    /// What is found now.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let facts = Facts::read(&self.source());
        let intent = self.intent(&facts);
        checks::run(&Context::new(&facts, &intent))
    }

    /// What would be done now.
    pub(crate) fn plan(&self) -> Plan {
        let source = self.source();
        let facts = Facts::read(&source);
        let intent = self.intent(&facts);
        let findings = checks::run(&Context::new(&facts, &intent));
        Plan::new(&findings, &intent, &facts, &source, &Wishes::default())
    }

    /// What the program says of it, which has to be a success.
    pub(crate) fn said(&self, words: &[&str]) -> String {
        let root = self.root.to_str().unwrap();
        let config = format!("{root}/barewire.toml");
        let mut all = vec!["barewire-tune", "--root", root];
        if Path::new(&config).exists() {
            all.extend(["--config", &config]);
        }
        all.extend(words);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = commands::run(all, &Surroundings::default(), &mut out, &mut err);
        let talk = String::from_utf8(err).unwrap();
        assert!(exit == tuner::Exit::Success && talk.is_empty(), "{}: {exit:?} {talk}", self.name);
        // The directory has another name every time.
        String::from_utf8(out).unwrap().replace(&format!("{root}/"), "/")
    }
}

fn unpack(machine: &Machine, root: &Path) {
    if let Some(base) = &machine.base {
        let from = fixtures().join("sysroots").join(base).join(".");
        assert!(from.is_dir(), "there is no sysroot {base}");
        assert!(Command::new("cp").arg("-a").arg(from).arg(root).status().unwrap().success());
    }
    let mut refused = serde_json::Map::new();
    for (path, item) in &machine.items {
        let at = root.join(path);
        if *item != Item::Gone {
            fs::create_dir_all(at.parent().unwrap()).unwrap();
        }
        match (item, at.symlink_metadata()) {
            // A directory stays, or goes with all that is in it.
            (Item::Gone, Ok(meta)) if meta.is_dir() => fs::remove_dir_all(&at).unwrap(),
            (Item::Folder, Ok(meta)) if meta.is_dir() => {}
            (_, Ok(_)) => fs::remove_file(&at).unwrap(),
            (Item::Gone, Err(_)) => panic!("{path} is not there anyhow"),
            (_, Err(_)) => {}
        }
        match item {
            Item::File(bytes) => fs::write(&at, bytes).unwrap(),
            Item::Link(target) => symlink(target, &at).unwrap(),
            Item::Folder => drop(fs::create_dir_all(&at)),
            Item::Refused(why) => drop(refused.insert(path.clone(), why.as_str().into())),
            Item::Gone => {}
        }
    }
    if !machine.interrupts.is_empty() {
        let at = root.join("proc/interrupts");
        let mut text = fs::read_to_string(&at).unwrap();
        let columns = text.lines().next().unwrap().split_ascii_whitespace().count();
        for irq in &machine.interrupts {
            text.push_str(&format!("{:>4}:", irq.number));
            for cpu in 0..columns {
                let count = if usize::try_from(irq.cpu).unwrap() == cpu { 100 } else { 0 };
                text.push_str(&format!(" {count:>10}"));
            }
            text.push_str(&format!("  PCI-MSIX 0-edge {}\n", irq.handlers));
        }
        fs::write(at, text).unwrap();
    }
    if !refused.is_empty() {
        let manifest = serde_json::json!({
            "version": 1, "made_by": "a fixture", "refused": refused,
        });
        fs::create_dir_all(root.join("barewire")).unwrap();
        fs::write(root.join("barewire/capture.json"), manifest.to_string()).unwrap();
    }
    make_writable(root);
}

/// Where a sysroot's files may not be written, a script could not either.
fn make_writable(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            make_writable(&path);
        } else if meta.is_file() && meta.permissions().mode() & 0o200 == 0 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}
