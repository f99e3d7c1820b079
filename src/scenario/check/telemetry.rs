//! `[telemetry]`: what is sent, in which form, and when.

use std::time::Duration;

use super::super::fault::Faults;
use super::super::json::Object;
use super::super::leaf::{Choice, Text};
use super::super::models::{Time, Values};
use super::super::plan::{Cohort, DeviceSource, TelemetryPlan};
use super::super::section::Entry;
use super::super::telemetry_keys::{Attributes, PresetWord, Telemetry};
use super::super::tree::Spot;
use super::filled;
use super::schedule::span;
use crate::inventory::{GenerateSpec, Inventory, NameKind, Speaker, Template, generate};
use crate::model::{DeviceIx, Qos};
use crate::payload::{
    Form, Layout, Model, PAD, Part, Payload, PayloadError, Preset, Reading, Rhythm, Section,
    Spread, Stamp, TEMPLATE_NAMES, Unfit,
};

/// What provisioned devices send.
#[expect(
    clippy::option_option,
    reason = "a faulty section, or one that is not there"
)]
pub(super) fn telemetry(
    entry: &Entry<Telemetry>,
    seed: u64,
    (devices, cohorts): (Option<&DeviceSource>, Option<&[Cohort]>),
    faults: &Faults,
) -> Option<Option<TelemetryPlan>> {
    let (table, at) = match entry {
        Entry::Absent => return Some(None),
        Entry::Faulty => return None,
        Entry::Given(table, at) => (table, at),
    };
    let rhythm = rhythm(table, seed, faults);
    let qos = qos(table, faults);
    let stamp = stamp(table, faults);
    let batch = ranged(&table.batch, "batch", 1, 1000, faults);
    let size = size(&table.size, faults);
    let setting = Setting {
        cohorts,
        devices,
        seed,
        faults,
    };
    let given = Given {
        at,
        key: Some(Section::Telemetry),
        payload: &table.payload,
        values: &table.values,
        template: &table.template,
        preset: &table.preset,
        lines: &table.lines,
        size: table.size.given().map(|(_, spot)| spot),
    };
    let form = setting.form(&given);
    let attributes = setting.attributes(&table.attributes);
    let layout = Layout {
        stamp: stamp?,
        batch: batch?,
        size: size?,
        interval: rhythm.as_ref()?.interval,
    };
    let payload = setting.payload(&given, form?, layout);
    Some(Some(TelemetryPlan {
        rhythm: rhythm?,
        qos: qos?,
        payload: payload?,
        attributes: attributes?,
    }))
}

fn rhythm(table: &Telemetry, seed: u64, faults: &Faults) -> Option<Rhythm> {
    let interval = span(
        &table.interval,
        "interval",
        Duration::from_secs(5),
        SHORTEST,
        faults,
    );
    let jitter = table.jitter.or(0.0);
    if let Some((found, spot)) = table.jitter.given()
        && !(0.0..=0.5).contains(found)
    {
        let title = format!("`jitter` must be a share from 0 to 0.5, found {found}");
        let help = "0.1 makes each message up to a tenth of the interval early or late";
        faults.add(spot, title, help);
    }
    let spread = table.spread.or(Choice(Spread::default()));
    Some(Rhythm {
        interval: interval?,
        jitter: jitter?,
        spread: spread?.0,
        seed,
    })
}

fn qos(table: &Telemetry, faults: &Faults) -> Option<Qos> {
    match table.qos.given() {
        Some((0, _)) => Some(Qos::AtMostOnce),
        Some((1, _)) => Some(Qos::AtLeastOnce),
        Some((found, spot)) => {
            faults.add(
                spot,
                format!("`qos` must be 0 or 1, found {found}"),
                "ThingsBoard grants at most 1",
            );
            None
        }
        None => table.qos.is_absent().then_some(Qos::AtLeastOnce),
    }
}

/// Several readings in a message need a time each: without it, the last would overwrite the others.
fn stamp(table: &Telemetry, faults: &Faults) -> Option<Stamp> {
    let several = table.batch.value().is_some_and(|batch| *batch > 1);
    if let Entry::Given(false, spot) = &table.timestamp {
        let needed = if several {
            "several readings in a message"
        } else if table.timestamp_from.given().is_some() {
            "`timestamp_from`"
        } else {
            return Some(Stamp::None);
        };
        let title = format!("{needed} and `timestamp = false` do not go together");
        faults.add(spot, title, "remove `timestamp = false`");
        return None;
    }
    match &table.timestamp_from {
        Entry::Faulty => None,
        Entry::Given(Time(origin), _) => Some(Stamp::From(*origin)),
        Entry::Absent if several || table.timestamp.or(false)? => Some(Stamp::Sent),
        Entry::Absent => Some(Stamp::None),
    }
}

#[expect(clippy::option_option, reason = "faulty, or not there")]
fn size(entry: &Entry<u32>, faults: &Faults) -> Option<Option<usize>> {
    if entry.is_absent() {
        return Some(None);
    }
    ranged(entry, "size", 2, LARGEST, faults).map(|size| Some(size as usize))
}

