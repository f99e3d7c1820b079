//! `[devices]` and `[[cohort]]`.

use std::collections::HashSet;

use super::super::deal::{check_shares, totals};
use super::super::fault::Faults;
use super::super::file::{self, Generate, Scenario};
use super::super::leaf::{Choice, Placed, Text};
use super::super::plan::{Cohort, CredentialsPlan, Deal, DeviceSource};
use super::super::section::Entry;
use super::super::tree::Spot;
use super::credentials::Setting;
use super::target::lacks;
use super::{filled, required, schedule};
use crate::inventory::{GenerateError, GenerateSpec, NameKind};
use crate::model::{MqttVersion, Protocol, TransportKind};
use crate::search::SearchRules;

/// Where the names come from.
pub(super) fn devices(
    file: &Scenario,
    seed: u64,
    search: Option<&SearchRules>,
    root: &Spot,
    faults: &Faults,
) -> Option<DeviceSource> {
    let (devices, at) = required(&file.devices, "[devices]", root, SOURCE, faults)?;
    match (&devices.list, &devices.generate) {
        (Entry::Given(..), Entry::Given(_, spot)) => {
            faults.add(
                spot,
                "[devices] has a list and `generate`",
                "keep one of them",
            );
            None
        }
        (Entry::Absent, Entry::Absent) => {
            faults.add(
                at,
                "[devices] has neither a list nor `generate`",
                format!("add {SOURCE}"),
            );
            None
        }
        (Entry::Absent, Entry::Given(table, spot)) => {
            if let Some((_, column)) = devices.name_column.given() {
                let title = "`name_column` is a list's, and the names are generated";
                faults.add(column, title, "remove it");
            }
            let count = count(table, spot, (file, search), faults);
            generated(table, spot, (count, seed), faults).map(DeviceSource::Generate)
        }
        (Entry::Given(list, spot), Entry::Absent) => {
            let name_column = match &devices.name_column {
                Entry::Absent => Some("name".to_owned()),
                Entry::Faulty => None,
                Entry::Given(column, spot) => filled(column, "name_column", spot, faults),
            };
            let path = filled(list, "list", spot, faults)?.into();
            Some(DeviceSource::List {
                path,
                name_column: name_column?,
            })
        }
        _ => None,
    }
}

/// How many names are to be made up: what a search needs, where nothing is said.
fn count(
    table: &Generate,
    at: &Spot,
    (file, search): (&Scenario, Option<&SearchRules>),
    faults: &Faults,
) -> Option<u32> {
    if table.count.is_absent() && !file.search.is_absent() {
        let needed = search?.devices_with_reserve();
        let count = u32::try_from(needed).ok();
        return count.filter(|n| *n <= MOST_FOR_SEARCH).or_else(|| {
            let title = format!("[search] needs {needed} devices, more than a list can have");
            faults.add(at, title, "lower `search.to` or `search.hold`");
            None
        });
    }
    required(&table.count, "count", at, "count = 1000", faults).map(|(count, _)| *count)
}

fn generated(
    table: &Generate,
    at: &Spot,
    (count, seed): (Option<u32>, u64),
    faults: &Faults,
) -> Option<GenerateSpec> {
    let oui = match &table.oui {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(text, spot) => match text.as_str().parse() {
            Ok(oui) => Some(Some(oui)),
            Err(e) => {
                let e: GenerateError = e;
                faults.add(spot, format!("`oui` is {}: {e}", text.shown()), "");
                None
            }
        },
    };
    let prefix = match &table.prefix {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(text, _) => Some(Some(text.as_str().to_owned())),
    };
    let spec = GenerateSpec {
        count: count?,
        kind: table.kind.or(Choice(NameKind::default()))?.0,
        oui: oui?,
        prefix: prefix?,
        seed,
    };
    if let Err(e) = spec.check() {
        let at = match e {
            GenerateError::None | GenerateError::TooMany(_) => table.count.given().map(|(_, s)| s),
            GenerateError::Prefix | GenerateError::PrefixForAddresses => {
                table.prefix.given().map(|(_, s)| s)
            }
            _ => table.oui.given().map(|(_, s)| s),
        }
        .unwrap_or(at);
        faults.add(at, e.to_string(), "");
        return None;
    }
    Some(spec)
}

