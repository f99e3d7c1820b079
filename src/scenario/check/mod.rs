//! From the scenario as typed to the plan: what it means, if it means something.
//!
//! One function for each section; each reports all that it finds and passes over what is already
//! known to be faulty.

mod credentials;
mod downlink;
pub(super) mod faults;
mod fleet;
mod gateway;
mod life;
mod profile;
pub(super) mod rpc;
mod schedule;
mod search;
mod target;
mod telemetry;
mod thresholds;
mod validity;

use std::fmt::Display;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::fault::Faults;
use super::file::Scenario;
use super::leaf::Text;
use super::plan::{Cohort, Plan};
use super::section::Entry;
use super::tree::Spot;
use crate::arrival::Arrival;

/// Checks a scenario; `seed` overrides its own. `None` exactly when there are faults.
pub(super) fn plan(file: &Scenario, seed: Option<u64>, faults: &Faults) -> Option<Plan> {
    let root = Spot {
        text: 0,
        range: 0..0,
    };
    let seed_is_drawn = seed.is_none() && file.seed.is_absent();
    let seed = seed.or_else(|| file.seed.or(drawn()));
    let name = name(&file.name, &root, faults);
    let target = target::target(&file.target, &root, faults);
    let profiles = profile::profiles(file, seed.unwrap_or(0), &root, faults);
    let search = search::search(file, faults);
    let searched = search.as_ref().and_then(Option::as_ref);
    let devices = fleet::devices(file, seed.unwrap_or(0), searched, &root, faults);
    let cohorts = fleet::cohorts(file, devices.as_ref(), faults);
    let arrival = schedule::shared(file, &root, faults);
    let speakers = (devices.as_ref(), cohorts.as_deref());
    let telemetry = telemetry::telemetry(&file.telemetry, seed.unwrap_or(0), speakers, faults);
    let downlink = downlink::downlink(
        file,
        seed.unwrap_or(0),
        speakers,
        stages_end(arrival.as_ref(), cohorts.as_deref()),
        faults,
    );
    let life = life::life(
        file,
        seed.unwrap_or(0),
        telemetry.as_ref(),
        stages_end(arrival.as_ref(), cohorts.as_deref()),
        faults,
    );
    if let Some(cohorts) = &cohorts {
        life::rotations(file, cohorts, faults);
    }
    let limits = schedule::limits(&file.limits, faults);
    let thresholds = thresholds::thresholds(
        &file.thresholds,
        cohorts.as_deref(),
        telemetry.as_ref(),
        faults,
    );
    let validity = validity::validity(&file.validity, faults);
    let downlink = downlink?;
    let plan = Plan {
        name: name?,
        seed: seed?,
        seed_is_drawn,
        target: target::used(target?, cohorts.as_deref()?),
        profiles: profiles?,
        devices: devices?,
        cohorts: cohorts?,
        arrival: arrival?,
        telemetry: telemetry?,
        downlink: downlink.downlink,
        pushes: downlink.pushes,
        rest: downlink.rest,
        life: life?,
        limits: limits?,
        thresholds: thresholds?,
        validity: validity?,
        search: search?,
        shown: String::new(),
        response_from_send: false,
    };
    faults.is_empty().then_some(plan)
}

/// When the stages of all arrivals are over, if that is known: the run is over then, too.
fn stages_end(shared: Option<&Option<Arrival>>, cohorts: Option<&[Cohort]>) -> Option<Duration> {
    let own = cohorts?.iter().filter_map(|cohort| cohort.arrival.as_ref());
    let mut end = Duration::ZERO;
    for arrival in own.chain(shared?.as_ref()) {
        if !arrival.is_timed() {
            return None;
        }
        end = end.max(arrival.span());
    }
    Some(end)
}

/// The value of a key that must be there.
fn required<'e, T>(
    entry: &'e Entry<T>,
    key: &str,
    section: &Spot,
    example: &str,
    faults: &Faults,
) -> Option<(&'e T, &'e Spot)> {
    if entry.is_absent() {
        faults.add(
            section,
            format!("`{key}` is missing"),
            format!("add {example}"),
        );
    }
    entry.given()
}

/// A number within bounds.
fn within<T: Copy + PartialOrd + Display>(
    entry: &Entry<T>,
    key: &str,
    default: T,
    (least, most): (T, T),
    faults: &Faults,
) -> Option<T> {
    let found = entry.or(default)?;
    if let (false, Some((_, spot))) = ((least..=most).contains(&found), entry.given()) {
        let title = format!("`{key}` must be from {least} to {most}, found {found}");
        faults.add(spot, title, "");
        return None;
    }
    Some(found)
}

/// A text that must not be empty.
fn filled(text: &Text, key: &str, spot: &Spot, faults: &Faults) -> Option<String> {
    if text.as_str().is_empty() {
        faults.add(spot, format!("`{key}` is empty"), "");
        return None;
    }
    Some(text.as_str().to_owned())
}

/// The run's name, which becomes a part of a directory's.
fn name(entry: &Entry<Text>, root: &Spot, faults: &Faults) -> Option<String> {
    let (name, spot) = required(
        entry,
        "name",
        root,
        "a line such as name = \"line-3\"",
        faults,
    )?;
    let text = name.as_str();
    let sound = text.starts_with(char::is_alphanumeric)
        && !text.ends_with(' ')
        && text.chars().count() <= NAME_LIMIT
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_. ".contains(c));
    if !sound {
        let title = format!(
            "`name` cannot be a part of a directory's name: {}",
            name.shown()
        );
        let help =
            "begin with a letter or digit; up to 100 letters, digits, `-`, `_`, `.` and blanks";
        faults.add(spot, title, help);
        return None;
    }
    Some(text.to_owned())
}

/// A seed for a run that has none: short enough to be typed again.
fn drawn() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}

const NAME_LIMIT: usize = 100;
