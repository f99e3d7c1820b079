//! `[arrival]` and `[limits]`.

use std::net::IpAddr;
use std::time::Duration;

use super::super::fault::Faults;
use super::super::file::{self, Model, Spacing, Stage};
use super::super::leaf::{Choice, Placed, Span, Text};
use super::super::plan::Limits;
use super::super::section::Entry;
use super::super::sources::sources;
use super::super::tree::Spot;
use super::{required, search, within};
use crate::arrival::{Arrival, Closed, ClosedStage, Open, OpenStage, StageEnd};

/// When devices start that belong to a cohort without its own arrival; there need be none.
#[expect(
    clippy::option_option,
    reason = "a faulty section, or one that is not there"
)]
pub(super) fn shared(
    file: &file::Scenario,
    root: &Spot,
    faults: &Faults,
) -> Option<Option<Arrival>> {
    match &file.search {
        Entry::Absent => {}
        // What both of them say is a fault of its own.
        Entry::Faulty => return None,
        Entry::Given(table, _) => return search::arrival(table).map(Some),
    }
    let cohorts = file.cohort.value().map_or(&[][..], Vec::as_slice);
    let followed = cohorts.is_empty()
        || cohorts
            .iter()
            .any(|Placed(cohort, _)| cohort.arrival.is_absent());
    match &file.arrival {
        Entry::Absent if !followed => Some(None),
        Entry::Given(_, spot) if !followed => {
            let title = "nobody follows [arrival]: each cohort has its own";
            faults.add(spot, title, "remove it, or the `arrival` of a cohort");
            None
        }
        entry => {
            required(entry, "[arrival]", root, ARRIVAL, faults)?;
            arrival(entry, faults).map(Some)
        }
    }
}

/// An arrival, if there is one.
pub(super) fn arrival(entry: &Entry<file::Arrival>, faults: &Faults) -> Option<Arrival> {
    let (table, at) = entry.given()?;
    let stages = required(&table.stages, "stages", at, STAGES, faults);
    let truncate = table.truncate.or(false);
    let model = table.model.or(Choice(Model::Open))?.0;
    let spacing = spacing(table, model, faults)?;
    let (stages, spot) = stages?;
    if stages.is_empty() {
        faults.add(spot, "`stages` is empty", format!("add {STAGES}"));
        return None;
    }
    match model {
        Model::Open => {
            let read: Vec<_> = stages.iter().map(|stage| open(stage, faults)).collect();
            let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
            if read.iter().all(OpenStage::is_pause) {
                faults.add(
                    spot,
                    "no stage has a rate above 0",
                    "no device would ever start",
                );
                return None;
            }
            let open = Open::new(read, truncate?);
            Some(Arrival::Open(match spacing {
                Spacing::Even => open,
                Spacing::Poisson => open.spaced_randomly(),
            }))
        }
        Model::Closed => {
            let read: Vec<_> = stages.iter().map(|stage| closed(stage, faults)).collect();
            let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
            Some(Arrival::Closed(Closed::new(read, truncate?)))
        }
    }
}

/// How the open model's devices are spaced.
fn spacing(table: &file::Arrival, model: Model, faults: &Faults) -> Option<Spacing> {
    let spacing = table.spacing.or(Choice(Spacing::Even))?.0;
    if let (Model::Closed, Spacing::Poisson, Some((_, spot))) =
        (model, spacing, table.spacing.given())
    {
        let title = "`spacing` is the open model's: a closed one waits for places";
        faults.add(
            spot,
            title,
            "remove it, or take model = \"open\" with rates",
        );
        return None;
    }
    Some(spacing)
}

