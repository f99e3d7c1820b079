//! What an embedded target is told to do. Read by scenarios and by the target alike.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a device profile treats provision requests (ThingsBoard's `provisionType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// `ALLOW_CREATE_NEW_DEVICES`: any unknown name becomes a device.
    #[default]
    Allow,
    /// `CHECK_PRE_PROVISIONED_DEVICES`: only listed names, each once.
    Check,
    /// `DISABLED`: every request is answered NOT_FOUND.
    Disabled,
    /// `X509_CERTIFICATE_CHAIN`: a provision request is never answered by the core.
    X509Chain,
}

/// Misbehaviour of the embedded target towards provision requests, drawn by seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Added before each provision answer.
    pub delay: Duration,
    /// Share (0..=1) of provision requests answered FAILURE without a look at them.
    pub refuse: f64,
    /// Share (0..=1) of provision requests that are carried out and never answered.
    pub lose_answer: f64,
    /// Share (0..=1) of provision requests on which the connection is closed, not carried out.
    pub disconnect: f64,
}
