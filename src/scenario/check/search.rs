//! `[search]`: what it needs, and what has no place beside it.

use std::time::Duration;

use super::super::fault::Faults;
use super::super::file::Scenario;
use super::super::leaf::{Placed, Span};
use super::super::search_keys::Search;
use super::super::section::Entry;
use super::super::tree::Spot;
use super::schedule::span;
use super::{required, within};
use crate::arrival::{Arrival, Open, OpenStage};
use crate::search::SearchRules;

/// What is to be searched, if anything.
#[expect(
    clippy::option_option,
    reason = "a faulty section, or one that is not there"
)]
pub(super) fn search(file: &Scenario, faults: &Faults) -> Option<Option<SearchRules>> {
    let (table, at) = match &file.search {
        Entry::Absent => return Some(None),
        Entry::Faulty => return None,
        Entry::Given(table, spot) => (table, spot),
    };
    let alone = is_alone(file, faults);
    let rules = rules(table, at, faults)?;
    let counted = rules.from * rules.hold.as_secs_f64();
    if counted < LEAST_DEVICES {
        let title = format!(
            "at {} devices per second a trial of {} counts {} devices: too few to judge by",
            rules.from,
            humantime::format_duration(rules.hold),
            counted.floor(),
        );
        let help = "let `hold` be longer, so that `from` × `hold` gives at least 10";
        faults.add(at, title, help);
        return None;
    }
    alone.then_some(Some(rules))
}

fn rules(table: &Search, at: &Spot, faults: &Faults) -> Option<SearchRules> {
    let from = required(&table.from, "from", at, "from = 10", faults);
    let to = required(&table.to, "to", at, "to = 1000", faults);
    let from = from.and_then(|(rate, spot)| possible(*rate, "from", spot, faults));
    let to = to.and_then(|(rate, spot)| possible(*rate, "to", spot, faults).map(|to| (to, spot)));
    let need = match table.need.given() {
        None => (!matches!(table.need, Entry::Faulty)).then_some(None),
        Some((need, spot)) => possible(*need, "need", spot, faults).map(Some),
    };
    let step = within(&table.step, "step", 2.0, (1.05, 10.0), faults);
    let precision = within(&table.precision, "precision", 0.05, (0.005, 0.5), faults);
    let second = Duration::from_secs(1);
    let warm_up = span(
        &table.warm_up,
        "warm_up",
        3 * second,
        Duration::ZERO,
        faults,
    );
    let hold = span(&table.hold, "hold", 10 * second, second, faults);
    let cool_down = span(
        &table.cool_down,
        "cool_down",
        2 * second,
        Duration::ZERO,
        faults,
    );
    let confirm = within(&table.confirm, "confirm", 2, (0, 20), faults);
    let trials = within(&table.trials, "trials", 40, (1, 1_000), faults);
    let spans = [
        ("warm_up", &table.warm_up),
        ("hold", &table.hold),
        ("cool_down", &table.cool_down),
    ];
    let mut short = true;
    for (key, entry) in spans {
        if let Some((Span(found), spot)) = entry.given()
            && *found > LONGEST
        {
            faults.add(spot, format!("`{key}` is at most an hour"), "");
            short = false;
        }
    }
    let (from, (to, spot)) = (from?, to?);
    if to < from {
        let title = format!("`to` is below `from`: {to} and {from} devices per second");
        faults.add(spot, title, "the search begins at `from` and goes up");
        return None;
    }
    let rules = SearchRules {
        from,
        to,
        step: step?,
        precision: precision?,
        warm_up: warm_up?,
        hold: hold?,
        cool_down: cool_down?,
        confirm: confirm?,
        need: need?,
        trials: trials?,
    };
    short.then_some(rules)
}

/// The search decides when devices start, and measures how many can be provisioned: what else they
/// would do has no place in it, and faults on purpose would be counted against the target.
fn is_alone(file: &Scenario, faults: &Faults) -> bool {
    let mut alone = true;
    let mut object = |spot: Option<&Spot>, title: String, help: &str| {
        if let Some(spot) = spot {
            faults.add(spot, title, help);
            alone = false;
        }
    };
    object(
        file.arrival.spot(),
        "[arrival] and [search] both say when devices start".to_owned(),
        "remove one of them",
    );
    for (name, spot) in [
        ("[telemetry]", file.telemetry.spot()),
        ("[downlink]", file.downlink.spot()),
        ("[reconnect]", file.reconnect.spot()),
        ("[duty]", file.duty.spot()),
        ("[[event]]", file.event.spot()),
        ("[[push]]", file.push.spot()),
    ] {
        let title = format!("{name} has no place beside [search]");
        let help = "a search provisions devices and does nothing else with them: what those of one \
            trial went on with would be load for the next";
        object(spot, title, help);
    }
    let cohorts = file.cohort.value().map_or(&[][..], Vec::as_slice);
    for Placed(cohort, _) in cohorts {
        for (key, spot) in [
            ("arrival", cohort.arrival.spot()),
            ("gateway", cohort.gateway.spot()),
            ("misbehaviour", cohort.misbehaviour.spot()),
            ("expect", cohort.expect.spot()),
        ] {
            let title = format!("a cohort's `{key}` has no place beside [search]");
            let help = "a search is for devices that come at its rate and are to be provisioned";
            object(spot, title, help);
        }
    }
    let conditions = file.thresholds.value().map_or(&[][..], |all| &all.0);
    for condition in conditions {
        let title = format!(
            "threshold {:?}: a search is not aborted by one",
            condition.metric
        );
        let help = "remove `abort`: a threshold ends the way up, and the search goes on below";
        let aborts = condition.abort.value() == Some(&true);
        object(aborts.then_some(&condition.spot), title, help);
    }
    alone
}

/// What devices follow as long as the search has not said more: the plan's own arrival, by which
/// nobody starts.
pub(super) fn arrival(table: &Search) -> Option<Arrival> {
    let rate = *table.from.value()?;
    let rate = (SLOWEST..=FASTEST).contains(&rate).then_some(rate)?;
    let stage = OpenStage::lasting(Duration::from_secs(1), rate, rate);
    Some(Arrival::Open(Open::new(vec![stage], false)))
}

fn possible(rate: f64, key: &str, spot: &Spot, faults: &Faults) -> Option<f64> {
    if (SLOWEST..=FASTEST).contains(&rate) {
        return Some(rate);
    }
    let title =
        format!("`{key}` must be from {SLOWEST} to {FASTEST} devices per second, found {rate}");
    faults.add(spot, title, "");
    None
}

const SLOWEST: f64 = 0.1;
const FASTEST: f64 = 100_000.0;
const LONGEST: Duration = Duration::from_hours(1);

/// Of so few, one more or less is a tenth.
const LEAST_DEVICES: f64 = 10.0;
