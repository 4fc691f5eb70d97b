//! The terminal: keys in, frames out, and everything put back at the end.

use std::{io, thread, time::Duration};

use ratatui::{
    Frame, Terminal,
    backend::TestBackend,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    text::{Line, Span, Text},
    widgets::{Paragraph, Tabs},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time,
};

use super::{
    Tab,
    draw::{Part, parts},
    sample::{Sample, trouble},
    style,
    view::View,
};
use crate::{
    client::Client,
    failure::Failure,
    render::{
        paint::{Paint, Tone, printable},
        units::uptime,
    },
};

/// All that a frame depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) view: Option<&'a View>,
    pub(super) trouble: Option<&'a str>,
    pub(super) tab: Tab,
    pub(super) scroll: u16,
    pub(super) paused: bool,
    pub(super) paint: Paint,
}

impl Default for Shown<'_> {
    fn default() -> Self {
        Self {
            view: None,
            trouble: None,
            tab: Tab::Overview,
            scroll: 0,
            paused: false,
            paint: Paint { on: false },
        }
    }
}

/// What the operator has chosen.
#[derive(Debug)]
struct State {
    tab: Tab,
    scroll: u16,
    paused: bool,
}

/// Draws until q, Ctrl-C, SIGTERM or SIGHUP.
pub(crate) async fn live(
    client: &Client,
    every: Duration,
    tab: Tab,
    paint: Paint,
) -> Result<(), Failure> {
    // The first look happens before the screen is taken, so that a daemon that is not there is told
    // on an ordinary line, with the ordinary exit code.
    let first = Sample::take(client).await?;
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Terminal)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(Failure::Terminal)?;

    let mut terminal = ratatui::try_init().map_err(Failure::Terminal)?;
    let _restored = Restored;
    let mut keys = read_keys();
    let mut looks = look(client.clone(), first, every);

    let mut state = State { tab, scroll: 0, paused: false };
    let (mut view, mut problem): (Option<View>, Option<String>) = (None, None);
    loop {
        let shown = Shown {
            view: view.as_ref(),
            trouble: problem.as_deref(),
            tab: state.tab,
            scroll: state.scroll,
            paused: state.paused,
            paint,
        };
        terminal.draw(|frame| draw(frame, &shown)).map_err(Failure::Terminal)?;
        tokio::select! {
            event = keys.recv() => match event {
                None => return Ok(()),
                Some(Err(error)) => return Err(Failure::Terminal(error)),
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if !press(&mut state, key) {
                        return Ok(());
                    }
                }
                Some(Ok(_)) => {} // a resize: draw again
            },
            Some(looked) = looks.recv() => match looked {
                Ok(new) if !state.paused => {
                    view = Some(*new);
                    problem = None;
                }
                Ok(_) => problem = None,
                Err(failure) => problem = Some(trouble(&failure)),
            },
            _ = terminated.recv() => return Ok(()),
            _ = hung_up.recv() => return Ok(()),
        }
    }
}

/// Puts the terminal back however the function ends; a panic is covered by the hook that
/// `ratatui::try_init` sets.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Applies a key; false ends the program.
fn press(state: &mut State, key: KeyEvent) -> bool {
    let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let tab_before = state.tab;
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('c') if is_ctrl => return false,
        KeyCode::Char('p' | ' ') => state.paused = !state.paused,
        KeyCode::Right | KeyCode::Tab => state.tab = state.tab.step(1),
        KeyCode::Left | KeyCode::BackTab => state.tab = state.tab.step(-1),
        KeyCode::Down => state.scroll = state.scroll.saturating_add(1),
        KeyCode::Up => state.scroll = state.scroll.saturating_sub(1),
        KeyCode::Char(digit @ '1'..='5') => {
            state.tab = Tab::ALL[usize::from(digit as u8 - b'1')];
        }
        _ => {}
    }
    if state.tab != tab_before {
        state.scroll = 0;
    }
    true
}

/// Keys from a thread of their own: reading them blocks, and it ends with the process.
fn read_keys() -> mpsc::Receiver<io::Result<Event>> {
    let (send, receive) = mpsc::channel(16);
    thread::spawn(move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if send.blocking_send(event).is_err() || is_over {
                return;
            }
        }
    });
    receive
}

