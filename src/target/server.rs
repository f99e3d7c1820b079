//! A running target: binds its listeners, runs them on the caller's runtime, and shows what it
//! holds. Dropped, it stops.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use secrecy::SecretString;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::backend::Backend;
use super::config::{TargetConfig, TargetError};
use super::counts::Counts;
use super::{coap, http, mqtt};
use crate::pki::{Authority, Identity, KeyKind, PkiError, Validity};

/// A running target. Its tasks end when it is stopped or dropped.
pub struct Target {
    backend: Arc<Backend>,
    listeners: JoinSet<()>,
    mqtt: Option<SocketAddr>,
    http: Option<SocketAddr>,
    coap: Option<SocketAddr>,
    coaps: Option<SocketAddr>,
    ca_pem: Option<String>,
}

/// What the target knows of one device.
#[derive(Clone, Debug)]
pub struct DeviceView {
    /// The access token, if its credentials are one.
    pub token: Option<SecretString>,
    /// The type of its credentials as the API spells it.
    pub credentials_type: &'static str,
    /// Whether it was provisioned (the server attribute `provisionState`).
    pub provisioned: bool,
    /// Whether its request had the gateway flag.
    pub gateway: bool,
    /// Telemetry messages accepted from it.
    pub telemetry_messages: u64,
    /// Whether it has an MQTT session now.
    pub connected: bool,
}

impl Target {
    /// Binds every configured listener, then serves on the current tokio runtime.
    pub async fn start(config: TargetConfig) -> Result<Self, TargetError> {
        let (mqtt_addr, http_addr, coap_addr) = (config.mqtt, config.http, config.coap);
        let dtls_addr = config.coaps;
        let (terms, ca_pem) = match dtls_addr {
            Some(_) => {
                let (identity, ca_pem) = own_identity(config.identity.as_ref())?;
                (Some(coap::terms(&identity)?), ca_pem)
            }
            None => (None, None),
        };
        let backend = Backend::new(config)?;
        let mut target = Self {
            backend: Arc::clone(&backend),
            listeners: JoinSet::new(),
            mqtt: None,
            http: None,
            coap: None,
            coaps: None,
            ca_pem,
        };
        // All are bound before any is served: a failure leaves nothing half open.
        let mqtt_listener = bind("mqtt", mqtt_addr, listen).await?;
        let http_listener = bind("http", http_addr, listen).await?;
        let coap_socket = bind("coap", coap_addr, coap::bind).await?;
        let dtls_socket = bind("coaps", dtls_addr, coap::bind).await?;
        if let Some(listener) = mqtt_listener {
            target.mqtt = listener.local_addr().ok();
            target
                .listeners
                .spawn(mqtt::serve(listener, Arc::clone(&backend)));
        }
        if let Some(listener) = http_listener {
            target.http = listener.local_addr().ok();
            target
                .listeners
                .spawn(http::serve(listener, Arc::clone(&backend)));
        }
        if let Some(socket) = coap_socket {
            target.coap = socket.local_addr().ok();
            target
                .listeners
                .spawn(coap::serve(socket, Arc::clone(&backend)));
        }
        if let (Some(socket), Some(terms)) = (dtls_socket, terms) {
            target.coaps = socket.local_addr().ok();
            target
                .listeners
                .spawn(coap::serve_secured(socket, terms, backend));
        }
        Ok(target)
    }

    /// Where MQTT listens.
    pub fn mqtt(&self) -> Option<SocketAddr> {
        self.mqtt
    }

    /// Where MQTT over TLS listens.
    pub fn mqtts(&self) -> Option<SocketAddr> {
        None
    }

    /// Where HTTP over TLS listens.
    pub fn https(&self) -> Option<SocketAddr> {
        None
    }

    /// Where CoAP over DTLS listens.
    pub fn coaps(&self) -> Option<SocketAddr> {
        self.coaps
    }

    /// The authority that its own certificate leads to, PEM; `None` without a secured listener.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
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
        self.backend.tally.counts()
    }

    /// A device by its name, byte for byte; `None` if there is none.
    pub fn device(&self, name: &str) -> Option<DeviceView> {
        let device = self.backend.registry.by_name(name)?;
        let connected = device.live().session.is_some();
        Some(DeviceView {
            token: device.credentials.token().map(Into::into),
            credentials_type: device.credentials.type_name(),
            provisioned: device.provisioned.load(Relaxed),
            gateway: device.gateway,
            telemetry_messages: device.telemetry_messages.load(Relaxed),
            connected,
        })
    }

    /// Closes listeners and connections, and waits until they are closed.
    pub async fn stop(mut self) {
        self.listeners.shutdown().await;
    }
}

/// The server's identity, with the authority that vouches for it if it is made here.
fn own_identity(given: Option<&Identity>) -> Result<(Identity, Option<String>), TargetError> {
    if let Some(given) = given {
        return Ok((given.clone(), None));
    }
    let make = || {
        let year = Validity::days(365);
        let authority = Authority::root("fleetcall target", KeyKind::P256, year)?;
        let names = ["localhost", "127.0.0.1", "::1"];
        let identity = authority.issue_server(&names, KeyKind::P256, year)?;
        Ok((identity, Some(authority.identity().certificates_pem())))
    };
    make().map_err(|e: PkiError| TargetError::Certificates(e.to_string()))
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
    protocol: &'static str,
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
            protocol,
            addr,
            source,
        }),
    }
}

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 16_384;
