//! `fleetcall target`: the embedded server on its own, until it is told to end.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use super::handover::Handover;
use super::monitor;
use super::target_file::{self, Fallback};
use super::target_list::listed;
use crate::engine::Machine;
use crate::model::{Bug, Faults, Release, Strategy, TransportKind};
use crate::pki::Identity;
use crate::target::{Profile, Target, TargetConfig};

/// Runs the embedded ThingsBoard-compatible server on its own. Once every listener is bound, one
/// line of JSON on standard output says where. Without any listener, the three plain ones are
/// opened on 127.0.0.1: MQTT on 1883, HTTP on 8080, CoAP on 5683.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct TargetArgs {
    /// Take what the other options leave open from this file (docs/target.md)
    #[arg(long, value_name = "TARGET.toml")]
    config: Option<PathBuf>,
    /// Listen for MQTT here; port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    mqtt: Option<SocketAddr>,
    /// Listen for MQTT over TLS here
    #[arg(long, value_name = "ADDR")]
    mqtts: Option<SocketAddr>,
    /// Listen for HTTP here
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Listen for HTTP over TLS here
    #[arg(long, value_name = "ADDR")]
    https: Option<SocketAddr>,
    /// Listen for CoAP here
    #[arg(long, value_name = "ADDR")]
    coap: Option<SocketAddr>,
    /// Listen for CoAP over DTLS here
    #[arg(long, value_name = "ADDR")]
    coaps: Option<SocketAddr>,
    /// The server's certificate and those above it, PEM; without it, a new authority signs one for
    /// localhost, 127.0.0.1 and ::1
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Write the certificate that clients have to trust to this file, PEM; it is overwritten
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// How provision requests are treated [default: allow]
    #[arg(long, value_parser = words::<Strategy>(STRATEGIES))]
    strategy: Option<Strategy>,
    /// The provision key of the device profile; $FLEETCALL_PROVISION_KEY where nothing else says
    /// [default: fleetcall-provision-key]
    #[arg(long, value_name = "KEY", value_parser = secret)]
    provision_key: Option<SecretString>,
    /// The provision secret of the device profile; $FLEETCALL_PROVISION_SECRET where nothing else
    /// says [default: fleetcall-provision-secret]
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    provision_secret: Option<SecretString>,
    /// Devices that exist from the start: a CSV file with a column `name` and, for credentials,
    /// perhaps `access_token`, or `client_id`, `username` and `password`, or `certificate_file`; a
    /// column `gateway` with `true` marks gateways
    #[arg(long, value_name = "LIST.csv")]
    devices: Option<PathBuf>,
    /// Keep the devices in this file, mode 0600, and know them again at the next start
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,
    /// The release that it behaves like [default: 4.3]
    #[arg(long, value_parser = words::<Release>(RELEASES))]
    release: Option<Release>,
    /// Draws the access tokens that the server gives [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Serve Prometheus metrics of the target at http://ADDR/metrics
    #[arg(long, value_name = "ADDR", value_parser = monitor::address)]
    metrics: Option<SocketAddr>,
    /// A fault on purpose in its judgement
    #[arg(long, hide = true, value_parser = words::<Bug>(BUGS))]
    bug: Vec<Bug>,
    /// Take the configuration from standard input, and end when that ends
    #[arg(long, hide = true)]
    handover: bool,
}

/// Serves until SIGINT or SIGTERM, then writes what it saw to standard error.
pub(super) fn run(args: TargetArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::bug)?;
    let machine = Machine::look().map_err(Failure::bug)?;
    let handover = args.handover;
    runtime.block_on(async {
        if handover {
            serve_a_run().await
        } else {
            let outlets = Outlets {
                ca_out: args.ca_out.clone(),
                file: args.config.clone(),
                metrics: args.metrics.map(monitor::bind).transpose()?,
                files: machine.files,
            };
            serve(config(args, environment()?)?, outlets).await
        }
    })
}

/// What a target has besides its configuration.
struct Outlets {
    ca_out: Option<PathBuf>,
    /// The configuration's.
    file: Option<PathBuf>,
    metrics: Option<TcpListener>,
    /// How many files its process may open.
    files: u64,
}

