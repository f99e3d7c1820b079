//! Accepts MQTT connections; each runs as a task of this listener and ends with it.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection::Connection;
use crate::target::backend::Backend;
use crate::target::door::Entrance;

/// Serves until the task is dropped, and every connection with it; over TLS if there are terms.
pub(in crate::target) async fn serve(
    listener: TcpListener,
    terms: Option<Arc<ServerConfig>>,
    backend: Arc<Backend>,
) {
    let mut connections = JoinSet::new();
    let mut entrance = Entrance::new(listener, Arc::clone(&backend));
    loop {
        tokio::select! {
            stream = entrance.next() => {
                connections.spawn(Connection::new(stream, terms.clone(), &backend));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
