//! The command line.

use std::{
    io::{self, IsTerminal as _},
    net::Ipv4Addr,
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use config::{CpuId, MacAddress};

use crate::{
    compare::FailOn,
    exit,
    peer::{
        case::{Arm, Mode},
        traffic::Frames,
    },
    run::echo::EchoArgs,
};

/// Compares packet paths on the same work, with numbers that can be checked
#[derive(Debug, Parser)]
#[command(name = "barewire-bench", version, after_help = exit::TABLE, max_term_width = 100)]
pub struct Cli {
    /// What to compare.
    #[command(subcommand)]
    pub command: Command,
}

/// What to compare. Each variant is a folder of this crate.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The kernel's paths against those around it: round trips of probes, with full distributions (needs root)
    Run(RunArgs),
    /// Two runs: before and after a change, of two builds, on two hosts
    Compare(CompareArgs),
    /// A run as a page for a browser, with its plots and tables as files
    Report(ReportArgs),
    /// What this host can be believed about: its class, from what it does to a thread that wants to be left alone
    Qualify(QualifyArgs),
    /// TRex as a second generator on two ports, where it is installed: loads and sizes, frames and times as it counts them
    Trex(TrexArgs),
    /// barewired against dpdk-testpmd: the same core, the same virtual devices, the same settings
    Peer(PeerArgs),
    /// Send back what comes: the kernel's side of `run`
    #[command(hide = true)]
    Echo(EchoArgs),
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: PathBuf,
    },
}

/// `barewire-bench run`
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The plan: quick (2 minutes at most), standard and throughput (meant for 15), peer (against testpmd), soak (hours),
    /// rfc2544 (a day), or a file
    #[arg(default_value = "quick", value_name = "PLAN")]
    pub plan: String,
    /// Where the files go; bench-PLAN-TIME by default
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// So many blocks instead of the plan's: intervals and words take five
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub blocks: Option<usize>,
    /// In about so many minutes: with fewer blocks, but five, and then with shorter trials. Searches are not shortened
    #[arg(long, value_name = "M", value_parser = minutes)]
    pub minutes: Option<f64>,
    /// Say how long it takes, and measure nothing
    #[arg(long)]
    pub how_long: bool,
    /// The CPU that is measured; the last by default
    #[arg(long, value_name = "N", value_parser = cpu)]
    pub cpu: Option<CpuId>,
    /// The CPU for the generator and everything else; the first by default
    #[arg(long, value_name = "N", value_parser = cpu)]
    pub other_cpu: Option<CpuId>,
    /// Repeats the orders and resamples of an earlier run
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// barewired's file; by default next to this program
    #[arg(long, value_name = "PATH")]
    pub barewired: Option<PathBuf>,
    /// testpmd's file; by default `dpdk-testpmd` of the system
    #[arg(long, value_name = "PATH")]
    pub testpmd: Option<PathBuf>,
    /// Measure although the CPU's counter does not run at one rate, so that times are not to be trusted
    #[arg(long)]
    pub unsteady_counter: bool,
    /// Print the groups of result.json instead of the summary
    #[arg(long)]
    pub json: bool,
    /// When to use colours (NO_COLOR is honoured)
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// `barewire-bench compare`
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The run before: its directory, or its result.json
    pub a: PathBuf,
    /// The run after
    pub b: PathBuf,
    /// End with code 5 when a path's time in B through that in A is above this, with all of its interval: p50>1.1,p99>1.05
    #[arg(long, value_name = "LIMIT,…", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
    /// Only these paths
    #[arg(long, value_name = "ARM,…", value_delimiter = ',')]
    pub arms: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `barewire-bench report`
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The run: its directory, or its result.json
    pub run: PathBuf,
    /// The page alone, into this file; by default report.html beside the result, and its plots and tables in plots/
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `barewire-bench qualify`
#[derive(Debug, Clone, Args)]
pub struct QualifyArgs {
    /// How long to look, in seconds: a minute says much, an hour more
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
    /// The CPU whose class it is; the last by default
    #[arg(long, value_name = "N", value_parser = cpu)]
    pub cpu: Option<CpuId>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `barewire-bench trex`
#[derive(Debug, Clone, Args)]
pub struct TrexArgs {
    /// TRex's directory, with t-rex-64 in it
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Its configuration: which ports, which cores
    #[arg(long, value_name = "FILE", default_value = "/etc/trex_cfg.yaml")]
    pub config: PathBuf,
    /// Whom frames are addressed to: the first port of the host under test
    #[arg(long, value_name = "MAC")]
    pub mac: MacAddress,
    /// Where they come from
    #[arg(long, value_name = "IP")]
    pub source: Ipv4Addr,
    /// Where they go to
    #[arg(long, value_name = "IP")]
    pub destination: Ipv4Addr,
    /// Flows: source ports that take turns
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16384))]
    pub flows: u16,
    /// Frames a second, each with each size
    #[arg(long, value_name = "N,…", value_delimiter = ',', required = true, value_parser = load)]
    pub loads: Vec<f64>,
    /// Bytes of a frame, with its check sequence
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "64", value_parser = size)]
    pub sizes: Vec<usize>,
    /// How long each is sent, in seconds
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = seconds)]
    pub seconds: f64,
    /// Frames come back to the port that they left
    #[arg(long)]
    pub one_port: bool,
    /// Where the result goes, as JSON
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `barewire-bench peer`
#[derive(Debug, Clone, Args)]
pub struct PeerArgs {
    /// Which cases: a (a capture to a null port), b (two null ports), c (virtio-user before vhost-user; needs hugepages),
    /// modes (staged against run-to-completion on two CPUs)
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    pub case: Vec<CaseName>,
    /// Blocks; in each, every program is started afresh
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub blocks: usize,
    /// Measured time of each arm in each block, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    pub seconds: f64,
    /// How long an arm has the CPU at a time, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    pub slice_ms: u64,
    /// The CPU that is measured; the last by default
    #[arg(long, value_name = "N", value_parser = cpu)]
    pub cpu: Option<CpuId>,
    /// The CPU for everything else: control planes, prompts, the generator; the first by default
    #[arg(long, value_name = "N", value_parser = cpu)]
    pub other_cpu: Option<CpuId>,
    /// Frames asked of a receive queue at once, for both programs
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub burst: u16,
    /// Descriptors of each queue, for both programs
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(64..=4096))]
    pub descriptors: u16,
    /// Packet buffers, for both programs
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(4096..=1 << 20))]
    pub buffers: u32,
    /// Where packet memory comes from, for both programs; "auto" is hugepages if they are there or we are root
    #[arg(long, value_enum, default_value_t = MemoryChoice::Auto)]
    pub memory: MemoryChoice,
    /// How barewired spreads its work in cases a, b and c
    #[arg(long, value_enum, default_value_t = Mode::RunToCompletion)]
    pub mode: Mode,
    /// The frames of case a: a mix of sizes, or 64 bytes each
    #[arg(long, value_enum, default_value_t = Frames::Imix)]
    pub frames: Frames,
    /// Only these arms, and the comparisons between them
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ARM,…")]
    pub arms: Vec<Arm>,
    /// Repeats the orders and resamples of an earlier run
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Write every reading, valid or not, to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// barewired's file; by default next to this program
    #[arg(long, value_name = "PATH")]
    pub barewired: Option<PathBuf>,
    /// Another build of barewired, measured in the same run to say what a change did
    #[arg(long, value_name = "PATH")]
    pub before: Option<PathBuf>,
    /// testpmd's file; by default `dpdk-testpmd` of the system
    #[arg(long, value_name = "PATH")]
    pub testpmd: Option<PathBuf>,
    /// When to use colours (NO_COLOR is honoured)
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// Which cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CaseName {
    /// Both of case (a).
    A,
    /// Two null ports.
    B,
    /// virtio-user.
    C,
    /// Staged against run-to-completion.
    Modes,
    /// All of them.
    All,
}

