//! `[cohort.gateway]` as it is typed.

use super::leaf::{Choice, Span, Text, Word};
use super::plan::Pubacks;
use super::section::section;

section! {
    /// What is behind each of a cohort's devices, which are gateways: one MQTT connection speaks for
    /// many devices.
    struct Gateway as "[cohort.gateway]" {
        /// How many devices are behind each gateway, from 1 to 10000.
        devices: u32,
        /// Their names: a template over name, index and row.COLUMN of the gateway, and `sub`, from 0.
        #[schemars(default, extend("default" = "{{ name }}-{{ sub }}"))]
        name: Text,
        /// The name of their device profile.
        #[schemars(default, extend("default" = "default"))]
        r#type: Text,
        /// Whether the gateway says of each that it is there, whenever it is connected.
        #[schemars(default, extend("default" = true))]
        connect: bool,
        /// From one such word to the next; 0s: all at once.
        #[schemars(default, extend("default" = "0s"))]
        connect_every: Span,
        /// How many of them share one message at most; absent: all.
        #[schemars(default)]
        per_message: u32,
        /// How the server acknowledges such a message: `each` device in it, or with `one` PUBACK.
        #[schemars(default, extend("default" = "each"))]
        pubacks: Choice<Pubacks>,
    }
}

impl Word for Pubacks {
    const WORDS: &'static [(&'static str, Self)] = &[("each", Self::Each), ("one", Self::One)];
}
