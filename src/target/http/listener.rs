//! Accepts HTTP connections; each runs as a task of this listener and ends with it.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use super::reply::Withheld;
use super::route::route;
use crate::model::TransportKind;
use crate::target::backend::Backend;
use crate::target::connections::Connections;
use crate::target::door::Entrance;
use crate::target::faults::{End, admit};
use crate::target::pending::Pending;
use crate::target::tls;

/// What the connections share.
pub(super) struct Shared {
    pub(super) backend: Arc<Backend>,
    pub(super) pending: Arc<Pending>,
}

/// Serves until the task is dropped, and every connection with it; over TLS if there are terms.
pub(in crate::target) async fn serve(
    listener: TcpListener,
    terms: Option<Arc<ServerConfig>>,
    backend: Arc<Backend>,
    pending: Arc<Pending>,
) {
    let shared = Arc::new(Shared { backend, pending });
    let mut connections = Connections::default();
    let mut entrance = Entrance::new(listener, Arc::clone(&shared.backend));
    loop {
        let stream = entrance.next().await;
        connections.spawn(run(stream, terms.clone(), Arc::clone(&shared)));
    }
}

async fn run(stream: TcpStream, terms: Option<Arc<ServerConfig>>, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let backend = Arc::clone(&shared.backend);
    let kind = match terms {
        None => TransportKind::Http,
        Some(_) => TransportKind::Https,
    };
    let _here = backend.tally.enter(kind);
    let Some(wire) = admit(stream, &backend, terms.is_some()).await else {
        return;
    };
    let Some(terms) = terms else {
        let (wire, how) = converse(wire, shared).await;
        return wire.end(how).await;
    };
    // Boxed: only few of all connections are in a handshake.
    let accepted = Box::pin(tls::accept(wire, terms, &backend)).await;
    if let Some(stream) = accepted {
        let (stream, how) = converse(stream, shared).await;
        let (wire, _) = stream.into_inner();
        wire.end(how).await;
    }
}

/// Serves until the connection is to end, and says how.
async fn converse<S>(stream: S, shared: Arc<Shared>) -> (S, End)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let faults = &shared.backend.faults;
    let idle = faults.patience(shared.backend.config.limits.http_idle);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { route(request, &shared).await }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // An error here is a peer that left, or an answer withheld on purpose.
    let ended = (&mut connection).await;
    let withheld = ended.as_ref().err().and_then(|error| {
        let cause = std::error::Error::source(error)?;
        cause.downcast_ref::<Withheld>()
    });
    let how = withheld.map_or(End::Closed, |withheld| withheld.0.clone());
    (connection.into_parts().io.into_inner(), how)
}

/// The smallest buffer that hyper takes is 8 KiB; heads are far below.
const HEAD: usize = 16_384;