pub(super) fn ranged(
    entry: &Entry<u32>,
    key: &str,
    least: u32,
    most: u32,
    faults: &Faults,
) -> Option<u32> {
    let found = entry.or(least)?;
    if let (false, Some((_, spot))) = ((least..=most).contains(&found), entry.given()) {
        let title = format!("`{key}` must be from {least} to {most}, found {found}");
        faults.add(spot, title, "");
        return None;
    }
    Some(found)
}

/// The keys of a section that say what is sent.
struct Given<'a> {
    at: &'a Spot,
    /// What a first message must be, if that can be tried.
    key: Option<Section>,
    payload: &'a Entry<Object>,
    values: &'a Entry<Values>,
    template: &'a Entry<Text>,
    preset: &'a Entry<Choice<PresetWord>>,
    lines: &'a Entry<u32>,
    size: Option<&'a Spot>,
}

impl<'a> Given<'a> {
    /// Nothing but a place.
    fn alone(at: &'a Spot, key: Option<Section>) -> Self {
        Self {
            at,
            key,
            payload: &Entry::Absent,
            values: &Entry::Absent,
            template: &Entry::Absent,
            preset: &Entry::Absent,
            lines: &Entry::Absent,
            size: None,
        }
    }

    /// The place of what is sent.
    fn spot(&self) -> &Spot {
        let spots = [
            self.template.given().map(|(_, spot)| spot),
            self.payload.given().map(|(_, spot)| spot),
            self.values.given().map(|(_, spot)| spot),
            self.preset.given().map(|(_, spot)| spot),
        ];
        spots.into_iter().flatten().next().unwrap_or(self.at)
    }
}

/// What the sections that say what is sent are read with.
pub(super) struct Setting<'a> {
    /// What speaks: devices, and those behind gateways.
    pub(super) cohorts: Option<&'a [Cohort]>,
    pub(super) devices: Option<&'a DeviceSource>,
    pub(super) seed: u64,
    pub(super) faults: &'a Faults,
}

