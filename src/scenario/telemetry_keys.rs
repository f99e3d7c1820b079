//! `[telemetry]` and `[telemetry.attributes]` as they are typed.

use super::json::Object;
use super::leaf::{Choice, Span, Text, Word};
use super::models::{Time, Values};
use super::section::section;
use crate::payload::Spread;

section! {
    /// What provisioned devices send: a payload, values, a template or a preset.
    struct Telemetry as "[telemetry]" {
        /// From one message of a device to its next, at least 10ms.
        #[schemars(default, extend("default" = "5s"))]
        interval: Span,
        /// Up to this share of the interval (0 to 0.5) each message is early or late.
        #[schemars(default, extend("default" = 0))]
        jitter: f64,
        /// `interval`: devices' first messages are spread over an interval.
        #[schemars(default, extend("default" = "none"))]
        spread: Choice<Spread>,
        /// MQTT's quality of service, 0 or 1.
        #[schemars(default, extend("default" = 1))]
        qos: u32,
        /// The message as it stands; its strings may be templates over name, index, row.COLUMN and
        /// tick.
        #[schemars(default, extend("default" = { "temperature": 21.5 }))]
        payload: Object,
        /// Values by name: fixed ones, or tables with a `model`.
        #[schemars(default)]
        values: Values,
        /// The message as a template over name, index, row.COLUMN, tick, ts and values.KEY.
        #[schemars(default)]
        template: Text,
        /// A payload of ThingsBoard's performance tests.
        #[schemars(default)]
        preset: Choice<PresetWord>,
        /// With the preset `industrial-plc`: how many values, 1 to 999.
        #[schemars(default, extend("default" = 60))]
        lines: u32,
        /// Sends the time of each reading along, as `ts`.
        #[schemars(default, extend("default" = false))]
        timestamp: bool,
        /// Counts the times of readings from here by the interval, in place of the clock.
        #[schemars(default)]
        timestamp_from: Time,
        /// Readings in a message, 1 to 1000, each with its time.
        #[schemars(default, extend("default" = 1))]
        batch: u32,
        /// Bytes of each message, padded with a text `pad`.
        #[schemars(default)]
        size: u32,
        /// Client attributes, sent once after a device comes back with its credentials.
        #[schemars(default)]
        attributes: Attributes,
    }
}

section! {
    /// Client attributes: a payload, values or a template, as in [telemetry].
    struct Attributes as "[telemetry.attributes]" {
        /// The attributes as they stand.
        #[schemars(default)]
        payload: Object,
        /// Values by name.
        #[schemars(default)]
        values: Values,
        /// A template.
        #[schemars(default)]
        template: Text,
        /// Bytes of the message, padded with a text `pad`.
        #[schemars(default)]
        size: u32,
    }
}

/// The payloads of ThingsBoard's performance tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PresetWord {
    SmartMeter,
    SmartTracker,
    IndustrialPlc,
    Random,
}

impl Word for PresetWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("smart-meter", Self::SmartMeter),
        ("smart-tracker", Self::SmartTracker),
        ("industrial-plc", Self::IndustrialPlc),
        ("random", Self::Random),
    ];
}

impl Word for Spread {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("interval", Self::Interval)];
}
