//! Accepts MQTT connections; each runs as a task of this listener and ends with it.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection;
use crate::target::backend::Backend;
use crate::target::counts::bump;
use crate::target::pending::Pending;

/// Serves until the task is dropped, and every connection with it.
pub(in crate::target) async fn serve(listener: TcpListener, backend: Arc<Backend>) {
    let pending = Pending::new(backend.config.limits.pending);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    bump(&backend.tally.connections);
                    let (backend, pending) = (Arc::clone(&backend), Arc::clone(&pending));
                    connections.spawn(connection::run(stream, backend, pending));
                }
                // Out of file descriptors, or the peer went away: the next may do.
                Err(_) => tokio::time::sleep(RETRY).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

const RETRY: std::time::Duration = std::time::Duration::from_millis(10);
