//! The streams, made where they are not there. What is there stays as it is: an operator may have chosen otherwise.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, RequestErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};

use super::BusError;
use super::bus::Patience;
use super::names::{LIVE, LOG, RUN, WORK};

/// How long a cluster may take to elect its leaders.
const ELECTION: Duration = Duration::from_secs(20);
/// How long a cluster may be without room for three replicas before it is taken for a smaller one.
const ROOM: Duration = Duration::from_secs(6);
/// How long things are kept on the servers.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// How long a worker counts as there after it said so.
pub(super) const ALIVE: Duration = Duration::from_secs(10);

/// Makes all of them; on how many servers the log is.
pub(super) async fn streams(context: &Context) -> Result<usize, BusError> {
    let mut replicas = 3;
    for config in [log(), work(), run(), live()] {
        replicas = stream(context, &config, replicas).await?;
    }
    Ok(replicas)
}

/// Makes one, with so many replicas if the servers have them.
async fn stream(
    context: &Context,
    config: &(&'static str, Config),
    replicas: usize,
) -> Result<usize, BusError> {
    let (name, config) = config;
    let mut config = Config {
        num_replicas: replicas,
        ..config.clone()
    };
    let mut patience = Patience::of(ELECTION);
    let mut room = Patience::of(ROOM);
    loop {
        let why = match there(context, name).await {
            Ok(Some(info)) if info.config.subjects == config.subjects => {
                return Ok(info.config.num_replicas);
            }
            Ok(Some(_)) => return Err(BusError::Stream(name)),
            Ok(None) => match context.create_stream(config.clone()).await {
                Ok(_) => return Ok(config.num_replicas),
                Err(error) => match error.kind() {
                    CreateStreamErrorKind::JetStream(answer)
                        if answer.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED =>
                    {
                        config.num_replicas = 1;
                        continue;
                    }
                    CreateStreamErrorKind::JetStream(answer)
                        if answer.error_code() == ErrorCode::CLUSTER_NO_PEERS =>
                    {
                        if room.wait(name, answer.to_string()).await.is_err() {
                            config.num_replicas = 1;
                        }
                        continue;
                    }
                    _ => error.to_string(),
                },
            },
            Err(why) => why,
        };
        patience
            .wait(&format!("making the stream {name}"), why)
            .await?;
    }
}

async fn there(context: &Context, name: &str) -> Result<Option<Info>, String> {
    use async_nats::jetstream::response::Response;
    let answer = context
        .request::<_, _, Response<Info>>(format!("STREAM.INFO.{name}"), &())
        .await;
    match answer {
        Ok(Response::Ok(info)) => Ok(Some(info)),
        Ok(Response::Err { error }) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            Ok(None)
        }
        Ok(Response::Err { error }) => Err(error.to_string()),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            Err("JetStream does not answer".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn log() -> (&'static str, Config) {
    let config = Config {
        name: LOG.to_owned(),
        subjects: vec!["fleetcall.*.log.*".to_owned()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_age: KEPT,
        deny_delete: true,
        duplicate_window: Duration::from_mins(2),
        ..unlimited()
    };
    (LOG, config)
}

fn work() -> (&'static str, Config) {
    let config = Config {
        name: WORK.to_owned(),
        subjects: vec!["fleetcall.*.work.*".to_owned()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        max_age: KEPT,
        duplicate_window: Duration::from_mins(2),
        ..unlimited()
    };
    (WORK, config)
}

/// As a bucket is made: `async-nats` cannot make one on 2.9, since it asks for fields that came with 2.10.
fn bucket(stream: &'static str, bucket: &str) -> Config {
    Config {
        name: stream.to_owned(),
        subjects: vec![format!("$KV.{bucket}.>")],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        duplicate_window: Duration::from_secs(10),
        ..unlimited()
    }
}

fn run() -> (&'static str, Config) {
    let config = Config {
        max_age: KEPT,
        storage: StorageType::File,
        ..bucket(RUN, "fleetcall-run")
    };
    (RUN, config)
}

fn live() -> (&'static str, Config) {
    let config = Config {
        max_age: ALIVE,
        storage: StorageType::Memory,
        ..bucket(LIVE, "fleetcall-live")
    };
    (LIVE, config)
}

fn unlimited() -> Config {
    Config {
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        ..Config::default()
    }
}
