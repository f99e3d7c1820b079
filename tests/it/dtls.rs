//! CoAP over DTLS: our devices against OpenSSL's and libcoap's servers, our target against their
//! clients, and both against one another.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod device;
mod target;
mod together;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;

use fleetcall::model::{Login, Reply, Strategy, TransportKind};
use fleetcall::pki::{Authority, Identity, KeyKind, Validity};
use fleetcall::target::{Listed, Profile, Target, TargetConfig};
use fleetcall::transport::{Connection, Dial, OpenFault, Opened, Tls, Trust};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::task::LocalSet;

use crate::transport_hostile::{dial, post};

const TOKEN: &str = "ABCDEFGHIJKLMNOPQRST";

/// An authority with one below it, and a server's and a device's certificate of the latter.
struct Pki {
    root: Authority,
    server: Identity,
    device: Identity,
}

impl Pki {
    fn new() -> Self {
        let (kind, days) = (KeyKind::P256, Validity::days(2));
        let root = Authority::root("root", kind, days).unwrap();
        let below = root.intermediate("below", kind, days).unwrap();
        let names = ["localhost", "127.0.0.1"];
        Self {
            server: below.issue_server(&names, kind, days).unwrap(),
            device: below.issue("D1", kind, days).unwrap(),
            root,
        }
    }

    fn trust(&self) -> Trust {
        Trust::Roots(vec![self.root.identity().chain()[0].clone()])
    }

    fn files(&self) -> Files {
        let dir = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Files {
            root: file("root.pem", &self.root.identity().certificates_pem()),
            server: file("server.pem", &self.server.certificates_pem()),
            server_key: file("server.key", self.server.key_pem().expose_secret()),
            device: file("device.pem", &self.device.certificates_pem()),
            device_key: file("device.key", self.device.key_pem().expose_secret()),
            _dir: dir,
        }
    }
}

/// The same as PEM files, for programs.
struct Files {
    root: PathBuf,
    server: PathBuf,
    server_key: PathBuf,
    device: PathBuf,
    device_key: PathBuf,
    _dir: TempDir,
}

/// A target that listens for CoAP over DTLS: key K, secret S; D1 has the device's certificate, D2
/// a token.
async fn target(pki: &Pki) -> Target {
    Target::start(config(pki)).await.unwrap()
}

fn config(pki: &Pki) -> TargetConfig {
    let listed = |name: &str, credentials| Listed {
        name: name.into(),
        profile: 0,
        credentials: Some(credentials),
        gateway: false,
        provisioned: false,
    };
    let certificate = fleetcall::model::Credentials::X509 {
        certificate: pki.device.leaf_base64(),
    };
    TargetConfig {
        coaps: Some("127.0.0.1:0".parse().unwrap()),
        identity: Some(pki.server.clone()),
        profiles: vec![Profile {
            strategy: Strategy::Allow,
            key: "K".into(),
            secret: "S".into(),
            ..Profile::default()
        }],
        devices: vec![
            listed("D1", certificate),
            listed(
                "D2",
                fleetcall::model::Credentials::AccessToken(TOKEN.into()),
            ),
        ],
        ..TargetConfig::default()
    }
}

fn messages(target: &Target, device: &str) -> u64 {
    target.device(device).unwrap().telemetry_messages
}

/// A dial over DTLS that trusts what it is told to.
fn secured(addr: SocketAddr, trust: Trust) -> Dial {
    Dial {
        tls: Some(Tls::new(trust, "127.0.0.1", false).unwrap()),
        ..dial(TransportKind::Coaps, addr)
    }
}

async fn open(dial: &Dial, identity: Option<&Identity>) -> Result<Opened, OpenFault> {
    LocalSet::new()
        .run_until(Connection::open(dial, &Login::default(), identity, 0))
        .await
}

/// Posts, and returns the answer, which must come.
async fn ask(connection: &mut Connection, path: &str, body: &str) -> Reply {
    let request = post(path, body.to_owned());
    let exchange = connection.exchange(&request);
    LocalSet::new().run_until(exchange).await.unwrap().reply
}

/// A UDP port on loopback that was free a moment ago, with a free one above it.
fn free_udp_port() -> u16 {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        if port < u16::MAX && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// Stands between devices and a server: to the server, all of them are one port. Answers go to
/// who spoke last.
async fn relay(server: SocketAddr) -> SocketAddr {
    let front = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let back = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    back.connect(server).await.unwrap();
    let addr = front.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut there, mut here) = ([0; 2048], [0; 2048]);
        let mut last = None;
        loop {
            tokio::select! {
                Ok((length, device)) = front.recv_from(&mut there) => {
                    last = Some(device);
                    back.send(&there[..length]).await.unwrap();
                }
                Ok(length) = back.recv(&mut here) => {
                    if let Some(device) = last {
                        let _ = front.send_to(&here[..length], device).await;
                    }
                }
            }
        }
    });
    addr
}
