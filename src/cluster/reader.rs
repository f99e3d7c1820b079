//! Reads records in bulk, in order, each once, none left out: a consumer of the server's that is opened again from
//! the next sequence when it fails, jumps, or says nothing where there is something.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::{Message, StreamMessage};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::Bus;
use super::names::LOG;
use super::record::Entry;

/// Records asked for at once: with bodies of 512 KiB they are 16 MiB.
const AT_ONCE: usize = 32;
/// The longest that records are waited for which the server has.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a consumer may say that there is nothing before the stream itself is asked.
const SILENCE: Duration = Duration::from_secs(1);
/// How long the server keeps a consumer that nobody uses any more.
const UNUSED: Duration = Duration::from_secs(30);

/// Where somebody is in the log.
#[derive(Debug)]
pub(super) struct Reader {
    bus: Bus,
    /// Of one shard, or of all.
    subject: String,
    /// The first sequence that was not read.
    next: u64,
    open: Option<Open>,
    /// Since when there is nothing.
    silent: Instant,
}

#[derive(Debug)]
struct Open {
    consumer: PullConsumer,
    /// Messages that it delivered.
    delivered: u64,
}

impl Reader {
    pub(super) fn new(bus: &Bus, subject: String) -> Self {
        Self {
            bus: bus.clone(),
            subject,
            next: 1,
            open: None,
            silent: Instant::now(),
        }
    }

    /// The next records, without waiting for any that are not there. After an error it reads on where it was.
    pub(super) async fn some(&mut self) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        let read = self.fill(&mut entries).await;
        if read.is_err() {
            self.open = None;
        }
        if !entries.is_empty() {
            self.silent = Instant::now();
            return Ok(entries);
        }
        read?;
        if self.silent.elapsed() >= SILENCE {
            self.silent = Instant::now();
            let missed = self.bus.next(LOG, &self.subject, self.next).await;
            if !matches!(missed, Ok(None)) {
                self.open = None;
            }
        }
        Ok(entries)
    }

    /// What was read before an error is good.
    async fn fill(&mut self, entries: &mut Vec<Entry>) -> Result<(), String> {
        let open = if let Some(open) = &mut self.open {
            open
        } else {
            let consumer = open(&self.bus, &self.subject, self.next).await?;
            self.open.insert(Open {
                consumer,
                delivered: 0,
            })
        };
        let fetch = open.consumer.fetch().max_messages(AT_ONCE).messages();
        let mut batch = fetch.await.map_err(|error| error.to_string())?;
        loop {
            let message = timeout(ANSWER, batch.next()).await;
            let message = message.map_err(|_| "no answer in time")?;
            let Some(message) = message else {
                return Ok(());
            };
            let message = message.map_err(|error| error.to_string())?;
            let (message, number) = stored(message)?;
            if number != open.delivered + 1 || message.sequence < self.next {
                return Err("a record was lost on its way".to_owned());
            }
            open.delivered = number;
            self.next = message.sequence + 1;
            entries.push(Entry::read(message));
        }
    }
}

async fn open(bus: &Bus, subject: &str, from: u64) -> Result<PullConsumer, String> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: from,
        },
        ack_policy: AckPolicy::None,
        filter_subject: subject.to_owned(),
        inactive_threshold: UNUSED,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let made = bus.context.create_consumer_on_stream(config, LOG).await;
    made.map_err(|error| error.to_string())
}

/// The message as it stands in the stream, and the how manieth of the consumer's it is.
fn stored(message: Message) -> Result<(StreamMessage, u64), String> {
    let info = message.info().map_err(|error| error.to_string())?;
    let (sequence, number, time) = (info.stream_sequence, info.consumer_sequence, info.published);
    let message = message.message;
    let stored = StreamMessage {
        subject: message.subject,
        sequence,
        headers: message.headers.unwrap_or_default(),
        payload: message.payload,
        time,
    };
    Ok((stored, number))
}