/// Where packet memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MemoryChoice {
    /// Hugepages if they are there or can be reserved, ordinary pages otherwise.
    Auto,
    /// Hugepages of 2 MiB, or nothing.
    #[value(name = "2M")]
    Huge2M,
    /// Ordinary pages.
    None,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When the output is a terminal and NO_COLOR is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Are there colours on this output?
    #[must_use]
    pub fn is_on(self, out: &io::Stdout) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                out.is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1000) => Ok(count),
        _ => Err("not a number from 1 to 1000".to_owned()),
    }
}

fn load(text: &str) -> Result<f64, String> {
    let load: f64 = text.parse().map_err(|_| format!("\"{text}\" is no number"))?;
    let is_possible = (1.0..=1e9).contains(&load);
    if is_possible { Ok(load) } else { Err("1 to 1000000000 frames a second".to_owned()) }
}

fn size(text: &str) -> Result<usize, String> {
    let size: usize = text.parse().map_err(|_| format!("\"{text}\" is no number"))?;
    if (64..=1518).contains(&size) { Ok(size) } else { Err("64 to 1518 bytes".to_owned()) }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds from 0.05 to 600".to_owned()),
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=100_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("not a number of minutes from 0.1 to 100000".to_owned()),
    }
}

fn cpu(text: &str) -> Result<CpuId, String> {
    text.parse().map_err(|error: config::CpuParseError| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for wrong in [
            ["--blocks", "0"],
            ["--seconds", "nan"],
            ["--seconds", "0"],
            ["--cpu", "x"],
            ["--burst", "65"],
        ] {
            let line = ["barewire-bench", "peer", wrong[0], wrong[1]];
            assert!(Cli::try_parse_from(line).is_err(), "{wrong:?}");
        }
    }
}
