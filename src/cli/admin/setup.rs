//! `fleetcall admin setup`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use secrecy::ExposeSecret as _;

use super::super::exit::{Exit, Failure};
use super::server::ServerArgs;
use super::{failed, private, unwritten};
use crate::admin::setup::{SetupError, Wanted, WantedChain, setup};
use crate::model::Strategy;
use crate::rest::Profile;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetcall admin setup --profile meter --strategy allow --out meter.toml
  fleetcall admin setup --profile line-3 --strategy x509-chain --ca-cert root.crt.pem --print

--out writes the [profile] table of a scenario, readable by you alone.")]
pub(super) struct SetupArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The device profile's name
    #[arg(long, value_name = "NAME")]
    profile: String,
    /// How it provisions
    #[arg(long)]
    strategy: Kind,
    /// Write the provision key and secret to this file, mode 0600
    #[arg(long, value_name = "FILE", required_unless_present = "print")]
    out: Option<PathBuf>,
    /// Print the provision key and secret
    #[arg(long)]
    print: bool,
    /// Replace the file of --out
    #[arg(long)]
    force: bool,
    /// x509-chain: PEM of the authority that devices' certificates lead to
    #[arg(long, value_name = "FILE", required_if_eq("strategy", "x509-chain"))]
    ca_cert: Option<PathBuf>,
    /// x509-chain: where in a certificate's common name the device's name is
    #[arg(long, value_name = "REGEX", default_value = "(.+)")]
    name_pattern: String,
    /// x509-chain: only devices that exist may provision
    #[arg(long)]
    known_only: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Any new name becomes a device
    Allow,
    /// Imported devices only, each once
    Check,
    /// None
    Disabled,
    /// By the certificate of the TLS handshake
    X509Chain,
}

pub(super) async fn run(args: SetupArgs) -> Result<Exit, Failure> {
    if let Some(path) = args
        .out
        .as_deref()
        .filter(|path| path.exists() && !args.force)
    {
        let there = std::io::ErrorKind::AlreadyExists.into();
        return Err(unwritten(path, &there));
    }
    let client = args.server.client()?;
    let (profile, made) = setup(&client, &args.wanted()?)
        .await
        .map_err(|error| match error {
            SetupError::Admin(error) => failed(&error),
            error @ SetupError::OtherStrategy { .. } => Failure::usage(error),
        })?;
    let what = if made { "made" } else { "was there" };
    eprintln!(
        "device profile {:?} {what}: {}",
        profile.name, profile.strategy
    );
    let text = table(&profile);
    if let Some(path) = &args.out {
        write(path, &text, args.force).map_err(|error| unwritten(path, &error))?;
        eprintln!("{}: its provision key and secret", path.display());
    }
    if args.print {
        print!("{text}");
    }
    Ok(Exit::Passed)
}

impl SetupArgs {
    fn wanted(&self) -> Result<Wanted, Failure> {
        let strategy = match self.strategy {
            Kind::Allow => Strategy::Allow,
            Kind::Check => Strategy::Check,
            Kind::Disabled => Strategy::Disabled,
            Kind::X509Chain => Strategy::X509Chain,
        };
        let certificate = self.ca_cert.as_ref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!(
                    "{}: cannot be read: {error}\nhelp: give a PEM file",
                    path.display()
                ))
            })
        });
        let chain = certificate.transpose()?.map(|certificate| WantedChain {
            certificate,
            name_pattern: self.name_pattern.clone(),
            allow_create: !self.known_only,
        });
        Ok(Wanted {
            name: self.profile.clone(),
            strategy,
            chain,
        })
    }
}

/// The table of a scenario.
fn table(profile: &Profile) -> String {
    let mut table = toml::Table::new();
    for (key, secret) in [
        ("provision_key", &profile.key),
        ("provision_secret", &profile.secret),
    ] {
        if let Some(secret) = secret
            .as_ref()
            .filter(|_| profile.strategy != "X509_CERTIFICATE_CHAIN")
        {
            table.insert(key.to_owned(), secret.expose_secret().to_owned().into());
        }
    }
    format!("[profile]\n{table}")
}

fn write(path: &Path, text: &str, force: bool) -> std::io::Result<()> {
    let mut file = private(path, force)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
