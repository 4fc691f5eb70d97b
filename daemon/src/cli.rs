//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

/// Moves packets between ports with DPDK, measures every one of them, and loses none.
#[derive(Debug, Parser)]
#[command(name = "barewired", version, after_help = exit::TABLE, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When to use colours on standard error (NO_COLOR is honoured).
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run in the foreground until SIGTERM, SIGINT or `barewire stop`; SIGHUP reloads.
    Run(Source),
    /// Check the configuration file and say everything that is wrong with it.
    Check(Source),
    /// Show which core would turn which queue with which memory, and why.
    Plan(PlanArgs),
    /// Show the graph of stages.
    Graph(GraphArgs),
    /// Print the completions for a shell.
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder.
    #[command(hide = true)]
    Man {
        /// The folder, which exists.
        folder: PathBuf,
    },
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct Source {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/barewire/barewire.toml")]
    pub config: PathBuf,
    /// Answer in JSON on standard output, errors included; of `run` only what is wrong with the file.
    #[arg(long)]
    pub json: bool,
}

/// `barewired plan`
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub source: Source,
    /// Read the machine from this directory instead of `/` (a captured sysfs and procfs).
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// `barewired graph`
#[derive(Debug, Clone, Args)]
pub struct GraphArgs {
    #[command(flatten)]
    pub source: Source,
    /// How to draw it.
    #[arg(long, value_enum, default_value_t = GraphFormat::Text, conflicts_with = "json")]
    pub format: GraphFormat,
}

/// How to draw the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// One edge a line.
    Text,
    /// For Graphviz.
    Dot,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When standard error is a terminal and NO_COLOR is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
