//! Requests that are put on record before they are due: the way to a log on other machines and back
//! takes milliseconds, which would be in the device's time to provision.
//!
//! A process that dies leaves up to [`AHEAD`] of them that it had not come to. Nobody knows that, so whoever
//! takes its place has those devices ask as if they asked again.

use std::collections::HashMap;
use std::iter::Peekable;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::fleet::Fleet;
use super::Portion;
use crate::arrival::{Due, Pace, Turns};
use crate::ledger::{Entry, Intent, Record};
use crate::model::DeviceIx;

/// The announcements of a portion.
pub(super) struct Ahead<'f> {
    fleet: &'f Fleet,
    turns: Peekable<Turns<'f>>,
    /// Announced and not asked for yet: told once it is on record.
    announced: HashMap<DeviceIx, oneshot::Receiver<()>>,
}

impl<'f> Ahead<'f> {
    pub(super) fn new(fleet: &'f Fleet, portion: Portion) -> Self {
        let workers = u32::try_from(fleet.plan.limits.workers).expect("a plan has few workers");
        debug_assert_eq!(workers, 1, "a shard has one");
        Self {
            fleet,
            turns: fleet.schedule.turns(portion.number, portion.of).peekable(),
            announced: HashMap::new(),
        }
    }

    /// The next request that will be due soon, so long after the beginning.
    pub(super) fn next(&mut self, elapsed: Duration, pace: &Pace) -> Option<Record> {
        let soon = |(_, due): &(DeviceIx, Due)| {
            let Due::At(due) = due else { return false };
            let at = pace.open_at(*due);
            at.is_some_and(|at| at <= elapsed + AHEAD)
        };
        loop {
            let (device, _) = self.turns.next_if(soon)?;
            if !self.is_plain(device) {
                continue;
            }
            let (written, known) = oneshot::channel();
            self.announced.insert(device, known);
            return Some(Record {
                device,
                name: self.fleet.name(device).into(),
                entry: Entry::Asked(Intent {
                    files: None,
                    written,
                }),
            });
        }
    }

    /// Whether it asks once, at its turn and by its own name.
    fn is_plain(&self, device: DeviceIx) -> bool {
        let wrong = self.fleet.cohort(device).misbehaviour;
        wrong.is_none() && self.fleet.beginning(device).is_none()
    }

    /// Answers a device that is about to ask, where its request was announced; the record otherwise.
    pub(super) fn answer(&mut self, record: Record) -> Option<Record> {
        if !matches!(record.entry, Entry::Asked(_)) {
            return Some(record);
        }
        let Some(mut known) = self.announced.remove(&record.device) else {
            return Some(record);
        };
        let Entry::Asked(intent) = record.entry else {
            return None;
        };
        match known.try_recv() {
            Ok(()) => {
                // A device that was cut off waits no more.
                let _ = intent.written.send(());
            }
            // Refused: nobody is told that it is on record.
            Err(oneshot::error::TryRecvError::Closed) => {}
            Err(oneshot::error::TryRecvError::Empty) => {
                tokio::spawn(async move {
                    if known.await.is_ok() {
                        let _ = intent.written.send(());
                    }
                });
            }
        }
        None
    }
}

/// How long before.
const AHEAD: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Equipment;
    use crate::inventory::{GenerateSpec, NameKind, generate};
    use crate::scenario::{Overrides, load};

    /// Ten devices, one a second; every second one misbehaves.
    fn fleet() -> Fleet {
        let cohort = |name: &str, more: &str| {
            format!("[[cohort]]\nname = \"{name}\"\ntransport = \"mqtt\"\n{more}\n")
        };
        let text = format!(
            "name = \"s\"\n[target]\nembedded = true\n[devices]\ngenerate = {{ count = 10 }}\n\
             [arrival]\nstages = [{{ duration = \"10s\", rate = 1 }}]\n{}{}",
            cohort("good", ""),
            cohort("bad", "misbehaviour = \"wrong_secret\"")
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut plan = load(file.path(), &[], &Overrides::default()).unwrap();
        plan.limits.workers = 1;
        let inventory = generate(&GenerateSpec {
            count: 10,
            kind: NameKind::Serial,
            oui: None,
            prefix: None,
            seed: 1,
        });
        let cohort_of: Vec<u16> = (0..10).map(|n| n % 2).collect();
        Fleet::new(plan, inventory, cohort_of, Equipment::default()).unwrap()
    }

    fn asks(fleet: &Fleet, device: u32) -> (Record, oneshot::Receiver<()>) {
        let device = DeviceIx(device);
        let (written, known) = oneshot::channel();
        let record = Record {
            device,
            name: fleet.name(device).into(),
            entry: Entry::Asked(Intent {
                files: None,
                written,
            }),
        };
        (record, known)
    }

    #[tokio::test]
    async fn a_device_goes_on_once_its_announcement_is_on_record() {
        let fleet = fleet();
        let mut ahead = Ahead::new(&fleet, Portion::WHOLE);
        let pace = Pace::planned();
        let mut announced = Vec::new();
        while let Some(record) = ahead.next(Duration::ZERO, &pace) {
            announced.push(record);
        }
        let due = |record: &Record| {
            fleet
                .schedule
                .due(fleet.cohort_ix(record.device), record.device)
        };
        assert!(!announced.is_empty());
        assert!(announced.iter().all(|record| due(record) <= Due::At(AHEAD)));
        assert!(
            announced.iter().all(|record| record.device.0 % 2 == 0),
            "a wrong request has its own name"
        );

        // Not on record yet.
        let first = announced.remove(0);
        let (record, mut known) = asks(&fleet, first.device.0);
        assert!(ahead.answer(record).is_none(), "it was announced");
        tokio::task::yield_now().await;
        assert!(known.try_recv().is_err());
        let Entry::Asked(intent) = first.entry else {
            panic!("an announcement is a request");
        };
        intent.written.send(()).unwrap();
        known.await.unwrap();
        // When it asks again, it is on its own.
        let (record, _known) = asks(&fleet, first.device.0);
        assert!(ahead.answer(record).is_some());
    }

    #[tokio::test]
    async fn what_cannot_be_put_on_record_lets_nobody_go_on() {
        let fleet = fleet();
        let mut ahead = Ahead::new(&fleet, Portion::WHOLE);
        let announced = ahead.next(Duration::ZERO, &Pace::planned()).unwrap();
        let device = announced.device;
        drop(announced);
        let (record, known) = asks(&fleet, device.0);
        assert!(ahead.answer(record).is_none());
        assert!(known.await.is_err());
        // One that misbehaves was not announced.
        let (record, _known) = asks(&fleet, 9);
        assert!(ahead.answer(record).is_some());
    }
}
