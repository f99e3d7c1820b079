//! `[profile]` and `[[other_profile]]`.

use std::collections::HashSet;

use secrecy::SecretString;

use super::super::fault::Faults;
use super::super::file::{CredentialsWord, OtherProfile, Profile, Scenario};
use super::super::leaf::{Choice, Placed, Text};
use super::super::plan::ProfilePlan;
use super::super::section::Entry;
use super::super::tree::Spot;
use super::target::is_remote;
use super::{filled, required};
use crate::inventory::token;
use crate::model::{Misbehaviour, Strategy};

/// All profiles, `[profile]` first.
pub(super) fn profiles(
    file: &Scenario,
    seed: u64,
    root: &Spot,
    faults: &Faults,
) -> Option<Vec<ProfilePlan>> {
    let first = first(file, seed, root, faults);
    let placed = match &file.other_profile {
        Entry::Absent => &[][..],
        Entry::Faulty => return None,
        Entry::Given(placed, _) => placed,
    };
    let mut names = HashSet::new();
    let others: Vec<_> = (1u32..)
        .zip(placed)
        .map(|(n, Placed(table, at))| other(table, at, file, seed ^ u64::from(n), faults))
        .collect();
    let others: Option<Vec<_>> = others.into_iter().collect();
    for (plan, Placed(table, _)) in others.as_ref()?.iter().zip(placed) {
        if let (false, Some((_, spot))) = (names.insert(&plan.name), table.name.given()) {
            let title = format!("two profiles are called {:?}", plan.name);
            faults.add(spot, title, "rename one of them");
            return None;
        }
    }
    let mut all = vec![first?];
    all.extend(others?);
    Some(all)
}

fn first(file: &Scenario, seed: u64, root: &Spot, faults: &Faults) -> Option<ProfilePlan> {
    let keys = if file.profile.is_absent() && (!is_remote(&file.target) || !is_asked_for(file)) {
        Some(made_up(seed))
    } else {
        let (
            Profile {
                provision_key,
                provision_secret,
            },
            at,
        ) = required(&file.profile, "[profile]", root, PROFILE, faults)?;
        let key = secret(provision_key, "provision_key", at, faults);
        let secret = secret(provision_secret, "provision_secret", at, faults);
        key.zip(secret)
    };
    let target = file.target.value();
    let strategy = target.map_or(Some(Choice(Strategy::default())), |target| {
        target.strategy.or(Choice(Strategy::default()))
    });
    let pattern = target.map_or(Some(PATTERN.to_owned()), |target| {
        pattern(&target.name_pattern, faults)
    });
    let allow_create = target.map_or(Some(true), |target| target.allow_create.or(true));
    let (key, secret) = keys?;
    Some(ProfilePlan {
        name: "default".to_owned(),
        key,
        secret,
        strategy: strategy?.0,
        name_pattern: pattern?,
        allow_create: allow_create?,
    })
}

fn other(
    table: &OtherProfile,
    at: &Spot,
    file: &Scenario,
    seed: u64,
    faults: &Faults,
) -> Option<ProfilePlan> {
    let (name, spot) = required(&table.name, "name", at, "name = \"gateways\"", faults)?;
    let name = filled(name, "name", spot, faults);
    let keyless = table.provision_key.is_absent() && table.provision_secret.is_absent();
    let keys = if keyless && !is_remote(&file.target) {
        Some(made_up(seed))
    } else {
        let key = secret(&table.provision_key, "provision_key", at, faults);
        let secret = secret(&table.provision_secret, "provision_secret", at, faults);
        key.zip(secret)
    };
    for (key, spot) in [
        ("strategy", table.strategy.given().map(|(_, spot)| spot)),
        ("name_pattern", table.name_pattern.given().map(|(_, s)| s)),
        ("allow_create", table.allow_create.given().map(|(_, s)| s)),
    ] {
        if let (Some(spot), true) = (spot, is_remote(&file.target)) {
            let title = format!("`{key}` is for the embedded target");
            faults.add(
                spot,
                title,
                "remove it: a real server's profile has its own",
            );
        }
    }
    let strategy = table.strategy.or(Choice(Strategy::default()));
    let pattern = pattern(&table.name_pattern, faults);
    let (key, secret) = keys?;
    Some(ProfilePlan {
        name: name?,
        key,
        secret,
        strategy: strategy?.0,
        name_pattern: pattern?,
        allow_create: table.allow_create.or(true)?,
    })
}

/// Whether any cohort sends provision requests to the first profile.
fn is_asked_for(file: &Scenario) -> bool {
    let Some(cohorts) = file.cohort.value().filter(|cohorts| !cohorts.is_empty()) else {
        return true;
    };
    cohorts.iter().any(|Placed(cohort, _)| {
        let by_chain = cohort
            .credentials
            .value()
            .is_some_and(|choice| choice.0 == CredentialsWord::X509Chain);
        let trespasses = cohort
            .misbehaviour
            .value()
            .is_some_and(|choice| choice.0 == Misbehaviour::OtherProfile);
        trespasses || (!by_chain && cohort.profile.is_absent())
    })
}

fn pattern(entry: &Entry<Text>, faults: &Faults) -> Option<String> {
    match entry {
        Entry::Absent => Some(PATTERN.to_owned()),
        Entry::Faulty => None,
        Entry::Given(text, spot) => filled(text, "name_pattern", spot, faults),
    }
}

fn secret(entry: &Entry<Text>, key: &str, at: &Spot, faults: &Faults) -> Option<SecretString> {
    let example = format!("{key} = \"${{env:TB_{}}}\"", key.to_uppercase());
    let (text, spot) = required(entry, key, at, &example, faults)?;
    if text.as_str().trim().is_empty() {
        faults.add(
            spot,
            format!("`{key}` is empty"),
            "copy it from the device profile",
        );
        return None;
    }
    Some(text.as_str().into())
}

/// Far from the tokens of devices, which are counted from 0.
fn made_up(seed: u64) -> (SecretString, SecretString) {
    (
        token(seed, u32::MAX).into(),
        token(seed, u32::MAX - 1).into(),
    )
}

const PROFILE: &str = "[profile] with `provision_key` and `provision_secret`, \
    which only the embedded target can do without";

/// The whole common name.
const PATTERN: &str = "(.+)";