/// Looks at the daemon again and again. A look that fails is told, and the next one is measured
/// against the last that did not.
fn look(
    client: Client,
    first: Sample,
    every: Duration,
) -> mpsc::Receiver<Result<Box<View>, Failure>> {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut earlier = first;
        loop {
            time::sleep(every).await;
            let looked = match Sample::take(&client).await {
                Err(failure) => Err(failure),
                Ok(later) => {
                    let view = View::between(&earlier, &later);
                    earlier = later;
                    view.map(Box::new).map_err(Failure::from)
                }
            };
            if send.send(looked).await.is_err() {
                return;
            }
        }
    });
    receive
}

/// A frame as text, without colours and without spaces at the ends of lines.
pub(super) fn as_text(shown: &Shown<'_>, columns: u16, rows: u16) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns, rows));
    let Ok(_) = terminal.draw(|frame| draw(frame, shown));
    let buffer = terminal.backend().buffer();
    let line = |row: u16| {
        let cells = (0..columns).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    let text: String = (0..rows).map(line).collect();
    text.trim_end().to_owned() + "\n"
}

fn draw(frame: &mut Frame<'_>, shown: &Shown<'_>) {
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [head, tabs, _, body, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(header(shown), head);
    // Brackets besides the reversed colours: a frame as text has none.
    let title = |tab: Tab| match tab.title() {
        title if tab == shown.tab => format!("[{title}]"),
        title => title.to_owned(),
    };
    let selected = Tab::ALL.iter().position(|tab| *tab == shown.tab);
    frame.render_widget(Tabs::new(Tab::ALL.map(title)).select(selected).divider("│"), tabs);
    let text = shown.view.map_or_else(
        || Text::raw("waiting for a second look at the daemon …"),
        |view| body_text(view, shown),
    );
    // Never beyond the last line.
    let last = u16::try_from(text.lines.len()).unwrap_or(u16::MAX).saturating_sub(1);
    frame.render_widget(Paragraph::new(text).scroll((shown.scroll.min(last), 0)), body);
    frame.render_widget(footer(shown), foot);
}

fn header<'a>(shown: &Shown<'_>) -> Line<'a> {
    let heading = style(shown.paint, Tone::Heading);
    let Some(view) = shown.view else { return Line::styled("barewired", heading) };
    let state = match view.state {
        api::State::Running => "running",
        api::State::Draining => "DRAINING",
    };
    let (word, tone) = match view.balance.accounting() {
        api::Accounting::Whole => ("balanced", Tone::Good),
        api::Accounting::Unpublished => ("counts not published", Tone::Warning),
        api::Accounting::Violated => ("NOT BALANCED", Tone::Bad),
    };
    let balance = Span::styled(word, style(shown.paint, tone));
    let rest = format!(
        "  up {}  generation {}  process {}",
        uptime(view.uptime_seconds),
        view.generation,
        view.pid
    );
    Line::from(vec![
        Span::styled(printable(&format!("barewired {}", view.version)).into_owned(), heading),
        Span::raw(format!("  {state}  ")),
        balance,
        Span::raw(rest),
    ])
}

fn body_text<'a>(view: &View, shown: &Shown<'_>) -> Text<'a> {
    let mut lines = Vec::new();
    for part in parts(view, shown.tab) {
        match part {
            Part::Gap => lines.push(Line::default()),
            Part::Text(tone, text) => {
                lines.push(Line::styled(printable(&text).into_owned(), style(shown.paint, tone)));
            }
            Part::Table(table) => lines.extend(table.lines().map(|spans| {
                let pieces = spans.into_iter().flat_map(|span| {
                    let text = Span::styled(span.text.to_owned(), style(shown.paint, span.tone));
                    [Span::raw(" ".repeat(span.gap)), text]
                });
                Line::from(pieces.collect::<Vec<_>>())
            })),
        }
    }
    Text::from(lines)
}

fn footer<'a>(shown: &Shown<'_>) -> Line<'a> {
    if let Some(trouble) = shown.trouble {
        let text = format!("{}; trying again", printable(trouble));
        return Line::styled(text, style(shown.paint, Tone::Bad));
    }
    let keys = "q quit   p pause   ←→ tabs   ↑↓ scroll";
    if shown.paused {
        return Line::styled(format!("{keys}   PAUSED"), style(shown.paint, Tone::Warning));
    }
    Line::styled(keys, style(shown.paint, Tone::Dim))
}
