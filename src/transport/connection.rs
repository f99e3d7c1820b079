//! One device's way to its server, whatever the protocol.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::model::{FaultKind, Login, Phase, Protocol, Reply, Request, Status, Subscription};
use crate::pki::Identity;

use super::dial::{Dial, tcp, udp};
use super::inbox::Delivery;
use super::wire::Wire;
use super::{Fault, OpenFault, coap, http, mqtt};

/// An open way to the server. Boxed inside: moving it is cheap.
#[derive(Debug)]
pub enum Connection {
    /// An MQTT session after CONNACK.
    Mqtt(Box<mqtt::Session>),
    /// An HTTP connection that may be kept alive.
    Http(Box<http::Client>),
    /// A UDP socket that talks CoAP with one server.
    Coap(Box<coap::Endpoint>),
}

/// The two moments of a step, by the clock of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Right before the first byte was handed to the kernel.
    pub sent: Instant,
    /// Right after the answer was read.
    pub done: Instant,
}

/// An opened connection and how long its steps took.
#[derive(Debug)]
pub struct Opened {
    /// Ready for an exchange.
    pub connection: Connection,
    /// The TCP handshake; `None` for CoAP.
    pub tcp: Option<Span>,
    /// The TLS or DTLS handshake; `None` for what is not secured.
    pub tls: Option<Span>,
    /// CONNECT to CONNACK; `None` but for MQTT.
    pub mqtt: Option<Span>,
}

/// A request that was answered.
#[derive(Debug)]
pub struct Exchanged {
    /// The server's answer, whatever it says.
    pub reply: Reply,
    /// From the request to its answer.
    pub span: Span,
}

/// What came of subscribing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// From the first request to the last grant; `None` where one was not granted, or nothing says
    /// so (HTTP, and MQTT servers that never answer).
    pub span: Option<Span>,
    /// How the server refused, the first time if it did more than once. What it did not refuse
    /// holds, and what it sends all the same is delivered.
    pub refused: Option<FaultKind>,
}

/// What became of a publish that was [posted](Connection::post).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// What its sender calls it.
    pub label: u32,
    /// Right before its first byte was handed to the kernel.
    pub sent: Instant,
    /// When the last of its acknowledgements was read; with none to wait for, when it was written.
    /// `None`: that never came to be.
    pub done: Option<Instant>,
    /// How many acknowledgements it was to have; none with QoS 0.
    pub wanted: u32,
    /// How many came.
    pub acked: u32,
    /// Why it is not done; `None` also where nobody waited for its end.
    pub fault: Option<FaultKind>,
    /// Whether any byte of it may have reached the peer. `true` in doubt.
    pub left: bool,
}

impl Exchanged {
    pub(super) fn new(status: Status, body: Bytes, span: Span) -> Self {
        Self {
            reply: Reply { status, body },
            span,
        }
    }
}

impl Connection {
    /// Opens a connection: TCP, TLS where the dial is secured, and for MQTT a clean session.
    ///
    /// In TLS 1.3 a server judges the client's certificate after the handshake is done for us: its
    /// alert then comes in the next phase, as [`TlsAlert`](crate::model::FaultKind::TlsAlert).
    ///
    /// `ordinal` picks the source address (`sources[ordinal % len]`) and seeds CoAP's waiting
    /// times. Transports without a login ignore `login`; those without TLS ignore `identity`, the
    /// client certificate that is shown when the server asks for one.
    pub async fn open(
        dial: &Dial,
        login: &Login,
        identity: Option<&Identity>,
        ordinal: u32,
    ) -> Result<Opened, OpenFault> {
        let source = dial.source(ordinal);
        let at_socket = |kind| OpenFault {
            phase: Phase::TcpConnect,
            kind,
            tcp: None,
            tls: None,
        };
        if dial.kind.protocol() == Protocol::Coap {
            let socket = udp(dial.addr, source).map_err(at_socket)?;
            let in_handshake = |kind| OpenFault {
                phase: Phase::TlsHandshake,
                ..at_socket(kind)
            };
            let (endpoint, tls) = match (&dial.tls, dial.kind.is_secure()) {
                (Some(tls), true) => coap::Endpoint::secured(socket, tls, dial, identity, ordinal)
                    .await
                    .map(|(endpoint, span)| (endpoint, Some(span)))
                    .map_err(in_handshake)?,
                (_, false) => (coap::Endpoint::new(socket, dial, ordinal), None),
                // As below.
                (None, true) => return Err(in_handshake(FaultKind::TlsProtocol)),
            };
            return Ok(Opened {
                connection: Self::Coap(Box::new(endpoint)),
                tcp: None,
                tls,
                mqtt: None,
            });
        }
        let (stream, tcp) = tcp(dial.addr, source, dial.connect_timeout)
            .await
            .map_err(at_socket)?;
        let in_handshake = |kind| OpenFault {
            phase: Phase::TlsHandshake,
            kind,
            tcp: Some(tcp),
            tls: None,
        };
        let terms = match (&dial.tls, dial.kind.is_secure()) {
            (Some(tls), true) => Some(tls.terms(identity, ordinal)),
            (_, false) => None,
            // Secrets must not go out in the clear because a dial was put together wrongly.
            (None, true) => return Err(in_handshake(FaultKind::TlsProtocol)),
        };
        let (wire, tls) = Wire::over(stream, terms.clone(), dial.connect_timeout)
            .await
            .map_err(in_handshake)?;
        let (connection, mqtt) = if dial.kind.protocol() == Protocol::Http {
            let client = http::Client::new(wire, dial, source, terms);
            (Self::Http(Box::new(client)), None)
        } else {
            let (session, span) = mqtt::Session::open(wire, dial, login)
                .await
                .map_err(|kind| OpenFault {
                    phase: Phase::MqttConnect,
                    kind,
                    tcp: Some(tcp),
                    tls,
                })?;
            (Self::Mqtt(session), Some(span))
        };
        Ok(Opened {
            connection,
            tcp: Some(tcp),
            tls,
            mqtt,
        })
    }

