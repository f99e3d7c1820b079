//! What devices over TLS cost the process that plays them: memory of an idle one, and full TLS 1.3
//! handshakes with a client certificate per CPU-second, beside what rustls alone does in memory in
//! the same run. `cargo bench --bench tls_devices`
//!
//! The server is a process of its own (this program with an argument), so that neither its memory
//! nor its CPU time counts. Each device has its own key and certificate. A connection is TCP, TLS,
//! CONNECT and CONNACK; CPU time is user and system time. Both ends share the machine: the figures
//! per CPU-second hold, those per second of wall clock would not.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetcall::model::{Login, MqttVersion, TransportKind};
use fleetcall::pki::{Authority, Identity, KeyKind, Validity};
use fleetcall::transport::{CoapTiming, Connection, Dial, Tls, Trust};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

type Outcome<T> = Result<T, Box<dyn Error>>;

const DEVICES: usize = 5_000;

/// Opened at the same time.
const AT_ONCE: usize = 50;

/// Of the floor.
const IN_MEMORY: usize = 2_000;

fn main() -> Outcome<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut arguments = std::env::args().skip(1);
    if let (Some("serve"), Some(folder)) = (arguments.next().as_deref(), arguments.next()) {
        return runtime.block_on(serve(Path::new(&folder)));
    }
    let authority = Authority::root("bench", KeyKind::P256, Validity::days(1))?;
    let server = authority.issue_server(&["127.0.0.1"], KeyKind::P256, Validity::days(1))?;
    let root = authority.identity().chain()[0].clone();

    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("root.pem", &authority.identity().certificates_pem())?;
    write("server.pem", &server.certificates_pem())?;
    write("key.pem", server.key_pem().expose_secret())?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or("no output of the server")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let addr: SocketAddr = line.trim().parse()?;

    let before = resident()?;
    let identities: Vec<Identity> = (0..DEVICES)
        .map(|n| authority.issue(&format!("device-{n:06}"), KeyKind::P256, Validity::days(1)))
        .collect::<Result<_, _>>()?;
    let kept = resident()?.saturating_sub(before);
    println!("{DEVICES} devices, each with a P-256 key and certificate of its own");
    println!("key and certificate: {} B resident each", kept / DEVICES);

    let floor = in_memory(&server, root.clone(), &identities)?;
    let dial = dial(
        addr,
        Tls::new(Trust::Roots(vec![root]), "127.0.0.1", false)?,
    );
    let opened = LocalSet::new().block_on(&runtime, devices(dial, identities))?;
    println!("floor, rustls in memory, the client's part: {floor:.0} handshakes per CPU-second");
    println!(
        "devices: {opened:.0} connections per CPU-second, {:.2} of the floor",
        opened / floor
    );
    // It ends with its input.
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}

