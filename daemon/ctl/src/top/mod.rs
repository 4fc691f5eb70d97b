//! `barewire top`: what the daemon does right now.
//!
//! ```text
//!  Client ──► Sample ──┐
//!  Client ──► Sample ──┴─► View::between ──► draw ──► a screen, a text, JSON
//! ```

mod draw;
mod sample;
mod screen;
mod view;

use std::time::Duration;

use clap::ValueEnum;
use tokio::time;

use crate::{client::Client, failure::Failure, render::paint::Paint};

use sample::Sample;
pub(crate) use screen::live;
use view::View;

/// A page of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tab {
    /// Ports, workers, latency and what goes wrong
    Overview,
    /// Each worker
    Workers,
    /// Each worker and egress port
    Latency,
    /// Each reason
    Drops,
    /// The last gaps between two polls
    Stalls,
}

impl Tab {
    pub(crate) const ALL: [Self; 5] =
        [Self::Overview, Self::Workers, Self::Latency, Self::Drops, Self::Stalls];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Workers => "Workers",
            Self::Latency => "Latency",
            Self::Drops => "Drops",
            Self::Stalls => "Stalls",
        }
    }

    fn step(self, by: isize) -> Self {
        let here = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        let there = here.wrapping_add_signed(by.rem_euclid(5)) % Self::ALL.len();
        Self::ALL[there]
    }
}

/// Takes two samples and says what was between them.
pub(crate) async fn look_twice(client: &Client, interval: Duration) -> Result<View, Failure> {
    let earlier = Sample::take(client).await?;
    time::sleep(interval).await;
    let later = Sample::take(client).await?;
    Ok(View::between(&earlier, &later)?)
}

/// One frame as text, as large as the smallest terminal that is catered for, or as wide as this one.
pub(crate) fn one_frame(view: &View, tab: Tab, columns: Option<u16>) -> String {
    let shown = screen::Shown { view: Some(view), tab, ..screen::Shown::default() };
    screen::as_text(&shown, columns.unwrap_or(80).max(80), 24)
}

/// Colours for a screen.
fn style(paint: Paint, tone: crate::render::paint::Tone) -> ratatui::style::Style {
    use crate::render::paint::Tone;
    use ratatui::style::{Color, Style};

    if !paint.on && tone != Tone::Heading {
        return Style::new();
    }
    match tone {
        Tone::Plain => Style::new(),
        Tone::Heading => Style::new().bold(),
        Tone::Dim => Style::new().dim(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warning => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).bold(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_go_round_in_both_directions() {
        assert_eq!(Tab::Stalls.step(1), Tab::Overview);
        assert_eq!(Tab::Overview.step(-1), Tab::Stalls);
        assert_eq!(Tab::Workers.step(1), Tab::Latency);
    }
}