    /// Sends a request and waits for its answer, whatever its status.
    ///
    /// The request's route must be of the connection's kind. After a fault other than
    /// [`Timeout`](crate::model::FaultKind::Timeout) an MQTT session is over. An HTTP client whose
    /// server closed the connection in the meantime opens a new one before it sends; that
    /// handshake is in no span. Nothing that may have been sent is sent again, except for CoAP's
    /// retransmissions, which a server knows by their message id.
    pub async fn exchange(&mut self, request: &Request) -> Result<Exchanged, Fault> {
        match self {
            Self::Mqtt(session) => session.exchange(request).await,
            // Boxed: they are larger than MQTT's, and devices hold room for the largest.
            Self::Http(client) => Box::pin(client.exchange(request)).await,
            Self::Coap(endpoint) => Box::pin(endpoint.exchange(request)).await,
        }
    }

    /// Hands over an MQTT publish without waiting for its end, which [`settled`](Self::settled) tells:
    /// `wanted` acknowledgements (ThingsBoard sends a gateway one for each device in a message), or
    /// one that refuses. `label` is for the caller. How many are under way is for the caller to
    /// bound; all must be settled before anything is exchanged.
    pub async fn post(&mut self, request: &Request, wanted: u32, label: u32) -> Result<(), Fault> {
        match self {
            Self::Mqtt(session) => session.post(request, wanted, label).await,
            Self::Http(_) | Self::Coap(_) => {
                debug_assert!(false, "only MQTT has publishes");
                Err(Fault::before(FaultKind::Io))
            }
        }
    }

    /// Waits for the end of what was posted first and is not told of yet; `None` when there is
    /// nothing. Cancel-safe.
    pub async fn settled(&mut self) -> Option<Posted> {
        match self {
            Self::Mqtt(session) => session.settled().await,
            Self::Http(_) | Self::Coap(_) => None,
        }
    }

    /// The same without waiting: what was posted first, as it stands.
    pub fn take_posted(&mut self) -> Option<Posted> {
        match self {
            Self::Mqtt(session) => session.take_posted(),
            Self::Http(_) | Self::Coap(_) => None,
        }
    }

    /// How many acknowledgements answered nothing since the last call: there were more than wanted,
    /// or they came too late. Only of connections that something was posted on.
    pub fn take_stray(&mut self) -> u32 {
        match self {
            Self::Mqtt(session) => session.take_stray(),
            Self::Http(_) | Self::Coap(_) => 0,
        }
    }

    /// Asks an MQTT server whether it is there, and waits for its word.
    pub async fn ping(&mut self) -> Result<(), Fault> {
        match self {
            Self::Mqtt(session) => session.ping().await,
            Self::Http(_) | Self::Coap(_) => Ok(()),
        }
    }

    /// Asks the server to send what it has, for as long as the connection lives. What comes from
    /// then on, during exchanges too, is delivered by [`idle_until`](Self::idle_until).
    ///
    /// The subscriptions must be of the connection's kind. Whoever does not subscribe is delivered
    /// nothing: what comes all the same is acknowledged and forgotten.
    pub async fn subscribe(&mut self, to: &[Subscription]) -> Result<Subscribed, Fault> {
        match self {
            Self::Mqtt(session) => session.subscribe(to).await,
            Self::Http(client) => {
                client.subscribe(to);
                Ok(Subscribed {
                    span: None,
                    refused: None,
                })
            }
            Self::Coap(endpoint) => Box::pin(endpoint.subscribe(to)).await,
        }
    }