/// Opens all devices and keeps them idle; connections per CPU-second.
async fn devices(dial: Dial, identities: Vec<Identity>) -> Outcome<f64> {
    let dial = Arc::new(dial);
    // What is paid once is not an idle device's.
    for connection in open(&dial, &identities[..AT_ONCE], 0).await? {
        connection.close().await;
    }
    let before = resident()?;
    let cpu = process_cpu()?;
    let mut idle = Vec::with_capacity(DEVICES);
    for (n, some) in identities.chunks(AT_ONCE).enumerate() {
        idle.extend(open(&dial, some, n * AT_ONCE).await?);
    }
    let cpu = process_cpu()? - cpu;
    let open = resident()?.saturating_sub(before);
    let waiting: Vec<_> = idle
        .into_iter()
        .map(|mut connection| {
            spawn_local(async move {
                let later = Instant::now() + Duration::from_hours(1);
                connection.idle_until(later).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ended = waiting.iter().filter(|task| task.is_finished()).count();
    let waited = resident()?.saturating_sub(before);
    println!(
        "open session: {} B resident each, the clone of the configuration included",
        open / DEVICES
    );
    println!(
        "idle device with its task: {} B resident each ({ended} ended)",
        waited / DEVICES
    );
    Ok(DEVICES as f64 / cpu)
}

async fn open(dial: &Arc<Dial>, some: &[Identity], first: usize) -> Outcome<Vec<Connection>> {
    let opening: Vec<_> = some
        .iter()
        .enumerate()
        .map(|(n, identity)| {
            let (dial, identity, ordinal) = (Arc::clone(dial), identity.clone(), first + n);
            spawn_local(async move {
                let login = Login {
                    client_id: format!("device-{ordinal:06}"),
                    ..Login::default()
                };
                Connection::open(&dial, &login, Some(&identity), ordinal as u32).await
            })
        })
        .collect();
    let mut opened = Vec::with_capacity(some.len());
    for task in opening {
        let connection = task
            .await?
            .map_err(|fault| format!("{fault:?}"))?
            .connection;
        opened.push(connection);
    }
    Ok(opened)
}

/// Full handshakes between two rustls connections in memory, per CPU-second of the client's part.
fn in_memory(
    server: &Identity,
    root: CertificateDer<'static>,
    identities: &[Identity],
) -> Outcome<f64> {
    let acceptor = Arc::new(server_config(server, root.clone())?);
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut base = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    base.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from("127.0.0.1")?;
    let (mut spent, mut wire) = (0.0, Vec::new());
    for identity in identities.iter().cycle().take(IN_MEMORY) {
        let begun = thread_cpu()?;
        let mut config = base.clone();
        config.client_auth_cert_resolver = Arc::new(Shown(identity.certified()));
        let mut client = ClientConnection::new(Arc::new(config), name.clone())?;
        spent += thread_cpu()? - begun;
        let mut server = ServerConnection::new(Arc::clone(&acceptor))?;
        while client.is_handshaking() || server.is_handshaking() {
            let begun = thread_cpu()?;
            wire.clear();
            while client.wants_write() {
                client.write_tls(&mut wire)?;
            }
            spent += thread_cpu()? - begun;
            let mut flight = &wire[..];
            while !flight.is_empty() {
                server.read_tls(&mut flight)?;
                server.process_new_packets()?;
            }
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire)?;
            }
            let begun = thread_cpu()?;
            let mut flight = &wire[..];
            while !flight.is_empty() {
                client.read_tls(&mut flight)?;
                client.process_new_packets()?;
            }
            spent += thread_cpu()? - begun;
        }
    }
    Ok(IN_MEMORY as f64 / spent)
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Says where it listens, takes any CONNECT, and ends with its input.
async fn serve(folder: &Path) -> Outcome<()> {
    let server = Identity::from_files(&folder.join("server.pem"), &folder.join("key.pem"))?;
    let root = {
        use rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_file(folder.join("root.pem"))?
    };
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&server, root)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        // Its thousands of tasks need no farewell.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM);
    });
    loop {
        let (tcp, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut stream = acceptor.accept(tcp).await?;
            let mut packet = [0; 1_024];
            if stream.read(&mut packet).await? > 0 {
                stream.write_all(&[0x20, 2, 0, 0]).await?;
                while stream.read(&mut packet).await? > 0 {}
            }
            Ok::<(), std::io::Error>(())
        });
    }
}

fn server_config(server: &Identity, root: CertificateDer<'static>) -> Outcome<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(server.chain().to_vec(), server.key().clone_key())?)
}

fn dial(addr: SocketAddr, tls: Tls) -> Dial {
    let patience = Duration::from_secs(30);
    Dial {
        kind: TransportKind::Mqtts,
        addr,
        host: addr.to_string(),
        sources: Vec::new(),
        connect_timeout: patience,
        answer_timeout: patience,
        suback_wait: patience,
        keep_alive: Duration::from_mins(20),
        version: MqttVersion::V3,
        tls: Some(tls),
        coap: CoapTiming::default(),
    }
}

/// This process's resident memory, in bytes.
fn resident() -> Outcome<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.ok_or("no VmRSS")?.parse::<usize>()? * 1024)
}

/// User and system time of this process so far, in seconds.
fn process_cpu() -> Outcome<f64> {
    cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// The same of this thread.
fn thread_cpu() -> Outcome<f64> {
    cpu(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn cpu(clock: ClockId) -> Outcome<f64> {
    Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
}
