//! A listener: who comes in, also where no file descriptor is left for a while, and outages on
//! purpose: down with all its connections, and up again on the same port. What it serves survives,
//! since the backend holds it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::{TcpListener, TcpStream};
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

/// Where TCP connections come in.
pub(super) struct Entrance {
    listener: TcpListener,
    backend: Arc<Backend>,
    /// Whether connections wait since no file descriptor is left for them.
    waits: bool,
}

impl Entrance {
    pub(super) fn new(listener: TcpListener, backend: Arc<Backend>) -> Self {
        Self {
            listener,
            backend,
            waits: false,
        }
    }

    /// The next connection, however long it takes. Cancel-safe.
    pub(super) async fn next(&mut self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    bump(&self.backend.tally.connections);
                    self.waits = false;
                    return stream;
                }
                Err(error) => {
                    self.note(&error);
                    // The peer may have gone away, or a file be given back: the next may do.
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Counts the first failure in a row for want of files. To peers it is a server that is slow.
    fn note(&mut self, error: &io::Error) {
        let errno = error.raw_os_error().map(Errno::from_raw);
        if matches!(errno, Some(Errno::EMFILE | Errno::ENFILE)) && !self.waits {
            self.waits = true;
            bump(&self.backend.tally.waits_for_files);
            self.backend.out_of_files.notify_one();
        }
    }
}

const RETRY: Duration = Duration::from_millis(10);
