//! A worker's side of a shard: a process that starts its devices, and what that says goes into the
//! shard's log before anything else comes of it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::super::shutdown::Stop;
use super::Portion;
use super::message::{Down, Saying, Up, receive};
use super::process::{ANSWERS, Process, ProcessError, tell};
use crate::arrival::Pace;

/// A shard's process that is ready to begin. Dropped, it ends, with all connections of its devices.
pub struct Holding(Process);

/// How it went on with a shard.
#[derive(Debug, PartialEq, Eq)]
pub enum Held {
    /// All its devices have ended, and the log says so.
    Over,
    /// Its process died: how, and what it said.
    Died(String),
    /// The log takes no more from this worker: another one has the shard.
    Lost,
}

impl Holding {
    /// Starts the process with its first line and waits until it has its list.
    pub async fn open(portion: Portion, line: &str) -> Result<Self, ProcessError> {
        Process::start(portion, line).await.map(Self)
    }

    /// Has the devices begin at `origin` of the machine's monotonic clock and hands all that is said of
    /// them to `append`, which says whether the log has it. Whoever waits to have a request on record goes
    /// on when it has.
    pub async fn carry_on(
        mut self,
        origin: Duration,
        steered: (watch::Receiver<Stop>, watch::Receiver<Arc<Pace>>),
        append: impl AsyncFnMut(Saying) -> bool,
    ) -> Held {
        let (answers, outbox) = mpsc::channel(ANSWERS);
        let (sayings, inbox) = mpsc::channel(SAYINGS);
        let process = &mut self.0;
        let telling = tell(&mut process.down, Down::Begin { origin }, steered, outbox);
        let listening = async {
            listen(&mut process.up, sayings).await;
            // What it said last is still to be written.
            pending::<()>().await;
        };
        let held = tokio::select! {
            held = write(inbox, answers, append) => held,
            never = telling => match never {},
            () = listening => None,
        };
        let Some(held) = held else {
            let (how, said) = self.0.end().await;
            return Held::Died(format!("{how}: {said}"));
        };
        if held == Held::Over {
            self.0.see_off().await;
        }
        held
    }
}

/// Reads what the process says. A log that is slow slows it down, by a full pipe.
async fn listen(up: &mut BufReader<ChildStdout>, sayings: mpsc::Sender<Up>) {
    let mut line = String::new();
    while let Some(up) = receive(up, &mut line).await {
        if sayings.send(up).await.is_err() {
            return;
        }
    }
}

/// Writes it into the log, as much as there is at a time; `None` when it ends before the shard is
/// over.
async fn write(
    mut inbox: mpsc::Receiver<Up>,
    answers: mpsc::Sender<(u64, bool)>,
    mut append: impl AsyncFnMut(Saying) -> bool,
) -> Option<Held> {
    loop {
        let mut batch = Batch::default();
        batch.add(inbox.recv().await?);
        let until = Instant::now() + LINGER;
        while batch.may_wait() {
            match timeout_at(until, inbox.recv()).await {
                Ok(Some(up)) => batch.add(up),
                // Nothing more to come, or nothing more to wait for.
                Ok(None) | Err(_) => break,
            }
        }
        while batch.has_room()
            && let Ok(up) = inbox.try_recv()
        {
            batch.add(up);
        }
        if !append(Saying(batch.said)).await {
            return Some(Held::Lost);
        }
        if batch.over {
            return Some(Held::Over);
        }
        for ticket in batch.tickets {
            let _ = answers.send((ticket, true)).await;
        }
    }
}

/// What goes into the log at a time.
#[derive(Default)]
struct Batch {
    said: Vec<Up>,
    /// Those that wait for it.
    tickets: Vec<u64>,
    over: bool,
}

impl Batch {
    fn add(&mut self, up: Up) {
        match &up {
            Up::Record(sent) => self.tickets.extend(sent.ticket()),
            Up::Over { .. } => self.over = true,
            _ => {}
        }
        self.said.push(up);
    }

    fn has_room(&self) -> bool {
        self.said.len() < BATCH && !self.over
    }

    fn may_wait(&self) -> bool {
        self.has_room() && self.tickets.is_empty()
    }
}

/// What the process said and the log does not have yet.
const SAYINGS: usize = 4096;

/// Records in one piece: some 100 kB.
const BATCH: usize = 500;

/// How long one record waits for the next, where no device waits.
const LINGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::ledger::{Entry, Intent, Record, SentRecord};
    use crate::model::DeviceIx;

    fn asked(ticket: u64) -> Up {
        let (written, _) = oneshot::channel();
        let files = None;
        let record = Record {
            device: DeviceIx(0),
            name: "meter".into(),
            entry: Entry::Asked(Intent { files, written }),
        };
        Up::Record(SentRecord::of(record, |_| ticket))
    }

    fn over() -> Up {
        Up::Over {
            peak_rss_bytes: 1,
            cpu: Duration::ZERO,
            elapsed: Duration::ZERO,
        }
    }

    #[tokio::test]
    async fn nobody_asks_before_the_log_has_it() {
        let (sayings, inbox) = mpsc::channel(8);
        let (answers, mut told) = mpsc::channel(8);
        let (reached, go_on) = (Notify::new(), Notify::new());
        let append = async |_: Saying| {
            reached.notify_one();
            go_on.notified().await;
            true
        };
        let watching = async {
            sayings.send(asked(7)).await.unwrap();
            reached.notified().await;
            assert!(told.try_recv().is_err(), "the log does not have it yet");
            go_on.notify_one();
            assert_eq!(told.recv().await, Some((7, true)));
            drop(sayings);
        };
        let (held, ()) = tokio::join!(write(inbox, answers, append), watching);
        assert_eq!(held, None, "the process ended before the shard was over");
    }

    #[tokio::test]
    async fn a_shard_is_over_once_the_log_has_its_last_word() {
        for (takes, held) in [(true, Held::Over), (false, Held::Lost)] {
            let (sayings, inbox) = mpsc::channel(8);
            let (answers, mut told) = mpsc::channel(8);
            let last = RefCell::new(Vec::new());
            let append = async |saying: Saying| {
                last.borrow_mut().push(saying.is_last());
                takes
            };
            for up in [Up::AllStarted { dropped: 0 }, asked(1), over()] {
                sayings.send(up).await.unwrap();
            }
            assert_eq!(write(inbox, answers, append).await, Some(held));
            assert_eq!(last.borrow()[..], [true], "all that there was, at once");
            assert!(told.try_recv().is_err(), "nobody is left who waits");
        }
    }
}
