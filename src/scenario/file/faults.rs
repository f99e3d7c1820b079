//! `[target.faults]` as it is typed; a target's own file has the same as `[faults]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::fault::Faults;
use super::super::leaf::{Choice, Placed, Span, Text, Word};
use super::super::section::{Entry, FromToml, section, wrong_type};
use super::super::tree::{Kind, Spot, Value};
use crate::model::{Delay, FaultPhase};

section! {
    /// Misbehaviour of the embedded server, drawn by seed.
    struct TargetFaults as "the target's faults" {
        /// Added before each provision answer.
        #[schemars(default, extend("default" = "0s"))]
        delay: Span,
        /// Share (0 to 1) of provision requests answered FAILURE.
        #[schemars(default, extend("default" = 0))]
        refuse: f64,
        /// Share (0 to 1) of provision requests that are carried out and never answered.
        #[schemars(default, extend("default" = 0))]
        lose_answer: f64,
        /// Share (0 to 1) of provision requests on which the connection is closed.
        #[schemars(default, extend("default" = 0))]
        disconnect: f64,
        /// From a TCP connection's accept to its first service.
        #[schemars(default)]
        connect: WireFaults,
        /// TLS handshakes over TCP.
        #[schemars(default)]
        tls: WireFaults,
        /// MQTT's CONNECT and CONNACK.
        #[schemars(default)]
        mqtt_connect: AnswerFaults,
        /// Provision requests, beside the keys above.
        #[schemars(default)]
        provision: WireFaults,
        /// Telemetry and attribute messages.
        #[schemars(default)]
        telemetry: AnswerFaults,
        /// Updates of shared attributes, calls, and answers to devices' calls.
        #[schemars(default)]
        downlink: DownlinkFaults,
        /// TCP connections that are read slowly.
        #[schemars(default)]
        slow_reader: Slow,
        /// TCP connections that are written slowly.
        #[schemars(default)]
        slow_writer: Slow,
        /// When nothing is read or answered.
        #[schemars(default)]
        stall: Vec<Placed<Stall>>,
        /// When listeners and connections are closed; devices survive.
        #[schemars(default)]
        restart: Vec<Placed<Restart>>,
        /// ThingsBoard's rate limits, each `capacity:seconds[,capacity:seconds…]`.
        #[schemars(default)]
        rate_limits: RateLimits,
        /// Provision requests per second that a single server with a queue carries out.
        #[schemars(default)]
        capacity: f64,
    }
}

section! {
    /// What goes wrong with connections or requests. Shares are 0 to 1.
    struct WireFaults as "a phase of the target's faults" {
        /// How long answers are held back: a time, or a distribution.
        #[schemars(default)]
        delay: Delay,
        /// Share on which the connection is reset.
        #[schemars(default, extend("default" = 0))]
        reset: f64,
        /// Share on which the connection falls silent for ever.
        #[schemars(default, extend("default" = 0))]
        half_open: f64,
        /// Share that is answered with noise.
        #[schemars(default, extend("default" = 0))]
        garbage: f64,
    }
}

section! {
    /// What goes wrong with messages. Shares are 0 to 1.
    struct AnswerFaults as "a phase of the target's faults" {
        /// How long answers are held back: a time, or a distribution.
        #[schemars(default)]
        delay: Delay,
        /// Share that is turned down.
        #[schemars(default, extend("default" = 0))]
        refuse: f64,
        /// Share that is carried out and never answered.
        #[schemars(default, extend("default" = 0))]
        lose_answer: f64,
        /// Share on which the connection is closed.
        #[schemars(default, extend("default" = 0))]
        disconnect: f64,
        /// Share on which the connection is reset.
        #[schemars(default, extend("default" = 0))]
        reset: f64,
        /// Share on which the connection falls silent for ever.
        #[schemars(default, extend("default" = 0))]
        half_open: f64,
        /// Share that is answered with noise.
        #[schemars(default, extend("default" = 0))]
        garbage: f64,
    }
}

section! {
    /// What goes wrong with what devices hear.
    struct DownlinkFaults as "downlink of the target's faults" {
        /// How long messages are held back: a time, or a distribution.
        #[schemars(default)]
        delay: Delay,
        /// Share (0 to 1) that never leaves.
        #[schemars(default, extend("default" = 0))]
        lose: f64,
    }
}

section! {
    /// A share of TCP connections, and how slow they are.
    struct Slow as "a slow connection of the target's faults" {
        /// Share (0 to 1) of connections.
        #[schemars(default, extend("default" = 1))]
        share: f64,
        /// Bytes per second, at least 1.
        rate: u32,
    }
}

section! {
    /// A stretch in which nothing is read or answered.
    struct Stall as "stall" {
        /// From when on, after the start.
        at: Span,
        /// For how long.
        r#for: Span,
        /// Whose answers are held; without them, nothing at all is read or written.
        #[schemars(default)]
        phases: Vec<Choice<FaultPhase>>,
    }
}

section! {
    /// A stretch in which the target is down.
    struct Restart as "restart" {
        /// From when on, after the start.
        at: Span,
        /// For how long.
        r#for: Span,
    }
}

