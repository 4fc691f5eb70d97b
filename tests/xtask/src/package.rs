//! `cargo xtask package`: barewire, barewire-tune and barewire-bench as Debian packages, in target/package.
//!
//! ```text
//!  cargo build ─► programs ─┬─ stripped ────────────────┐
//!                           ├─ man, completions ────────┤
//!  systemd/, config/ ───────┴───────────────► staging/<package>/ ─► dpkg-deb ─► lintian
//! ```
//! DPDK is linked shared: dpkg-shlibdeps says which packages of it are needed, and of the drivers, which are loaded at
//! run time, those that every configuration needs are asked of dpkg by their files. So packages are for the Debian that
//! they are made on; with `--for` that is another one, in a root directory of its own.

mod contents;
mod control;
mod depends;
mod elsewhere;
mod staging;

use std::{fs, path::PathBuf, process::Command, time::Instant};

use self::{contents::PACKAGES, control::Release};
use crate::{
    run::{self, Failure, Interrupt},
    say, setup, tree,
};

/// How to make the packages.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Package what a plain `cargo build` has built, without building: for tests of packaging
    #[arg(long)]
    quick: bool,
    /// Package what is built already
    #[arg(long)]
    no_build: bool,
    /// Do not have lintian look at them, which takes a minute or two
    #[arg(long)]
    no_lintian: bool,
    /// Make them in another Debian, for it: bookworm, trixie or forky; lintian does not look at those
    #[arg(long = "for", value_name = "SUITE")]
    suite: Option<String>,
    /// What follows the version: 0.1.0-1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    revision: u32,
    /// Where the packages go [default: target/package, and with --for a folder of that name in it]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Do not look for missing packages
    #[arg(long)]
    no_setup: bool,
}

impl Options {
    /// Of what tests run, unoptimised.
    pub(crate) fn of_a_plain_build() -> Self {
        Self { quick: true, ..Self::for_the_lab() }
    }

    /// For machines that nobody ships to.
    pub(crate) fn for_the_lab() -> Self {
        Self {
            quick: false,
            no_build: false,
            no_lintian: true,
            suite: None,
            revision: 1,
            out: None,
            no_setup: false,
        }
    }

    /// For a machine with that Debian: with this machine's own, or with another.
    pub(crate) fn on(self, suite: &str) -> Self {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let is_own = release.lines().any(|line| line == format!("VERSION_CODENAME={suite}"));
        Self { suite: (!is_own).then(|| suite.to_owned()), ..self }
    }
}

/// Makes them.
pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<(), Failure> {
    if let Some(suite) = &options.suite {
        return elsewhere::run(options, suite, interrupt);
    }
    let begun = Instant::now();
    if !options.no_setup {
        setup::package(!options.no_lintian, interrupt)?;
    }
    let programs = if options.quick {
        tree::target().join("debug")
    } else if options.no_build {
        tree::target().join("release")
    } else {
        let mut build = tree::cargo(["build", "--release", "--bins"]);
        for package in ["daemon", "ctl", "tuner", "bench"] {
            build.args(["--package", package]);
        }
        run::step(interrupt, "build", &mut build)?;
        tree::target().join("release")
    };
    let out = options.out.clone().unwrap_or_else(|| tree::target().join("package"));
    let release = Release::of_this_tree(options.revision)?;
    let staging = out.join("staging");
    clear(&staging)?;
    let mut made = Vec::new();
    for package in PACKAGES {
        interrupt.check()?;
        let root = staging.join(package.name);
        let size = contents::stage(package, &root, &programs, &release)?;
        control::write(package, &root, &release, size)?;
        let file = out.join(release.file_name(package.name));
        let mut build = Command::new("dpkg-deb");
        // Unoptimised programs are large, and nobody carries these far.
        build.args(if options.quick { ["-Zgzip", "-z1"] } else { ["-Zxz", "-z6"] });
        build.args(["--root-owner-group", "--build"]).arg(&root).arg(&file);
        build
            .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
            .stdout(std::process::Stdio::null());
        run::quiet_step(interrupt, package.name, &mut build)?;
        made.push(file);
    }
    clear(&staging)?;
    if !options.no_lintian {
        lintian(interrupt, &made)?;
    }
    for file in &made {
        let bytes = fs::metadata(file).map_err(Failure::io(file.display().to_string()))?.len();
        say::note(format!("{} ({} KiB)", file.display(), bytes / 1024));
    }
    say::done("packages", begun.elapsed());
    Ok(())
}

/// Makes an empty folder of it.
fn clear(folder: &std::path::Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::io(format!("cannot remove {}", folder.display()))(error));
        }
        _ => {}
    }
    fs::create_dir_all(folder).map_err(Failure::io(format!("cannot create {}", folder.display())))
}

/// What Debian's own checker says: nothing.
fn lintian(interrupt: &Interrupt, files: &[PathBuf]) -> Result<(), Failure> {
    if tree::program("lintian").is_none() {
        say::loud("lintian is not installed: the packages were not checked");
        return Ok(());
    }
    let mut command = Command::new("lintian");
    command.args(["--fail-on", "error,warning", "--display-info", "--tag-display-limit", "0"]);
    // Of constants, one after the other, it reads words that nobody wrote; other ones after every build.
    command.args(["--suppress-tags", "spelling-error-in-binary"]);
    if tree::is_root() {
        command.arg("--allow-root");
    }
    run::step(interrupt, "lintian", command.args(files))
}
