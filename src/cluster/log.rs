//! The log of one shard, and who may write to it.

use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};

use super::bus::{PATIENCE, Patience, Posted};
use super::fold::{Standing, Verdict, Why};
use super::names::{LOG, worker_name};
use super::reader::Reader;
use super::record::{Entry, Kind, Record};
use super::{AppendError, Bus, BusError, RunId};

/// How often the servers may say both that a record does not come next and that there is none in its place.
const CONTRADICTIONS: u32 = 20;

/// The log of one shard.
#[derive(Debug)]
pub struct ShardLog;

/// What came of the wish to hold a shard.
#[derive(Debug)]
pub enum Claim {
    /// It is held.
    Held {
        /// Writes its records.
        holder: Box<Holder>,
        /// The records that count so far, in order. They are all: what is not in them is not done.
        past: Vec<Entry>,
        /// How many held it before.
        earlier: u32,
    },
    /// It was over before.
    Over,
    /// Somebody else wrote at the same time.
    Lost,
}

impl ShardLog {
    /// Reads the whole log and claims the shard, if nothing was written meanwhile. A log that cannot be read whole is
    /// an error and never a shorter log.
    pub async fn claim(
        bus: &Bus,
        run: &RunId,
        shard: u32,
        worker: &str,
    ) -> Result<Claim, BusError> {
        worker_name(worker)?;
        let subject = run.log(shard);
        let entries = whole(bus, &subject).await?;
        let mut standing = Standing::default();
        let mut past = Vec::new();
        for entry in entries {
            match standing.take(&entry) {
                Verdict::Counted | Verdict::Over => past.push(entry),
                Verdict::Claimed { .. } | Verdict::Ignored(_) => {}
            }
        }
        if standing.over {
            return Ok(Claim::Over);
        }
        let record = Record {
            id: format!("{run}-{shard}-{}", nonce()),
            kind: Kind::Claim,
            epoch: 0,
            after: standing.last,
            worker: worker.to_owned(),
            body: Bytes::new(),
        };
        let Some(epoch) = bus.append(&subject, &record).await else {
            return Ok(Claim::Lost);
        };
        let holder = Holder {
            bus: bus.clone(),
            subject,
            run: run.clone(),
            shard,
            worker: worker.to_owned(),
            epoch,
            last: epoch,
            number: 0,
            fenced: false,
        };
        Ok(Claim::Held {
            holder: Box::new(holder),
            past,
            earlier: standing.claims,
        })
    }
}

/// What names a claim among those of the same shard, also of one worker.
fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without randomness two claims of one log's end may be taken for one: then nobody claims.
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the kernel has randomness");
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// The log up to its last record, or an error.
async fn whole(bus: &Bus, subject: &str) -> Result<Vec<Entry>, BusError> {
    let mut patience = Patience::of(PATIENCE);
    loop {
        let why = match read(bus, subject).await {
            Ok(entries) => return Ok(entries),
            Err(why) => why,
        };
        patience.wait("reading a shard's log", why).await?;
    }
}

async fn read(bus: &Bus, subject: &str) -> Result<Vec<Entry>, String> {
    let Some(last) = bus.last(LOG, subject).await? else {
        return Ok(Vec::new());
    };
    let mut reader = Reader::new(bus, subject.to_owned());
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let some = reader.some().await?;
        if some.is_empty() {
            return Err("the last record is there, and not those before it".to_owned());
        }
        entries.extend(some);
        if entries
            .last()
            .is_some_and(|entry| entry.sequence >= last.sequence)
        {
            entries.retain(|entry| entry.sequence <= last.sequence);
            break;
        }
    }
    let mut standing = Standing::default();
    for entry in &entries {
        if standing.take(entry) == Verdict::Ignored(Why::Gap) {
            return Err("a record is missing".to_owned());
        }
    }
    Ok(entries)
}

impl Bus {
    /// Writes a record, through whatever happens to the servers; its sequence, or none if something else stands in
    /// its place.
    async fn append(&self, subject: &str, record: &Record) -> Option<u64> {
        let mut patience = Patience::endless();
        let mut contradictions = 0;
        loop {
            let why = match self.post(subject, record.message()).await {
                Posted::Stored(sequence) if sequence > record.after => return Some(sequence),
                Posted::Stored(_) => "it is stored before what comes before it".to_owned(),
                Posted::Unclear(why) => why,
                // Or it was this one, whose answer was lost.
                Posted::Refused => match self.next(LOG, subject, record.after + 1).await {
                    Ok(Some(there)) => return mine(record, &there),
                    Ok(None) if contradictions < CONTRADICTIONS => {
                        contradictions += 1;
                        "refused, and nothing stands in its place".to_owned()
                    }
                    Ok(None) => return None,
                    Err(why) => why,
                },
            };
            let _ = patience.wait("writing a record", why).await;
        }
    }
}

fn mine(record: &Record, there: &StreamMessage) -> Option<u64> {
    record.is(there).then_some(there.sequence)
}

/// The right to write to a shard's log, until another has it.
#[derive(Debug)]
pub struct Holder {
    bus: Bus,
    subject: String,
    run: RunId,
    shard: u32,
    worker: String,
    epoch: u64,
    last: u64,
    number: u64,
    fenced: bool,
}

impl Holder {
    /// The sequence of the claim.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes a record that counts. It returns once it is written or cannot be written any more: a call that is
    /// dropped before leaves it open which, and the next one may then be fenced though nobody else holds the shard.
    pub async fn batch(&mut self, body: Vec<u8>) -> Result<(), AppendError> {
        self.append(Kind::Batch, body).await
    }

    /// Writes the shard's last record.
    pub async fn finish(&mut self, body: Vec<u8>) -> Result<(), AppendError> {
        self.append(Kind::Final, body).await
    }

    async fn append(&mut self, kind: Kind, body: Vec<u8>) -> Result<(), AppendError> {
        let most = self.bus.max_body();
        if body.len() > most {
            return Err(AppendError::TooLong {
                length: body.len(),
                most,
            });
        }
        if self.fenced {
            return Err(AppendError::Fenced(self.shard));
        }
        let (run, shard, epoch) = (&self.run, self.shard, self.epoch);
        self.number += 1;
        let record = Record {
            id: format!("{run}-{shard}-{epoch}-{}", self.number),
            kind,
            epoch,
            after: self.last,
            worker: self.worker.clone(),
            body: body.into(),
        };
        if let Some(sequence) = self.bus.append(&self.subject, &record).await {
            self.last = sequence;
            Ok(())
        } else {
            self.fenced = true;
            Err(AppendError::Fenced(shard))
        }
    }
}
