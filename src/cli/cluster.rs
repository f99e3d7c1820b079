//! Runs over many workers: what `fleetcall run --nats` and `fleetcall worker` tell each other over the
//! bus, by which keys, and in which words.

mod attendance;
mod coordinator;
mod options;
mod shard;
mod worker;

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::cluster::{BusError, RunId, Seal};
use crate::engine::{Saying, Steered, monotonic};
use crate::scenario::{Plan, ProfilePlan};

pub(super) use coordinator::Joint;
pub(super) use options::Joining;
pub(super) use worker::{WorkerArgs, run};

/// What a run is, for its workers: all but the secrets, which each has in its own environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Spec {
    /// Both sides have to be the same program.
    version: String,
    /// As it is run, references to secrets unresolved.
    scenario: String,
    seed: u64,
    response_from_send: bool,
    /// Whether the list is on the bus, sealed; otherwise it follows from the scenario.
    listed: bool,
    /// Names, cohorts and turns of all devices must come to that.
    schedule_digest: String,
    shards: u32,
    workers: u32,
    /// Whether secrets are the same.
    seal: String,
}

/// The keys of a run in the bucket.
mod key {
    pub(super) const SPEC: &str = "spec";
    pub(super) const LIST: &str = "list";
    /// When the first device is due: microseconds since 1970 by the coordinator's clock.
    pub(super) const BEGIN: &str = "begin";
    pub(super) const STEER: &str = "steer";
    /// The run is over: why, in a sentence.
    pub(super) const END: &str = "end";
}

/// What the coordinator steers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Steer {
    steered: Steered,
    /// Somebody asked for the stop.
    by_hand: bool,
}

/// A record's body, sealed.
#[derive(Serialize, Deserialize)]
struct Body {
    said: Saying,
    /// With the first word of a shard, and the first after its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<About>,
}

/// Where a shard is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct About {
    host: String,
    cores: u32,
    /// What has to be added to the worker's clock to make it the coordinator's, and how long the answer to
    /// that question took, in microseconds.
    clock_offset_us: i64,
    clock_rtt_us: u64,
    /// How long after its beginning the shard's devices were told of it, in microseconds; `None` before.
    behind_us: Option<u64>,
}

impl Body {
    fn close(&self, seal: &Seal, shard: u32) -> Vec<u8> {
        let text = serde_json::to_vec(self).expect("plain words and numbers are JSON");
        seal.close(shard, &text)
    }

    fn open(seal: &Seal, shard: u32, sealed: &[u8]) -> Option<Self> {
        serde_json::from_slice(&seal.open(shard, sealed)?).ok()
    }
}

/// The run's seal: by the provision keys and secrets of all its profiles, and by a secret of its own where
/// one is given.
fn seal(run: &RunId, plan: &Plan) -> Seal {
    let own = std::env::var(SEAL_KEY).unwrap_or_default();
    let of = |profile: &ProfilePlan| {
        [&profile.key, &profile.secret].map(|secret| secret.expose_secret().to_owned())
    };
    let secrets: Vec<String> = plan.profiles.iter().flat_map(of).chain([own]).collect();
    Seal::new(run, secrets.iter().map(String::as_str))
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain words and numbers are JSON")
}

/// What another of the run's processes wrote.
fn from_json<T: for<'de> Deserialize<'de>>(what: &str, text: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(text).map_err(|error| {
        Failure::usage(format!(
            "{what} of the run is none of this program's: {error}\nhelp: take the same version of fleetcall \
             everywhere"
        ))
    })
}

/// The wall clock, in microseconds since 1970.
fn unix_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// What is so many microseconds from now, on the machine's monotonic clock.
fn origin(ahead_us: i64) -> Duration {
    let span = Duration::from_micros(ahead_us.unsigned_abs());
    if ahead_us < 0 {
        monotonic().saturating_sub(span)
    } else {
        monotonic() + span
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
fn on_the_bus(error: BusError) -> Failure {
    Failure::usage(format!("NATS: {error}"))
}

/// A name as far as it suits the bus; of a long one the end, where its time is.
fn as_name(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: Vec<char> = name.chars().map(fits).collect();
    name[name.len().saturating_sub(NAME_MAX)..].iter().collect()
}

/// Room for a process's number behind a host's.
const NAME_MAX: usize = 50;

/// A secret that all processes of a run may have besides, to seal by.
const SEAL_KEY: &str = "FLEETCALL_SEAL_KEY";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_and_host_has_a_name_on_the_bus() {
        for name in [
            "line 3.1-20261130T010203Z",
            "z\u{e4}hler-20261130T010203Z",
            "host.plant.example",
            &format!("{}-20261130T010203Z", "x".repeat(80)),
        ] {
            let run: RunId = as_name(name).parse().unwrap();
            let time = name.ends_with('Z');
            assert!(!time || run.as_str().ends_with("20261130T010203Z"), "{run}");
        }
    }
}
