//! Accepts HTTP connections; each runs as a task of this listener and ends with it.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::route::route;
use crate::target::backend::Backend;
use crate::target::counts::bump;
use crate::target::pending::Pending;

/// What the connections share.
pub(super) struct Shared {
    pub(super) backend: Arc<Backend>,
    pub(super) pending: Arc<Pending>,
}

/// Serves until the task is dropped, and every connection with it.
pub(in crate::target) async fn serve(listener: TcpListener, backend: Arc<Backend>) {
    let shared = Arc::new(Shared {
        pending: Pending::new(backend.config.limits.pending),
        backend,
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    bump(&shared.backend.tally.connections);
                    connections.spawn(run(stream, Arc::clone(&shared)));
                }
                // Out of file descriptors, or the peer went away: the next may do.
                Err(_) => tokio::time::sleep(RETRY).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn run(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let idle = shared.backend.config.limits.http_idle;
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { route(request, &shared).await }
    });
    // An error here is a peer that left, or an answer withheld on purpose.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

const RETRY: Duration = Duration::from_millis(10);

/// The smallest buffer that hyper takes is 8 KiB; heads are far below.
const HEAD: usize = 16_384;
