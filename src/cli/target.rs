//! `fleetcall target`: the embedded server on its own, until it is told to end.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use secrecy::SecretString;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use super::handover::Handover;
use crate::engine::Machine;
use crate::inventory::{ListOptions, load_csv};
use crate::model::{Credentials, DeviceIx, Strategy};
use crate::target::{Listed, Profile, Target, TargetConfig};

/// Runs the embedded ThingsBoard-compatible server on its own. Once every listener is bound, one
/// line of JSON on standard output says where. Without any listener option all three are opened on
/// 127.0.0.1: MQTT on 1883, HTTP on 8080, CoAP on 5683.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct TargetArgs {
    /// Listen for MQTT here; port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    mqtt: Option<SocketAddr>,
    /// Listen for HTTP here; port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Listen for CoAP here; port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    coap: Option<SocketAddr>,
    /// How provision requests are treated
    #[arg(long, default_value = "allow", value_parser = strategies())]
    strategy: Strategy,
    /// The provision key of the device profile
    #[arg(
        long,
        value_name = "KEY",
        env = "FLEETCALL_PROVISION_KEY",
        hide_env_values = true,
        default_value = Profile::DEFAULT_KEY,
        value_parser = secret
    )]
    provision_key: SecretString,
    /// The provision secret of the device profile
    #[arg(
        long,
        value_name = "SECRET",
        env = "FLEETCALL_PROVISION_SECRET",
        hide_env_values = true,
        default_value = Profile::DEFAULT_SECRET,
        value_parser = secret
    )]
    provision_secret: SecretString,
    /// Devices that exist from the start: a CSV file with a column `name`, perhaps one `token`
    #[arg(long, value_name = "LIST.csv")]
    devices: Option<PathBuf>,
    /// Draws the access tokens that the server gives
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
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
    Machine::look().map_err(Failure::bug)?;
    let handover = args.handover;
    runtime.block_on(async {
        if handover {
            serve_a_run().await
        } else {
            serve(config(args)?).await
        }
    })
}

async fn serve(config: TargetConfig) -> Result<(), Failure> {
    // Before the ready line: whoever reads it may send a signal at once.
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::bug)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::bug)?;
    let target = Target::start(config).await.map_err(Failure::usage)?;
    announce(&target).map_err(Failure::bug)?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    let counts = target.counts();
    target.stop().await;
    let line = serde_json::to_string(&counts).expect("plain numbers are JSON");
    eprintln!("{line}");
    Ok(())
}

/// Serves the run at the other end of standard input until that end is closed, however it dies.
async fn serve_a_run() -> Result<(), Failure> {
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line).await.map_err(Failure::bug)?;
    let config = Handover::read(&line).map_err(Failure::bug)?;
    let target = Target::start(config).await.map_err(Failure::bug)?;
    announce(&target).map_err(Failure::bug)?;
    // Nothing more is said: this returns at the end of the input.
    let _ = stdin.read_u8().await;
    target.stop().await;
    Ok(())
}

fn config(args: TargetArgs) -> Result<TargetConfig, Failure> {
    let silent = args.mqtt.is_none() && args.http.is_none() && args.coap.is_none();
    let address = |given: Option<SocketAddr>, port: u16| {
        given.or_else(|| silent.then(|| (Ipv4Addr::LOCALHOST, port).into()))
    };
    Ok(TargetConfig {
        mqtt: address(args.mqtt, 1883),
        http: address(args.http, 8080),
        coap: address(args.coap, 5683),
        profiles: vec![Profile {
            strategy: args.strategy,
            key: args.provision_key,
            secret: args.provision_secret,
            ..Profile::default()
        }],
        devices: args.devices.map_or(Ok(Vec::new()), |path| listed(&path))?,
        seed: args.seed,
        ..TargetConfig::default()
    })
}

