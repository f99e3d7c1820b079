//! Moves datagrams between a UDP socket and the exchanges, and keeps their time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, sleep_until};

use super::exchange::Exchanges;
use super::resource::Resources;
use crate::target::backend::Backend;
use crate::target::pending::Pending;

/// Binds a socket whose queue takes a burst of a whole fleet, if the system lets it.
pub(in crate::target) async fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(QUEUE);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

/// Serves until the task is dropped.
pub(in crate::target) async fn serve(socket: UdpSocket, backend: Arc<Backend>) {
    let pending = Pending::new(backend.config.limits.pending);
    let mut exchanges = Exchanges::new(Resources {
        backend: Arc::clone(&backend),
        pending,
    });
    let mailbox = exchanges.mailbox();
    let mut datagram = vec![0; 65_536];
    loop {
        let due = exchanges.due();
        tokio::select! {
            received = socket.recv_from(&mut datagram) => match received {
                Ok((length, peer)) => {
                    backend.faults.open().await;
                    exchanges.take(peer, &datagram[..length], Instant::now());
                }
                // An error of one peer must not stop the others, nor spin.
                Err(_) => sleep(PAUSE).await,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                backend.faults.open().await;
                exchanges.tick(Instant::now());
            }
            () = mailbox.ready() => {
                backend.faults.open().await;
                exchanges.read_mail(Instant::now());
            }
        }
        for (peer, answer) in exchanges.drain() {
            // Lost like any datagram may be; the peer asks again.
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

const QUEUE: usize = 4 << 20;
const PAUSE: Duration = Duration::from_millis(1);
