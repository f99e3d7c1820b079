//! Accepts MQTT connections; each runs as a task of this listener and ends with it.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection;
use crate::target::backend::Backend;
use crate::target::counts::bump;
use crate::target::pending::Pending;

/// Serves until the task is dropped, and every connection with it; over TLS if there are terms.
pub(in crate::target) async fn serve(
    listener: TcpListener,
    terms: Option<Arc<ServerConfig>>,
    backend: Arc<Backend>,
    pending: Arc<Pending>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    bump(&backend.tally.connections);
                    let (backend, pending) = (Arc::clone(&backend), Arc::clone(&pending));
                    let terms = terms.clone();
                    connections.spawn(connection::run(stream, terms, backend, pending));
                }
                // Out of file descriptors, or the peer went away: the next may do.
                Err(_) => tokio::time::sleep(RETRY).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

const RETRY: std::time::Duration = std::time::Duration::from_millis(10);
