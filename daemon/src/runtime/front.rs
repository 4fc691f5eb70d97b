//! What the daemon's loop waits for: clients, signals, and a beat a second. It outlives every set of workers, so the
//! control socket stays open while ports are restarted.

use std::{
    future::Future,
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Interval, MissedTickBehavior},
};

use super::{RunError, watchdog::Watchdog};
use crate::control::{Listener, Request};

/// Questions that wait for the loop at once.
const QUESTIONS: usize = 64;

/// Something to do.
pub(super) enum Event {
    /// A client asks.
    Asked(Request),
    /// SIGHUP.
    HangUp,
    /// A signal that ends the daemon, by its name.
    Signal(&'static str),
    /// It is time to look after things: every second, or more often if the service manager wants it.
    Beat,
    /// The control socket is closed and its last answers are sent.
    Closed(io::Result<()>),
}

/// Where events come from.
pub(super) struct Front<'l> {
    runtime: Runtime,
    server: Pin<Box<dyn Future<Output = io::Result<()>> + 'l>>,
    asked: mpsc::Receiver<Request>,
    shut: Option<oneshot::Sender<()>>,
    term: Signal,
    int: Signal,
    hup: Signal,
    beat: Interval,
    /// Looked after at each beat.
    pub(super) watchdog: Watchdog,
    /// A signal that came while somebody waited for something else.
    early: Option<&'static str>,
    is_closed: bool,
}

impl<'l> Front<'l> {
    /// Opens. From here on signals do not end the process by themselves.
    pub(super) fn open(listener: &'l Listener) -> Result<Self, RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(RunError::Loop)?;
        let entered = runtime.enter();
        let on = |kind| signal(kind).map_err(RunError::Loop);
        let (term, int, hup) =
            (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?);
        let (ask, asked) = mpsc::channel(QUESTIONS);
        let (shut, shutdown) = oneshot::channel::<()>();
        let server = Box::pin(listener.serve(ask, async move {
            // An error means that the sender is gone, which is a reason to stop, too.
            let _ = shutdown.await;
        }));
        let watchdog = Watchdog::from_environment(Instant::now());
        let mut beat = tokio::time::interval(watchdog.beat());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        drop(entered);
        let (shut, early, is_closed) = (Some(shut), None, false);
        Ok(Self { runtime, server, asked, shut, term, int, hup, beat, watchdog, early, is_closed })
    }

    /// The next event. Not to be called again after [`Event::Closed`].
    pub(super) fn wait(&mut self) -> Event {
        if let Some(name) = self.early.take() {
            return Event::Signal(name);
        }
        let Self { runtime, server, asked, term, int, hup, beat, is_closed, .. } = self;
        let event = runtime.block_on(async {
            tokio::select! {
                ended = server => Event::Closed(ended),
                Some(request) = asked.recv() => Event::Asked(request),
                _ = term.recv() => Event::Signal("SIGTERM"),
                _ = int.recv() => Event::Signal("SIGINT"),
                _ = hup.recv() => Event::HangUp,
                _ = beat.tick() => Event::Beat,
            }
        });
        *is_closed = matches!(event, Event::Closed(_));
        event
    }

    /// Waits for something else so long. Says whether a signal came that ends the daemon; [`wait`](Self::wait) gives it.
    pub(super) fn pause(&mut self, time: Duration) -> bool {
        let Self { runtime, term, int, early, .. } = self;
        if early.is_none() {
            *early = runtime.block_on(async {
                tokio::select! {
                    _ = term.recv() => Some("SIGTERM"),
                    _ = int.recv() => Some("SIGINT"),
                    () = tokio::time::sleep(time) => None,
                }
            });
        }
        early.is_some()
    }

    /// Takes no more clients, and sends the last answers. Questions that nobody has answered are refused.
    pub(super) fn finish(mut self) {
        self.close();
        let Self { runtime, server, asked, is_closed, .. } = &mut self;
        asked.close();
        while let Ok(request) = asked.try_recv() {
            drop(request);
        }
        if !*is_closed && let Err(error) = runtime.block_on(server) {
            tracing::debug!(%error, "the control socket was not closed properly");
        }
    }

    /// Takes no more clients; [`Event::Closed`] comes when those that are there have their answers.
    pub(super) fn close(&mut self) {
        if let Some(shut) = self.shut.take() {
            // The server ends by itself if this fails.
            let _ = shut.send(());
        }
    }
}
