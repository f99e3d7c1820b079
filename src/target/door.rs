//! A listener through outages on purpose: down with all its connections, and up again on the same
//! port. What it serves survives, since the backend holds it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::backend::Backend;
use super::counts::bump;

/// Serves until the task is dropped. At an outage serving is dropped where it stands: the system
/// closes the connections as a killed process's, with a reset where bytes were not read yet.
pub(super) async fn keep<L, B, S>(
    first: L,
    addr: SocketAddr,
    bind: impl Fn(SocketAddr) -> B,
    serve: impl Fn(L) -> S,
    backend: Arc<Backend>,
) where
    B: Future<Output = io::Result<L>>,
    S: Future<Output = ()>,
{
    let mut listener = first;
    loop {
        tokio::select! {
            () = serve(listener) => return,
            () = backend.faults.down() => {}
        }
        backend.faults.up().await;
        bump(&backend.tally.restarts);
        // The port may be another's for a moment: it is waited for.
        listener = loop {
            match bind(addr).await {
                Ok(listener) => break listener,
                Err(_) => sleep(RETRY).await,
            }
        };
    }
}

const RETRY: Duration = Duration::from_millis(10);