section! {
    /// Token buckets by the names of ThingsBoard's tenant profiles.
    struct RateLimits as "rate_limits" {
        /// Everything but telemetry and attributes, of all devices.
        #[schemars(default)]
        tenant_msg: Text,
        /// Telemetry and attribute messages of all devices.
        #[schemars(default)]
        tenant_telemetry_msg: Text,
        /// The values in them.
        #[schemars(default)]
        tenant_telemetry_data_points: Text,
        /// As `tenant_msg`, of each device.
        #[schemars(default)]
        device_msg: Text,
        /// As `tenant_telemetry_msg`, of each device.
        #[schemars(default)]
        device_telemetry_msg: Text,
        /// As `tenant_telemetry_data_points`, of each device.
        #[schemars(default)]
        device_telemetry_data_points: Text,
        /// Requests to the REST API.
        #[schemars(default)]
        tenant_rest: Text,
    }
}

section! {
    /// A distribution.
    struct Distribution as "delay" {
        /// Which.
        model: Choice<DelayModel>,
        /// The mean.
        mean: Span,
        /// The standard deviation.
        sd: Span,
        /// The shortest.
        min: Span,
        /// The longest.
        max: Span,
    }
}

/// The models by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenario) enum DelayModel {
    Fixed,
    Uniform,
    Normal,
    Exponential,
    Lognormal,
}

impl Word for DelayModel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("fixed", Self::Fixed),
        ("uniform", Self::Uniform),
        ("normal", Self::Normal),
        ("exponential", Self::Exponential),
        ("lognormal", Self::Lognormal),
    ];
}

impl Word for FaultPhase {
    const WORDS: &'static [(&'static str, Self)] = &[
        (Self::Connect.as_str(), Self::Connect),
        (Self::Tls.as_str(), Self::Tls),
        (Self::MqttConnect.as_str(), Self::MqttConnect),
        (Self::Provision.as_str(), Self::Provision),
        (Self::Telemetry.as_str(), Self::Telemetry),
        (Self::Downlink.as_str(), Self::Downlink),
    ];
}

impl FromToml for Delay {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        match &value.kind {
            Kind::Text(_) => {
                Span::from_toml(value, key, faults).map(|Span(time)| Self::Fixed(time))
            }
            Kind::Table(_) => {
                Distribution::from_toml(value, key, faults)?.delay(&value.spot, faults)
            }
            _ => {
                let help =
                    "write \"20ms\", or { model = \"normal\", mean = \"20ms\", sd = \"5ms\" }";
                wrong_type(value, key, "a time or a distribution", help, faults);
                None
            }
        }
    }
}

impl Distribution {
    /// Of the keys that its model has, and no others.
    fn delay(&self, at: &Spot, faults: &Faults) -> Option<Delay> {
        let model = match &self.model {
            Entry::Faulty => return None,
            Entry::Absent => {
                let help = "add model = \"normal\", or write a time such as \"20ms\"";
                faults.add(at, "a distribution has no `model`", help);
                return None;
            }
            Entry::Given(Choice(model), _) => *model,
        };
        let wanted: &[&str] = match model {
            DelayModel::Fixed | DelayModel::Exponential => &["mean"],
            DelayModel::Uniform => &["min", "max"],
            DelayModel::Normal | DelayModel::Lognormal => &["mean", "sd"],
        };
        let word = DelayModel::WORDS[model as usize].0;
        let entries = [
            ("mean", &self.mean),
            ("sd", &self.sd),
            ("min", &self.min),
            ("max", &self.max),
        ];
        for (key, entry) in entries {
            match entry {
                Entry::Absent if wanted.contains(&key) => {
                    let help = format!("`{word}` has {}", wanted.join(" and "));
                    faults.add(at, format!("a distribution has no `{key}`"), help);
                }
                Entry::Given(_, spot) if !wanted.contains(&key) => {
                    let help = format!("`{word}` has {}", wanted.join(" and "));
                    faults.add(spot, format!("`{word}` has no `{key}`"), help);
                }
                _ => {}
            }
        }
        let time = |entry: &Entry<Span>| entry.value().map(|span| span.0);
        let (mean, sd) = (time(&self.mean), time(&self.sd));
        Some(match model {
            DelayModel::Fixed => Delay::Fixed(mean?),
            DelayModel::Exponential => Delay::Exponential(mean?),
            DelayModel::Normal => Delay::Normal(mean?, sd?),
            DelayModel::Lognormal => Delay::Lognormal(mean?, sd?),
            DelayModel::Uniform => {
                let (min, max) = (time(&self.min)?, time(&self.max)?);
                if max < min {
                    faults.add(at, "`max` is shorter than `min`", "exchange them");
                    return None;
                }
                Delay::Uniform(min, max)
            }
        })
    }
}

impl JsonSchema for Delay {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Delay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = DelayModel::WORDS.iter().map(|(word, _)| *word).collect();
        let time = serde_json::json!({ "type": "string" });
        json_schema!({
            "anyOf": [
                { "type": "string", "examples": ["20ms"] },
                {
                    "type": "object",
                    "properties": {
                        "model": { "enum": words },
                        "mean": time, "sd": time, "min": time, "max": time,
                    },
                    "required": ["model"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