/// The cohorts; without any, one over MQTT.
pub(super) fn cohorts(
    file: &Scenario,
    devices: Option<&DeviceSource>,
    faults: &Faults,
) -> Option<Vec<Cohort>> {
    let placed = match &file.cohort {
        Entry::Faulty => return None,
        Entry::Given(cohorts, _) if !cohorts.is_empty() => cohorts,
        Entry::Absent | Entry::Given(..) => {
            if let (true, Some((_, spot))) = (
                lacks(&file.target, TransportKind::Mqtt),
                file.target.given(),
            ) {
                let title = "[target] has no `mqtt` address, \
                    and without a [[cohort]] all devices talk MQTT";
                faults.add(
                    spot,
                    title,
                    "add the address, or a [[cohort]] with another transport",
                );
                return None;
            }
            return Some(vec![Cohort {
                name: "all".to_owned(),
                deal: Deal::Rest,
                transport: TransportKind::Mqtt,
                version: MqttVersion::V3,
                profile: 0,
                credentials: CredentialsPlan::Server,
                expect: None,
                misbehaviour: None,
                arrival: None,
                gateway: None,
            }]);
        }
    };
    if let Some(Placed(_, spot)) = placed.get(usize::from(u16::MAX)) {
        faults.add(spot, "more than 65535 cohorts", "");
        return None;
    }
    let mut names = HashSet::new();
    let deals: Vec<_> = placed
        .iter()
        .map(|Placed(cohort, _)| deal_of(cohort, faults))
        .collect();
    let deals: Option<Vec<_>> = deals.into_iter().collect();
    let read: Vec<_> = placed
        .iter()
        .map(|Placed(cohort, spot)| self::cohort(cohort, spot, file, devices, &mut names, faults))
        .collect();
    let deals = deals.filter(|deals| dealt(deals, placed, devices, faults))?;
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    let cohort = |(deal, cohort)| Cohort { deal, ..cohort };
    Some(deals.into_iter().zip(read).map(cohort).collect())
}

fn cohort(
    table: &file::Cohort,
    at: &Spot,
    file: &Scenario,
    devices: Option<&DeviceSource>,
    names: &mut HashSet<String>,
    faults: &Faults,
) -> Option<Cohort> {
    let name = cohort_name(table, at, names, faults);
    let transport = table
        .transport
        .or(Choice(TransportKind::Mqtt))
        .map(|choice| choice.0);
    if let Some(transport) = transport.filter(|transport| lacks(&file.target, *transport)) {
        let word = transport.as_str();
        let spot = table.transport.given().map_or(at, |(_, spot)| spot);
        let title = format!("this cohort talks {word}, and [target] has no `{word}` address");
        faults.add(
            spot,
            title,
            format!("add {word} = \"host:port\" to [target]"),
        );
    }
    let setting = Setting {
        table,
        at,
        file,
        devices,
        faults,
    };
    let credentials = setting.credentials();
    if let (Some(transport), Some(credentials)) = (transport, &credentials) {
        setting.judge(transport, credentials);
    }
    let version = version(table, transport, faults);
    let profile = profile(table, file, faults);
    let gateway = setting.gateway(transport);
    let arrival = match &table.arrival {
        Entry::Absent => Some(None),
        entry => schedule::arrival(entry, faults).map(Some),
    };
    Some(Cohort {
        name: name?,
        deal: Deal::Rest,
        transport: transport?,
        version: version?,
        profile: profile?,
        credentials: credentials?,
        expect: table.expect.value().map(|choice| choice.0),
        misbehaviour: table.misbehaviour.value().map(|choice| choice.0),
        arrival: arrival?,
        gateway: gateway?,
    })
}

fn version(
    table: &file::Cohort,
    transport: Option<TransportKind>,
    faults: &Faults,
) -> Option<MqttVersion> {
    match &table.version {
        Entry::Faulty => None,
        Entry::Given(_, spot) if transport?.protocol() != Protocol::Mqtt => {
            let title = "`version` is MQTT's, and this cohort does not talk MQTT";
            faults.add(spot, title, "remove it");
            None
        }
        Entry::Absent | Entry::Given(3, _) => Some(MqttVersion::V3),
        Entry::Given(5, _) => Some(MqttVersion::V5),
        Entry::Given(other, spot) => {
            let title = format!("`version` must be 3 (MQTT 3.1.1) or 5, found {other}");
            faults.add(spot, title, "");
            None
        }
    }
}

