//! Events in the middle of a run, and whom they strike.

use std::time::Duration;

use super::boot::Boot;
use super::draw::uniform;

/// Something that happens to a part of the fleet at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Since the start of the run.
    pub at: Duration,
    /// What happens.
    pub kind: EventKind,
    /// Which part of the devices it strikes, more than 0 and up to 1.
    pub share: f64,
    /// How long the struck devices then stay away; nobody does in a take-over.
    pub boot: Boot,
    /// Its position among the run's events, from 0: what is drawn for it is drawn by this.
    pub number: u32,
    /// Of all randomness.
    pub seed: u64,
}

/// What an event does to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Its connection is gone without a word, whatever was under way.
    PowerLoss,
    /// It says good-bye and comes back.
    Disconnect,
    /// It opens a second session, for which the server has to close the first.
    Takeover,
}

impl Event {
    /// Whether it strikes a device: each draws for itself.
    pub fn strikes(&self, device: &str) -> bool {
        self.share >= 1.0
            || uniform(self.seed, "event", device, [self.number.into(), 0]) < self.share
    }

    /// From the start of the run to the moment at which a struck device can try to connect.
    pub fn over(&self, device: &str) -> Duration {
        self.at + self.boot.time(self.seed, device, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(share: f64, number: u32) -> Event {
        Event {
            at: Duration::from_secs(30),
            kind: EventKind::PowerLoss,
            share,
            boot: Boot::Fixed(Duration::from_secs(2)),
            number,
            seed: 5,
        }
    }

    fn struck(event: &Event) -> Vec<bool> {
        (0..10_000)
            .map(|n| event.strikes(&format!("d{n}")))
            .collect()
    }

    #[test]
    fn an_event_strikes_its_share_and_each_event_others() {
        let (first, second) = (struck(&event(0.3, 0)), struck(&event(0.3, 1)));
        for struck in [&first, &second] {
            let n = struck.iter().filter(|struck| **struck).count();
            // 3,000 with a standard deviation of 46.
            assert!(n.abs_diff(3_000) < 230, "{n}");
        }
        assert_ne!(first, second);
        assert_eq!(first, struck(&event(0.3, 0)));
    }

    #[test]
    fn a_whole_share_leaves_nobody_out() {
        assert!(struck(&event(1.0, 0)).into_iter().all(|struck| struck));
    }

    #[test]
    fn a_struck_device_can_come_back_after_event_and_boot() {
        assert_eq!(event(1.0, 0).over("d"), Duration::from_secs(32));
    }
}
