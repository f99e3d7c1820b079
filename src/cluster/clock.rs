//! How far a worker's clock is from the coordinator's: the run begins at one moment, on all machines.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::bus::{PATIENCE, Patience};
use super::{Bus, BusError, RunId};

/// What is waited for.
const ASKING: &str = "asking the coordinator for the time";
/// Requests, of which the quickest is believed.
const REQUESTS: usize = 8;
/// The longest that an answer is waited for.
const ANSWER: Duration = Duration::from_secs(2);

/// What was found out about the coordinator's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// What to add to one's own time to have the coordinator's; wrong by half of `rtt` at most.
    pub offset: SignedDuration,
    /// How long the quickest answer took.
    pub rtt: Duration,
}

impl Bus {
    /// Answers workers that ask for the time, until it is aborted.
    pub async fn serve_clock(&self, run: &RunId) -> Result<JoinHandle<()>, BusError> {
        let asked = self.client.subscribe(run.clock()).await;
        let mut asked = asked.map_err(|error| BusError::Unavailable {
            what: "answering workers that ask for the time".to_owned(),
            why: error.to_string(),
        })?;
        let client = self.client.clone();
        Ok(tokio::spawn(async move {
            while let Some(request) = asked.next().await {
                let Some(reply) = request.reply else { continue };
                let now = Timestamp::now().as_microsecond().to_string();
                let _ = client.publish(reply, now.into()).await;
            }
        }))
    }

    /// Asks the coordinator for the time, and waits for one that does not answer yet or is being started again.
    pub async fn clock(&self, run: &RunId) -> Result<ClockOffset, BusError> {
        let mut patience = Patience::of(PATIENCE);
        loop {
            match self.quickest(run).await {
                Ok(found) => return Ok(found),
                Err(why) => patience.wait(ASKING, why).await?,
            }
        }
    }

    async fn quickest(&self, run: &RunId) -> Result<ClockOffset, String> {
        let mut best: Option<ClockOffset> = None;
        let mut why = "nobody answers".to_owned();
        for _ in 0..REQUESTS {
            match self.ask(run).await {
                Ok(found) if best.is_none_or(|best| found.rtt < best.rtt) => best = Some(found),
                Ok(_) => {}
                Err(error) => why = error,
            }
        }
        best.ok_or(why)
    }

    async fn ask(&self, run: &RunId) -> Result<ClockOffset, String> {
        let (here, start) = (Timestamp::now(), Instant::now());
        let answer = timeout(ANSWER, self.client.request(run.clock(), "".into())).await;
        let rtt = start.elapsed();
        let answer = answer.map_err(|_| "no answer in time")?;
        let answer = answer.map_err(|error| error.to_string())?;
        let text = std::str::from_utf8(&answer.payload).unwrap_or_default();
        let micros = text.parse().map_err(|_| "the answer is no time")?;
        let there = Timestamp::from_microsecond(micros).map_err(|error| error.to_string())?;
        let half = SignedDuration::try_from(rtt / 2).map_err(|error| error.to_string())?;
        Ok(ClockOffset {
            offset: there.duration_since(here) - half,
            rtt,
        })
    }
}
