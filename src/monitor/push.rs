//! Figures on their way to a server that takes them: every few seconds, and once at the end.
//!
//! A server that refuses, stalls or lies disturbs nothing: one push is under way at a time, it is given up after
//! a while and counted. Nothing is queued: counters only grow, and the next push tells what this one would have.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::sink::Sink;
use crate::metrics::Exposure;
use crate::rest::{Https, cause, shown};

/// What became of all pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Pushes that ended, well or not.
    pub all: u64,
    /// Of these, those that the server did not take.
    pub failed: u64,
    /// Why the last of those was not taken.
    pub why: Option<String>,
    /// Whether the server has the last figures.
    pub complete: bool,
}

/// Pushes to one server.
pub struct Pusher {
    client: legacy::Client<Https, Full<Bytes>>,
    to: Sink,
    every: Duration,
}

impl Pusher {
    /// To a server, so often.
    pub fn new(https: Https, to: Sink, every: Duration) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new()).build(https);
        Self { client, to, every }
    }

    /// Pushes until nobody publishes states any more, then the last one.
    pub async fn push(self, states: watch::Receiver<Arc<Exposure>>) -> Pushed {
        let mut ticks = interval_at(Instant::now() + self.every, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pushed = Pushed::default();
        let mut news = states.clone();
        let over = async move { while news.changed().await.is_ok() {} };
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                () = &mut over => break,
                _ = ticks.tick() => {
                    let state = Arc::clone(&states.borrow());
                    pushed.count(self.send(&state).await);
                }
            }
        }
        let state = Arc::clone(&states.borrow());
        // Whoever is busy for a moment may still have the last figures.
        let ending = async {
            for pause in [PAUSE, PAUSE, Duration::ZERO] {
                pushed.count(self.send(&state).await);
                if pushed.complete {
                    break;
                }
                sleep(pause).await;
            }
        };
        if timeout(ENDING, ending).await.is_err() {
            pushed.count(Err(LATE.to_owned()));
        }
        pushed
    }

    async fn send(&self, state: &Exposure) -> Result<(), String> {
        let request = self.to.request(state).map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|error| cause(&error))?;
            let status = answer.status();
            let body = beginning(answer.into_body()).await;
            self.to.judge(status, &body).map_err(|why| shown(&why))
        };
        let ended = timeout(PATIENCE, exchange).await;
        ended.unwrap_or_else(|_| Err(LATE.to_owned()))
    }
}

/// So much of a body as may be of use.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes.extend(frame.into_data().unwrap_or_default());
    }
    bytes
}

impl Pushed {
    /// Counts a push. The first that fails is told at once, the others at the end.
    fn count(&mut self, ended: Result<(), String>) {
        self.all += 1;
        self.complete = ended.is_ok();
        let Err(why) = ended else { return };
        self.failed += 1;
        if self.failed == 1 {
            tracing::warn!("a push of figures was not taken: {why}; further ones are counted");
        }
        self.why = Some(why);
    }
}

/// From a push's begin to its end.
const PATIENCE: Duration = Duration::from_secs(5);

const LATE: &str = "no answer in time";

/// For the last figures, all tries together.
const ENDING: Duration = Duration::from_secs(10);

/// Between tries to push the last figures.
const PAUSE: Duration = Duration::from_secs(1);

/// About what is read of an answer that is no yes.
const LONGEST: usize = 65_536;