    /// Keeps the session alive until the deadline and takes in what the server sends.
    ///
    /// Ends early with the delivery that waits longest, also when the deadline is over, when an MQTT
    /// session is, and when an HTTP poll or a CoAP observation failed. Cancel-safe: it can be dropped at any moment and called again.
    pub async fn idle_until(&mut self, deadline: Instant) -> Result<Option<Delivery>, Fault> {
        loop {
            let ended = {
                let mut timer = pin!(sleep_until(deadline));
                poll_fn(|cx| self.poll_idle(deadline, timer.as_mut(), cx)).await
            };
            match ended {
                Some(ended) => return ended,
                None => self.renew(deadline).await?,
            }
        }
    }

    /// The same for who waits for something else, too: the task is woken once there is more to say,
    /// with the help of a timer that nobody else sets meanwhile. `None`: there is something to
    /// [renew](Self::renew) first.
    pub fn poll_idle(
        &mut self,
        deadline: Instant,
        timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Delivery>, Fault>>> {
        match self {
            Self::Mqtt(session) => session.poll_idle(deadline, timer, cx).map(Some),
            Self::Http(client) => client.poll_idle(deadline, timer, cx).map(Some),
            Self::Coap(endpoint) => endpoint.poll_idle(deadline, timer, cx),
        }
    }

    /// Asks anew for what it observes over CoAP, where that is due, and until the deadline at the
    /// latest. Cancel-safe.
    pub async fn renew(&mut self, deadline: Instant) -> Result<(), Fault> {
        match self {
            // Boxed: it is rare, and devices wait for long.
            Self::Coap(endpoint) => Box::pin(endpoint.renew(deadline)).await,
            Self::Mqtt(_) | Self::Http(_) => Ok(()),
        }
    }

    /// The delivery that waits longest, also of a session that is over.
    pub fn take_delivery(&mut self) -> Option<Delivery> {
        match self {
            Self::Mqtt(session) => session.take_delivery(),
            Self::Http(client) => client.take_delivery(),
            Self::Coap(endpoint) => endpoint.take_delivery(),
        }
    }

    /// The device is done with the calls that were delivered. Until then no poll asks for the next
    /// one over HTTP, where servers send a call with every poll until it is answered.
    pub fn resume(&mut self) {
        if let Self::Http(client) = self {
            client.resume();
        }
    }

    /// How many deliveries found no room since the last call: more came during one exchange than
    /// is kept.
    pub fn take_missed(&mut self) -> u32 {
        match self {
            Self::Mqtt(session) => session.take_missed(),
            Self::Http(client) => client.take_missed(),
            Self::Coap(endpoint) => endpoint.take_missed(),
        }
    }

    /// Whether it is of use after [`idle_until`](Self::idle_until) ended by a fault: that of an HTTP
    /// poll or a CoAP observation, which is asked for again after a pause.
    pub fn goes_on(&self) -> bool {
        match self {
            Self::Mqtt(_) => false,
            Self::Http(_) => true,
            Self::Coap(endpoint) => !endpoint.is_over(),
        }
    }

    /// Drops the connection without a word, as a device whose power fails: over TCP, the server
    /// sees a reset, and nothing over UDP. Of an HTTP poll under way it sees the end.
    pub fn sever(self) {
        match self {
            Self::Mqtt(session) => session.sever(),
            Self::Http(client) => client.sever(),
            Self::Coap(_) => {}
        }
    }

    /// Says good-bye where the protocol has a word for it. Takes at most one second.
    pub async fn close(self) {
        match self {
            Self::Mqtt(session) => session.close().await,
            Self::Http(client) => Box::pin(client.close()).await,
            // In the open, its server does not learn of it.
            Self::Coap(endpoint) => endpoint.close(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::secured::Secured;
    use super::*;

    #[test]
    fn an_idle_device_stays_small() {
        let (mqtt, http, coap) = (
            size_of::<mqtt::Session>(),
            size_of::<http::Client>(),
            size_of::<coap::Endpoint>(),
        );
        let secured = size_of::<Secured>();
        println!("session {mqtt} B, client {http} B, endpoint {coap} B, TLS {secured} B");
        assert!(size_of::<Connection>() <= 16);
        assert!(secured <= 1536, "{secured}");
        assert!(mqtt <= 224 && coap <= 168, "{mqtt} {coap}");
    }
}