impl Setting<'_> {
    /// What stands at a place and is sent as it is, tried with a device.
    pub(super) fn proven(&self, form: Form, at: &Spot, key: Section) -> Option<Payload> {
        self.payload(&Given::alone(at, Some(key)), form, Layout::default())
    }

    /// The same where nobody can say beforehand what comes out.
    pub(super) fn unproven(&self, form: Form, at: &Spot) -> Option<Payload> {
        self.payload(&Given::alone(at, None), form, Layout::default())
    }

    #[expect(clippy::option_option, reason = "faulty, or not there")]
    fn attributes(&self, entry: &Entry<Attributes>) -> Option<Option<Payload>> {
        let (table, at) = match entry {
            Entry::Absent => return Some(None),
            Entry::Faulty => return None,
            Entry::Given(table, at) => (table, at),
        };
        let given = Given {
            at,
            key: Some(Section::Attributes),
            payload: &table.payload,
            values: &table.values,
            template: &table.template,
            preset: &Entry::Absent,
            lines: &Entry::Absent,
            size: table.size.given().map(|(_, spot)| spot),
        };
        let size = size(&table.size, self.faults);
        if table.payload.is_absent() && table.values.is_absent() && table.template.is_absent() {
            let help = "add values, as values = { firmware = \"1.0.0\" }";
            self.faults.add(at, "there are no attributes", help);
            return None;
        }
        let layout = Layout {
            size: size?,
            ..Layout::default()
        };
        let form = self.form(&given)?;
        self.payload(&given, form, layout).map(Some)
    }

    fn form(&self, given: &Given<'_>) -> Option<Form> {
        let forms = [
            ("payload", given.payload.given().map(|(_, spot)| spot)),
            ("values", given.values.given().map(|(_, spot)| spot)),
            ("template", given.template.given().map(|(_, spot)| spot)),
            ("preset", given.preset.given().map(|(_, spot)| spot)),
        ];
        let mut there = forms
            .iter()
            .filter_map(|(key, spot)| Some((*key, (*spot)?)));
        let first = there.next();
        if let (Some((first, _)), Some((second, spot))) = (first, there.next())
            && (first, second) != ("values", "template")
        {
            let title = format!("`{first}` and `{second}` both say what is sent");
            let help = "keep one of them; a `template` may use `values`";
            self.faults.add(spot, title, help);
            return None;
        }
        if let (Some((_, spot)), true) = (given.lines.given(), given.preset.is_absent()) {
            let title = "`lines` is the preset `industrial-plc`'s";
            self.faults.add(spot, title, "remove it, or add the preset");
        }
        match (given.payload, given.values, given.template, given.preset) {
            (Entry::Faulty, ..)
            | (_, Entry::Faulty, ..)
            | (_, _, Entry::Faulty, _)
            | (_, _, _, Entry::Faulty) => None,
            (.., Entry::Given(Choice(word), _)) => self.preset(*word, given.lines),
            (_, values, Entry::Given(text, spot), _) => {
                let readings = values.value().map_or(Vec::new(), |Values(all)| all.clone());
                self.template(text, spot, readings)
            }
            (_, Entry::Given(Values(readings), spot), ..) => {
                let taken = readings.iter().any(|reading| reading.key == PAD);
                self.unpadded(taken, given.size, spot);
                Some(Form::values(readings.clone()))
            }
            (Entry::Given(Object(parts), spot), ..) => {
                let key = format!("\"{PAD}\":");
                let taken = |part: &Part| fixed(part).contains(&key);
                self.unpadded(parts.iter().any(taken), given.size, spot);
                Some(Form::Parts(parts.clone()))
            }
            _ => {
                let default = Model::Constant(serde_json::Value::from(21.5));
                Some(Form::values(vec![Reading::new("temperature", default)]))
            }
        }
    }

    fn preset(&self, word: PresetWord, lines: &Entry<u32>) -> Option<Form> {
        if let (Some((_, spot)), true) = (lines.given(), word != PresetWord::IndustrialPlc) {
            let title = "`lines` is the preset `industrial-plc`'s";
            self.faults.add(spot, title, "remove it");
        }
        let found = match lines {
            Entry::Absent => 60,
            lines => ranged(lines, "lines", 1, 999, self.faults)?,
        };
        Some(Form::Preset(match word {
            PresetWord::SmartMeter => Preset::SmartMeter,
            PresetWord::SmartTracker => Preset::SmartTracker,
            PresetWord::Random => Preset::Random,
            PresetWord::IndustrialPlc => Preset::IndustrialPlc {
                lines: u16::try_from(found).expect("at most 999"),
            },
        }))
    }

    fn template(&self, text: &Text, spot: &Spot, readings: Vec<Reading>) -> Option<Form> {
        let text = filled(text, "template", spot, self.faults)?;
        match Template::compile_knowing(&text, &TEMPLATE_NAMES) {
            Ok(template) => Some(Form::Template(template, readings)),
            Err(e) => {
                let title = format!("`template` is no template: {e}");
                self.faults.add(spot, title, "");
                None
            }
        }
    }

    /// The key of the padding must be free.
    fn unpadded(&self, taken: bool, size: Option<&Spot>, spot: &Spot) {
        if size.is_some() && taken {
            let title = format!("a message of a fixed `size` is padded with a text `{PAD}`");
            let help = "rename the value";
            self.faults.add(spot, title, help);
        }
    }

    /// Puts it together and, where it needs no list, tries it with a device.
    fn payload(&self, given: &Given<'_>, form: Form, layout: Layout) -> Option<Payload> {
        let fault = |why: Unfit| {
            let (spot, help) = match (&why, given.size) {
                (Unfit::Size { found, .. }, Some(spot)) => (
                    spot,
                    format!("take size = {found} or more, padding included, or send less"),
                ),
                (Unfit::NoObject, Some(spot)) => (spot, "remove it".to_owned()),
                (Unfit::Unacceptable(_), _) => (given.spot(), QUOTES.to_owned()),
                _ => (given.spot(), String::new()),
            };
            self.faults.add(spot, why.to_string(), help);
        };
        let payload = Payload::new(self.seed, form, layout).map_err(fault).ok()?;
        let columns = payload.columns();
        if let (Some(DeviceSource::Generate(_)), Some(column)) = (self.devices, columns.first()) {
            let title =
                format!("the column `{column}` is used, and generated devices have no columns");
            let help = "use `name` or `index`, or give a list";
            self.faults.add(given.spot(), title, help);
        } else if let (true, Some(key)) = (columns.is_empty(), given.key) {
            let someone = generate(&GenerateSpec {
                count: 1,
                kind: NameKind::Mac,
                oui: None,
                prefix: None,
                seed: self.seed,
            });
            if let Err(PayloadError::Device { why, .. }) = self.try_with(&payload, &someone, key) {
                fault(why);
            }
        }
        Some(payload)
    }

    /// Tries it with a device, one behind it, or both, as there are in the cohorts.
    fn try_with(
        &self,
        payload: &Payload,
        someone: &Inventory,
        key: Section,
    ) -> Result<(), PayloadError> {
        let cohorts = self.cohorts.unwrap_or_default();
        let gateways = cohorts.iter().filter_map(|cohort| cohort.gateway.as_ref());
        let mut proof = payload.proof(someone, key);
        let first = DeviceIx(0);
        if cohorts.is_empty() || cohorts.iter().any(|cohort| cohort.gateway.is_none()) {
            proof.of(&Speaker::listed(someone, first))?;
        }
        for plan in gateways {
            // Where it needs a list, it is tried with that.
            if let Ok(name) = plan.name_of(someone, first, 0) {
                proof.of(&Speaker::behind(someone, first, &name, 0))?;
            }
        }
        Ok(())
    }
}

/// The part of a payload that is the same for all.
pub(super) fn fixed(part: &Part) -> &str {
    match part {
        Part::Raw(text) => text,
        Part::Value(_) => "",
    }
}

const QUOTES: &str =
    "that is the message of a first device; `{{ name | tojson }}` is a text with its quotes";

const SHORTEST: Duration = Duration::from_millis(10);

/// A mebibyte: more than any transport of ThingsBoard takes from a device but HTTP.
const LARGEST: u32 = 1 << 20;
