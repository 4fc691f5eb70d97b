//! Connections, and how much each may cost.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time,
};

use super::{Listener, Request, routes};

/// Connections at once. More wait to be accepted.
const MOST_CONNECTIONS: usize = 128;

/// So long a client may take to say what it wants.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// So long a connection may live: one request, the daemon's work, one answer.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(30);

/// A request's head, and what is buffered for a client that does not read.
const BUFFER: usize = 64 << 10;

/// After the end: for answers that are on their way.
const FAREWELL: Duration = Duration::from_secs(1);

/// After a failed accept, which is a lack of file descriptors or memory as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    /// Serves until `shutdown`, and then at most a second longer, for answers that are on their way: the loop behind
    /// `to_loop` has to go on answering until this future ends.
    ///
    /// # Errors
    /// When the socket can not be given to the runtime.
    pub(crate) async fn serve(
        &self,
        to_loop: mpsc::Sender<Request>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let listener = UnixListener::from_std(self.socket()?)?;
        let router = routes::router(to_loop);
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_ended) = connections.join_next() => {}
                (permit, accepted) = accept => match accepted {
                    Ok((stream, _address)) => {
                        let router = router.clone();
                        connections.spawn(async move {
                            converse(stream, router).await;
                            drop(permit);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the control socket failed");
                        time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let farewell = async { while connections.join_next().await.is_some() {} };
        if time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!(connections = connections.len(), "connections are cut off");
        }
        Ok(())
    }
}

/// One request and its answer. A connection for each costs a client some microseconds, and nobody can keep one for
/// longer than the deadline.
async fn converse(stream: UnixStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .keep_alive(false)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match time::timeout(CONNECTION_DEADLINE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client of the control socket is gone"),
        Err(_) => tracing::debug!("a client of the control socket took too long"),
    }
}
