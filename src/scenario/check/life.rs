//! `[reconnect]`, `[provision_retry]`, `[duty]` and `[[event]]`.

use std::time::Duration;

use super::super::fault::Faults;
use super::super::file::Scenario;
use super::super::leaf::{Choice, Placed, Span};
use super::super::life_keys::{self, Awake as TypedAwake, BootModel, ProvisionRetry, Reconnect};
use super::super::plan::{Cohort, LifePlan, TelemetryPlan};
use super::super::section::Entry;
use super::super::tree::Spot;
use super::schedule::span;
use super::{required, within};
use crate::life::{Awake, Backoff, Boot, Duty, Event, EventKind, Jitter};
use crate::payload::Spread;

/// What happens to devices besides. `telemetry` is `None` when it is faulty; `end`, when the stages
/// are over, when nobody can tell.
pub(super) fn life(
    file: &Scenario,
    seed: u64,
    telemetry: Option<&Option<TelemetryPlan>>,
    end: Option<Duration>,
    faults: &Faults,
) -> Option<LifePlan> {
    let setting = Setting { seed, faults };
    let reconnect = match &file.reconnect {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(table, _) => setting.backoff(&Keys::from(table)).map(Some),
    };
    let provision_retry = match &file.provision_retry {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(table, _) => setting.backoff(&Keys::from(table)).map(Some),
    };
    let duty = match &file.duty {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(table, at) => setting.duty(table, at, telemetry).map(Some),
    };
    let events = setting.events(&file.event, end);
    if let Some(None) = telemetry {
        if let Some((_, spot)) = file.duty.given() {
            let title = "[duty] is about devices that send telemetry";
            faults.add(spot, title, "add [telemetry]");
        }
        let first_event = file.event.value().and_then(|events| events.first());
        for (section, spot) in [
            ("[reconnect]", file.reconnect.given().map(|(_, spot)| spot)),
            ("[[event]]", first_event.map(|Placed(_, spot)| spot)),
        ] {
            let (Some(spot), true) = (spot, file.downlink.is_absent()) else {
                continue;
            };
            let title = format!("{section} is about devices that stay connected");
            faults.add(spot, title, "add [telemetry], or [downlink]");
        }
    }
    Some(LifePlan {
        reconnect: reconnect?,
        provision_retry: provision_retry?,
        duty: duty?,
        events: events?,
    })
}

/// Reports rotations that no cohort has certificates for.
pub(super) fn rotations(file: &Scenario, cohorts: &[Cohort], faults: &Faults) {
    let events = file.event.value().map_or(&[][..], Vec::as_slice);
    for Placed(event, _) in events {
        if let Some((Choice(EventKind::Rotate), spot)) = event.kind.given()
            && !cohorts.iter().any(Cohort::rotates)
        {
            let title = "no cohort has certificates to rotate";
            let help = "`rotate` is for credentials = \"x509_chain\" with certificates that are made \
                for the run";
            faults.add(spot, title, help);
        }
    }
}

/// The keys of either back-off, and what holds where there is no budget.
struct Keys<'t> {
    initial: &'t Entry<Span>,
    factor: &'t Entry<f64>,
    max: &'t Entry<Span>,
    jitter: &'t Entry<Choice<Jitter>>,
    budget: &'t Entry<u32>,
    without: Option<u32>,
}

impl<'t> From<&'t Reconnect> for Keys<'t> {
    fn from(table: &'t Reconnect) -> Self {
        Self {
            initial: &table.initial,
            factor: &table.factor,
            max: &table.max,
            jitter: &table.jitter,
            budget: &table.budget,
            without: None,
        }
    }
}

impl<'t> From<&'t ProvisionRetry> for Keys<'t> {
    fn from(table: &'t ProvisionRetry) -> Self {
        Self {
            initial: &table.initial,
            factor: &table.factor,
            max: &table.max,
            jitter: &table.jitter,
            budget: &table.budget,
            without: Some(TRIES),
        }
    }
}

struct Setting<'f> {
    seed: u64,
    faults: &'f Faults,
}

