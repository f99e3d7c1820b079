//! A key, watched. What is stored decides; that something is being stored, which every listener hears and which may
//! be lost, only says when to look.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::time::sleep;

use super::names::{CURRENT, RUN};
use super::{Bus, BusError, RunId};

/// How often one looks though nothing was heard.
const UNASKED: Duration = Duration::from_secs(2);
/// When one looks once something was heard: it is not stored yet at that moment.
const HEARD: [u64; 6] = [2, 8, 30, 100, 300, 700];

impl Bus {
    /// The value of a key, now and from now on. A value may be skipped when the next is there; the last never is.
    pub async fn watch(
        &self,
        run: &RunId,
        key: &str,
    ) -> Result<Receiver<Option<Vec<u8>>>, BusError> {
        self.watched(run.key(key)?, |value| Some(value.to_vec()))
            .await
    }

    /// The run that was announced last.
    pub async fn announced(&self) -> Result<Receiver<Option<RunId>>, BusError> {
        let read = |value: &[u8]| std::str::from_utf8(value).ok()?.parse().ok();
        self.watched(CURRENT.to_owned(), read).await
    }

    async fn watched<T: Send + Sync + 'static>(
        &self,
        subject: String,
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<Receiver<Option<T>>, BusError> {
        let unavailable = |error: async_nats::SubscribeError| BusError::Unavailable {
            what: "watching a key".to_owned(),
            why: error.to_string(),
        };
        // Before the first look: what is stored after that is heard.
        let heard = self.client.subscribe(subject.clone()).await;
        let heard = heard.map_err(unavailable)?;
        let (seen, value) = match self.read(&subject).await? {
            Some((sequence, value)) => (sequence, read(&value)),
            None => (0, None),
        };
        let (sender, receiver) = watch::channel(value);
        let eyes = Eyes {
            bus: self.clone(),
            subject,
            seen,
            read,
            sender,
        };
        tokio::spawn(eyes.keep(heard));
        Ok(receiver)
    }
}

struct Eyes<T> {
    bus: Bus,
    subject: String,
    seen: u64,
    read: fn(&[u8]) -> Option<T>,
    sender: Sender<Option<T>>,
}

impl<T> Eyes<T> {
    /// Until nobody wants to know.
    async fn keep(mut self, mut heard: async_nats::Subscriber) {
        let mut looks = [].iter();
        loop {
            let next = looks.next().copied().map(Duration::from_millis);
            tokio::select! {
                () = self.sender.closed() => return,
                Some(_) = heard.next() => {
                    looks = HEARD.iter();
                    continue;
                }
                () = sleep(next.unwrap_or(UNASKED)) => {}
            }
            if self.look().await {
                looks = [].iter();
            }
        }
    }

    /// Whether there is something new.
    async fn look(&mut self) -> bool {
        let Ok(Some(found)) = self.bus.last(RUN, &self.subject).await else {
            return false;
        };
        if found.sequence <= self.seen {
            return false;
        }
        self.seen = found.sequence;
        self.sender.send_replace((self.read)(&found.payload));
        true
    }
}