/// A stage that is nothing but a burst.
fn burst(stage: &Stage, faults: &Faults) -> Option<OpenStage> {
    let (devices, spot) = stage.burst.given()?;
    let alone = stage.duration.is_absent()
        && stage.count.is_absent()
        && stage.batch.is_absent()
        && stage.every.is_absent()
        && paced_otherwise(stage).is_none();
    if !alone {
        faults.add(
            spot,
            "a burst is a moment: its stage has no other key",
            "put a stage after it, e.g. { duration = \"10s\", rate = 0 }",
        );
        return None;
    }
    positive(*devices, "burst", spot, faults).map(OpenStage::burst)
}

/// A key that a stage of batches has no use for.
fn paced_otherwise(stage: &Stage) -> Option<(&'static str, &Spot)> {
    let keys = [
        ("rate", stage.rate.spot()),
        ("from", stage.from.spot()),
        ("to", stage.to.spot()),
        ("concurrency", stage.concurrency.spot()),
    ];
    keys.into_iter().find_map(|(key, spot)| Some((key, spot?)))
}

/// A stage of batches by takt.
fn batches(stage: &Stage, at: &Spot, faults: &Faults) -> Option<OpenStage> {
    let (batch, every) = ("batch = 12", "every = \"30s\"");
    let size = required(&stage.batch, "batch", at, batch, faults);
    let size = size.and_then(|(size, spot)| positive(*size, "batch", spot, faults));
    let every = required(&stage.every, "every", at, every, faults)
        .and_then(|_| span(&stage.every, "every", Duration::ZERO, MILLISECOND, faults));
    let end = end(stage, at, faults);
    if let Some((key, spot)) = paced_otherwise(stage) {
        let title = format!("batches come each `every`: `{key}` has no place beside them");
        faults.add(spot, title, "remove it");
        return None;
    }
    let (size, every) = (size?, every?);
    match end? {
        End::After(duration) => Some(OpenStage::batches(size, every, duration)),
        End::Count(count) => {
            let stage = OpenStage::counted_batches(size, every, count);
            within_a_year(stage.duration.as_secs_f64(), count, at, faults)?;
            Some(stage)
        }
    }
}

fn within_a_year(seconds: f64, count: u32, at: &Spot, faults: &Faults) -> Option<()> {
    if seconds > YEAR_S {
        let title =
            format!("a stage lasts at most a year, this one takes longer for its {count} devices");
        faults.add(at, title, "start them faster, or lower its `count`");
        return None;
    }
    Some(())
}

fn positive(found: u32, key: &str, spot: &Spot, faults: &Faults) -> Option<u32> {
    if found == 0 {
        faults.add(spot, format!("`{key}` must be at least 1, found 0"), "");
    }
    (found > 0).then_some(found)
}

/// A stage ends after a time or a number of devices.
enum End {
    After(Duration),
    Count(u32),
}

fn end(stage: &Stage, at: &Spot, faults: &Faults) -> Option<End> {
    match (&stage.duration, stage.count.given()) {
        (Entry::Given(..), Some((_, spot))) => {
            faults.add(
                spot,
                "a stage has a `duration` or a `count`, found both",
                "remove one",
            );
            None
        }
        (_, Some((count, spot))) => positive(*count, "count", spot, faults).map(End::Count),
        (_, None) => length(stage, at, faults).map(End::After),
    }
}

fn open(Placed(stage, at): &Placed<Stage>, faults: &Faults) -> Option<OpenStage> {
    if !stage.burst.is_absent() {
        return burst(stage, faults);
    }
    if !stage.batch.is_absent() || !stage.every.is_absent() {
        return batches(stage, at, faults);
    }
    let end = end(stage, at, faults);
    if let Some((_, spot)) = stage.concurrency.given() {
        let title = "`concurrency` is the closed model's";
        faults.add(
            spot,
            title,
            "use `rate`, or `from` and `to`, or model = \"closed\"",
        );
        return None;
    }
    let (from, to) = rates(stage, at, faults)?;
    match end? {
        End::After(duration) => Some(OpenStage::lasting(duration, from, to)),
        End::Count(_) if from == 0.0 && to == 0.0 => {
            faults.add(
                at,
                "a stage of rate 0 never reaches its `count`",
                "give it a rate, or a `duration`",
            );
            None
        }
        End::Count(count) => {
            let seconds = f64::from(count) / f64::midpoint(from, to);
            within_a_year(seconds, count, at, faults)?;
            Some(OpenStage::counted(count, from, to))
        }
    }
}

