//! All records of a run, from the first on.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::reader::Reader;
use super::{Bus, Entry, RunId};

/// Records that wait for who follows.
const WAITING: usize = 64;
/// How often one looks for new ones.
const LOOK: Duration = Duration::from_millis(100);

impl Bus {
    /// The records of all shards in the order of the stream, each once, those that are there first; through whatever
    /// happens to the servers, until the receiver is dropped.
    pub fn follow(&self, run: &RunId) -> mpsc::Receiver<Entry> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut reader = Reader::new(self, run.all_logs());
        tokio::spawn(async move {
            while !sender.is_closed() {
                let entries = reader.some().await.unwrap_or_else(|why| {
                    tracing::debug!(why, "the log is read again");
                    Vec::new()
                });
                if entries.is_empty() {
                    sleep(LOOK).await;
                }
                for entry in entries {
                    if sender.send(entry).await.is_err() {
                        return;
                    }
                }
            }
        });
        receiver
    }
}
