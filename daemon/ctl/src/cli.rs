//! The command line.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::exit::Exit;

/// Looks into a running barewired, and steers it.
#[derive(Debug, Parser)]
#[command(name = "barewire", version, after_help = Exit::table(), max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The daemon's control socket ([control] socket in its configuration)
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/barewire/control.sock")]
    pub(crate) socket: PathBuf,
    /// Print the daemon's JSON instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours (NO_COLOR is honoured)
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// How long to wait for an answer, in seconds [default: 5; reload: 60]
    #[arg(long, global = true, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<Seconds>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// When the output is a terminal and NO_COLOR is not set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One screen of how the daemon is
    Status,
    /// Which core turns which queue with which memory, and why
    Plan,
    /// Everything that is counted, and whether every frame is accounted for
    Counters(Counters),
    /// How long frames were inside: a histogram and percentiles per worker and egress port
    Latency(Latency),
    /// Gaps between two polls that were longer than the threshold, one by one
    Stalls(Stalls),
    /// What each stage got, where it sent it, and what it costs
    Stages,
    /// The ports' counters; the drivers' own with --driver or --json
    Ports(Ports),
    /// Dropped frames by reason, with what each reason means
    Drops(Drops),
    /// Show the log filter, or set it
    LogLevel(LogLevel),
    /// Read the configuration file again and put it in force; on any error the old one stays
    Reload(Reload),
    /// Send what is in flight, stop the ports and end the daemon
    Stop(Stop),
    /// A live screen (q quits, p pauses, arrows switch tabs)
    Top(Top),
    /// Everything that is counted and measured, for Prometheus
    ///
    /// OpenMetrics on standard output; with --file the text format 0.0.4, which node_exporter reads.
    Metrics(Metrics),
    /// Put everything that a bug report needs into one archive
    ///
    /// The journal is that of the unit that the socket belongs to (/run/barewire-edge/control.sock: barewired@edge), and
    /// so is the configuration, if the daemon does not answer.
    DebugBundle(DebugBundle),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Counters {
    /// Show what happened per second, measured over this long
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    pub(crate) rate: Option<Seconds>,
}

#[derive(Debug, Args)]
pub(crate) struct Latency {
    /// Only frames that this worker sent
    #[arg(long, value_name = "NUMBER")]
    pub(crate) worker: Option<usize>,
    /// Only frames that left through this port
    #[arg(long, value_name = "NAME")]
    pub(crate) port: Option<String>,
    /// Only the percentiles, without the histograms
    #[arg(long)]
    pub(crate) summary: bool,
    /// Only the frames of the next so many seconds, instead of all since the start
    #[arg(long, value_name = "SECONDS")]
    pub(crate) interval: Option<Seconds>,
    /// Also write the whole distributions to a file, as an HdrHistogram interval log
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) hlog: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Stalls {
    /// Go on with those that are still to come; with --json one object a line
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How often to look with --follow
    #[arg(long, value_name = "SECONDS", default_value = "0.5", requires = "follow")]
    pub(crate) every: Seconds,
}

#[derive(Debug, Args)]
pub(crate) struct Metrics {
    /// Replace this file, whole, for a collector of text files (node_exporter), instead of printing. When the daemon does
    /// not answer, the old file stays
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Ports {
    /// Show the drivers' own statistics too
    #[arg(long)]
    pub(crate) driver: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Drops {
    /// Show the reasons that never happened too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogLevel {
    /// The new filter: info, debug, barewired=debug, …
    pub(crate) level: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    /// Allow changes for which ports must stop and start: nothing is received for some time, and when the new ports do
    /// not come up the old ones come back
    #[arg(long)]
    pub(crate) restart_ports: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Return only when the daemon is gone
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DebugBundle {
    /// The archive, which must not exist [default: barewire-debug-<time>.tar]
    pub(crate) file: Option<PathBuf>,
    /// How many lines of the journal
    #[arg(long, value_name = "NUMBER", default_value_t = 5000)]
    pub(crate) journal_lines: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Draw one frame as text and end
    #[arg(long)]
    pub(crate) once: bool,
    /// The tab to begin with
    #[arg(long, value_enum, default_value_t = crate::top::Tab::Overview)]
    pub(crate) tab: crate::top::Tab,
    /// How often to look
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub(crate) every: Seconds,
}

/// A time on the command line: seconds, with a fraction if need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Duration);

/// Why a text is no [`Seconds`].
#[derive(Debug, thiserror::Error)]
#[error("expected seconds between 0.001 and 86400, such as 5 or 0.2")]
pub(crate) struct NotSeconds;

impl FromStr for Seconds {
    type Err = NotSeconds;

    fn from_str(text: &str) -> Result<Self, NotSeconds> {
        let seconds: f64 = text.parse().map_err(|_| NotSeconds)?;
        if !(0.001..=86_400.0).contains(&seconds) {
            return Err(NotSeconds);
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}
