//! Histories of a shard: workers that take it over, stop, come back, crash, and lose answers, against a log in
//! memory that compares as the servers do, or forgets to.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;

use super::super::record::Record;
use super::*;

const WORKERS: usize = 3;
const DEVICES: u8 = 8;

/// What becomes of a record on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    /// It is stored, and its author does not hear of it.
    AnswerLost,
    /// It is stored when its author has long given up or sent it again, or never.
    Late,
}

/// What happens next. A worker that is stopped and continued is one for which nothing happens for a while.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read(usize),
    Claim(usize, Fate),
    Attempt(usize),
    Write(usize, Fate),
    Again(usize, Fate),
    Crash(usize),
    /// It takes the log's end for its own last record, without a claim.
    Presume(usize),
    Arrive(usize),
    /// The server forgets the ids that it has seen.
    Forget,
    /// The server does not compare the next record.
    Careless,
}

fn step(honest: bool) -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    let fate = prop_oneof![
        6 => Just(Fate::Answered),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::Late)
    ];
    let faults = u32::from(!honest) * 2;
    prop_oneof![
        3 => worker.clone().prop_map(Step::Read),
        4 => (worker.clone(), fate.clone()).prop_map(|(w, fate)| Step::Claim(w, fate)),
        8 => worker.clone().prop_map(Step::Attempt),
        8 => (worker.clone(), fate.clone()).prop_map(|(w, fate)| Step::Write(w, fate)),
        4 => (worker.clone(), fate).prop_map(|(w, fate)| Step::Again(w, fate)),
        1 => worker.clone().prop_map(Step::Crash),
        1 + faults => worker.prop_map(Step::Presume),
        2 => (0..8_usize).prop_map(Step::Arrive),
        1 => Just(Step::Forget),
        faults => Just(Step::Careless),
    ]
}

/// The log of shard 0.
#[derive(Debug, Default)]
struct Log {
    stored: Vec<(String, Entry)>,
    /// From here on ids are remembered.
    remembered: usize,
    under_way: Vec<Record>,
    careless: bool,
}

impl Log {
    fn last(&self) -> u64 {
        self.stored.last().map_or(0, |(_, entry)| entry.sequence)
    }

    /// The sequence under which it is stored, if it is.
    fn store(&mut self, record: &Record) -> Option<u64> {
        let known = self.stored[self.remembered..].iter();
        if let Some((_, entry)) = known.clone().find(|(id, _)| *id == record.id) {
            return Some(entry.sequence);
        }
        let careless = std::mem::take(&mut self.careless);
        if record.after == self.last() || careless {
            // Other shards' records lie between.
            let sequence = self.last() + 3;
            let claim = record.kind == Kind::Claim;
            let entry = Entry {
                shard: 0,
                sequence,
                epoch: if claim { sequence } else { record.epoch },
                after: record.after,
                worker: record.worker.clone(),
                kind: record.kind,
                at: Timestamp::UNIX_EPOCH,
                body: record.body.clone(),
            };
            self.stored.push((record.id.clone(), entry));
            return Some(sequence);
        }
        let place = self
            .stored
            .iter()
            .find(|(_, entry)| entry.sequence > record.after);
        let (id, entry) = place?;
        (*id == record.id).then_some(entry.sequence)
    }

    fn fold(&self) -> (Standing, Vec<u8>) {
        let mut standing = Standing::default();
        let mut counted = Vec::new();
        for (_, entry) in &self.stored {
            if matches!(standing.take(entry), Verdict::Counted | Verdict::Over) {
                counted.extend_from_slice(&entry.body);
            }
        }
        (standing, counted)
    }
}

#[derive(Clone, Debug, Default)]
struct Worker {
    name: String,
    /// The log's end and the devices that are done, when it read.
    read: Option<(u64, BTreeSet<u8>)>,
    /// Its epoch.
    held: Option<u64>,
    last: u64,
    done: BTreeSet<u8>,
    /// Attempted and not written.
    attempted: Vec<u8>,
    /// Written, perhaps.
    pending: Option<Record>,
}

#[derive(Debug, Default)]
struct World {
    log: Log,
    workers: Vec<Worker>,
    attempts: BTreeMap<u8, u32>,
    records: u32,
}

impl World {
    fn new() -> Self {
        let named = |number| Worker {
            name: format!("w{number}"),
            ..Worker::default()
        };
        Self {
            workers: (0..=WORKERS).map(named).collect(),
            ..Self::default()
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read(w) => self.read(w),
            Step::Claim(w, fate) => self.claim(w, fate),
            Step::Attempt(w) => self.attempt(w),
            Step::Write(w, fate) => self.write(w, fate),
            Step::Again(w, fate) => self.send(w, fate),
            Step::Crash(w) => {
                let name = self.workers[w].name.clone();
                self.workers[w] = Worker {
                    name,
                    ..Worker::default()
                };
            }
            Step::Presume(w) => self.workers[w].last = self.log.last(),
            Step::Arrive(number) => {
                if number < self.log.under_way.len() {
                    let record = self.log.under_way.remove(number);
                    self.log.store(&record);
                }
            }
            Step::Forget => self.log.remembered = self.log.stored.len(),
            Step::Careless => self.log.careless = true,
        }
    }

