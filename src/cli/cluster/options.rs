//! Which NATS server, and by which right; who takes part.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cluster::{Access, RunId};

/// How to get to NATS. Each may be in the environment instead, where it means nothing to other runs.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "NATS")]
pub(in crate::cli) struct NatsArgs {
    /// NATS servers with JetStream, as nats://HOST:4222 or tls://HOST:4222, several with commas
    #[arg(long = "nats", value_name = "URL", env = "NATS_URL")]
    pub(super) url: Option<String>,
    /// A user; the password is in the environment: NATS_PASSWORD
    #[arg(long = "nats-user", value_name = "NAME", env = "NATS_USER",
        conflicts_with_all = ["creds", "nkey"])]
    user: Option<String>,
    /// A credentials file, as nsc makes it
    #[arg(
        long = "nats-creds",
        value_name = "FILE",
        env = "NATS_CREDS",
        conflicts_with = "nkey"
    )]
    creds: Option<PathBuf>,
    /// A file with the seed of an nkey
    #[arg(long = "nats-nkey", value_name = "FILE", env = "NATS_NKEY")]
    nkey: Option<PathBuf>,
    /// The authorities to trust, a PEM file, in place of the system's
    #[arg(long = "nats-ca", value_name = "FILE", env = "NATS_CA")]
    ca: Option<PathBuf>,
    /// The certificate to show, a PEM file
    #[arg(
        long = "nats-cert",
        value_name = "FILE",
        env = "NATS_CERT",
        requires = "key"
    )]
    cert: Option<PathBuf>,
    /// Its key, a PEM file
    #[arg(
        long = "nats-key",
        value_name = "FILE",
        env = "NATS_KEY",
        requires = "cert"
    )]
    key: Option<PathBuf>,
}

impl NatsArgs {
    /// `None` where no server is named.
    pub(super) fn access(&self) -> Option<Access> {
        let password = std::env::var("NATS_PASSWORD").ok();
        Some(Access {
            url: self.url.clone()?,
            user: self.user.clone(),
            password: password.map(Into::into),
            credentials: self.creds.clone(),
            nkey: self.nkey.clone(),
            ca: self.ca.clone(),
            certificate: self.cert.clone().zip(self.key.clone()),
        })
    }
}

/// The options of `fleetcall run` that make it one over workers.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "NATS")]
pub(in crate::cli) struct Joining {
    /// Have so many workers (`fleetcall worker`) start the devices, over NATS, and start none here
    #[arg(long, value_name = "N", requires = "url", conflicts_with_all = ["credentials", "shard", "start_at"],
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) workers: Option<u32>,
    #[command(flatten)]
    pub(super) nats: NatsArgs,
    /// The run's name on NATS: a coordinator that was killed goes on with it [default: the scenario's name and
    /// the time]
    #[arg(long, value_name = "NAME", requires = "workers")]
    pub(super) run_id: Option<RunId>,
    /// How many parts the list is dealt in; each is a process on some worker [default: two for each worker, more
    /// where one process may not open enough files]
    #[arg(long, value_name = "N", requires = "workers", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(super) shards: Option<u32>,
    /// How long to wait for the workers
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "workers", value_parser = humantime::parse_duration)]
    pub(super) worker_wait: Duration,
}

impl Joining {
    /// Whether the run is one over workers.
    pub(in crate::cli) fn is_wanted(&self) -> bool {
        self.workers.is_some()
    }

    /// What a person should know of a run that is not.
    pub(in crate::cli) fn note(&self) -> Option<String> {
        let named = self.nats.url.is_some() && !self.is_wanted();
        named.then(|| "NATS is named, and without --workers all devices start here".to_owned())
    }
}