/// The rates at a stage's start and end.
fn rates(stage: &Stage, at: &Spot, faults: &Faults) -> Option<(f64, f64)> {
    match (&stage.rate, &stage.from, &stage.to) {
        (Entry::Given(..), from, to) if !from.is_absent() || !to.is_absent() => {
            faults.add(
                at,
                "a stage has a rate, or `from` and `to`, found both",
                "remove one",
            );
            None
        }
        (Entry::Absent, Entry::Absent, Entry::Absent) => {
            faults.add(
                at,
                "a stage of the open model needs a rate",
                "add rate = 100, or from = 0, to = 100",
            );
            None
        }
        (Entry::Absent, Entry::Absent, Entry::Given(..)) => {
            faults.add(at, "a ramp needs `from`", "add from = 0");
            None
        }
        (Entry::Absent, Entry::Given(..), Entry::Absent) => {
            faults.add(
                at,
                "a ramp needs `to`",
                "add the rate at its end, e.g. to = 100",
            );
            None
        }
        (Entry::Given(..), ..) => rate(&stage.rate, "rate", faults).map(|rate| (rate, rate)),
        (Entry::Absent, from, to) => {
            let (from, to) = (rate(from, "from", faults), rate(to, "to", faults));
            from.zip(to)
        }
        (Entry::Faulty, ..) => None,
    }
}

fn closed(Placed(stage, at): &Placed<Stage>, faults: &Faults) -> Option<ClosedStage> {
    let end = end(stage, at, faults);
    for (key, spot) in [
        ("rate", stage.rate.spot()),
        ("from", stage.from.spot()),
        ("to", stage.to.spot()),
        ("burst", stage.burst.spot()),
        ("batch", stage.batch.spot()),
        ("every", stage.every.spot()),
    ] {
        if let Some(spot) = spot {
            faults.add(
                spot,
                format!("`{key}` is the open model's"),
                "use `concurrency`, or model = \"open\"",
            );
            return None;
        }
    }
    let example = "concurrency = 100";
    let (concurrency, spot) = required(&stage.concurrency, "concurrency", at, example, faults)?;
    if *concurrency == 0 {
        faults.add(spot, "`concurrency` must be at least 1, found 0", "");
        return None;
    }
    Some(ClosedStage {
        end: match end? {
            End::After(duration) => StageEnd::After(duration),
            End::Count(count) => StageEnd::Started(count),
        },
        concurrency: *concurrency,
    })
}

fn length(stage: &Stage, at: &Spot, faults: &Faults) -> Option<Duration> {
    let (Span(duration), spot) = required(
        &stage.duration,
        "duration",
        at,
        "duration = \"10s\"",
        faults,
    )?;
    if *duration < MILLISECOND {
        faults.add(spot, "a stage lasts at least 1ms", "remove it");
        return None;
    }
    Some(*duration)
}

/// A rate that cannot bring the schedule to overflow: 0, or from one device in 1000 s to a
/// million in one.
fn rate(entry: &Entry<f64>, key: &str, faults: &Faults) -> Option<f64> {
    let (rate, spot) = entry.given()?;
    if *rate == 0.0 || (SLOWEST..=FASTEST).contains(rate) {
        return Some(rate.abs());
    }
    let title = format!(
        "`{key}` must be 0, or from {SLOWEST} to {FASTEST} devices per second, found {rate}"
    );
    faults.add(spot, title, "");
    None
}

