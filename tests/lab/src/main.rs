//! `barewire-lab`: makes images and lets a person into a guest. `cargo xtask lab` calls it.
#![forbid(unsafe_code)]

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand, ValueEnum};
use lab::{
    Cache, Debian, Exit, Guest, Image, Kernel, Lab, LabError, Machine, Model, Output, Recipe,
    Snapshot,
};

/// The virtual bare-metal lab
#[derive(Debug, Parser)]
#[command(name = "barewire-lab", version)]
struct Cli {
    /// Where images and snapshots are kept [default: target/lab]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// The release of Debian
    #[arg(long, global = true, value_enum, default_value = "bookworm")]
    debian: Release,
    /// With the PREEMPT_RT kernel
    #[arg(long, global = true)]
    rt: bool,
    /// What kind of NICs the machine has: east on node 0, west on node 1
    #[arg(long, global = true, value_enum, default_value = "igb")]
    nics: Nics,
    /// With the packages of `cargo xtask package` installed
    #[arg(long, global = true)]
    installed: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the image, and take a snapshot of it booted
    Build {
        /// That of the tests of provisioning: with cloud-init and Ansible
        #[arg(long)]
        provisioning: bool,
    },
    /// Run a command in a fresh guest; its exit code becomes this program's
    Run {
        /// Files to copy in first, as HOST:GUEST
        #[arg(long = "copy", value_name = "HOST:GUEST")]
        copies: Vec<String>,
        /// Seconds it may take
        #[arg(long, default_value_t = 300)]
        limit: u64,
        /// The command, for the guest's shell
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Let the installed daemon forward under random frames, reloads and faults
    Soak {
        /// For how long
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// What decides on the events; printed, and by default the time
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Run lines from standard input in a fresh guest, one after the other
    Shell,
    /// Remove the cache
    Clean,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Release {
    Bookworm,
    Trixie,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Nics {
    E1000e,
    Igb,
    Virtio,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("barewire-lab: {error:?}");
            ExitCode::from(if matches!(error, LabError::Missing(_)) { 3 } else { 1 })
        }
    }
}

fn dispatch(cli: &Cli) -> Result<ExitCode, LabError> {
    let top = cli.cache.clone().unwrap_or_else(lab::cache_of_this_tree);
    if let Command::Clean = cli.command {
        if top.is_dir() {
            // First what a dead guest left; a running one holds its folder.
            let cache = Cache::at(&top)?;
            cache.remove()?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cache = Cache::at(top)?;
    let begun = Instant::now();
    let lab = Lab::find_or_unpack(&cache)?;
    say("the emulator", begun.elapsed());
    let recipe = match cli.command {
        Command::Build { provisioning: true } => recipe(cli).provisioning(),
        _ => recipe(cli),
    };
    let image = lab.build(&recipe, say)?;
    if let Command::Build { .. } = cli.command {
        return build(cli, &image);
    }
    let mut guest = fresh(cli, &image)?;
    match &cli.command {
        Command::Run { copies, limit, command } => {
            for copy in copies {
                let (from, to) = copy.split_once(':').ok_or_else(|| {
                    LabError::Missing(format!("--copy {copy}: it has no `:` between two paths"))
                })?;
                guest.copy_in(from.as_ref(), to)?;
            }
            let output = guest.run_within(&command.join(" "), Duration::from_secs(*limit))?;
            show(&output);
            Ok(code(output.exit))
        }
        Command::Soak { minutes, seed } => soaked(&mut guest, *minutes, *seed),
        Command::Shell => shell(&mut guest),
        Command::Build { .. } | Command::Clean => unreachable!("done above"),
    }
}

fn recipe(cli: &Cli) -> Recipe {
    let debian = match cli.debian {
        Release::Bookworm => Debian::Bookworm,
        Release::Trixie => Debian::Trixie,
    };
    Recipe::new(debian, if cli.rt { Kernel::Rt } else { Kernel::Standard })
}

fn machine(cli: &Cli) -> Machine {
    let model = match cli.nics {
        Nics::E1000e => Model::E1000e,
        Nics::Igb => Model::Igb,
        Nics::Virtio => Model::VirtioNet,
    };
    Machine::new().nic("east", model, 0).nic("west", model, 1)
}

fn build(cli: &Cli, image: &Image) -> Result<ExitCode, LabError> {
    println!("{}", image.about().trim_end());
    let begun = Instant::now();
    let snapshot = Snapshot::of(image, &machine(cli))?;
    say("the snapshot", begun.elapsed());
    println!("snapshot: {}", snapshot.about());
    Ok(ExitCode::SUCCESS)
}

fn fresh(cli: &Cli, image: &Image) -> Result<Guest, LabError> {
    let snapshot = if cli.installed || matches!(cli.command, Command::Soak { .. }) {
        lab::installed(image, &machine(cli), recipe(cli).debian())?
    } else {
        Snapshot::of(image, &machine(cli))?
    };
    let begun = Instant::now();
    let guest = Guest::restore(&snapshot)?;
    say("a guest, restored", begun.elapsed());
    Ok(guest)
}

fn soaked(guest: &mut Guest, minutes: u64, seed: Option<u64>) -> Result<ExitCode, LabError> {
    let time = std::time::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs());
    let seed = seed.unwrap_or(time);
    println!("soaking for {minutes} minutes, with --seed {seed}");
    let begun = Instant::now();
    let soaked = lab::soak(guest, Duration::from_secs(60 * minutes), seed, |what| {
        say(what, begun.elapsed());
    })?;
    println!("{soaked}");
    let complaints = soaked.complaints();
    complaints.iter().for_each(|complaint| eprintln!("barewire-lab: {complaint}"));
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line after the other. The directory stays from line to line; other state of the shell does not.
fn shell(guest: &mut Guest) -> Result<ExitCode, LabError> {
    let mut directory = "/root".to_owned();
    let mut last = ExitCode::SUCCESS;
    let prompt = io::stdin().is_terminal();
    if prompt {
        eprintln!(
            "lines for the guest's shell; also: reboot, power-cut, console; Ctrl-D ends the guest"
        );
    }
    let mut lines = io::stdin().lock().lines();
    loop {
        if prompt {
            eprint!("lab:{directory}# ");
        }
        let Some(Ok(line)) = lines.next() else { return Ok(last) };
        match line.trim() {
            "" => {}
            "reboot" => guest.reboot()?,
            "power-cut" => {
                guest.power_cut()?;
                guest.power_on()?;
            }
            "console" => println!("{}", guest.console()),
            line => {
                let line = format!(
                    "cd {} || exit; {line}\ncode=$?; pwd >/run/lab-pwd; exit $code",
                    quoted(&directory)
                );
                match guest.run_within(&line, Duration::from_secs(3600)) {
                    Ok(output) => {
                        show(&output);
                        last = code(output.exit);
                        let pwd = guest.read("/run/lab-pwd").unwrap_or_default();
                        let pwd = String::from_utf8_lossy(&pwd).trim_end().to_owned();
                        if !pwd.is_empty() {
                            directory = pwd;
                        }
                    }
                    Err(error) => eprintln!("{error:?}"),
                }
            }
        }
    }
}

/// As one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn show(output: &Output) {
    // Nobody reads it: nothing to do about that.
    let _closed = io::stdout().write_all(&output.stdout);
    let _closed = io::stdout().flush();
    let _closed = io::stderr().write_all(&output.stderr);
}

fn code(exit: Exit) -> ExitCode {
    match exit {
        Exit::Code(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Exit::Signal(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
        Exit::TimedOut => ExitCode::from(124),
    }
}

fn say(what: &str, took: Duration) {
    eprintln!("{:7.1} s  {what}", took.as_secs_f64());
}
