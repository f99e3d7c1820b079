//! Accepts MQTT connections; each runs as a task of this listener and ends with it.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;

use super::connection::Connection;
use crate::target::backend::Backend;
use crate::target::connections::Connections;
use crate::target::door::Entrance;

/// Serves until the task is dropped, and every connection with it; over TLS if there are terms.
pub(in crate::target) async fn serve(
    listener: TcpListener,
    terms: Option<Arc<ServerConfig>>,
    backend: Arc<Backend>,
) {
    let mut connections = Connections::default();
    let mut entrance = Entrance::new(listener, Arc::clone(&backend));
    loop {
        let stream = entrance.next().await;
        connections.spawn(Connection::new(stream, terms.clone(), &backend));
    }
}
