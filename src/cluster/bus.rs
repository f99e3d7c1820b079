//! A connection to the servers, and the three things that all else is made of: to store a message after another, to
//! read the last of a subject, to read the next.
//!
//! Reads go to a stream's leader. One that was a leader may answer with what was true before; nothing is decided on
//! that, since what follows from a read is written only if it is still so.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError};
use async_nats::jetstream::{self, Context};
use tokio::time::{Instant, sleep};

use super::record::{HEADERS, MAX_BODY};
use super::{Access, BusError, prepare};

/// How long servers may be without a leader before what was asked for is given up.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// The longest that one answer is waited for.
const ANSWER: Duration = Duration::from_secs(5);

/// The servers, seen by a process of a run. Clones share the connection, which comes back for ever.
#[derive(Clone, Debug)]
pub struct Bus {
    pub(super) client: Client,
    pub(super) context: Context,
    replicas: usize,
}

/// What became of a message that was to be stored.
#[derive(Debug)]
pub(super) enum Posted {
    /// It is stored under this sequence.
    Stored(u64),
    /// Another one is the subject's last.
    Refused,
    /// Nobody knows: it may be stored, or be stored yet.
    Unclear(String),
}

impl Bus {
    /// Connects, and makes the streams that are not there. Nothing is tried again until somebody answered.
    pub async fn connect(access: &Access) -> Result<Self, BusError> {
        let client = access.connect().await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER);
        // It is long, and done once: not a part of each future that connects.
        let replicas = Box::pin(prepare::streams(&context)).await?;
        Ok(Self {
            client,
            context,
            replicas,
        })
    }

    /// On how many servers each record is: 3, or 1 where there are fewer.
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// The longest body that the server takes, at most `MAX_BODY`, in bytes.
    pub fn max_body(&self) -> usize {
        let server = self.client.server_info().max_payload;
        MAX_BODY.min(server.saturating_sub(HEADERS))
    }

    /// Sends a message to be stored, once.
    pub(super) async fn post(&self, subject: &str, message: PublishMessage) -> Posted {
        let sent = self.context.send_publish(subject.to_owned(), message).await;
        let answer = match sent {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(ack) if ack.sequence > 0 => Posted::Stored(ack.sequence),
            Ok(_) => Posted::Unclear("the server is busy with the same message".to_owned()),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Posted::Refused,
            Err(error) => Posted::Unclear(error.to_string()),
        }
    }

    /// The last message of a subject.
    pub(super) async fn last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<StreamMessage>, String> {
        let stream = self.context.get_stream_no_info(stream).await;
        let stream = stream.map_err(|error| error.to_string())?;
        found(stream.get_last_raw_message_by_subject(subject).await)
    }

    /// The first message of a subject, which may be a pattern, that has this sequence or a later one.
    pub(super) async fn next(
        &self,
        stream: &str,
        subject: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, String> {
        let stream = self.context.get_stream_no_info(stream).await;
        let stream = stream.map_err(|error| error.to_string())?;
        found(stream.get_first_raw_message_by_subject(subject, from).await)
    }
}

fn found(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, String> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Waits between attempts, longer each time, up to a second.
#[derive(Debug)]
pub(super) struct Patience {
    next: Duration,
    until: Option<Instant>,
}

impl Patience {
    /// That never ends.
    pub(super) fn endless() -> Self {
        Self {
            next: Duration::from_millis(50),
            until: None,
        }
    }

    /// That ends after so long.
    pub(super) fn of(length: Duration) -> Self {
        Self {
            until: Some(Instant::now() + length),
            ..Self::endless()
        }
    }

    /// Waits; or the error, if that has been done for long enough.
    pub(super) async fn wait(&mut self, what: &str, why: String) -> Result<(), BusError> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(BusError::Unavailable {
                what: what.to_owned(),
                why,
            });
        }
        tracing::debug!(what, why, "the servers are asked again");
        sleep(self.next).await;
        self.next = (self.next * 2).min(Duration::from_secs(1));
        Ok(())
    }
}
