//! From a file and its overrides to a plan, or everything that is wrong with them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::check;
use super::expand::{Environment, expand};
use super::fault::{Diagnostics, Faults, Source};
use super::file::Scenario;
use super::overlay::Setting;
use super::plan::{DeviceSource, Plan};
use super::section::{Entry, FromToml};
use super::shown::shown;
use super::tree::{Key, Kind, Spot, Table, Value, parse};
use crate::model::RpcAnswers;

/// What the command line sets in place of the scenario.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// A device list, in place of the scenario's list or generator.
    pub devices: Option<PathBuf>,
    /// A seed.
    pub seed: Option<u64>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be opened or read.
    #[error(
        "{}: cannot be read: {source}\nhelp: `fleetcall init` writes a scenario to start from",
        path.display()
    )]
    Unreadable {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything that is wrong, with line and column.
    #[error("{0}")]
    Faulty(Diagnostics),
}

/// Reads and checks a scenario; `overrides` are `--set`'s `KEY.PATH=VALUE`.
pub fn load(path: &Path, overrides: &[String], run: &Overrides) -> Result<Plan, ScenarioError> {
    load_with(path, overrides, run, &|name| std::env::var(name).ok())
}

/// As [`load`], with another environment for `${env:NAME}`.
pub fn load_with(
    path: &Path,
    overrides: &[String],
    run: &Overrides,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, ScenarioError> {
    let text = read(path).map_err(|source| ScenarioError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let name = path.display().to_string();
    plan(&name, &text, overrides, run, env).map_err(ScenarioError::Faulty)
}

/// Reads `[faults]` of a target's file; the other keys are not looked at.
pub fn target_faults(path: &Path, text: &str) -> Result<crate::model::Faults, Diagnostics> {
    part(path, text, "faults", check::faults::misbehaviour)
}

/// Reads `[rpc]` of a target's file; the other keys are not looked at.
pub fn target_rpc(path: &Path, text: &str) -> Result<RpcAnswers, Diagnostics> {
    part(path, text, "rpc", check::rpc::answers)
}

fn part<T: FromToml, M>(
    path: &Path,
    text: &str,
    key: &str,
    meaning: impl Fn(&Entry<T>, &Faults) -> Option<M>,
) -> Result<M, Diagnostics> {
    let name = path.display().to_string();
    let faults = Faults::default();
    let Ok(table) = parse(text, 0) else {
        let start = Spot {
            text: 0,
            range: 0..0,
        };
        faults.add(&start, "no TOML", "");
        return Err(Diagnostics::new(vec![Source::broken(&name, text)], faults));
    };
    let told = table.get(key).map_or(Entry::Absent, |value| {
        match T::from_toml(value, key, &faults) {
            Some(read) => Entry::Given(read, value.spot.clone()),
            None => Entry::Faulty,
        }
    });
    match meaning(&told, &faults) {
        Some(told) if faults.is_empty() => Ok(told),
        _ => {
            let source = Source::parsed(&name, text, 0, &table);
            Err(Diagnostics::new(vec![source], faults))
        }
    }
}

/// Checks a scenario's text; `name` is what diagnostics call it.
pub(super) fn plan(
    name: &str,
    text: &[u8],
    overrides: &[String],
    run: &Overrides,
    env: Environment<'_>,
) -> Result<Plan, Diagnostics> {
    let faults = Faults::default();
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(e) => {
            let spot = Spot {
                text: 0,
                range: e.valid_up_to()..e.valid_up_to(),
            };
            faults.add(&spot, "not UTF-8", "save the scenario as UTF-8");
            let source = Source::broken(name, &String::from_utf8_lossy(text));
            return Err(Diagnostics::new(vec![source], faults));
        }
    };
    let table = match parse(text, 0) {
        Ok(table) => table,
        Err(errors) => {
            for error in errors {
                let spot = Spot {
                    text: 0,
                    range: error.range,
                };
                faults.add_labelled(&spot, format!("no TOML: {}", error.message), "", "");
            }
            return Err(Diagnostics::new(vec![Source::broken(name, text)], faults));
        }
    };
    let mut sources = vec![Source::parsed(name, text, 0, &table)];
    let plan = complete(table, text, overrides, run, env, &mut sources, &faults);
    match plan {
        Some(plan) if faults.is_empty() => Ok(plan),
        _ => Err(Diagnostics::new(sources, faults)),
    }
}

/// Puts overrides and references in, and checks the result.
#[expect(
    clippy::too_many_arguments,
    reason = "the one place where all inputs meet"
)]
fn complete(
    mut table: Table,
    text: &str,
    overrides: &[String],
    run: &Overrides,
    env: Environment<'_>,
    sources: &mut Vec<Source>,
    faults: &Faults,
) -> Option<Plan> {
    let mut texts = vec![text];
    for setting in overrides {
        let number = texts.len();
        texts.push(setting);
        sources.push(match Setting::as_table(setting, number) {
            Some(table) => Source::parsed("--set", setting, number, &table),
            None => Source::broken("--set", setting),
        });
        if let Some(setting) = Setting::read(setting, number, faults) {
            setting.apply(&mut table, faults);
        }
    }
    let shown = shown(&table, run.devices.as_deref());
    expand(&mut table, &texts, env, faults);
    if let Some(list) = &run.devices {
        let shown = list.to_string_lossy().into_owned();
        set_list(&mut table, &shown, sources.len());
        sources.push(Source::parsed("--devices", &shown, 0, &Table::default()));
    }
    let file = Scenario::from_table(&table, faults);
    let mut plan = check::plan(&file, run.seed, faults)?;
    plan.shown = format!("seed = {}\n{shown}", plan.seed);
    if let (Some(list), DeviceSource::List { path, .. }) = (&run.devices, &mut plan.devices) {
        // Paths need not be UTF-8.
        path.clone_from(list);
    }
    Some(plan)
}

/// Makes `[devices]` name a list in place of whatever it names.
fn set_list(table: &mut Table, path: &str, text: usize) {
    let spot = Spot {
        text,
        range: 0..path.len(),
    };
    let key = |name: &str| Key {
        name: name.to_owned(),
        spot: spot.clone(),
    };
    if let Kind::Table(devices) = &mut table.value_mut(&key("devices")).kind {
        devices.remove("generate");
        let kind = Kind::Text(path.to_owned());
        devices.set(
            key("list"),
            Value {
                spot: spot.clone(),
                kind,
                expanded: false,
            },
        );
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(FILE_LIMIT + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(io::Error::other("longer than 1 MiB, which no scenario is"));
    }
    Ok(text)
}

const FILE_LIMIT: u64 = 1 << 20;
