//! One shard at a worker: from the claim to its last record.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::{About, Body, origin, unix_us};
use crate::arrival::Pace;
use crate::cli::Failure;
use crate::cli::past::boot_id;
use crate::cli::portion::Instruction;
use crate::cluster::{
    AppendError, Bus, Claim, ClockOffset, Entry, Holder, Lease, RunId, Seal, ShardLog,
};
use crate::engine::{Held, Holding, Portion, Saying, Stop};
use crate::ledger::{Header, LEDGER, Ledger};

/// Says that a shard is over. Its log says so, too: were this lost, whoever is given it would see that.
async fn done(lease: Lease) {
    let shard = lease.shard;
    if let Err(error) = lease.done().await {
        tracing::warn!(
            shard = shard + 1,
            "is over, and cannot be said to be: {error}"
        );
    }
}

/// What a worker does all its shards with.
pub(super) struct Bench {
    pub(super) bus: Bus,
    pub(super) run: RunId,
    pub(super) worker: String,
    pub(super) seal: Seal,
    pub(super) instruction: Instruction,
    pub(super) devices: u32,
    pub(super) shards: u32,
    pub(super) clock: ClockOffset,
    pub(super) host: String,
    /// Where ledgers of earlier holders' records go; the worker's own.
    pub(super) dir: PathBuf,
    /// When the run begins, by the coordinator's clock.
    pub(super) begin: watch::Receiver<Option<i64>>,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) pace: watch::Receiver<Arc<Pace>>,
}

impl Bench {
    /// Holds a shard until it is over or somebody else's. `Err`: this worker cannot hold any.
    pub(super) async fn hold(&self, lease: Lease) -> Result<(), Failure> {
        let shard = lease.shard;
        let Some((mut holder, past, lease)) = self.claim(lease).await else {
            return Ok(());
        };
        let past = self.past((shard, holder.epoch()), past).await?;
        let portion = Portion {
            number: shard,
            of: self.shards,
        };
        let taken_over = past.is_some();
        let holding = Holding::open(portion, &self.instruction.line(shard, past)).await;
        let holding = holding.map_err(Failure::usage)?;
        tracing::info!(
            shard = shard + 1,
            of = self.shards,
            taken_over,
            "holds a shard"
        );
        let mut about = Some(self.about(None));
        if !self
            .append((&mut holder, shard), Saying::ready(), &mut about)
            .await
        {
            return Ok(());
        }
        let mut begin = self.begin.clone();
        let Ok(begin) = begin
            .wait_for(Option::is_some)
            .await
            .map(|begin| begin.expect("waited for"))
        else {
            return Ok(());
        };
        // By this machine's clock.
        let ahead = begin - self.clock_offset_us() - unix_us();
        let behind = u64::try_from(-ahead).unwrap_or(0);
        let mut about = Some(self.about(Some(behind)));
        let steered = (self.stop.clone(), self.pace.clone());
        let append = async |saying| self.append((&mut holder, shard), saying, &mut about).await;
        match holding.carry_on(origin(ahead), steered, append).await {
            Held::Over => {
                tracing::info!(shard = shard + 1, "is over");
                done(lease).await;
            }
            Held::Lost => tracing::warn!(shard = shard + 1, "is another worker's now"),
            Held::Died(how) => {
                tracing::error!(
                    shard = shard + 1,
                    "its process died, and it is given back: {how}"
                );
                lease.give_back().await;
            }
        }
        Ok(())
    }

    /// Claims a shard and reads what was said of it before; `None` where there is nothing for this worker to do.
    async fn claim(&self, lease: Lease) -> Option<(Box<Holder>, Vec<Entry>, Lease)> {
        let shard = lease.shard;
        match ShardLog::claim(&self.bus, &self.run, shard, &self.worker).await {
            Ok(Claim::Held { holder, past, .. }) => return Some((holder, past, lease)),
            Ok(Claim::Over) => done(lease).await,
            Ok(Claim::Lost) => lease.give_back().await,
            Err(error) => {
                tracing::warn!(
                    shard = shard + 1,
                    "cannot be claimed, and is given back: {error}"
                );
                lease.give_back().await;
            }
        }
        None
    }

    /// Whether the log has it; if not, the shard is another worker's.
    async fn append(
        &self,
        (holder, shard): (&mut Holder, u32),
        said: Saying,
        about: &mut Option<About>,
    ) -> bool {
        let last = said.is_last();
        let body = Body {
            said,
            about: about.take(),
        };
        let sealed = body.close(&self.seal, shard);
        if sealed.len() > self.bus.max_body()
            && let Some((first, second)) = body.said.halves()
        {
            *about = body.about;
            return Box::pin(self.append((holder, shard), first, about)).await
                && Box::pin(self.append((holder, shard), second, about)).await;
        }
        let appended = if last {
            holder.finish(sealed).await
        } else {
            holder.batch(sealed).await
        };
        match appended {
            Ok(()) => true,
            Err(AppendError::Fenced(_)) => false,
            Err(error @ AppendError::TooLong { .. }) => {
                tracing::error!("shard {}: {error}", shard + 1);
                false
            }
        }
    }

    fn clock_offset_us(&self) -> i64 {
        i64::try_from(self.clock.offset.as_micros()).unwrap_or(0)
    }

    fn about(&self, behind_us: Option<u64>) -> About {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        About {
            host: self.host.clone(),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            clock_offset_us: self.clock_offset_us(),
            clock_rtt_us: u64::try_from(self.clock.rtt.as_micros()).unwrap_or(u64::MAX),
            behind_us,
        }
    }

    /// A ledger of what earlier holders said: the shard's process goes on from it as from its own run's.
    async fn past(
        &self,
        (shard, epoch): (u32, u64),
        past: Vec<Entry>,
    ) -> Result<Option<(PathBuf, u64)>, Failure> {
        if past.is_empty() {
            return Ok(None);
        }
        let dir = self.dir.join(format!("shard-{}-{epoch}", shard + 1));
        fs::create_dir(&dir).map_err(Failure::bug)?;
        let header = Header {
            format: Header::format_of(None),
            fleetcall_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: format!("{:.3}", Timestamp::now()),
            scenario_file: PathBuf::new(),
            devices_file: None,
            set: Vec::new(),
            credentials_file: None,
            seed: 0,
            working_directory: PathBuf::new(),
            scenario_sha256: String::new(),
            schedule_digest: String::new(),
            devices: self.devices,
            shard: None,
            boot_id: boot_id(),
        };
        let ledger = Ledger::create(&dir, &header).map_err(Failure::usage)?;
        let records = ledger.sender().records;
        for entry in past {
            let body = Body::open(&self.seal, entry.shard, &entry.body);
            // A worker with other secrets does not get so far; whoever wrote that, it does not count.
            let Some(body) = body else { continue };
            for record in body.said.into_records() {
                records.send(record.into()).await.map_err(Failure::bug)?;
            }
        }
        drop(records);
        let closed = tokio::task::spawn_blocking(|| ledger.close()).await;
        closed.map_err(Failure::bug)?.map_err(Failure::bug)?;
        let path = dir.join(LEDGER);
        let length = fs::metadata(&path).map_err(Failure::bug)?.len();
        Ok(Some((path, length)))
    }
}
