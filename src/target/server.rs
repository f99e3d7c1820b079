//! A running target: binds its listeners, runs them on the caller's runtime, and shows what it
//! holds. Dropped, it stops.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustls::ServerConfig;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::backend::Backend;
use super::config::{TargetConfig, TargetError};
use super::counts::{Connections, Counts};
use super::pending::Pending;
use super::tls::Shown;
use super::{coap, door, http, mqtt};
use crate::model::{Faults, Release, TransportKind};

/// A running target. Its tasks end when it is stopped or dropped.
pub struct Target {
    backend: Arc<Backend>,
    listeners: JoinSet<()>,
    mqtt: Option<SocketAddr>,
    mqtts: Option<SocketAddr>,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
    coap: Option<SocketAddr>,
    coaps: Option<SocketAddr>,
    shown: Option<Shown>,
}

/// What a target counts, for whoever watches it.
#[derive(Clone)]
pub struct Meter(Arc<Backend>);

/// What the target knows of one device.
#[derive(Clone, Debug)]
pub struct DeviceView {
    /// The access token, if its credentials are one.
    pub token: Option<SecretString>,
    /// The type of its credentials as the API spells it.
    pub credentials_type: &'static str,
    /// Whether it was provisioned (the server attribute `provisionState`).
    pub provisioned: bool,
    /// Whether it may speak for others, by its request's flag or over REST.
    pub gateway: bool,
    /// Telemetry messages accepted from it.
    pub telemetry_messages: u64,
    /// Whether it has an MQTT session now.
    pub connected: bool,
}

impl Meter {
    /// What the server saw so far.
    pub fn counts(&self) -> Counts {
        self.0.tally.counts()
    }

    /// The connections over a transport.
    pub fn connections(&self, kind: TransportKind) -> Connections {
        self.0.tally.connections(kind)
    }

    /// The release that it behaves like.
    pub fn release(&self) -> Release {
        self.0.config.release
    }
}

impl Target {
    /// Binds every configured listener, then serves on the current tokio runtime.
    pub async fn start(config: TargetConfig) -> Result<Self, TargetError> {
        let addresses = TransportKind::ALL.map(|kind| config.listener(kind).copied());
        let at = |kind: TransportKind| addresses[kind as usize];
        let shown = Shown::of(&config)?;
        let asking = shown.as_ref().map(Shown::asking).transpose()?;
        let silent = shown.as_ref().map(Shown::silent).transpose()?;
        let datagrams = at(TransportKind::Coaps)
            .and(shown.as_ref())
            .map(|shown| coap::terms(&shown.identity))
            .transpose()?;
        let backend = Backend::new(config)?;
        // All are bound before any is served: a failure leaves nothing half open.
        let mqtt = bind(TransportKind::Mqtt, at(TransportKind::Mqtt), listen).await?;
        let mqtts = bind(TransportKind::Mqtts, at(TransportKind::Mqtts), listen).await?;
        let http = bind(TransportKind::Http, at(TransportKind::Http), listen).await?;
        let https = bind(TransportKind::Https, at(TransportKind::Https), listen).await?;
        let coap = bind(TransportKind::Coap, at(TransportKind::Coap), coap::bind).await?;
        let coaps = bind(TransportKind::Coaps, at(TransportKind::Coaps), coap::bind).await?;
        let mut target = Self {
            backend: Arc::clone(&backend),
            listeners: JoinSet::new(),
            mqtt: address(mqtt.as_ref()),
            mqtts: address(mqtts.as_ref()),
            http: address(http.as_ref()),
            https: address(https.as_ref()),
            coap: coap.as_ref().and_then(|socket| socket.local_addr().ok()),
            coaps: coaps.as_ref().and_then(|socket| socket.local_addr().ok()),
            shown,
        };
        target.serve_mqtt([(mqtt, None), (mqtts, asking)]);
        target.serve_http([(http, None), (https, silent)]);
        if let (Some(socket), Some(addr)) = (coap, target.coap) {
            let serve = {
                let backend = Arc::clone(&backend);
                move |socket| coap::serve(socket, Arc::clone(&backend))
            };
            let door = door::keep(socket, addr, coap::bind, serve, Arc::clone(&backend));
            target.listeners.spawn(door);
        }
        if let (Some(socket), Some(terms), Some(addr)) = (coaps, datagrams, target.coaps) {
            let serve = {
                let backend = Arc::clone(&backend);
                move |socket| coap::serve_secured(socket, Arc::clone(&terms), Arc::clone(&backend))
            };
            let door = door::keep(socket, addr, coap::bind, serve, backend);
            target.listeners.spawn(door);
        }
        Ok(target)
    }