/// Bounds and time limits.
pub(super) fn limits(entry: &Entry<file::Limits>, faults: &Faults) -> Option<Limits> {
    let limits = Limits::default();
    let table = match entry {
        Entry::Absent => return Some(limits),
        Entry::Faulty => return None,
        Entry::Given(table, _) => table,
    };
    let connect = span(
        &table.connect_timeout,
        "connect_timeout",
        limits.connect_timeout,
        MILLISECOND,
        faults,
    );
    let answer = span(
        &table.answer_timeout,
        "answer_timeout",
        limits.answer_timeout,
        MILLISECOND,
        faults,
    );
    let suback = span(
        &table.suback_wait,
        "suback_wait",
        limits.suback_wait,
        MILLISECOND,
        faults,
    );
    let grace = span(&table.grace, "grace", limits.grace, Duration::ZERO, faults);
    let keep_alive = table
        .keep_alive
        .or(Span(limits.keep_alive))
        .map(|span| span.0);
    if let Some((Span(found), spot)) = table.keep_alive.given()
        && (found.subsec_nanos() != 0 || !(1..=65_535).contains(&found.as_secs()))
    {
        let title = "`keep_alive` must be whole seconds, from 1s to 65535s";
        faults.add(spot, title, "MQTT counts it in 16 bits of seconds");
    }
    let in_flight = at_least_one(
        &table.in_flight,
        "in_flight",
        limits.in_flight,
        u32::MAX,
        faults,
    );
    let processes = at_least_one(&table.processes, "processes", 1, PROCESSES_MAX, faults)?;
    let workers = at_least_one(
        &table.workers,
        "workers",
        limits.workers as u32,
        1024,
        faults,
    );
    Some(Limits {
        connect_timeout: connect?,
        answer_timeout: answer?,
        coap_answer_timeout: match table.answer_timeout.given() {
            Some((Span(given), _)) => *given,
            None => limits.coap_answer_timeout,
        },
        suback_wait: suback?,
        grace: grace?,
        keep_alive: keep_alive?,
        in_flight: in_flight?,
        processes: table.processes.given().map(|_| processes),
        workers: workers? as usize,
        sources: spread_over(&table.sources, faults)?,
    })
}

fn spread_over(entry: &Entry<Text>, faults: &Faults) -> Option<Vec<IpAddr>> {
    let Some((text, spot)) = entry.given() else {
        return entry.is_absent().then(Vec::new);
    };
    let read = sources(text.as_str());
    read.inspect_err(|what| faults.add(spot, what, SOURCES))
        .ok()
}

/// Each has a coordinator's pipe, and a target of its own where that is embedded.
const PROCESSES_MAX: u32 = 1_000;

const SOURCES: &str =
    "write addresses of this machine, as \"10.0.0.5, 10.0.0.7-10.0.0.20, 127.0.1.0/24\"";

pub(super) fn span(
    entry: &Entry<Span>,
    key: &str,
    default: Duration,
    least: Duration,
    faults: &Faults,
) -> Option<Duration> {
    let Span(found) = entry.or(Span(default))?;
    if let (true, Some((_, spot))) = (found < least, entry.given()) {
        let least = humantime::format_duration(least);
        faults.add(spot, format!("`{key}` must be at least {least}"), "");
        return None;
    }
    Some(found)
}

pub(super) fn at_least_one(
    entry: &Entry<u32>,
    key: &str,
    default: u32,
    most: u32,
    faults: &Faults,
) -> Option<u32> {
    within(entry, key, default, (1, most), faults)
}

const ARRIVAL: &str = "[arrival] with stages = [{ duration = \"10s\", rate = 100 }]";

const STAGES: &str = "stages = [{ duration = \"10s\", rate = 100 }]";

const MILLISECOND: Duration = Duration::from_millis(1);

const YEAR_S: f64 = 365.0 * 86_400.0;

const SLOWEST: f64 = 0.001;

const FASTEST: f64 = 1e6;
