//! How runs, streams, subjects and keys are called.

use std::fmt;
use std::str::FromStr;

use super::BusError;

/// Items of work.
pub(super) const WORK: &str = "FLEETCALL_WORK";
/// What became of each shard.
pub(super) const LOG: &str = "FLEETCALL_LOG";
/// The stream of the bucket `fleetcall-run`: what a run's processes have to know.
pub(super) const RUN: &str = "KV_fleetcall-run";
/// The stream of the bucket `fleetcall-live`: who is there.
pub(super) const LIVE: &str = "KV_fleetcall-live";

/// The most shards of a run.
pub const MAX_SHARDS: u32 = 10_000;

/// The name of a run on the bus: 1 to 64 letters, digits, `-` and `_`, since it is a part of subjects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(String);

impl RunId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn work(&self, shard: u32) -> String {
        format!("fleetcall.{self}.work.{shard}")
    }

    pub(super) fn all_work(&self) -> String {
        format!("fleetcall.{self}.work.*")
    }

    /// The durable consumer that hands out this run's work.
    pub(super) fn consumer(&self) -> String {
        format!("w-{self}")
    }

    pub(super) fn log(&self, shard: u32) -> String {
        format!("fleetcall.{self}.log.{shard}")
    }

    pub(super) fn all_logs(&self) -> String {
        format!("fleetcall.{self}.log.*")
    }

    pub(super) fn clock(&self) -> String {
        format!("fleetcall.{self}.clock")
    }

    /// The subject of a key of the bucket `fleetcall-run`.
    pub(super) fn key(&self, key: &str) -> Result<String, BusError> {
        if is_token(key, 64, "-_") {
            Ok(format!("$KV.fleetcall-run.{self}.{key}"))
        } else {
            Err(BusError::Name(key.to_owned()))
        }
    }

    /// The subject of a worker in the bucket `fleetcall-live`.
    pub(super) fn live(&self, worker: &str) -> Result<String, BusError> {
        worker_name(worker)?;
        Ok(format!("$KV.fleetcall-live.{self}.{worker}"))
    }

    pub(super) fn all_live(&self) -> String {
        format!("$KV.fleetcall-live.{self}.>")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, BusError> {
        if is_token(text, 64, "-_") {
            Ok(Self(text.to_owned()))
        } else {
            Err(BusError::Name(text.to_owned()))
        }
    }
}

/// The subject of the key by which workers find the run that they join.
pub(super) const CURRENT: &str = "$KV.fleetcall-run.current";

/// Whether a worker may be called so: 1 to 128 letters, digits, `-`, `_` and single dots between them.
pub fn worker_name(name: &str) -> Result<(), BusError> {
    let dots_between = name.split('.').all(|part| !part.is_empty());
    if is_token(name, 128, "-_.") && dots_between {
        Ok(())
    } else {
        Err(BusError::Name(name.to_owned()))
    }
}

fn is_token(text: &str, longest: usize, besides: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || besides.contains(c);
    !text.is_empty() && text.len() <= longest && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_reaches_into_another_subject() {
        for name in ["", "a.b", "a b", "*", ">", "a\r\n", "ä", &"x".repeat(65)] {
            assert!(name.parse::<RunId>().is_err(), "{name:?}");
        }
        let run: RunId = "2026-11-30_a".parse().unwrap();
        assert_eq!(run.log(7), "fleetcall.2026-11-30_a.log.7");
        for key in ["", "a.b", "*"] {
            assert!(run.key(key).is_err(), "{key:?}");
        }
        for worker in ["", ".", "a..b", "a.", "a*", "a\n"] {
            assert!(run.live(worker).is_err(), "{worker:?}");
        }
        assert_eq!(
            run.live("host-1.example").unwrap(),
            "$KV.fleetcall-live.2026-11-30_a.host-1.example"
        );
    }
}
