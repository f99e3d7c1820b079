//! Servers that misbehave: each fault of theirs must come out under its own word, with the truth
//! about whether the request may have been sent, and never as a hang or a panic.

#![expect(
    clippy::unwrap_used,
    reason = "these helpers are tests too, though outside of test functions"
)]

mod coap;
mod coap_deliveries;
mod http;
mod http_answers;
mod http_polls;
pub(crate) mod mqtt;
mod mqtt_deliveries;
mod mqtt_posts;
mod mqtt_session;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fleetcall::model::{FaultKind, Login, Qos, ReplyTopic, Request, Route, TransportKind};
use fleetcall::transport::{CoapTiming, Connection, Dial, Exchanged, Fault, OpenFault, Opened};
use secrecy::SecretString;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::support::PATIENCE;

pub(crate) const REQUEST: &str = "/provision/request";
pub(crate) const RESPONSE: &str = "/provision/response";
pub(crate) const TELEMETRY: &str = "v1/devices/me/telemetry";

/// A dial that waits long enough for whatever is meant to happen.
pub(crate) fn dial(kind: TransportKind, addr: SocketAddr) -> Dial {
    Dial {
        kind,
        addr,
        host: addr.to_string(),
        sources: Vec::new(),
        connect_timeout: PATIENCE,
        answer_timeout: PATIENCE,
        suback_wait: PATIENCE,
        keep_alive: Duration::from_mins(1),
        version: fleetcall::model::MqttVersion::V3,
        tls: None,
        coap: CoapTiming::default(),
    }
}

/// A dial that waits for answers only briefly: for servers that never give one.
pub(crate) fn impatient(kind: TransportKind, addr: SocketAddr) -> Dial {
    Dial {
        answer_timeout: Duration::from_millis(300),
        ..dial(kind, addr)
    }
}

/// A provision request over MQTT, with an answer on its own topic.
pub(crate) fn provision() -> Request {
    topic(REQUEST, Some(RESPONSE), Qos::AtLeastOnce, r#"{"key":"K"}"#)
}

/// A telemetry message over MQTT.
pub(crate) fn telemetry(qos: Qos, body: &'static str) -> Request {
    topic(TELEMETRY, None, qos, body)
}

pub(crate) fn topic(
    publish: &'static str,
    reply: Option<&'static str>,
    qos: Qos,
    body: &'static str,
) -> Request {
    Request {
        route: Route::Topic {
            publish: publish.into(),
            reply: reply.map(ReplyTopic::only),
            qos,
        },
        body: Bytes::from_static(body.as_bytes()),
    }
}

/// A POST over HTTP or CoAP.
pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request {
    Request {
        route: Route::Resource {
            path: SecretString::from(path),
        },
        body: body.into(),
    }
}

/// Opens as an engine's worker does: inside a `LocalSet`.
pub(crate) async fn open(dial: &Dial) -> Result<Opened, OpenFault> {
    let login = Login {
        client_id: "c1".into(),
        username: Some("provision".into()),
        password: None,
    };
    LocalSet::new()
        .run_until(Connection::open(dial, &login, None, 0))
        .await
}

/// Opens, which must succeed, and exchanges once.
pub(crate) async fn attempt(dial: &Dial, request: &Request) -> Result<Exchanged, Fault> {
    let mut connection = open(dial).await.unwrap().connection;
    LocalSet::new()
        .run_until(connection.exchange(request))
        .await
}

/// The fault of an exchange that must not succeed.
pub(crate) async fn fault(dial: &Dial, request: &Request) -> (FaultKind, bool) {
    let fault = attempt(dial, request).await.unwrap_err();
    (fault.kind, fault.sent)
}

/// Listens, and treats every connection as told, one after the other.
pub(crate) async fn serve<F>(behave: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            behave(stream).await;
        }
    });
    addr
}

/// Listens, and treats its only connection as told.
pub(crate) async fn serve_once<F>(
    behave: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        behave(stream).await;
    });
    addr
}

/// Says nothing more and keeps the connection.
pub(crate) async fn stay_silent(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// Ends the connection by a reset.
pub(crate) fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

/// Writes byte by byte, each a segment of its own as far as the kernel goes along.
pub(crate) async fn write_slowly(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nodelay(true).unwrap();
    for byte in bytes {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
}
