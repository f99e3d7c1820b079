//! What goes to devices and what they ask, as it is meant.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::inventory::Template;
use crate::life::PushSchedule;
use crate::model::{Delay, Feed};
use crate::payload::Payload;

/// What provisioned devices take part in besides reporting.
#[derive(Debug)]
pub struct DownlinkPlan {
    /// To what they subscribe.
    pub feeds: Vec<Feed>,
    /// How long a server may hold a long poll.
    pub hold: Duration,
    /// How long they take before they answer a call; `None`: they answer at once.
    pub delay: Option<Delay>,
    /// What they answer.
    pub reply: Payload,
    /// What they call the server with.
    pub request: Option<RequestPlan>,
    /// What they say once to be claimed.
    pub claim: Option<ClaimPlan>,
}

/// Devices' calls of the server.
#[derive(Debug)]
pub struct RequestPlan {
    /// The method.
    pub method: String,
    /// What it is given, by the number of the call.
    pub params: Payload,
    /// From one call of a device to its next.
    pub interval: Duration,
}

/// What a device says to be claimed.
#[derive(Debug)]
pub struct ClaimPlan {
    /// The key that whoever claims must know.
    pub secret_key: Option<Template>,
    /// For how long.
    pub duration: Option<Duration>,
}

/// What an operator pushes to devices.
#[derive(Debug)]
pub struct PushPlan {
    /// What it is.
    pub kind: PushKind,
    /// When, and to which devices.
    pub schedule: PushSchedule,
    /// The method; empty for attributes.
    pub method: String,
    /// The attributes, or what the method is given, by the number of the push.
    pub payload: Payload,
    /// How long it may take until the device has it, and has answered.
    pub timeout: Duration,
}

/// Kinds of pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushKind {
    /// New values of shared attributes.
    Attributes,
    /// A call that ends with the device's answer.
    Rpc,
    /// A call without an answer.
    RpcOneway,
}

/// The REST API that pushes go through.
#[derive(Debug)]
pub struct RestPlan {
    /// `http://HOST:PORT` or `https://HOST`; empty: the embedded target's.
    pub url: String,
    /// Who asks; `None`: whom the embedded target knows.
    pub login: Option<RestLogin>,
    /// Authorities to trust for https; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// How many requests are under way at a time, over all workers, at least 1.
    pub connections: u32,
}

/// Who asks.
#[derive(Debug)]
pub enum RestLogin {
    /// A user.
    Password {
        /// Its name.
        username: String,
        /// Its password.
        password: SecretString,
    },
    /// A key.
    ApiKey(SecretString),
}

impl DownlinkPlan {
    /// Whether devices subscribe to a feed.
    pub fn has(&self, feed: Feed) -> bool {
        self.feeds.contains(&feed)
    }
}

impl PushKind {
    /// By which feed it reaches a device.
    pub fn feed(self) -> Feed {
        match self {
            Self::Attributes => Feed::Attributes,
            Self::Rpc | Self::RpcOneway => Feed::Rpc,
        }
    }
}
