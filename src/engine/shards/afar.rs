//! The coordinator's side of a run whose devices are started by workers on other machines: counts
//! what the logs of the shards say, in their order, as if processes of its own had said it.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::shutdown::{Stop, reached};
use super::super::steering::Wheel;
use super::super::worker::Frame;
use super::account::{Account, Basis, Used, Ways};
use super::message::{Saying, Up};
use super::process::Never;
use super::processes::Links;
use crate::arrival::Pace;
use crate::metrics;

/// What the logs tell, each thing once and only what counts.
pub enum Told {
    /// A worker has a shard from now on.
    Taken {
        /// Which, from 0.
        shard: u32,
        /// Its name.
        by: String,
        /// How many had it before.
        before: u32,
    },
    /// It said this of the shard's devices.
    Said(u32, Saying),
}

/// What the workers have to follow, and whoever leads the run after this process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steered {
    /// How far the run has come towards its end.
    pub stop: Stop,
    /// At which pace it goes on.
    pub pace: Pace,
    /// What somebody did so far.
    pub changes: Vec<metrics::Steered>,
}

/// What there is to follow.
struct Follows {
    stop: watch::Receiver<Stop>,
    pace: watch::Receiver<Arc<Pace>>,
    changes: watch::Receiver<Vec<metrics::Steered>>,
}

/// The shards, which are all ready to begin.
pub struct Afar {
    told: mpsc::Receiver<Told>,
    steered: watch::Sender<Option<Steered>>,
    /// What was steered before.
    before: Option<Steered>,
    changes: watch::Receiver<Vec<metrics::Steered>>,
    basis: Basis,
    workers: u32,
    pub(in crate::engine) origin: Duration,
}

impl Afar {
    /// So many shards of one worker thread each, on so many workers, whose devices begin at `origin` of this
    /// machine's monotonic clock; `told` has all that the logs say, and what is steered goes to `steered`; `before`
    /// is what another process steered that led the run. The ledger is this run's own.
    pub fn new(
        (shards, workers): (u32, u32),
        origin: Duration,
        told: mpsc::Receiver<Told>,
        (before, steered): (Option<Steered>, watch::Sender<Option<Steered>>),
        (ledger, boot_id): (PathBuf, String),
    ) -> Self {
        let basis = Basis {
            portions: shards,
            workers: 1,
            ledger,
            boot_id,
            // Devices may be on record that had not asked yet.
            ask_again: true,
        };
        Self {
            told,
            steered,
            before,
            changes: watch::channel(Vec::new()).1,
            basis,
            workers,
            origin,
        }
    }

    /// Follows the wheel, which goes on where another process left it.
    pub(in crate::engine) fn follow(&mut self, wheel: &mut Wheel) {
        let before = self.before.take();
        let (pace, changes) = before.map_or_else(
            || (Pace::planned(), Vec::new()),
            |before| (before.pace, before.changes),
        );
        wheel.take_over(pace, changes, NOTICE);
        self.changes = wheel.changes();
    }

    /// Worker threads on all machines.
    pub(in crate::engine) fn threads(&self) -> usize {
        self.basis.portions as usize
    }

    /// Machines.
    pub(in crate::engine) fn workers(&self) -> usize {
        self.workers as usize
    }

    pub(in crate::engine) fn begin(self, ways: &Ways) -> Links {
        let accounts = Account::open_all(&Arc::new(self.basis), ways);
        let stop = ways.stop.subscribe();
        let follows = Follows {
            stop: stop.clone(),
            pace: ways.pace.clone(),
            changes: self.changes,
        };
        let (told, steered) = (self.told, self.steered);
        let mut links = JoinSet::new();
        links.spawn(async move {
            tokio::select! {
                used = count(accounts, told, stop) => used,
                never = pass_on(follows, steered) => match never {},
            }
        });
        Links(links)
    }
}

/// Hands on what somebody steers.
async fn pass_on(mut follows: Follows, steered: watch::Sender<Option<Steered>>) -> Never {
    loop {
        tokio::select! {
            Ok(()) = follows.stop.changed() => {}
            Ok(()) = follows.pace.changed() => {}
            Ok(()) = follows.changes.changed() => {}
            else => pending().await,
        }
        steered.send_replace(Some(Steered {
            stop: *follows.stop.borrow_and_update(),
            pace: Pace::clone(&follows.pace.borrow_and_update()),
            changes: follows.changes.borrow_and_update().clone(),
        }));
    }
}

/// Counts until every shard is over, or nobody can be waited for any more.
async fn count(
    accounts: Vec<Account>,
    mut told: mpsc::Receiver<Told>,
    mut stop: watch::Receiver<Stop>,
) -> Used {
    let mut used = Used::default();
    let mut accounts: Vec<Option<Account>> = accounts.into_iter().map(Some).collect();
    let mut open = accounts.len();
    let given_up = async {
        reached(&mut stop, Stop::Now).await;
        sleep(PATIENCE).await;
    };
    tokio::pin!(given_up);
    while open > 0 {
        let next = tokio::select! {
            told = told.recv() => told,
            () = &mut given_up => None,
        };
        let Some(told) = next else { break };
        let (Told::Taken { shard, .. } | Told::Said(shard, _)) = told;
        // A shard that is over says nothing more.
        let Some(slot) = accounts.get_mut(shard as usize) else {
            continue;
        };
        let Some(account) = slot else { continue };
        match told {
            Told::Taken { by, before, .. } if before > 0 => taken_over(account, &by).await,
            Told::Taken { .. } => {}
            Told::Said(_, Saying(said)) => {
                if let Some(last) = say(account, said).await {
                    used.peak_rss_bytes += last.peak_rss_bytes;
                    used.cpu += last.cpu;
                    used.over_after = used.over_after.max(last.over_after);
                    *slot = None;
                    open -= 1;
                }
            }
        }
    }
    for mut account in accounts.into_iter().flatten() {
        // It was not over until now.
        used.over_after = None;
        if let Err(why) = account.write_off().await {
            tracing::error!("{}: {why}", account.portion.shard());
            account.tell(Frame::Abandoned).await;
        }
    }
    used
}

/// Takes in what was said of a shard at one time; what it took, where it is over.
async fn say(account: &mut Account, said: Vec<Up>) -> Option<Used> {
    let mut used = None;
    for up in said {
        match up {
            Up::Record(sent) => {
                if let Some((record, _)) = sent.into_record() {
                    account.keep(record).await;
                } else {
                    // Sealed by a worker of this run: it should know better.
                    let shard = account.portion.shard();
                    tracing::error!("{shard}: a record says what cannot be");
                }
            }
            Up::Over {
                peak_rss_bytes,
                cpu,
                elapsed,
            } => {
                used = Some(Used {
                    peak_rss_bytes,
                    cpu,
                    over_after: Some(elapsed),
                });
            }
            up => account.count(up).await,
        }
    }
    used
}

async fn taken_over(account: &mut Account, by: &str) {
    let shard = account.portion.shard();
    let death = format!(
        "{shard} was taken over by worker {by}: its devices went on from the log, outcomes are whole; what was \
         measured of them in the last moments before is lost, and what fell due in between is late"
    );
    tracing::warn!("{death}");
    if let Err(why) = account.settle(death).await {
        tracing::error!("{shard}: {why}");
        account.tell(Frame::Abandoned).await;
    }
}

/// How long workers have to say their last word once everything is cut off.
const PATIENCE: Duration = Duration::from_secs(20);

/// By when every worker knows of what is steered: it hears of it from the servers, and asks them.
const NOTICE: Duration = Duration::from_millis(500);
