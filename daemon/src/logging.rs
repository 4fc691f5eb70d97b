//! What goes to standard error, and how much of it.

mod journal;

use std::io::IsTerminal as _;

use config::LogFormat;
use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

pub(crate) use self::journal::is_stderr as is_journal;
use crate::cli::Color;

/// Changes the level of a running daemon.
#[derive(Debug)]
pub(crate) struct Logging {
    handle: reload::Handle<EnvFilter, Registry>,
    level: String,
}

impl Logging {
    /// Starts logging. The filter has been checked with the configuration; what still is wrong with it falls back to `info`.
    pub(crate) fn start(config: &config::Log, color: Color) -> Self {
        let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
        let (filter, handle) = reload::Layer::new(filter);
        let registry = tracing_subscriber::registry().with(filter);
        let started = match config.format {
            LogFormat::Text if journal::is_stderr() => {
                let layer =
                    fmt::layer().with_writer(journal::Journal).with_ansi(false).without_time();
                registry.with(layer).try_init()
            }
            LogFormat::Text => {
                let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(has_color(color));
                registry.with(layer).try_init()
            }
            LogFormat::Json => {
                registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()
            }
        };
        // Only a second call in one process can fail, and then the first one's goes on.
        drop(started);
        Self { handle, level: config.level.clone() }
    }

    /// The filter in force.
    pub(crate) fn level(&self) -> &str {
        &self.level
    }

    /// Puts another filter in force.
    ///
    /// # Errors
    /// When it is not a filter; the old one stays.
    pub(crate) fn set(&mut self, level: &str) -> Result<(), String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        // A lone word that is no level would be taken for the name of a module, and silence everything else.
        if !level.contains(['=', ',']) && !LEVELS.contains(&level) {
            return Err(format!("{level:?} is no level; the levels are {}", LEVELS.join(", ")));
        }
        let filter = EnvFilter::try_new(level)
            .map_err(|error| format!("{level:?} is no log filter: {error}"))?;
        self.handle.reload(filter).map_err(|error| error.to_string())?;
        level.clone_into(&mut self.level);
        Ok(())
    }
}

fn has_color(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
        }
    }
}

/// DPDK's lines, passed on.
pub(crate) fn dpdk(level: dpdk::LogLevel, line: &str) {
    use dpdk::LogLevel;
    let line = line.trim_end();
    match level {
        LogLevel::Emergency | LogLevel::Alert | LogLevel::Critical | LogLevel::Error => {
            tracing::error!(target: "dpdk", "{line}");
        }
        LogLevel::Warning => tracing::warn!(target: "dpdk", "{line}"),
        LogLevel::Notice | LogLevel::Info => tracing::debug!(target: "dpdk", "{line}"),
        LogLevel::Debug => tracing::trace!(target: "dpdk", "{line}"),
    }
}
