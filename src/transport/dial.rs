//! Where to and from where: sockets are opened here and nowhere else.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol as Carrier, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use crate::model::{FaultKind, MqttVersion, Protocol, TransportKind};

use super::fault::io_kind;
use super::{CoapTiming, Span, Tls, coap};

/// How connections to one server are opened. Shared by all devices of a cohort.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The protocol spoken.
    pub kind: TransportKind,
    /// The server.
    pub addr: SocketAddr,
    /// HTTP's Host header, `host[:port]`.
    pub host: String,
    /// Source addresses that devices are spread over; empty leaves the choice to the kernel.
    pub sources: Vec<IpAddr>,
    /// For a TCP handshake.
    pub connect_timeout: Duration,
    /// For CONNACK, PINGRESP and each answer, from the moment of sending.
    pub answer_timeout: Duration,
    /// For a SUBACK, which some servers never send.
    pub suback_wait: Duration,
    /// MQTT keep-alive, announced in whole seconds; zero switches pings off.
    pub keep_alive: Duration,
    /// The version that MQTT devices speak.
    pub version: MqttVersion,
    /// How connections are secured: there exactly when `kind.is_secure()`.
    pub tls: Option<Tls>,
    /// CoAP's retransmission; `CoapTiming::default()` is what RFC 7252 says.
    pub coap: CoapTiming,
}

impl Dial {
    /// The source address of the device with this ordinal.
    pub(super) fn source(&self, ordinal: u32) -> Option<IpAddr> {
        let len = self.sources.len();
        (len > 0).then(|| self.sources[ordinal as usize % len])
    }
}

/// Asks once, before a run, whether anybody is there.
///
/// TCP: connect and close. CoAP: a ping (an empty confirmable message, RFC 7252 section 4.3), sent
/// up to three times within 2 s; only an error counts, since a server may well stay silent.
pub async fn probe(dial: &Dial) -> Result<(), FaultKind> {
    match dial.kind.protocol() {
        Protocol::Mqtt | Protocol::Http => tcp(dial.addr, dial.source(0), dial.connect_timeout)
            .await
            .map(drop),
        // Over DTLS the ping is no record: it is dropped unread, which is no error.
        Protocol::Coap => coap::ping(udp(dial.addr, dial.source(0))?).await,
    }
}

/// Opens a TCP connection without delay of small segments.
pub(super) async fn tcp(
    addr: SocketAddr,
    source: Option<IpAddr>,
    within: Duration,
) -> Result<(TcpStream, Span), FaultKind> {
    let socket = tcp_socket(addr, source).map_err(|e| io_kind(&e))?;
    let sent = Instant::now();
    let stream = timeout(within, socket.connect(addr))
        .await
        .map_err(|_| FaultKind::Timeout)?
        .map_err(|e| io_kind(&e))?;
    let span = Span {
        sent,
        done: Instant::now(),
    };
    // On loopback, a connect to a port where nobody listens can meet itself.
    if stream.local_addr().is_ok_and(|local| local == addr) {
        return Err(FaultKind::ConnectionRefused);
    }
    Ok((stream, span))
}

/// Opens a UDP socket that talks to one peer, and hears of its ICMP refusals.
pub(super) fn udp(addr: SocketAddr, source: Option<IpAddr>) -> Result<UdpSocket, FaultKind> {
    let open = || {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Carrier::UDP))?;
        socket.set_nonblocking(true)?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        socket.connect(&addr.into())?;
        UdpSocket::from_std(socket.into())
    };
    open().map_err(|e| match io_kind(&e) {
        // The kernel's word for "no free port" when a UDP socket is bound implicitly.
        FaultKind::Io if e.kind() == std::io::ErrorKind::WouldBlock => {
            FaultKind::LocalPortsExhausted
        }
        kind => kind,
    })
}

fn tcp_socket(addr: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpSocket> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    if let Some(source) = source {
        // Without it each source has 28 k ports in all, with it 28 k for each destination.
        if source.is_ipv4() {
            setsockopt(&socket.as_fd(), sockopt::IpBindAddressNoPort, &true)?;
        }
        socket.bind(SocketAddr::new(source, 0))?;
    }
    Ok(socket)
}
