//! `[reconnect]`, `[provision_retry]`, `[duty]` and `[[event]]` as they are typed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::fault::Faults;
use super::leaf::{Choice, Span, Word};
use super::section::{FromToml, section, wrong_type};
use super::tree::{Kind, Value};
use crate::life::{self, EventKind, Jitter};

section! {
    /// How devices come back after their connection broke: exponential back-off.
    struct Reconnect as "[reconnect]" {
        /// The first wait's ceiling, at least 1ms.
        #[schemars(default, extend("default" = "1s"))]
        initial: Span,
        /// By what the ceiling grows from one wait to the next, 1 to 100.
        #[schemars(default, extend("default" = 2))]
        factor: f64,
        /// What no wait is longer than.
        #[schemars(default, extend("default" = "1min"))]
        max: Span,
        /// `full`: from nothing to the ceiling; `equal`: from half of it; `none`: the ceiling.
        #[schemars(default, extend("default" = "full"))]
        jitter: Choice<Jitter>,
        /// Attempts, at least 1, after which a device gives up; absent: it never does.
        #[schemars(default)]
        budget: u32,
    }
}

section! {
    /// How devices try again to be provisioned, as long as nothing of their request was sent.
    struct ProvisionRetry as "[provision_retry]" {
        /// As in [reconnect].
        #[schemars(default, extend("default" = "1s"))]
        initial: Span,
        /// As in [reconnect].
        #[schemars(default, extend("default" = 2))]
        factor: f64,
        /// As in [reconnect].
        #[schemars(default, extend("default" = "1min"))]
        max: Span,
        /// As in [reconnect].
        #[schemars(default, extend("default" = "full"))]
        jitter: Choice<Jitter>,
        /// Tries, the first included, at least 1.
        #[schemars(default, extend("default" = 5))]
        budget: u32,
    }
}

section! {
    /// When devices wake, say something and sleep again.
    struct Duty as "[duty]" {
        /// From one wake-up of a device to its next, at least 100ms.
        wake: Span,
        /// For how many messages, or how long, it then stays awake.
        #[schemars(default, extend("default" = 1))]
        awake: Awake,
        /// Up to this share of the period (0 to 0.5) each wake-up is early or late.
        #[schemars(default, extend("default" = 0.05))]
        jitter: f64,
    }
}

section! {
    /// Something that happens to a part of the fleet in the middle of the run.
    struct Event as "[[event]]" {
        /// When, from the start of the run.
        at: Span,
        /// What: `power_loss`, `disconnect`, `takeover` or `rotate`.
        kind: Choice<EventKind>,
        /// Which part of the devices (more than 0, up to 1) it strikes.
        #[schemars(default, extend("default" = 1))]
        share: f64,
        /// How much later it strikes the last devices: each has a moment of its own, evenly.
        #[schemars(default, extend("default" = "0s"))]
        spread: Span,
        /// How long the struck devices then take to boot.
        #[schemars(default)]
        boot: Boot,
        /// With `rotate`: whether the old certificate is shown once more, to see it refused.
        #[schemars(default, extend("default" = false))]
        check_old: bool,
    }
}

section! {
    /// A distribution of boot times.
    struct Boot as "[event.boot]" {
        /// `fixed`, `uniform`, `normal` or `exponential`.
        model: Choice<BootModel>,
        /// `fixed`: how long.
        #[schemars(default)]
        time: Span,
        /// `uniform`: the shortest.
        #[schemars(default)]
        from: Span,
        /// `uniform`: the longest.
        #[schemars(default)]
        to: Span,
        /// `normal` and `exponential`: the mean.
        #[schemars(default)]
        mean: Span,
        /// `normal`: the standard deviation.
        #[schemars(default)]
        sd: Span,
    }
}

/// The distributions of boot times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BootModel {
    Fixed,
    Uniform,
    Normal,
    Exponential,
}

impl Word for BootModel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("fixed", Self::Fixed),
        ("uniform", Self::Uniform),
        ("normal", Self::Normal),
        ("exponential", Self::Exponential),
    ];
}

impl Word for Jitter {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("full", Self::Full),
        ("equal", Self::Equal),
        ("none", Self::None),
    ];
}

impl Word for EventKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("power_loss", Self::PowerLoss),
        ("disconnect", Self::Disconnect),
        ("takeover", Self::Takeover),
        ("rotate", Self::Rotate),
    ];
}

/// A number of messages, or a length of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awake(pub(super) life::Awake);

impl FromToml for Awake {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        match &value.kind {
            Kind::Integer(_) => {
                u32::from_toml(value, key, faults).map(|n| Self(life::Awake::Messages(n)))
            }
            Kind::Text(_) => {
                Span::from_toml(value, key, faults).map(|span| Self(life::Awake::For(span.0)))
            }
            _ => {
                let wanted = "a number of messages or a length of time";
                wrong_type(value, key, wanted, "write 3, or \"30s\"", faults);
                None
            }
        }
    }
}

impl JsonSchema for Awake {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Awake".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "examples": [1, "30s"] })
    }
}
