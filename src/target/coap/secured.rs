//! CoAP over DTLS: the same exchanges, with messages that are opened and sealed on the way, and
//! devices that their certificate names.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtc_dtls::config::HandshakeConfig;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, sleep_until};
use x509_parser::parse_x509_certificate;

use super::associations::{Associations, Heard};
use super::exchange::Exchanges;
use super::resource::Resources;
use crate::model::TransportKind;
use crate::target::backend::Backend;
use crate::target::device::Device;
use crate::target::pending::Pending;

/// Serves until the task is dropped.
pub(in crate::target) async fn serve(
    socket: UdpSocket,
    terms: Arc<HandshakeConfig>,
    backend: Arc<Backend>,
) {
    let Ok(local) = socket.local_addr() else {
        return;
    };
    let limits = backend.config.limits;
    let mut associations = Associations::new(local, terms, limits);
    let pending = Pending::new(limits.pending);
    let mut exchanges = Exchanges::new(Resources {
        backend: Arc::clone(&backend),
        pending,
    });
    let mailbox = exchanges.mailbox();
    let mut here = HashMap::new();
    let mut datagram = vec![0; 65_536];
    loop {
        let due = [exchanges.due(), associations.due()];
        let due = due.into_iter().flatten().min();
        tokio::select! {
            received = socket.recv_from(&mut datagram) => match received {
                Ok((length, peer)) => {
                    backend.faults.open().await;
                    let now = Instant::now();
                    for heard in associations.take(peer, &datagram[..length], now) {
                        match heard {
                            Heard::Opened(_) => {
                                here.insert(peer, backend.tally.enter(TransportKind::Coaps));
                            }
                            Heard::Closed => drop(here.remove(&peer)),
                            Heard::Message(_) => {}
                        }
                        take(&mut exchanges, &backend, peer, heard, now);
                    }
                }
                // An error of one peer must not stop the others, nor spin.
                Err(_) => sleep(PAUSE).await,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                backend.faults.open().await;
                let now = Instant::now();
                exchanges.tick(now);
                for gone in associations.tick(now) {
                    here.remove(&gone);
                    exchanges.leave(gone);
                }
            }
            () = mailbox.ready() => {
                backend.faults.open().await;
                exchanges.read_mail(Instant::now());
            }
        }
        let now = Instant::now();
        for (peer, answer) in exchanges.drain() {
            associations.seal(peer, &answer, now);
        }
        for (peer, record) in associations.drain() {
            // Lost like any datagram may be; the peer asks again.
            let _ = socket.send_to(&record, peer).await;
        }
    }
}

fn take(
    exchanges: &mut Exchanges,
    backend: &Backend,
    peer: SocketAddr,
    heard: Heard,
    now: Instant,
) {
    match heard {
        Heard::Opened(chain) => exchanges.hold(peer, holder(backend, &chain)),
        Heard::Message(message) => exchanges.take(peer, &message, now),
        Heard::Closed => exchanges.leave(peer),
    }
}

/// The device whose credentials one of a client's certificates is (section 6.3). It is looked up
/// when the client shows them: credentials that it gets later need a new handshake.
fn holder(backend: &Backend, chain: &[Vec<u8>]) -> Option<Arc<Device>> {
    let any_date = backend.config.skip_validity_check;
    chain
        .iter()
        .filter(|der| any_date || is_valid_now(der))
        .find_map(|der| backend.registry.by_certificate(der))
}

fn is_valid_now(der: &[u8]) -> bool {
    parse_x509_certificate(der).is_ok_and(|(_, certificate)| certificate.validity().is_valid())
}

const PAUSE: Duration = Duration::from_millis(1);