impl Setting<'_> {
    fn backoff(&self, keys: &Keys<'_>) -> Option<Backoff> {
        let faults = self.faults;
        let initial = span(keys.initial, "initial", SECOND, MILLISECOND, faults);
        // A first wait that is longer than the longest by default makes that longer, too.
        let longest = MINUTE.max(initial.unwrap_or_default());
        let max = span(keys.max, "max", longest, MILLISECOND, faults);
        let factor = within(keys.factor, "factor", 2.0, (1.0, 100.0), faults);
        if let (Some(initial), Some(max), Some((_, spot))) = (initial, max, keys.max.given())
            && max < initial
        {
            let title = "`max` is shorter than `initial`";
            faults.add(spot, title, "no wait is longer than `max`");
            return None;
        }
        let budget = match keys.budget {
            Entry::Absent => Some(keys.without),
            Entry::Faulty => None,
            Entry::Given(0, spot) => {
                let title = "`budget` must be at least 1, found 0";
                faults.add(spot, title, "it is a number of attempts");
                None
            }
            Entry::Given(budget, _) => Some(Some(*budget)),
        };
        Some(Backoff {
            initial: initial?,
            factor: factor?,
            max: max?,
            jitter: keys.jitter.or(Choice(Jitter::default()))?.0,
            budget: budget?,
            seed: self.seed,
        })
    }

    fn duty(
        &self,
        table: &life_keys::Duty,
        at: &Spot,
        telemetry: Option<&Option<TelemetryPlan>>,
    ) -> Option<Duty> {
        let faults = self.faults;
        required(&table.wake, "wake", at, "wake = \"10min\"", faults)?;
        let wake = span(&table.wake, "wake", SECOND, SHORTEST_PERIOD, faults);
        let jitter = within(&table.jitter, "jitter", 0.05, (0.0, 0.5), faults);
        let TypedAwake(awake) = table.awake.or(TypedAwake(Awake::Messages(1)))?;
        let wake = wake?;
        let spot = table.awake.given().map_or(at, |(_, spot)| spot);
        if matches!(awake, Awake::Messages(0) | Awake::For(Duration::ZERO)) {
            faults.add(spot, "`awake` must be more than 0", "write 1, or \"30s\"");
            return None;
        }
        let rhythm = telemetry?.as_ref().map(|telemetry| telemetry.rhythm);
        let interval = rhythm.map_or(Duration::ZERO, |rhythm| rhythm.interval);
        let long = match awake {
            Awake::Messages(n) => interval.saturating_mul(n - 1),
            Awake::For(long) => long,
        };
        if long >= wake {
            let long = humantime::format_duration(long);
            let title = format!("devices are awake for {long}, and never sleep");
            faults.add(spot, title, "wake them less often, or for less long");
            return None;
        }
        if rhythm.is_some_and(|rhythm| rhythm.spread != Spread::None || rhythm.jitter > 0.0) {
            let title = "[telemetry] has `spread` or `jitter`, and [duty] its own rhythm";
            faults.add(
                at,
                title,
                "remove them: wake-ups are spread over the period",
            );
            return None;
        }
        Some(Duty {
            wake,
            awake,
            jitter: jitter?,
            seed: self.seed,
        })
    }

    fn events(
        &self,
        entry: &Entry<Vec<Placed<life_keys::Event>>>,
        end: Option<Duration>,
    ) -> Option<Vec<Event>> {
        let placed = match entry {
            Entry::Absent => return Some(Vec::new()),
            Entry::Faulty => return None,
            Entry::Given(placed, _) => placed,
        };
        let read: Vec<_> = (0..)
            .zip(placed)
            .map(|(number, Placed(table, at))| self.event(number, table, at, end))
            .collect();
        let mut events: Vec<Event> = read.into_iter().collect::<Option<_>>()?;
        events.sort_by_key(|event| event.at);
        Some(events)
    }

    fn event(
        &self,
        number: u32,
        table: &life_keys::Event,
        at: &Spot,
        end: Option<Duration>,
    ) -> Option<Event> {
        let faults = self.faults;
        let kinds = "kind = \"power_loss\"";
        let kind = required(&table.kind, "kind", at, kinds, faults).map(|(kind, _)| kind.0);
        let when = required(&table.at, "at", at, "at = \"30s\"", faults);
        let share = match &table.share {
            Entry::Absent => Some(1.0),
            Entry::Given(share, _) if *share > 0.0 && *share <= 1.0 => Some(*share),
            Entry::Given(share, spot) => {
                let title = format!("`share` must be more than 0 and at most 1, found {share}");
                faults.add(spot, title, "0.5 is half of the devices");
                None
            }
            Entry::Faulty => None,
        };
        let boot = match &table.boot {
            Entry::Absent => Some(Boot::Fixed(Duration::ZERO)),
            Entry::Faulty => None,
            Entry::Given(_, spot)
                if matches!(kind, Some(EventKind::Takeover | EventKind::Rotate)) =>
            {
                let kind = if kind == Some(EventKind::Rotate) {
                    "rotate"
                } else {
                    "takeover"
                };
                let title = format!("`boot` is not for `{kind}`: nobody is away");
                faults.add(spot, title, "remove it");
                None
            }
            Entry::Given(boot, spot) => self.boot(boot, spot),
        };
        let check_old = table.check_old.or(false);
        if let (Some((_, spot)), true) = (
            table.check_old.given(),
            kind.is_some_and(|kind| kind != EventKind::Rotate),
        ) {
            let title = "`check_old` is about certificates, which `rotate` replaces";
            faults.add(spot, title, "remove it");
            return None;
        }
        let (Span(when), spot) = when?;
        let Span(spread) = table.spread.or(Span(Duration::ZERO))?;
        if end.is_some_and(|end| *when + spread >= end) {
            let title = if spread.is_zero() {
                "the run is over by then: it ends with the stages of [arrival]"
            } else {
                "the run is over before the event is: it ends with the stages of [arrival]"
            };
            let help = "choose an earlier time, or add a last stage with rate = 0";
            faults.add(spot, title, help);
            return None;
        }
        Some(Event {
            at: *when,
            spread,
            kind: kind?,
            share: share?,
            boot: boot?,
            check_old: check_old?,
            number,
            seed: self.seed,
        })
    }

    fn boot(&self, table: &life_keys::Boot, at: &Spot) -> Option<Boot> {
        let faults = self.faults;
        let model = required(&table.model, "model", at, "model = \"uniform\"", faults)?
            .0
            .0;
        let needed: &[&str] = match model {
            BootModel::Fixed => &["time"],
            BootModel::Uniform => &["from", "to"],
            BootModel::Normal => &["mean", "sd"],
            BootModel::Exponential => &["mean"],
        };
        let mut sound = true;
        let mut times = [Duration::ZERO; 5];
        let keys = [
            ("time", &table.time),
            ("from", &table.from),
            ("to", &table.to),
            ("mean", &table.mean),
            ("sd", &table.sd),
        ];
        for ((key, entry), time) in keys.into_iter().zip(&mut times) {
            match (entry, needed.contains(&key)) {
                (Entry::Given(Span(given), _), true) => *time = *given,
                (Entry::Given(_, spot), false) => {
                    let title = format!("`{key}` is not a key of this boot model");
                    faults.add(spot, title, format!("it has {}", needed.join(" and ")));
                    sound = false;
                }
                (Entry::Absent, true) => {
                    let title = format!("`{key}` is missing");
                    faults.add(at, title, format!("add {key} = \"10s\""));
                    sound = false;
                }
                (Entry::Absent, false) => {}
                (Entry::Faulty, _) => sound = false,
            }
        }
        let [time, from, to, mean, sd] = times;
        if sound && model == BootModel::Uniform && to < from {
            faults.add(at, "`to` is shorter than `from`", "");
            return None;
        }
        sound.then_some(match model {
            BootModel::Fixed => Boot::Fixed(time),
            BootModel::Uniform => Boot::Uniform { from, to },
            BootModel::Normal => Boot::Normal { mean, sd },
            BootModel::Exponential => Boot::Exponential { mean },
        })
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

const SHORTEST_PERIOD: Duration = Duration::from_millis(100);

const SECOND: Duration = Duration::from_secs(1);

const MINUTE: Duration = Duration::from_mins(1);

/// Of `[provision_retry]`, the first included.
const TRIES: u32 = 5;
