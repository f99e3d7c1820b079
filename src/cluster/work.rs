//! Shards, offered and taken. The servers give a shard to one worker at a time and to another once the first was
//! silent for `ack_wait`; that they are right is not relied on: who holds a shard is settled in its log.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::bucket::Created;
use super::bus::{PATIENCE, Patience, Posted};
use super::names::{MAX_SHARDS, WORK};
use super::{Bus, BusError, RunId};

/// How long a worker may be silent before its shards go to another.
pub const ACK_WAIT: Duration = Duration::from_secs(15);
/// The key that is there once all shards were offered.
const OFFERED: &str = "offered";
/// The longest that one request for work stays with the server.
const REQUEST: Duration = Duration::from_secs(5);

impl Bus {
    /// Offers each shard of a run once, however often it is called, and whatever became of it meanwhile.
    pub async fn offer(
        &self,
        run: &RunId,
        shards: u32,
        ack_wait: Duration,
    ) -> Result<(), BusError> {
        if shards > MAX_SHARDS {
            return Err(BusError::TooMuch {
                what: "a number of shards",
                length: shards.into(),
                most: MAX_SHARDS.into(),
            });
        }
        if self.get(run, OFFERED).await?.is_some() {
            return Ok(());
        }
        self.consumer(run, ack_wait).await?;
        for shard in 0..shards {
            self.offer_one(run, shard).await?;
        }
        let said = self.create(run, OFFERED, shards.to_string().into_bytes());
        match said.await? {
            Created::New | Created::There(_) => Ok(()),
        }
    }

    async fn offer_one(&self, run: &RunId, shard: u32) -> Result<(), BusError> {
        let subject = run.work(shard);
        let mut patience = Patience::of(PATIENCE);
        loop {
            // A shard that waits to be taken is its subject's last: it is not offered a second time, even when the
            // server has forgotten the id.
            let message = PublishMessage::build()
                .message_id(format!("{run}-{shard}"))
                .expected_stream(WORK)
                .expected_last_subject_sequence(0);
            match self.post(&subject, message).await {
                Posted::Stored(_) | Posted::Refused => return Ok(()),
                Posted::Unclear(why) => patience.wait("offering a shard", why).await?,
            }
        }
    }

    /// Makes the consumer that hands out a run's shards.
    async fn consumer(&self, run: &RunId, ack_wait: Duration) -> Result<(), BusError> {
        let config = pull::Config {
            durable_name: Some(run.consumer()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            max_deliver: -1,
            filter_subject: run.all_work(),
            max_ack_pending: MAX_SHARDS.into(),
            ..pull::Config::default()
        };
        let mut patience = Patience::of(PATIENCE);
        loop {
            // One that is there stays: a coordinator that was started again may have another `ack_wait`.
            if self.find_consumer(run).await.is_ok() {
                return Ok(());
            }
            let made = self.context.create_consumer_on_stream(config.clone(), WORK);
            match made.await {
                Ok(_) => return Ok(()),
                Err(error) => patience.wait("offering shards", error.to_string()).await?,
            }
        }
    }

    async fn find_consumer(&self, run: &RunId) -> Result<PullConsumer, String> {
        let found = self.context.get_consumer_from_stream(run.consumer(), WORK);
        found.await.map_err(|error| error.to_string())
    }

    /// The next shard that nobody holds, if there is one within `wait`. Servers that do not answer have none.
    pub async fn next_shard(&self, run: &RunId, wait: Duration) -> Result<Option<Lease>, BusError> {
        let until = Instant::now() + wait;
        let mut pause = Duration::from_millis(50);
        loop {
            let took = match self.find_consumer(run).await {
                Ok(consumer) => take(&consumer, until).await,
                Err(why) => Err(why),
            };
            match took {
                Ok(Some(lease)) => return Ok(Some(lease)),
                Ok(None) => {}
                Err(why) => {
                    tracing::debug!(%run, why, "no shard can be asked for");
                    sleep_until(until.min(Instant::now() + pause)).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
            if Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// Takes a run's work off the servers: nobody is given any of it any more. Its logs stay.
    pub async fn withdraw(&self, run: &RunId) -> Result<(), BusError> {
        let mut patience = Patience::of(PATIENCE);
        loop {
            let stream = self.context.get_stream_no_info(WORK).await;
            let purged = match stream {
                Ok(stream) => stream
                    .purge()
                    .filter(run.all_work())
                    .await
                    .map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match purged {
                Ok(_) => break,
                Err(why) => patience.wait("withdrawing work", why).await?,
            }
        }
        // One that stays costs a server some memory, no more.
        let _ = self
            .context
            .delete_consumer_from_stream(run.consumer(), WORK)
            .await;
        Ok(())
    }
}

async fn take(consumer: &Consumer<pull::Config>, until: Instant) -> Result<Option<Lease>, String> {
    let left = until.saturating_duration_since(Instant::now());
    let expires = left.clamp(Duration::from_millis(10), REQUEST);
    let batch = consumer.batch().max_messages(1).expires(expires).messages();
    let mut batch = batch.await.map_err(|error| error.to_string())?;
    // The server's answer is waited for a little longer than it may take: what it sends late would be lost.
    let patience = Instant::now() + expires + Duration::from_secs(1);
    let Ok(Some(message)) = timeout_at(patience, batch.next()).await else {
        return Ok(None);
    };
    let message = message.map_err(|error| error.to_string())?;
    let shard = message.subject.rsplit('.').next();
    let Some(shard) = shard.and_then(|token| token.parse().ok()) else {
        let _ = message.ack_with(AckKind::Term).await;
        return Err("work of somebody else".to_owned());
    };
    let delivered = message.info().map_or(1, |info| info.delivered);
    Ok(Some(Lease::new(
        shard,
        u64::try_from(delivered).unwrap_or(1),
        message,
        consumer.cached_info().config.ack_wait,
    )))
}

/// A shard that the servers gave to this worker. While it lives they hear that it is worked on; when it is dropped
/// they give the shard to another after `ack_wait`.
#[derive(Debug)]
pub struct Lease {
    /// Of the run, from 0.
    pub shard: u32,
    /// How often it was given to a worker, this time included.
    pub delivered: u64,
    message: Arc<Message>,
    progress: JoinHandle<()>,
}

impl Lease {
    fn new(shard: u32, delivered: u64, message: Message, ack_wait: Duration) -> Self {
        let message = Arc::new(message);
        let worked_on = Arc::clone(&message);
        // Often: a worker that loses its server says it again over another one, and it counts from the last time.
        let every = (ack_wait / 10).max(Duration::from_millis(50));
        let progress = tokio::spawn(async move {
            loop {
                sleep(every).await;
                let _ = worked_on.ack_with(AckKind::Progress).await;
            }
        });
        Self {
            shard,
            delivered,
            message,
            progress,
        }
    }

    /// The shard is over: nobody gets it again. Until the servers have said so.
    pub async fn done(self) -> Result<(), BusError> {
        let mut patience = Patience::of(PATIENCE);
        loop {
            match self.message.double_ack().await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let why = error.to_string();
                    patience.wait("handing in a shard", why).await?;
                }
            }
        }
    }

    /// Somebody else shall have it, at once. If that is not heard, after `ack_wait`.
    pub async fn give_back(self) {
        self.progress.abort();
        let _ = self.message.ack_with(AckKind::Nak(None)).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.progress.abort();
    }
}