async fn serve(config: TargetConfig, outlets: Outlets) -> Result<(), Failure> {
    // Before the ready line: whoever reads it may send a signal at once.
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::bug)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::bug)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(Failure::bug)?;
    let mut faults = config.faults.clone();
    let target = Target::start(config).await.map_err(Failure::usage)?;
    if let Some(path) = outlets.ca_out {
        let ca = target
            .ca_pem()
            .ok_or_else(|| Failure::usage(NOTHING_SECURED))?;
        fs::write(&path, ca)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    let metrics = outlets.metrics.map(|listener| watch(listener, &target));
    let metrics = metrics.transpose().map_err(Failure::bug)?;
    target.begin();
    announce(&target, metrics).map_err(Failure::bug)?;
    let mut warned = false;
    loop {
        tokio::select! {
            () = target.out_of_files(), if !warned => {
                warned = true;
                eprintln!("{}", out_of_files(outlets.files));
            }
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
            _ = hung_up.recv() => {
                eprintln!("{}", switched(&target, outlets.file.as_deref(), &mut faults));
            }
        }
    }
    let counts = target.counts();
    target.stop().await;
    let line = serde_json::to_string(&counts).expect("plain numbers are JSON");
    eprintln!("{line}");
    Ok(())
}

/// What is said when the next connection finds no file descriptor.
fn out_of_files(limit: u64) -> String {
    format!(
        "fleetcall: no open file is left for another connection (limit {limit}): new ones wait unanswered \
         until others end, which looks like a slow server; raise the limit (`ulimit -Hn` as root, or \
         LimitNOFILE= of its service), or spread the devices over several targets"
    )
}

/// Serves what the target counts; where.
fn watch(listener: TcpListener, target: &Target) -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (addr, meter) = (listener.local_addr()?, target.meter());
    let now = move || crate::monitor::target_figures(&meter);
    tokio::spawn(crate::monitor::serve(listener, now));
    Ok(addr)
}

/// Serves the run at the other end of standard input until that end is closed, however it dies.
async fn serve_a_run() -> Result<(), Failure> {
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line).await.map_err(Failure::bug)?;
    let config = Handover::read(&line).map_err(Failure::bug)?;
    let target = Target::start(config).await.map_err(Failure::bug)?;
    announce(&target, None).map_err(Failure::bug)?;
    // Nothing more is said than that the run begins; then this returns at the end of the input.
    if stdin.read_u8().await.is_ok() {
        target.begin();
        let _ = stdin.read_u8().await;
    }
    target.stop().await;
    Ok(())
}

/// Takes the faults of the file as they are now; says what came of it.
fn switched(target: &Target, file: Option<&Path>, faults: &mut Faults) -> String {
    let Some(file) = file else {
        return "faults: there is no --config to read them from again".to_owned();
    };
    let told = target_file::read_faults(file).and_then(|told| {
        target.set_faults(told.clone()).map_err(Failure::usage)?;
        Ok(told)
    });
    match told {
        Err(why) => format!(
            "{}\nfaults: {} is not taken, the old ones stay",
            why.message,
            file.display()
        ),
        Ok(told) => {
            let before = std::mem::replace(faults, told);
            match &*changes(&before, faults) {
                [] => format!("faults: {} is read again, nothing changed", file.display()),
                keys => format!(
                    "faults: {} is read again, changed: {}",
                    file.display(),
                    keys.join(", ")
                ),
            }
        }
    }
}

/// The keys of what differs.
fn changes(before: &Faults, after: &Faults) -> Vec<String> {
    let [before, after] = [before, after]
        .map(|faults| serde_json::to_value(faults).expect("plain words and numbers are JSON"));
    let keys = after.as_object().into_iter().flatten();
    keys.filter(|(key, value)| before[key.as_str()] != **value)
        .map(|(key, _)| key.clone())
        .collect()
}

/// What the environment says, below the command line and the file.
fn environment() -> Result<Fallback, Failure> {
    let told = |name: &str, other: &str| match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value.into()),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("${name} is not UTF-8")))
        }
        _ => Ok(other.into()),
    };
    Ok(Fallback {
        key: told("FLEETCALL_PROVISION_KEY", Profile::DEFAULT_KEY)?,
        secret: told("FLEETCALL_PROVISION_SECRET", Profile::DEFAULT_SECRET)?,
    })
}

