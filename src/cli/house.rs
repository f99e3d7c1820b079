//! The target of a run: embedded here, embedded in a process of its own, or somewhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;

use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::Failure;
use super::handover::Handover;
use crate::inventory::Inventory;
use crate::model::{DeviceIx, Faults, MqttVersion, Strategy, TransportKind};
use crate::scenario::{Plan, TargetPlan};
use crate::target::{Listed, Profile, Target, TargetConfig};
use crate::transport::{CoapTiming, Dial};

/// Whoever answers, and where.
pub(super) struct House {
    addresses: Vec<(TransportKind, SocketAddr, String)>,
    unresolved: Option<String>,
    tenant: Tenant,
}

enum Tenant {
    Here(Target),
    Apart(Child),
    Elsewhere,
}

impl House {
    /// Starts the embedded target, or looks the server's addresses up.
    pub(super) async fn open(
        plan: &Plan,
        inventory: &Inventory,
        apart: bool,
    ) -> Result<Self, Failure> {
        match &plan.target {
            TargetPlan::Embedded { strategy, faults } => {
                let config = config(plan, inventory, *strategy, *faults);
                if apart {
                    Self::apart(&config).await
                } else {
                    Self::here(config).await
                }
            }
            TargetPlan::Remote(addresses) => {
                let (mut found, mut unresolved) = (Vec::new(), None);
                for (kind, host) in addresses {
                    let addr = resolve(host).await.unwrap_or_else(|why| {
                        unresolved = Some(why);
                        NOWHERE
                    });
                    found.push((*kind, addr, host.clone()));
                }
                Ok(Self {
                    addresses: found,
                    unresolved,
                    tenant: Tenant::Elsewhere,
                })
            }
        }
    }

    async fn here(config: TargetConfig) -> Result<Self, Failure> {
        let target = Target::start(config).await.map_err(Failure::bug)?;
        let bound = [
            (TransportKind::Mqtt, target.mqtt()),
            (TransportKind::Mqtts, target.mqtts()),
            (TransportKind::Http, target.http()),
            (TransportKind::Https, target.https()),
            (TransportKind::Coap, target.coap()),
            (TransportKind::Coaps, target.coaps()),
        ];
        Ok(Self {
            addresses: with_names(bound),
            unresolved: None,
            tenant: Tenant::Here(target),
        })
    }

    /// The same program as `fleetcall target`, told over a pipe what to serve, so that no secret
    /// stands in its arguments. It ends when the pipe does.
    async fn apart(config: &TargetConfig) -> Result<Self, Failure> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::bug(format!("the embedded target's process: {what}: {error}"))
        };
        let program = std::env::current_exe().map_err(|e| failed("cannot find it", &e))?;
        let mut child = Command::new(program)
            .args(["target", "--handover"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C is for the run, which still needs its target while it winds down.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed("cannot start it", &e))?;
        let handover = Handover::new(config).to_line();
        let stdin = child.stdin.as_mut().expect("piped above");
        stdin
            .write_all(handover.as_bytes())
            .await
            .map_err(|e| failed("cannot instruct it", &e))?;
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("piped above"))
            .read_line(&mut ready)
            .await
            .map_err(|e| failed("cannot hear from it", &e))?;
        let ready: serde_json::Value =
            serde_json::from_str(&ready).map_err(|e| failed("it did not get ready", &e))?;
        let bound = TransportKind::ALL.map(|kind| {
            (
                kind,
                ready[kind.as_str()]
                    .as_str()
                    .and_then(|text| text.parse().ok()),
            )
        });
        Ok(Self {
            addresses: with_names(bound),
            unresolved: None,
            tenant: Tenant::Apart(child),
        })
    }

    /// How each cohort's devices reach their server.
    pub(super) fn dials(&self, plan: &Plan) -> Vec<Dial> {
        let limits = &plan.limits;
        plan.cohorts
            .iter()
            .map(|cohort| {
                let (kind, addr, host) = self
                    .addresses
                    .iter()
                    .find(|(kind, ..)| *kind == cohort.transport)
                    .expect("a plan has an address for each transport in use");
                Dial {
                    kind: *kind,
                    addr: *addr,
                    host: host.clone(),
                    sources: Vec::new(),
                    connect_timeout: limits.connect_timeout,
                    answer_timeout: limits.answer_timeout,
                    suback_wait: limits.suback_wait,
                    keep_alive: limits.keep_alive,
                    version: MqttVersion::V3,
                    tls: None,
                    coap: CoapTiming {
                        exchange_timeout: limits.coap_answer_timeout,
                        ..CoapTiming::default()
                    },
                }
            })
            .collect()
    }

    /// Why a server's name has no address; no device may start then.
    pub(super) fn unresolved(&self) -> Option<&str> {
        self.unresolved.as_deref()
    }

    /// For the screen and the reports: no secret in it.
    pub(super) fn describe(&self) -> String {
        let kind = match self.tenant {
            Tenant::Here(_) | Tenant::Apart(_) => "embedded",
            Tenant::Elsewhere => "remote",
        };
        let list: Vec<String> = self
            .addresses
            .iter()
            .map(|(kind, _, host)| format!("{}://{host}", kind.as_str()))
            .collect();
        format!("{kind} {}", list.join(" "))
    }

    /// Whether the target's CPU time and memory are in this process's.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.tenant, Tenant::Here(_))
    }

    /// Ends an embedded target.
    pub(super) async fn close(self) {
        match self.tenant {
            Tenant::Here(target) => target.stop().await,
            Tenant::Apart(mut child) => {
                drop(child.stdin.take());
                let _ = child.wait().await;
            }
            Tenant::Elsewhere => {}
        }
    }
}

fn config(plan: &Plan, inventory: &Inventory, strategy: Strategy, faults: Faults) -> TargetConfig {
    let address = |kind| {
        plan.cohorts
            .iter()
            .any(|cohort| cohort.transport == kind)
            .then_some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    };
    // Only a target that checks names needs to know them beforehand.
    let listed = if strategy == Strategy::Check {
        inventory.len()
    } else {
        0
    };
    TargetConfig {
        mqtt: address(TransportKind::Mqtt),
        mqtts: address(TransportKind::Mqtts),
        http: address(TransportKind::Http),
        https: address(TransportKind::Https),
        coap: address(TransportKind::Coap),
        coaps: address(TransportKind::Coaps),
        profiles: vec![Profile {
            strategy,
            key: plan.provision_key.expose_secret().into(),
            secret: plan.provision_secret.expose_secret().into(),
            ..Profile::default()
        }],
        devices: (0..u32::try_from(listed).expect("lists are shorter"))
            .map(|ix| Listed {
                name: inventory.name(DeviceIx(ix)).to_owned(),
                profile: 0,
                credentials: None,
            })
            .collect(),
        faults,
        seed: plan.seed,
        ..TargetConfig::default()
    }
}

fn with_names(
    bound: [(TransportKind, Option<SocketAddr>); 6],
) -> Vec<(TransportKind, SocketAddr, String)> {
    bound
        .into_iter()
        .filter_map(|(kind, addr)| addr.map(|addr| (kind, addr, addr.to_string())))
        .collect()
}

/// Stands in for an address that was not found.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

async fn resolve(host: &str) -> Result<SocketAddr, String> {
    let failed = |why: String| {
        format!("{host}: {why}\nhelp: check the addresses in the scenario's [target]")
    };
    tokio::net::lookup_host(host)
        .await
        .map_err(|error| failed(format!("cannot resolve the target's address: {error}")))?
        .next()
        .ok_or_else(|| failed("the name has no address".to_owned()))
}
