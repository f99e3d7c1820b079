//! The embedded target, byte by byte: whatever it says is compared with the golden messages and
//! with the behaviour of the platform, by bare sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod basic;
pub(crate) mod coap;
mod http;
mod mqtt;
mod mqtt_device;

use std::net::SocketAddr;
use std::time::Duration;

use fleetcall::model::Strategy;
use fleetcall::target::{Listed, Profile, Target, TargetConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use self::mqtt::{field, packet, publish};
pub(crate) use self::mqtt_device::device;
use crate::support::PATIENCE;
use crate::support::golden::hex;

/// The token of D1 in the golden messages.
pub(crate) const TOKEN: &str = "ABCDEFGHIJKLMNOPQRST";

/// All three listeners, key K, secret S, and D1 pre-provisioned if the strategy is `Check`.
pub(crate) fn config(strategy: Strategy) -> TargetConfig {
    let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    TargetConfig {
        mqtt: Some(anywhere),
        http: Some(anywhere),
        coap: Some(anywhere),
        profiles: vec![Profile {
            strategy,
            key: "K".into(),
            secret: "S".into(),
            ..Profile::default()
        }],
        devices: match strategy {
            Strategy::Check => vec![listed("D1", TOKEN)],
            _ => Vec::new(),
        },
        ..TargetConfig::default()
    }
}

fn listed(name: &str, token: &str) -> Listed {
    Listed {
        name: name.into(),
        profile: 0,
        credentials: Some(fleetcall::model::Credentials::AccessToken(token.into())),
        gateway: false,
        provisioned: false,
    }
}

pub(crate) async fn start(strategy: Strategy) -> Target {
    Target::start(config(strategy)).await.unwrap()
}

/// A provision request of key K and secret S with further fields.
fn request(fields: &str) -> String {
    format!(r#"{{{fields}"provisionDeviceKey":"K","provisionDeviceSecret":"S"}}"#)
}

/// A bare TCP connection.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn open(addr: Option<SocketAddr>) -> Self {
        Self(TcpStream::connect(addr.unwrap()).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next bytes must be these.
    pub(crate) async fn expect(&mut self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let mut seen = vec![0; wanted.len()];
        let read = timeout(PATIENCE, self.0.read_exact(&mut seen)).await;
        read.expect("no answer").expect("the connection ended");
        assert_eq!(
            seen,
            wanted,
            "\nseen   {}\nwanted {}",
            seen.escape_ascii(),
            wanted.escape_ascii()
        );
    }

    /// The connection must end without another byte.
    pub(crate) async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        // A reset is an end as well.
        let _ = read.expect("the connection stays open");
        assert_eq!(rest, b"", "{}", rest.escape_ascii());
    }

    /// Everything up to the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        read.expect("the connection stays open").unwrap();
        rest
    }
}

/// The session goes on: a ping is answered, and nothing came before the answer.
pub(crate) async fn alive(wire: &mut Wire) {
    wire.send(hex("mqtt-pingreq")).await;
    wire.expect(hex("mqtt-pingresp")).await;
}

/// Waits until something holds that other tasks bring about.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never held");
}
