//! The target of a run: embedded here, embedded in a process of its own, or somewhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::Failure;
use super::handover::Handover;
use super::lodger::Lodger;
use super::rest;
use crate::engine::{Authorities, Fleet, Provisions};
use crate::ledger::Past;
use crate::model::{Strategy, TransportKind};
use crate::rest::Server;
use crate::scenario::{Plan, TargetPlan, TrustPlan};
use crate::target::{Chain, Listed, Profile, TargetConfig};
use crate::transport::{CoapTiming, Dial, Tls, Trust};

/// Whoever answers, and where.
pub(super) struct House {
    addresses: Addresses,
    unresolved: Option<String>,
    tenant: Tenant,
    trust: Trust,
    /// PEM of an embedded target's authority.
    ca_pem: Option<String>,
    /// The embedded targets of the run's further processes.
    beside: Vec<Self>,
}

type Addresses = Vec<(TransportKind, SocketAddr, String)>;

/// A house as a process of the run is told of it that did not open it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Lease {
    addresses: Addresses,
    ca_pem: Option<String>,
}

enum Tenant {
    Here(Box<Lodger>),
    Apart(Child),
    Elsewhere,
}

impl House {
    /// Starts the embedded target, or looks the server's addresses up.
    pub(super) async fn open(
        (fleet, past): (&Fleet, Option<&Past>),
        authorities: &Authorities,
        trust: Trust,
        provisions: &Provisions,
    ) -> Result<Self, Failure> {
        match &fleet.plan.target {
            TargetPlan::Embedded { .. } => {
                let mut config = config(fleet, authorities)?;
                let of = provisions.processes;
                let mut listed = listed((fleet, past), of)?.into_iter();
                config.devices = listed.next().unwrap_or_default();
                if !provisions.target_apart {
                    return Self::here(config).await;
                }
                let mut first = Self::apart(&config).await?;
                for devices in listed {
                    config.devices = devices;
                    first.beside.push(Self::apart(&config).await?);
                }
                Ok(first)
            }
            TargetPlan::Remote { addresses, .. } => {
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
                    trust,
                    ca_pem: None,
                    beside: Vec::new(),
                })
            }
        }
    }

    /// For the processes of a run, in their order: one for each, or one for all.
    pub(super) fn leases(&self) -> Vec<Lease> {
        let houses = std::iter::once(self).chain(&self.beside);
        let lease = |house: &Self| Lease {
            addresses: house.addresses.clone(),
            ca_pem: house.ca_pem.clone(),
        };
        houses.map(lease).collect()
    }

    /// The house that another process of the run opened.
    pub(super) fn leased(lease: Lease, plan: &Plan) -> Result<Self, Failure> {
        let trust = match lease.ca_pem.as_deref() {
            None => trust(plan)?,
            pem => trust_in(pem)?,
        };
        Ok(Self {
            addresses: lease.addresses,
            unresolved: None,
            tenant: Tenant::Elsewhere,
            trust,
            ca_pem: lease.ca_pem,
            beside: Vec::new(),
        })
    }

    async fn here(config: TargetConfig) -> Result<Self, Failure> {
        let lodger = Lodger::start(config).await?;
        let target = &lodger.target;
        let bound = TransportKind::ALL.map(|kind| (kind, target.listener(kind)));
        let ca_pem = target.ca_pem().map(str::to_owned);
        Ok(Self {
            addresses: with_names(bound),
            unresolved: None,
            tenant: Tenant::Here(lodger),
            trust: trust_in(ca_pem.as_deref())?,
            ca_pem,
            beside: Vec::new(),
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
        let ca_pem = ready["ca_pem"].as_str().map(str::to_owned);
        Ok(Self {
            addresses: with_names(bound),
            unresolved: None,
            tenant: Tenant::Apart(child),
            trust: trust_in(ca_pem.as_deref())?,
            ca_pem,
            beside: Vec::new(),
        })
    }

    /// How each cohort's devices reach their server.
    pub(super) fn dials(&self, plan: &Plan) -> Result<Vec<Dial>, Failure> {
        let limits = &plan.limits;
        let (TargetPlan::Embedded { resumption, .. } | TargetPlan::Remote { resumption, .. }) =
            &plan.target;
        // One for all cohorts of a transport: what it holds is shared.
        let mut secured: Vec<(TransportKind, Tls)> = Vec::new();
        plan.cohorts
            .iter()
            .map(|cohort| {
                let (kind, addr, host) = self
                    .addresses
                    .iter()
                    .find(|(kind, ..)| *kind == cohort.transport)
                    .expect("a plan has an address for each transport in use");
                let known = secured.iter().find(|(secured, _)| secured == kind);
                let tls = match known.map(|(_, tls)| tls.clone()) {
                    None if kind.is_secure() => {
                        let tls = Tls::new(self.trust.clone(), host_of(host), *resumption)
                            .map_err(Failure::usage)?;
                        secured.push((*kind, tls.clone()));
                        Some(tls)
                    }
                    known => known,
                };
                Ok(Dial {
                    kind: *kind,
                    addr: *addr,
                    host: host.clone(),
                    sources: Vec::new(),
                    connect_timeout: limits.connect_timeout,
                    answer_timeout: limits.answer_timeout,
                    suback_wait: limits.suback_wait,
                    keep_alive: limits.keep_alive,
                    version: cohort.version,
                    tls,
                    coap: CoapTiming {
                        exchange_timeout: limits.coap_answer_timeout,
                        ..CoapTiming::default()
                    },
                })
            })
            .collect()
    }

    /// Where its pushes go, if the plan has some.
    pub(super) fn rest(&self, plan: &Plan) -> Result<Option<Server>, Failure> {
        let http = self.addresses.iter();
        let http = http.filter(|(kind, ..)| *kind == TransportKind::Http);
        rest::server(plan, http.map(|(_, addr, _)| *addr).next())
    }

    /// What has to be said aloud about the run.
    pub(super) fn notes(&self, plan: &Plan) -> Vec<String> {
        let secured = plan
            .cohorts
            .iter()
            .any(|cohort| cohort.transport.is_secure());
        if secured && matches!(self.trust, Trust::Insecure) {
            vec![INSECURE.to_owned()]
        } else {
            Vec::new()
        }
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
        let more = match self.beside.len() {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        format!("{kind} {}{more}", list.join(" "))
    }

    /// Whether the target's CPU time and memory are in this process's.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.tenant, Tenant::Here(_))
    }

    /// Tells an embedded target that the run starts now: offsets of its faults count from here.
    pub(super) async fn begin(&mut self) {
        self.tenant.begin().await;
        for house in &mut self.beside {
            house.tenant.begin().await;
        }
    }

    /// Ends an embedded target.
    pub(super) async fn close(self) {
        self.tenant.close().await;
        for house in self.beside {
            house.tenant.close().await;
        }
    }
}

impl Tenant {
    async fn begin(&mut self) {
        match self {
            Self::Here(lodger) => lodger.target.begin(),
            Self::Apart(child) => {
                if let Some(stdin) = &mut child.stdin {
                    // A target that is gone is seen by its devices.
                    let _ = stdin.write_all(b"\n").await;
                }
            }
            Self::Elsewhere => {}
        }
    }

    async fn close(self) {
        match self {
            Self::Here(lodger) => lodger.stop().await,
            Self::Apart(mut child) => {
                drop(child.stdin.take());
                let _ = child.wait().await;
            }
            Self::Elsewhere => {}
        }
    }
}

/// Without the devices that it knows.
fn config(fleet: &Fleet, authorities: &Authorities) -> Result<TargetConfig, Failure> {
    let plan = &fleet.plan;
    let TargetPlan::Embedded {
        faults,
        release,
        bugs,
        rpc,
        ..
    } = &plan.target
    else {
        unreachable!("asked for embedded targets only");
    };
    let mut profiles = Vec::with_capacity(plan.profiles.len());
    for (profile, position) in plan.profiles.iter().zip(0..) {
        let chain = (profile.strategy == Strategy::X509Chain)
            .then(|| {
                Ok::<_, Failure>(Chain {
                    certificates: authorities
                        .known_to(plan, position)
                        .map_err(Failure::usage)?,
                    name_pattern: profile.name_pattern.clone(),
                    allow_create: profile.allow_create,
                })
            })
            .transpose()?;
        profiles.push(Profile {
            name: profile.name.clone(),
            strategy: profile.strategy,
            key: profile.key.clone(),
            secret: profile.secret.clone(),
            chain,
        });
    }
    let mut config = TargetConfig {
        profiles,
        faults: (**faults).clone(),
        seed: plan.seed,
        release: *release,
        bugs: bugs.clone(),
        rpc: rpc.clone(),
        ..TargetConfig::default()
    };
    for cohort in &plan.cohorts {
        config.listen(cohort.transport, (Ipv4Addr::LOCALHOST, 0).into());
    }
    if plan.rest.is_some() {
        config.listen(TransportKind::Http, (Ipv4Addr::LOCALHOST, 0).into());
    }
    Ok(config)
}

/// The devices of profiles that check names, with the credentials that the list gives them: as a
/// server that the list was imported to. And those that an earlier part of the run provisioned, whose
/// embedded target is gone. For each of so many processes those that it starts.
fn listed(
    (fleet, past): (&Fleet, Option<&Past>),
    processes: u32,
) -> Result<Vec<Vec<Listed>>, Failure> {
    let workers = Provisions::workers_each(&fleet.plan, processes);
    let mut all = vec![Vec::new(); processes as usize];
    for ix in fleet.devices() {
        let listed = &mut all[fleet.process_of(ix, processes, workers) as usize];
        let profile = fleet.cohort(ix).profile;
        let gateway = fleet.cohort(ix).gateway.is_some();
        let trace = past.and_then(|past| past.trace(ix));
        let granted = trace.and_then(|trace| trace.granted.as_ref());
        if let Some((name, issued)) = granted {
            listed.push(Listed {
                // As the server trims it.
                name: name.trim().to_owned(),
                profile,
                credentials: Some(issued.credentials.clone()),
                gateway,
                provisioned: true,
            });
        } else if fleet.plan.profiles[profile].strategy == Strategy::Check {
            listed.push(Listed {
                name: fleet.name(ix).to_owned(),
                profile,
                credentials: fleet.own(ix).map_err(Failure::usage)?,
                gateway,
                provisioned: false,
            });
        }
    }
    Ok(all)
}

fn with_names(
    bound: [(TransportKind, Option<SocketAddr>); 6],
) -> Vec<(TransportKind, SocketAddr, String)> {
    bound
        .into_iter()
        .filter_map(|(kind, addr)| addr.map(|addr| (kind, addr, addr.to_string())))
        .collect()
}

/// Trust in an embedded target's authority; without a secured listener it is never asked for.
fn trust_in(ca_pem: Option<&str>) -> Result<Trust, Failure> {
    match ca_pem {
        None => Ok(Trust::System),
        Some(pem) => certificates(pem).map(Trust::Roots).map_err(Failure::bug),
    }
}

/// The certificates of a PEM text.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if all.is_empty() => Err("holds no certificate".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

/// Whom devices are to trust, as far as the scenario says; an embedded target tells itself.
pub(super) fn trust(plan: &Plan) -> Result<Trust, Failure> {
    let TargetPlan::Remote { trust, .. } = &plan.target else {
        return Ok(Trust::System);
    };
    match trust {
        TrustPlan::System => Ok(Trust::System),
        TrustPlan::Insecure => Ok(Trust::Insecure),
        TrustPlan::File(path) => {
            let failed = |why: String| {
                Failure::usage(format!(
                    "{}: {why}\nhelp: `ca` is a PEM file of authorities",
                    path.display()
                ))
            };
            let pem = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            certificates(&pem).map(Trust::Roots).map_err(failed)
        }
    }
}

/// The host of `host:port`, without an IPv6 address's brackets.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

const INSECURE: &str = "TLS is INSECURE: the server's certificate is not verified, whoever \
    answers is believed (insecure = true)";

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