/// Reads the columns `name` and, if there is one, `token`; an empty token is none.
fn listed(path: &Path) -> Result<Vec<Listed>, Failure> {
    let options = ListOptions {
        name_column: "name",
        keep: &[],
        keep_if_there: &["token".to_owned()],
    };
    let list = load_csv(path, &options).map_err(Failure::usage)?;
    let token = |ix| {
        let column = list.columns().iter().position(|column| column == "token")?;
        Some(list.value(ix, column).to_owned()).filter(|token| !token.is_empty())
    };
    let devices = u32::try_from(list.len()).expect("the inventory refuses longer lists");
    Ok((0..devices)
        .map(DeviceIx)
        .map(|ix| Listed {
            name: list.name(ix).to_owned(),
            profile: 0,
            credentials: token(ix).map(|token| Credentials::AccessToken(token.into())),
        })
        .collect())
}

/// The ready line.
#[derive(Serialize)]
struct Listening {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtt: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coap: Option<SocketAddr>,
}

fn announce(target: &Target) -> io::Result<()> {
    let listening = Listening {
        ready: true,
        mqtt: target.mqtt(),
        http: target.http(),
        coap: target.coap(),
    };
    let line = serde_json::to_string(&listening).expect("addresses are JSON");
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn strategies() -> impl TypedValueParser<Value = Strategy> {
    PossibleValuesParser::new(["allow", "check", "disabled", "x509-chain"]).map(|word| {
        match word.as_str() {
            "check" => Strategy::Check,
            "disabled" => Strategy::Disabled,
            "x509-chain" => Strategy::X509Chain,
            _ => Strategy::Allow,
        }
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "clap takes parsers that may fail only"
)]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

const EXAMPLES: &str = "\
Examples:
  fleetcall target
  fleetcall target --mqtt 127.0.0.1:0 --strategy check --devices fixtures/macs-1k.csv
  FLEETCALL_PROVISION_KEY=… FLEETCALL_PROVISION_SECRET=… fleetcall target --http 127.0.0.1:8080

Key and secret are better given by the environment: arguments show in `ps`.";

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TargetArgs,
    }

    fn parsed(words: &[&str]) -> TargetConfig {
        let words = ["target"].iter().chain(words);
        config(Line::try_parse_from(words).unwrap().args).unwrap()
    }

    #[test]
    fn without_listeners_all_three_open_on_loopback() {
        let config = parsed(&[]);
        let addresses = [config.mqtt, config.http, config.coap];
        let texts = addresses.map(|addr| addr.unwrap().to_string());
        assert_eq!(
            texts,
            ["127.0.0.1:1883", "127.0.0.1:8080", "127.0.0.1:5683"]
        );
        let one = parsed(&["--http", "127.0.0.1:0"]);
        assert!(one.mqtt.is_none() && one.coap.is_none());
    }

    #[test]
    fn takes_key_secret_and_strategy() {
        let config = parsed(&[
            "--provision-key",
            "K",
            "--provision-secret",
            "S",
            "--strategy",
            "x509-chain",
        ]);
        assert_eq!(config.profiles[0].key.expose_secret(), "K");
        assert_eq!(config.profiles[0].secret.expose_secret(), "S");
        assert_eq!(config.profiles[0].strategy, Strategy::X509Chain);
    }

    fn token(device: &Listed) -> Option<&str> {
        match &device.credentials {
            Some(Credentials::AccessToken(token)) => Some(token.expose_secret()),
            _ => None,
        }
    }

    #[test]
    fn reads_names_and_tokens_from_a_list() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        std::fs::write(&path, "serial,name,token\n1,a,tok\n2,\"b,c\",\n").unwrap();
        let devices = listed(&path).unwrap();
        let seen: Vec<_> = devices
            .iter()
            .map(|device| (&*device.name, token(device)))
            .collect();
        assert_eq!(seen, [("a", Some("tok")), ("b,c", None)]);
        std::fs::write(&path, "name\na\n").unwrap();
        assert_eq!(listed(&path).unwrap().len(), 1);
        std::fs::write(&path, "serial\n1\n").unwrap();
        assert!(listed(&path).unwrap_err().message.contains("name"));
    }
}
