//! A server that knows each device by the first certificate that it came with, and by no other.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use fleetcall::pki::{Authority, Identity, KeyKind, Validity};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What it has seen.
#[derive(Default)]
pub(super) struct Seen {
    /// By common name.
    first: Mutex<HashMap<String, CertificateDer<'static>>>,
    pub(super) turned_down: Mutex<u32>,
}

/// Serves devices whose certificates lead to that root; its own is signed by another authority,
/// which it returns.
pub(super) async fn serve(root: &Path) -> (SocketAddr, Authority, Arc<Seen>) {
    let house = Authority::root("stubborn", KeyKind::P256, Validity::days(2)).unwrap();
    let identity = house
        .issue_server(&["127.0.0.1"], KeyKind::P256, Validity::days(2))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config(&identity, root)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
    let known = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, known) = (acceptor.clone(), Arc::clone(&known));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    let _ = session(stream, &known).await;
                }
            });
        }
    });
    (addr, house, seen)
}

fn config(identity: &Identity, root: &Path) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authority = Identity::from_files(root, &root.with_file_name("root.key.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.chain()[0].clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(identity.chain().to_vec(), identity.key().clone_key())
        .unwrap()
}

async fn session(mut stream: TlsStream<TcpStream>, seen: &Seen) -> std::io::Result<()> {
    let leaf = stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned();
    let welcome = {
        let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
        let name = parsed.subject().iter_common_name().next().unwrap();
        let name = name.as_str().unwrap().to_owned();
        *seen
            .first
            .lock()
            .unwrap()
            .entry(name)
            .or_insert(leaf.clone())
            == leaf
    };
    loop {
        let kind = stream.read_u8().await?;
        let mut length = 0usize;
        for shift in [0, 7, 14, 21] {
            let byte = stream.read_u8().await?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        match kind >> 4 {
            1 if welcome => stream.write_all(&[0x20, 2, 0, 0]).await?,
            1 => {
                *seen.turned_down.lock().unwrap() += 1;
                stream.write_all(&[0x20, 2, 0, 5]).await?;
                return stream.shutdown().await;
            }
            3 => {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let [high, low] = [body[2 + topic], body[3 + topic]];
                stream.write_all(&[0x40, 2, high, low]).await?;
            }
            12 => stream.write_all(&[0xd0, 0]).await?,
            _ => {}
        }
    }
}
