//! Who is there: for people and for the start of a run. Nothing is given up or counted because of it.

use async_nats::jetstream::message::PublishMessage;

use super::bus::Posted;
use super::names::LIVE;
use super::{Bus, BusError, RunId};

/// The most workers that are listed.
const MOST: usize = 10_000;

impl Bus {
    /// Says that a worker is there, for the next ten seconds. Once: who is there says so again.
    pub async fn here(&self, run: &RunId, worker: &str, value: Vec<u8>) -> Result<(), BusError> {
        let message = PublishMessage::build()
            .payload(value.into())
            .expected_stream(LIVE);
        match self.post(&run.live(worker)?, message).await {
            Posted::Stored(_) => Ok(()),
            Posted::Refused => Err(unavailable("refused".to_owned())),
            Posted::Unclear(why) => Err(unavailable(why)),
        }
    }

    /// The workers that said so within the last ten seconds, by name. Once: an error is no empty list.
    pub async fn who(&self, run: &RunId) -> Result<Vec<(String, Vec<u8>)>, BusError> {
        let pattern = run.all_live();
        let prefix = pattern.trim_end_matches('>');
        let mut there = Vec::new();
        let mut from = 1;
        while there.len() < MOST {
            let found = self.next(LIVE, &pattern, from).await.map_err(unavailable)?;
            let Some(found) = found else { break };
            from = found.sequence + 1;
            if let Some(worker) = found.subject.strip_prefix(prefix) {
                there.push((worker.to_owned(), found.payload.to_vec()));
            }
        }
        // Who says it again while this reads stands there twice: the later one holds.
        there.reverse();
        there.sort_by(|(a, _), (b, _)| a.cmp(b));
        there.dedup_by(|(later, _), (kept, _)| later == kept);
        Ok(there)
    }
}

fn unavailable(why: String) -> BusError {
    BusError::Unavailable {
        what: "who is there".to_owned(),
        why,
    }
}