    fn serve_mqtt(&mut self, doors: [Door; 2]) {
        for (listener, terms) in doors {
            let backend = Arc::clone(&self.backend);
            let addr = address(listener.as_ref());
            if let (Some(listener), Some(addr)) = (listener, addr) {
                let shared = Arc::clone(&backend);
                let serve =
                    move |listener| mqtt::serve(listener, terms.clone(), Arc::clone(&shared));
                let door = door::keep(listener, addr, listen, serve, backend);
                self.listeners.spawn(door);
            }
        }
    }

    fn serve_http(&mut self, doors: [Door; 2]) {
        let pending = Pending::new(self.backend.config.limits.pending);
        for (listener, terms) in doors {
            let (backend, pending) = (Arc::clone(&self.backend), Arc::clone(&pending));
            let addr = address(listener.as_ref());
            if let (Some(listener), Some(addr)) = (listener, addr) {
                let shared = Arc::clone(&backend);
                let serve = move |listener| {
                    let (backend, pending) = (Arc::clone(&shared), Arc::clone(&pending));
                    http::serve(listener, terms.clone(), backend, pending)
                };
                let door = door::keep(listener, addr, listen, serve, backend);
                self.listeners.spawn(door);
            }
        }
    }

    /// Where a transport listens, if it does.
    pub fn listener(&self, kind: TransportKind) -> Option<SocketAddr> {
        match kind {
            TransportKind::Mqtt => self.mqtt(),
            TransportKind::Mqtts => self.mqtts(),
            TransportKind::Http => self.http(),
            TransportKind::Https => self.https(),
            TransportKind::Coap => self.coap(),
            TransportKind::Coaps => self.coaps(),
        }
    }

    /// Where MQTT listens.
    pub fn mqtt(&self) -> Option<SocketAddr> {
        self.mqtt
    }

    /// Where MQTT over TLS listens.
    pub fn mqtts(&self) -> Option<SocketAddr> {
        self.mqtts
    }

    /// Where HTTP over TLS listens.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
    }

    /// Where CoAP over DTLS listens.
    pub fn coaps(&self) -> Option<SocketAddr> {
        self.coaps
    }

    /// The authority that its own certificate leads to, PEM; of a configured identity its last
    /// certificate. `None` without a secured listener.
    pub fn ca_pem(&self) -> Option<&str> {
        self.shown.as_ref().map(|shown| &*shown.ca_pem)
    }

    /// Where HTTP listens.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where CoAP listens.
    pub fn coap(&self) -> Option<SocketAddr> {
        self.coap
    }

    /// What the server saw so far.
    pub fn counts(&self) -> Counts {
        self.meter().counts()
    }

    /// Waits until connections cannot be accepted for want of file descriptors (of the process, or
    /// of the machine). They wait then until others end.
    pub async fn out_of_files(&self) {
        self.backend.out_of_files.notified().await;
    }

    /// What goes on counting, and outlives the target.
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.backend))
    }

    /// A device by its name, byte for byte; `None` if there is none.
    pub fn device(&self, name: &str) -> Option<DeviceView> {
        let device = self.backend.registry.by_name(name)?;
        let gateway = device.is_gateway();
        let live = device.live();
        Some(DeviceView {
            token: live.credentials.token().map(Into::into),
            credentials_type: live.credentials.type_name(),
            provisioned: device.provisioned().is_some(),
            gateway,
            telemetry_messages: device.telemetry_messages.load(Relaxed),
            connected: live.presence.is_some(),
        })
    }

    /// Misbehaves so from now on, in place of what was. Offsets still count from the target's start
    /// or from [`begin`](Self::begin); rate limits and the queue start anew. Answers that are held
    /// back already keep their time; whoever waits for the end of a stall or outage that is no more
    /// goes on at once.
    pub fn set_faults(&self, faults: Faults) -> Result<(), TargetError> {
        if !faults.are_sound() {
            return Err(TargetError::FaultShares);
        }
        self.backend.faults.set(faults);
        Ok(())
    }

    /// Makes now the time from which offsets of faults count.
    pub fn begin(&self) {
        self.backend.faults.begin();
    }

    /// How long ago the time is from which offsets of faults count.
    pub fn age(&self) -> Duration {
        self.backend.faults.age()
    }

    /// Closes listeners and connections, and waits until they are closed.
    pub async fn stop(mut self) {
        self.listeners.shutdown().await;
    }
}

/// A listener that may be configured, and its terms if it speaks TLS.
type Door = (Option<TcpListener>, Option<Arc<ServerConfig>>);

fn address(listener: Option<&TcpListener>) -> Option<SocketAddr> {
    listener.and_then(|listener| listener.local_addr().ok())
}

async fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn bind<L, F>(
    kind: TransportKind,
    addr: Option<SocketAddr>,
    listen: impl FnOnce(SocketAddr) -> F,
) -> Result<Option<L>, TargetError>
where
    F: Future<Output = std::io::Result<L>>,
{
    let Some(addr) = addr else {
        return Ok(None);
    };
    match listen(addr).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(TargetError::Bind {
            protocol: kind.as_str(),
            addr,
            source,
        }),
    }
}

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 16_384;