/// The file's configuration, or that of one profile; then what the command line says.
fn config(args: TargetArgs, fallback: Fallback) -> Result<TargetConfig, Failure> {
    let mut config = match &args.config {
        Some(path) => target_file::read(path, fallback)?,
        None => fallback.alone(),
    };
    for (kind, addr) in [
        (TransportKind::Mqtt, args.mqtt),
        (TransportKind::Mqtts, args.mqtts),
        (TransportKind::Http, args.http),
        (TransportKind::Https, args.https),
        (TransportKind::Coap, args.coap),
        (TransportKind::Coaps, args.coaps),
    ] {
        if let Some(addr) = addr {
            config.listen(kind, addr);
        }
    }
    if TransportKind::ALL
        .iter()
        .all(|kind| config.listener(*kind).is_none())
    {
        for (kind, port) in [
            (TransportKind::Mqtt, 1883),
            (TransportKind::Http, 8080),
            (TransportKind::Coap, 5683),
        ] {
            config.listen(kind, (Ipv4Addr::LOCALHOST, port).into());
        }
    }
    if let (Some(certificates), Some(key)) = (&args.tls_cert, &args.tls_key) {
        config.identity = Some(Identity::from_files(certificates, key).map_err(Failure::usage)?);
    }
    config.release = args.release.unwrap_or(config.release);
    config.seed = args.seed.unwrap_or(config.seed);
    config.bugs = args.bug;
    config.registry = args.registry;
    let told = [
        (args.strategy.is_some(), "--strategy"),
        (args.provision_key.is_some(), "--provision-key"),
        (args.provision_secret.is_some(), "--provision-secret"),
        (args.devices.is_some(), "--devices"),
    ];
    let [profile] = &mut config.profiles[..] else {
        return match told.iter().find(|(there, _)| *there) {
            Some((_, option)) => Err(Failure::usage(format!("{option} {OF_ONE_PROFILE}"))),
            None => Ok(config),
        };
    };
    profile.strategy = args.strategy.unwrap_or(profile.strategy);
    if let Some(key) = args.provision_key {
        profile.key = key;
    }
    if let Some(secret) = args.provision_secret {
        profile.secret = secret;
    }
    if let Some(path) = args.devices {
        config.devices = listed(&path, 0)?;
    }
    Ok(config)
}

/// The ready line.
#[derive(Serialize)]
struct Listening<'a> {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtt: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtts: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    https: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coap: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coaps: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_pem: Option<&'a str>,
}

fn announce(target: &Target, metrics: Option<SocketAddr>) -> io::Result<()> {
    let listening = Listening {
        ready: true,
        mqtt: target.mqtt(),
        mqtts: target.mqtts(),
        http: target.http(),
        https: target.https(),
        coap: target.coap(),
        coaps: target.coaps(),
        metrics,
        ca_pem: target.ca_pem(),
    };
    let line = serde_json::to_string(&listening).expect("addresses are JSON");
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Values by the words that files have for them.
fn words<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).map(|word| {
        serde_json::from_value(word.into()).expect("each word is that of a value, held by a test")
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "clap takes parsers that may fail only"
)]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

const STRATEGIES: &[&str] = &["allow", "check", "disabled", "x509-chain"];
const RELEASES: &[&str] = &["3.5", "3.6", "3.7", "3.8", "4.2.1", "4.3"];
const BUGS: &[&str] = &["accept_race", "accept_wrong_secret", "foreign_token"];

const OF_ONE_PROFILE: &str = "is about one profile, and the file has several\n\
    help: change the file's [[profile]] instead";

const NOTHING_SECURED: &str = "--ca-out: without a secured listener there is nothing to trust\n\
    help: add --mqtts, --https or --coaps";

const EXAMPLES: &str = "\
Examples:
  fleetcall target
  fleetcall target --mqtt 127.0.0.1:0 --strategy check --devices fixtures/macs-1k.csv
  fleetcall target --mqtts 127.0.0.1:8883 --ca-out ca.pem
  fleetcall target --https 127.0.0.1:8443 --tls-cert server.crt.pem --tls-key server.key.pem
  fleetcall target --config target.toml --release 3.8 --metrics 127.0.0.1:9465
  FLEETCALL_PROVISION_KEY=… FLEETCALL_PROVISION_SECRET=… fleetcall target --http 127.0.0.1:8080

Key and secret are better given by the environment: arguments show in `ps`.";

#[cfg(test)]
mod tests;
