//! Which credentials a cohort's devices have, and which of a cohort's keys go together.

use super::super::fault::Faults;
use super::super::file::{Certificate, Cohort, CredentialsWord, OtherProfile, Scenario};
use super::super::leaf::{Choice, Placed, Text};
use super::super::plan::{CertificatePlan, CredentialsPlan, DeviceSource, TokenPlan};
use super::super::section::Entry;
use super::super::tree::Spot;
use super::target::is_remote;
use super::{filled, required};
use crate::inventory::Template;
use crate::model::{Expectation, Misbehaviour, Protocol, Strategy, TransportKind};
use crate::pki::KeyKind;

/// What is known while a cohort's credentials are read.
pub(super) struct Setting<'a> {
    pub(super) table: &'a Cohort,
    pub(super) at: &'a Spot,
    pub(super) file: &'a Scenario,
    pub(super) devices: Option<&'a DeviceSource>,
    pub(super) faults: &'a Faults,
}

impl Setting<'_> {
    /// The credentials, with exactly the keys that go with them.
    pub(super) fn credentials(&self) -> Option<CredentialsPlan> {
        let word = self
            .table
            .credentials
            .or(Choice(CredentialsWord::Server))?
            .0;
        let strays = self.refuse_strays(word);
        let plan = match word {
            CredentialsWord::Server => Some(CredentialsPlan::Server),
            CredentialsWord::AccessToken => self.token().map(CredentialsPlan::AccessToken),
            CredentialsWord::MqttBasic => self.mqtt_basic(),
            CredentialsWord::X509 => self.certificate(false).map(CredentialsPlan::X509),
            CredentialsWord::X509Chain => self.certificate(true).map(CredentialsPlan::X509Chain),
        };
        plan.filter(|_| !strays)
    }

    /// Reports keys that are for other credentials.
    fn refuse_strays(&self, word: CredentialsWord) -> bool {
        let table = self.table;
        let certificate = table.certificate.given().map(|(_, spot)| spot);
        let basic = [CredentialsWord::MqttBasic];
        let keys = [
            (
                "token",
                spot(&table.token),
                &[CredentialsWord::AccessToken][..],
            ),
            (
                "token_key",
                spot(&table.token_key),
                &[CredentialsWord::AccessToken],
            ),
            ("client_id", spot(&table.client_id), &basic),
            ("username", spot(&table.username), &basic),
            ("password", spot(&table.password), &basic),
            (
                "certificate",
                certificate,
                &[CredentialsWord::X509, CredentialsWord::X509Chain],
            ),
        ];
        let mut any = false;
        for (key, spot, words) in keys {
            let (Some(spot), false) = (spot, words.contains(&word)) else {
                continue;
            };
            let wanted = words[0].as_str();
            let title = format!("`{key}` is for `credentials = \"{wanted}\"`");
            self.faults
                .add(spot, title, format!("add that line, or remove `{key}`"));
            any = true;
        }
        any
    }

    fn token(&self) -> Option<TokenPlan> {
        let table = self.table;
        match (&table.token, &table.token_key) {
            (Entry::Given(..), Entry::Given(_, spot)) => {
                let title = "`token` and `token_key` are given, and a device has one token";
                self.faults.add(spot, title, "keep one of them");
                None
            }
            (Entry::Absent, Entry::Given(key, spot)) => {
                let key = filled(key, "token_key", spot, self.faults)?;
                Some(TokenPlan::Derived(key.into()))
            }
            (_, Entry::Faulty) => None,
            _ => {
                let example = "a line such as token = \"{{ row.token }}\"";
                let (text, spot) = required(&table.token, "token", self.at, example, self.faults)?;
                self.template(text, "token", spot).map(TokenPlan::Given)
            }
        }
    }

    fn mqtt_basic(&self) -> Option<CredentialsPlan> {
        let table = self.table;
        let [client_id, username, password] = [
            ("client_id", &table.client_id),
            ("username", &table.username),
            ("password", &table.password),
        ]
        .map(|(key, entry)| match entry {
            Entry::Absent => Some(Template::compile("").expect("no text is a template")),
            Entry::Faulty => None,
            Entry::Given(text, spot) => self.template(text, key, spot),
        });
        if let (true, true) = (table.client_id.is_absent(), table.username.is_absent()) {
            let title = "`credentials = \"mqtt_basic\"` needs a `username` or a `client_id`";
            let help =
                "add username = \"{{ row.username }}\": ThingsBoard refuses a password alone";
            self.faults.add(self.at, title, help);
            return None;
        }
        if let (true, Entry::Given(_, spot)) = (table.username.is_absent(), &table.password) {
            let title = "`password` needs a `username`";
            let help = "add it: ThingsBoard refuses a client id with a password alone";
            self.faults.add(spot, title, help);
            return None;
        }
        Some(CredentialsPlan::MqttBasic {
            client_id: client_id?,
            username: username?,
            password: password?,
        })
    }

    fn certificate(&self, chain: bool) -> Option<CertificatePlan> {
        let none = Certificate::default();
        let (table, at) = match &self.table.certificate {
            Entry::Absent => (&none, self.at),
            Entry::Faulty => return None,
            Entry::Given(table, at) => (table, at),
        };
        match (&table.file, &table.key_file) {
            (Entry::Absent, Entry::Absent) => self.made(table, at, chain),
            (Entry::Given(file, file_at), Entry::Given(key, key_at)) => {
                let made = [
                    ("kind", table.kind.given().map(|(_, spot)| spot)),
                    ("common_name", spot(&table.common_name)),
                    ("days", table.days.given().map(|(_, spot)| spot)),
                    ("ca", spot(&table.ca)),
                    ("ca_key", spot(&table.ca_key)),
                ];
                for (key, spot) in made {
                    if let Some(spot) = spot {
                        let title =
                            format!("`{key}` is for certificates that are made, not for files");
                        self.faults
                            .add(spot, title, "remove it, or `file` and `key_file`");
                    }
                }
                let certificate = self.template(file, "file", file_at);
                let key = self.template(key, "key_file", key_at);
                Some(CertificatePlan::Files {
                    certificate: certificate?,
                    key: key?,
                })
            }
            (Entry::Faulty, _) | (_, Entry::Faulty) => None,
            _ => {
                let title = "a certificate's file and its key's go together";
                let help = "give both `file` and `key_file`, or neither: then they are made";
                self.faults.add(at, title, help);
                None
            }
        }
    }

    fn made(&self, table: &Certificate, at: &Spot, chain: bool) -> Option<CertificatePlan> {
        let kind = table.kind.or(Choice(KeyKind::default()));
        let common_name = match &table.common_name {
            Entry::Absent if self.misbehaves() == Some(Misbehaviour::CnMismatch) => {
                Template::compile(NOBODY).ok()
            }
            Entry::Absent => Template::compile("{{ name }}").ok(),
            Entry::Faulty => None,
            Entry::Given(text, spot) => self.template(text, "common_name", spot),
        };
        let days = match &table.days {
            Entry::Given(days, spot) if !(1..=36_500).contains(days) => {
                let title = format!("`days` must be from 1 to 36500, found {days}");
                self.faults.add(spot, title, "");
                None
            }
            days => days.or(3650),
        };
        let authority = match (&table.ca, &table.ca_key) {
            (Entry::Given(ca, _), Entry::Given(key, _)) if chain => {
                Some(Some((ca.as_str().into(), key.as_str().into())))
            }
            (Entry::Absent, Entry::Absent) => Some(None),
            (Entry::Faulty, _) | (_, Entry::Faulty) => None,
            _ => {
                let title = if chain {
                    "an authority is its certificate and its key"
                } else {
                    "`ca` is for `credentials = \"x509_chain\"`: x509 devices sign for themselves"
                };
                self.faults
                    .add(at, title, "give both `ca` and `ca_key`, or neither");
                None
            }
        };
        let foreign = self.misbehaves() == Some(Misbehaviour::ForeignCa);
        if chain && authority == Some(None) && !foreign && is_remote(&self.file.target) {
            let title = "a chain needs the authority that the server's profile knows";
            let help = "add certificate = { ca = \"intermediate.crt.pem\", ca_key = \
                \"intermediate.key.pem\" }; `fleetcall generate certs` makes them";
            self.faults.add(self.at, title, help);
        }
        Some(CertificatePlan::Made {
            kind: kind?.0,
            common_name: common_name?,
            days: days?,
            authority: authority?,
        })
    }

    /// Reports credentials that the transport does not carry, and wrongs that they cannot do.
    pub(super) fn judge(&self, transport: TransportKind, plan: &CredentialsPlan) {
        let word = transport.as_str();
        let sends = self.file.telemetry.value().is_some();
        let at = spot_of_credentials(self.table).unwrap_or(self.at);
        let (suits, over) = match plan {
            CredentialsPlan::Server | CredentialsPlan::AccessToken(_) => (true, ""),
            CredentialsPlan::MqttBasic { .. } => (
                !sends || transport.protocol() == Protocol::Mqtt,
                "mqtt or mqtts",
            ),
            CredentialsPlan::X509(_) => (
                !sends || matches!(transport, TransportKind::Mqtts | TransportKind::Coaps),
                "mqtts or coaps",
            ),
            CredentialsPlan::X509Chain(_) => (transport == TransportKind::Mqtts, "mqtts"),
        };
        if !suits {
            let title = format!(
                "`{}` credentials let nobody in over {word}: servers take them over {over} only",
                plan.as_str()
            );
            self.faults.add(
                at,
                title,
                format!("take transport = \"{}\"", first_word(over)),
            );
        }
        self.judge_strategy(plan);
        self.judge_wrong(transport, plan, sends);
    }

    /// A chain provisions with a profile of that strategy only, as far as it is known.
    fn judge_strategy(&self, plan: &CredentialsPlan) {
        if !matches!(plan, CredentialsPlan::X509Chain(_)) || is_remote(&self.file.target) {
            return;
        }
        let strategy = match self.table.profile.value() {
            None => self.file.target.value().map(|target| &target.strategy),
            Some(name) => self.file.other_profile.value().and_then(|others| {
                let named = |other: &OtherProfile| other.name.value() == Some(name);
                let found = others.iter().find(|Placed(other, _)| named(other));
                found.map(|Placed(other, _)| &other.strategy)
            }),
        };
        let strategy = strategy.map(|entry| entry.or(Choice(Strategy::default())));
        if let Some(Some(Choice(strategy))) = strategy
            && strategy != Strategy::X509Chain
        {
            let at = spot_of_credentials(self.table).unwrap_or(self.at);
            let title = "the profile of this cohort does not provision by certificate chain";
            let help =
                "add strategy = \"x509-chain\" to [target], or to the cohort's [[other_profile]]";
            self.faults.add(at, title, help);
        }
    }

    fn judge_wrong(&self, transport: TransportKind, plan: &CredentialsPlan, sends: bool) {
        if let Entry::Given(Choice(Expectation::Rejected), at) = &self.table.expect
            && !sends
            && transport.protocol() != Protocol::Mqtt
        {
            let title = format!(
                "`expect = \"rejected\"` over {} shows by telemetry only",
                transport.as_str()
            );
            self.faults.add(at, title, "add [telemetry]");
        }
        let Entry::Given(Choice(wrong), at) = &self.table.misbehaviour else {
            return;
        };
        let made = matches!(plan.certificate(), Some(CertificatePlan::Made { .. }));
        let by_chain = matches!(plan, CredentialsPlan::X509Chain(_));
        let needs = match wrong {
            Misbehaviour::ExpiredCertificate if !made => {
                "`credentials = \"x509\"` or `\"x509_chain\"`, with certificates that are made"
            }
            Misbehaviour::ForeignCa | Misbehaviour::CnMismatch if !(made && by_chain) => {
                "`credentials = \"x509_chain\"`, with certificates that are made"
            }
            Misbehaviour::ExpiredCertificate
            | Misbehaviour::ForeignCa
            | Misbehaviour::CnMismatch => return,
            _ if by_chain => "provision requests, and a chain has none",
            Misbehaviour::OtherProfile if self.table.profile.is_absent() => {
                "`profile`: the [[other_profile]] that the devices belong to"
            }
            Misbehaviour::TakenCredentials if matches!(plan, CredentialsPlan::Server) => {
                "credentials that devices bring: `access_token`, `mqtt_basic` or `x509`"
            }
            _ => return,
        };
        let title = format!("`misbehaviour = \"{}\"` needs {needs}", wrong.as_str());
        self.faults.add(at, title, "");
    }

    fn misbehaves(&self) -> Option<Misbehaviour> {
        self.table.misbehaviour.value().map(|choice| choice.0)
    }

    fn template(&self, text: &Text, key: &str, spot: &Spot) -> Option<Template> {
        self.template_knowing(text, key, spot, &[])
    }

    /// A template that knows more than the device's own names.
    pub(super) fn template_knowing(
        &self,
        text: &Text,
        key: &str,
        spot: &Spot,
        more: &[&str],
    ) -> Option<Template> {
        let text = filled(text, key, spot, self.faults)?;
        match Template::compile_knowing(&text, more) {
            Err(e) => {
                self.faults
                    .add(spot, format!("`{key}` is no template: {e}"), "");
                None
            }
            Ok(template) => {
                if let (Some(DeviceSource::Generate(_)), Some(column)) =
                    (self.devices, template.columns().first())
                {
                    let title = format!(
                        "`{key}` uses the column `{column}`, and generated devices have no columns"
                    );
                    let help = "use `name` or `index`, or give a list";
                    self.faults.add(spot, title, help);
                }
                Some(template)
            }
        }
    }
}

fn spot(entry: &Entry<Text>) -> Option<&Spot> {
    entry.given().map(|(_, spot)| spot)
}

fn spot_of_credentials(table: &Cohort) -> Option<&Spot> {
    table.credentials.given().map(|(_, spot)| spot)
}

fn first_word(over: &str) -> &str {
    over.split(' ').next().unwrap_or(over)
}

/// A common name that no pattern in use takes for a device's: no letter, no digit.
const NOBODY: &str = "@";