/// The position of the profile: 0 is `[profile]`.
fn profile(table: &file::Cohort, file: &Scenario, faults: &Faults) -> Option<usize> {
    let (name, spot) = match &table.profile {
        Entry::Absent => return Some(0),
        Entry::Faulty => return None,
        Entry::Given(name, spot) => (name, spot),
    };
    let others = match &file.other_profile {
        Entry::Absent => &[][..],
        Entry::Faulty => return None,
        Entry::Given(others, _) => others,
    };
    let names: Vec<_> = others
        .iter()
        .map(|Placed(other, _)| other.name.value().map_or("", Text::as_str))
        .collect();
    let found = names.iter().position(|known| *known == name.as_str());
    if found.is_none() {
        let title = format!("no [[other_profile]] is called {}", name.shown());
        let help = match names.join(", ") {
            known if known.is_empty() => "add one; without `profile`, [profile] holds".to_owned(),
            known => format!("known are: {known}"),
        };
        faults.add(spot, title, help);
    }
    found.map(|position| position + 1)
}

fn cohort_name(
    table: &file::Cohort,
    at: &Spot,
    names: &mut HashSet<String>,
    faults: &Faults,
) -> Option<String> {
    let (name, spot) = required(
        &table.name,
        "name",
        at,
        "a line such as name = \"meters\"",
        faults,
    )?;
    let text = filled(name, "name", spot, faults)?;
    let sound =
        text.trim() == text && text.chars().count() <= 64 && !text.chars().any(char::is_control);
    if !sound {
        let title = format!(
            "a cohort's name has up to 64 characters and no blanks around: {}",
            name.shown()
        );
        faults.add(spot, title, "");
        return None;
    }
    if !names.insert(text.clone()) {
        faults.add(
            spot,
            format!("two cohorts are called {}", name.shown()),
            "rename one of them",
        );
        return None;
    }
    Some(text)
}

fn deal_of(table: &file::Cohort, faults: &Faults) -> Option<Deal> {
    match (&table.share, &table.count) {
        (Entry::Given(..), Entry::Given(_, spot)) => {
            faults.add(
                spot,
                "a cohort has a share or a count, found both",
                "remove one of them",
            );
            None
        }
        (Entry::Given(share, spot), Entry::Absent) => {
            if !(*share > 0.0 && *share <= 1.0) {
                let title = format!("`share` must be more than 0 and at most 1, found {share}");
                faults.add(spot, title, "0.5 is half of all devices");
                return None;
            }
            Some(Deal::Share(*share))
        }
        (Entry::Absent, Entry::Given(0, spot)) => {
            faults.add(
                spot,
                "`count` must be at least 1, found 0",
                "remove the cohort",
            );
            None
        }
        (Entry::Absent, Entry::Given(count, _)) => Some(Deal::Count(*count)),
        (Entry::Absent, Entry::Absent) => Some(Deal::Rest),
        _ => None,
    }
}

/// Whether the deals can be dealt, as far as it shows before the list is loaded.
fn dealt(
    deals: &[Deal],
    placed: &[Placed<file::Cohort>],
    devices: Option<&DeviceSource>,
    faults: &Faults,
) -> bool {
    let verdict = match devices {
        Some(DeviceSource::Generate(spec)) => totals(deals, spec.count).map(drop),
        _ => check_shares(deals),
    };
    let Err(e) = verdict else { return true };
    let Placed(cohort, at) = &placed[e.cohort];
    let spot = match (&cohort.share, &cohort.count) {
        (Entry::Given(_, spot), _) | (_, Entry::Given(_, spot)) => spot,
        _ => at,
    };
    faults.add(spot, e.what, e.help);
    false
}

/// The most names that are made up for a search by themselves.
const MOST_FOR_SEARCH: u32 = 5_000_000;

const SOURCE: &str = "[devices] with list = \"devices.csv\" or generate = { count = 1000 }";
