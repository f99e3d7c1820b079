//! In builds without the feature `cluster`: every run is carried out here.

#![expect(
    clippy::unused_async,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the signatures are those of the builds that have it"
)]

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::engine::{Afar, Fleet, StopSwitch};
use crate::metrics::ClusterSummary;
use crate::scenario::Plan;

/// No options.
#[derive(Args, Debug, Default)]
pub(super) struct Joining {}

impl Joining {
    pub(super) fn is_wanted(&self) -> bool {
        false
    }

    pub(super) fn note(&self) -> Option<String> {
        None
    }
}

/// There is none.
pub(super) enum Joint {}

impl Joint {
    pub(super) fn shards(_: &Joining, _: &Plan, processes: u32) -> Result<u32, Failure> {
        Ok(processes)
    }

    pub(super) async fn gather(_: &Joining, _: &Fleet, _: u32, _: &str) -> Result<Self, Failure> {
        Err(Failure::bug("this build knows no workers"))
    }

    pub(super) async fn begin(&mut self, _: PathBuf, _: &StopSwitch) -> Result<Afar, Failure> {
        match *self {}
    }

    pub(super) fn notes(&self) -> Vec<String> {
        match *self {}
    }

    pub(super) fn summary(&self) -> ClusterSummary {
        match *self {}
    }

    pub(super) async fn close(self, _: &str) {
        match self {}
    }
}
