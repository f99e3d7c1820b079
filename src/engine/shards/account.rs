//! What the coordinator counts of a portion whose devices others start, and how it has that agree
//! with the ledger when the portion changes hands.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::super::fleet::Fleet;
use super::super::shutdown::{Stop, StopSwitch};
use super::super::worker::Frame;
use super::Portion;
use super::message::Up;
use crate::arrival::Pace;
use crate::ledger::{self, Entry, Past, Post};
use crate::metrics::{CarriedRecorder, Recorder, Roll};

/// What all portions of a run go on from.
pub(super) struct Basis {
    /// How many there are.
    pub(super) portions: u32,
    /// Worker threads of each.
    pub(super) workers: u32,
    pub(super) ledger: PathBuf,
    pub(super) boot_id: String,
    pub(super) ask_again: bool,
}

/// What all accounts share with the coordinator.
#[derive(Clone)]
pub(in crate::engine) struct Ways {
    pub(in crate::engine) fleet: Arc<Fleet>,
    pub(in crate::engine) ledger: ledger::Sender,
    pub(in crate::engine) frames: mpsc::Sender<Frame>,
    pub(in crate::engine) stop: StopSwitch,
    pub(in crate::engine) pace: watch::Receiver<Arc<Pace>>,
}

/// What the starting of devices took elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Used {
    /// The most memory, in bytes.
    pub(in crate::engine) peak_rss_bytes: u64,
    /// CPU time that the system does not count as this process's children's.
    pub(in crate::engine) cpu: Duration,
    /// When the last of them was over, since the beginning of the run, where that may be long ago.
    pub(in crate::engine) over_after: Option<Duration>,
}

/// One portion's.
pub(super) struct Account {
    pub(super) portion: Portion,
    basis: Arc<Basis>,
    /// What its devices are counted as.
    reported: Roll,
    /// Workers that have started all their devices, and how many they dropped.
    all_started: (usize, u64),
    ways: Ways,
}

impl Account {
    /// Those of all portions, before the first device starts.
    pub(super) fn open_all(basis: &Arc<Basis>, ways: &Ways) -> Vec<Self> {
        let rolls = ways.fleet.rolls_before(basis.portions, basis.workers);
        let account = |(number, reported)| Self {
            portion: Portion {
                number,
                of: basis.portions,
            },
            basis: Arc::clone(basis),
            reported,
            all_started: (0, 0),
            ways: ways.clone(),
        };
        (0..).zip(rolls).map(account).collect()
    }

    /// What whoever starts its devices has to follow.
    pub(super) fn steered(&self) -> (watch::Receiver<Stop>, watch::Receiver<Arc<Pace>>) {
        (self.ways.stop.subscribe(), self.ways.pace.clone())
    }

    /// Puts a request on record at once, if that can be done.
    pub(super) fn put(&self, record: &ledger::Record) -> bool {
        match (&record.entry, &self.ways.ledger.intake) {
            (Entry::Asked(intent), Some(intake)) => {
                intake.put(record.device, &record.name, intent.files.as_ref())
            }
            _ => false,
        }
    }

    /// Has a record kept. Without a ledger there is nothing to go on with.
    pub(super) async fn keep(&self, record: ledger::Record) {
        if self.ways.ledger.records.send(record.into()).await.is_err() {
            self.ways.stop.raise_to(Stop::Now);
        }
    }

    /// Counts what is said of its devices; records and last words are the caller's.
    pub(super) async fn count(&mut self, said: Up) {
        let frame = match said {
            Up::Recorded(carried) => {
                self.reported.add(&carried);
                Frame::Carried(carried)
            }
            Up::AllStarted { dropped } => {
                self.all_started.0 += 1;
                self.all_started.1 += dropped;
                Frame::AllStarted { dropped }
            }
            Up::Seen(evidence) => Frame::Seen(self.portion.number, evidence),
            Up::Ready | Up::Record(_) | Up::Over { .. } => return,
        };
        self.tell(frame).await;
    }

    pub(super) async fn tell(&self, frame: Frame) {
        // The coordinator outlives its accounts; were it gone, there would be nobody to tell.
        let _ = self.ways.frames.send(frame).await;
    }

    /// Has the sums agree with the ledger, which knows more of the devices than was reported; how long
    /// the ledger is by then. `death` says to the user what happened.
    pub(super) async fn settle(&mut self, death: String) -> Result<u64, String> {
        let end = self.on_disk().await?;
        let (fleet, basis) = (Arc::clone(&self.ways.fleet), Arc::clone(&self.basis));
        let portion = self.portion;
        let roll = tokio::task::spawn_blocking(move || {
            let past = basis.past(end)?;
            let roll = fleet.roll(&past, (portion, basis.workers), basis.ask_again);
            roll.map_err(|error| error.to_string())
        });
        let roll = roll.await.map_err(|error| error.to_string())??;
        let (workers, dropped) = std::mem::take(&mut self.all_started);
        let died = Frame::Died {
            mend: roll.beyond(&self.reported),
            all_started: workers,
            dropped,
            death,
        };
        self.reported = roll;
        self.tell(died).await;
        Ok(end)
    }

    /// Ends all devices of the portion that have not ended: nobody goes on with them.
    pub(super) async fn write_off(&mut self) -> Result<(), String> {
        let why = format!(
            "nobody went on with {}: its devices are left as the log has them",
            self.portion.shard()
        );
        let end = self.settle(why).await?;
        let (fleet, basis) = (Arc::clone(&self.ways.fleet), Arc::clone(&self.basis));
        let portion = self.portion;
        let left = tokio::task::spawn_blocking(move || {
            let past = basis.past(end)?;
            let left = fleet.left_behind(&past, (portion, basis.workers), basis.ask_again);
            left.map_err(|error| error.to_string())
        });
        let left = left.await.map_err(|error| error.to_string())??;
        let fleet = &self.ways.fleet;
        let mut recorder = Recorder::new(fleet.plan.cohorts.len());
        for (device, fate, counted) in left {
            if !counted {
                recorder.outcome(fleet.cohort_ix(device), fate.outcome, fate.cause);
            }
            let record = ledger::Record {
                device,
                name: fleet.name(device).into(),
                entry: Entry::Ended(fate),
            };
            self.keep(record).await;
        }
        let carried = CarriedRecorder::of(&recorder);
        self.count(Up::Recorded(carried)).await;
        for _ in 0..self.basis.workers {
            self.count(Up::AllStarted { dropped: 0 }).await;
        }
        Ok(())
    }

    /// Waits until the ledger has all that was sent; how long it is then.
    async fn on_disk(&self) -> Result<u64, String> {
        let (reader, read) = oneshot::channel();
        let gone = || "the ledger is gone".to_owned();
        let records = &self.ways.ledger.records;
        let sent = records.send(Post::Reader(reader)).await;
        sent.map_err(|_| gone())?;
        read.await.map_err(|_| gone())?;
        let intake = self.ways.ledger.intake.as_ref().ok_or_else(gone)?;
        intake.length().map_err(|error| error.to_string())
    }
}

impl Basis {
    fn past(&self, end: u64) -> Result<Past, String> {
        let past = Past::read_beginning(&self.ledger, end, &self.boot_id);
        past.map_err(|error| error.to_string())
    }
}
