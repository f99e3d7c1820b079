//! Why a payload cannot be what it is asked to be. Says no cell of a list: it may be a secret.

use std::fmt;

use thiserror::Error;

use crate::inventory::TemplateError;

/// What is wrong with a value model: its key, so that it can be shown at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFault {
    /// The model's key, such as `min`.
    pub key: &'static str,
    /// What is wrong, and what was found.
    pub what: String,
    /// The way out; may be empty.
    pub help: String,
}

impl ModelFault {
    pub(super) fn new(key: &'static str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            key,
            what: what.into(),
            help: help.into(),
        }
    }
}

/// Why there is no payload for a device and a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// A template has no value.
    #[error("{0}")]
    Template(#[from] TemplateError),
    /// The list lacks a column.
    #[error("the list has no column `{0}`")]
    NoColumn(String),
    /// A cell is not of the asked kind.
    #[error("its cell in column `{column}` is no {kind}")]
    Cell {
        /// The column.
        column: String,
        /// `number` or `boolean`.
        kind: &'static str,
    },
    /// It cannot be padded to its size.
    #[error("the payload takes {found} bytes, and `size` is {size}")]
    Size {
        /// Bytes asked for.
        size: usize,
        /// Bytes without padding, or with the least padding.
        found: usize,
    },
    /// There is no object at the end that could be padded.
    #[error("only an object can be padded to a `size`")]
    NoObject,
    /// No JSON that a server takes.
    #[error("{0}")]
    Unacceptable(String),
}

/// What a payload is for, called by its section of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Messages of telemetry: an object or a list of objects.
    Telemetry,
    /// Client attributes: one object.
    Attributes,
    /// What a `[[push]]` sends: one object.
    Push,
    /// What a device calls the server with: one object.
    Request,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Telemetry => "telemetry",
            Self::Attributes => "telemetry.attributes",
            Self::Push => "push",
            Self::Request => "downlink.request",
        })
    }
}

/// Why a payload is refused before the run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// A device has none.
    #[error(
        "device `{name}` (number {number} of the list): {why}\nhelp: change `{key}` of the \
         scenario, or the list"
    )]
    Device {
        /// The device's name.
        name: String,
        /// Its position, from 1.
        number: u32,
        /// The section of the scenario.
        key: Section,
        /// Why.
        why: Unfit,
    },
}