    fn read(&mut self, w: usize) {
        let (standing, counted) = self.log.fold();
        let worker = &mut self.workers[w];
        if worker.pending.is_none() && !standing.over {
            worker.held = None;
            worker.read = Some((standing.last, counted.into_iter().collect()));
        }
    }

    fn claim(&mut self, w: usize, fate: Fate) {
        let worker = &self.workers[w];
        if let (Some((last, _)), None) = (&worker.read, &worker.pending) {
            self.prepare(w, Kind::Claim, *last, Vec::new());
            self.send(w, fate);
        }
    }

    fn attempt(&mut self, w: usize) {
        let worker = &mut self.workers[w];
        let pending = worker.pending.iter().flat_map(|record| record.body.iter());
        let begun: BTreeSet<u8> = pending.chain(&worker.attempted).copied().collect();
        let next =
            (0..DEVICES).find(|device| !worker.done.contains(device) && !begun.contains(device));
        if let (Some(_), Some(device)) = (worker.held, next) {
            worker.attempted.push(device);
            *self.attempts.entry(device).or_default() += 1;
        }
    }

    fn write(&mut self, w: usize, fate: Fate) {
        let worker = &mut self.workers[w];
        if worker.held.is_none() || worker.pending.is_some() {
            return;
        }
        let body = std::mem::take(&mut worker.attempted);
        let over = worker.done.len() + body.len() == usize::from(DEVICES);
        let kind = if over { Kind::Final } else { Kind::Batch };
        let last = worker.last;
        self.prepare(w, kind, last, body);
        self.send(w, fate);
    }

    fn prepare(&mut self, w: usize, kind: Kind, after: u64, body: Vec<u8>) {
        self.records += 1;
        let worker = &mut self.workers[w];
        worker.pending = Some(Record {
            id: self.records.to_string(),
            kind,
            epoch: worker.held.unwrap_or_default(),
            after,
            worker: worker.name.clone(),
            body: Bytes::from(body),
        });
    }

    /// Sends what is pending, perhaps not for the first time.
    fn send(&mut self, w: usize, fate: Fate) {
        let Some(record) = self.workers[w].pending.clone() else {
            return;
        };
        let answer = match fate {
            Fate::Late => {
                self.log.under_way.push(record);
                return;
            }
            Fate::AnswerLost => {
                self.log.store(&record);
                return;
            }
            Fate::Answered => self.log.store(&record),
        };
        let worker = &mut self.workers[w];
        worker.pending = None;
        match (answer, record.kind) {
            (Some(sequence), Kind::Claim) => {
                let (_, done) = worker.read.take().unwrap_or_default();
                worker.held = Some(sequence);
                worker.last = sequence;
                worker.done = done;
                worker.attempted.clear();
            }
            (Some(sequence), Kind::Batch) => {
                worker.last = sequence;
                worker.done.extend(&record.body);
            }
            // Over, fenced or lost: it lets the shard go.
            _ => {
                worker.held = None;
                worker.read = None;
            }
        }
    }

    /// One more worker does what is left, undisturbed, and what is still under way arrives.
    fn end(&mut self) {
        self.log.careless = false;
        self.read(WORKERS);
        self.claim(WORKERS, Fate::Answered);
        for _ in 0..DEVICES {
            self.attempt(WORKERS);
        }
        self.write(WORKERS, Fate::Answered);
        for record in std::mem::take(&mut self.log.under_way) {
            self.log.store(&record);
        }
        for w in 0..WORKERS {
            self.send(w, Fate::Answered);
        }
    }

    fn check(&self) {
        let (standing, mut counted) = self.log.fold();
        assert!(standing.over, "the shard is not over: {self:#?}");
        counted.sort_unstable();
        let each_once: Vec<u8> = (0..DEVICES).collect();
        assert_eq!(counted, each_once, "{self:#?}");
        assert!(each_once.iter().all(|device| self.attempts[device] > 0));
        let mut fold = Standing::default();
        let mut epoch = 0;
        for (_, entry) in &self.log.stored {
            let over = fold.over;
            match fold.take(entry) {
                Verdict::Claimed { .. } => epoch = entry.sequence,
                Verdict::Counted | Verdict::Over => {
                    assert!(!over && entry.epoch == epoch, "{entry:?}");
                }
                Verdict::Ignored(_) => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_device_counts_once_whatever_becomes_of_workers_and_answers(
        steps in prop::collection::vec(step(true), 0..160),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.end();
        world.check();
    }

    #[test]
    fn each_device_counts_once_even_where_the_server_forgets_to_compare(
        steps in prop::collection::vec(step(false), 0..160),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.end();
        world.check();
    }
}
