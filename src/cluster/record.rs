//! A record of a shard's log: what the fold needs is in its headers, the body is the caller's.

use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use bytes::Bytes;
use jiff::Timestamp;

use super::names::LOG;

/// The longest body, in bytes. The servers' own limit may be lower.
pub const MAX_BODY: usize = 512 * 1024;

/// Room for subject and headers of a record, in bytes.
pub(super) const HEADERS: usize = 2048;

const KIND: &str = "Fleetcall-Kind";
const EPOCH: &str = "Fleetcall-Epoch";
const AFTER: &str = "Fleetcall-After";
const WORKER: &str = "Fleetcall-Worker";
const ID: &str = "Nats-Msg-Id";

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody takes the shard.
    Claim,
    /// What its holder has to say.
    Batch,
    /// The same, and nothing comes after it.
    Final,
    /// Nothing that fleetcall writes.
    Foreign,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Batch => "batch",
            Self::Final => "final",
            Self::Foreign => "foreign",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Claim, Self::Batch, Self::Final]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// A record as it stands in the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of the run, from 0.
    pub shard: u32,
    /// Its place in the stream, which is shared by all shards and runs.
    pub sequence: u64,
    /// The sequence of the claim under which it was written; a claim's own.
    pub epoch: u64,
    /// The sequence that was the log's last for its author; 0: none.
    pub after: u64,
    /// Who wrote it.
    pub worker: String,
    /// What it is.
    pub kind: Kind,
    /// When the server stored it, by the server's clock.
    pub at: Timestamp,
    /// The caller's.
    pub body: Bytes,
}

impl Entry {
    /// Reads a stored message. What fleetcall cannot have written is `Foreign`, never left out: it took a place.
    pub(super) fn read(message: StreamMessage) -> Self {
        let shard = message.subject.rsplit('.').next();
        let shard = shard.and_then(|token| token.parse().ok());
        let at = Timestamp::from_nanosecond(message.time.unix_timestamp_nanos());
        let mut entry = Self {
            shard: shard.unwrap_or(u32::MAX),
            sequence: message.sequence,
            epoch: 0,
            after: 0,
            worker: String::new(),
            kind: Kind::Foreign,
            at: at.unwrap_or_default(),
            body: message.payload,
        };
        if let Some((kind, epoch, after, worker)) = headers(&message.headers) {
            entry.kind = kind;
            entry.after = after;
            entry.epoch = if kind == Kind::Claim {
                entry.sequence
            } else {
                epoch
            };
            worker.clone_into(&mut entry.worker);
        }
        entry
    }
}

fn headers(map: &HeaderMap) -> Option<(Kind, u64, u64, &str)> {
    let text = |name: &str| map.get(name).map(async_nats::HeaderValue::as_str);
    Some((
        Kind::of(text(KIND)?)?,
        text(EPOCH)?.parse().ok()?,
        text(AFTER)?.parse().ok()?,
        text(WORKER)?,
    ))
}

/// A record that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Names it: written twice under one id it is stored once.
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) epoch: u64,
    pub(super) after: u64,
    pub(super) worker: String,
    pub(super) body: Bytes,
}

impl Record {
    /// As a message that the server takes only after `after`.
    pub(super) fn message(&self) -> PublishMessage {
        PublishMessage::build()
            .message_id(&self.id)
            .expected_stream(LOG)
            .expected_last_subject_sequence(self.after)
            .header(KIND, self.kind.word())
            .header(EPOCH, self.epoch.to_string().as_str())
            .header(AFTER, self.after.to_string().as_str())
            .header(WORKER, self.worker.as_str())
            .payload(self.body.clone())
    }

    /// Whether this is what stands there.
    pub(super) fn is(&self, stored: &StreamMessage) -> bool {
        let id = stored.headers.get(ID).map(async_nats::HeaderValue::as_str);
        id == Some(self.id.as_str())
    }
}
