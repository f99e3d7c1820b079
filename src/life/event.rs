//! Events in the middle of a run, and whom they strike.

use std::time::Duration;

use super::boot::Boot;
use super::draw::uniform;

/// Something that happens to a part of the fleet at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Since the start of the run.
    pub at: Duration,
    /// How much later it strikes the last devices; each has a moment of its own, evenly.
    pub spread: Duration,
    /// What happens.
    pub kind: EventKind,
    /// Which part of the devices it strikes, more than 0 and up to 1.
    pub share: f64,
    /// How long the struck devices then stay away; nobody does in a take-over.
    pub boot: Boot,
    /// `rotate`: whether the old certificate is shown once more, to see it refused.
    pub check_old: bool,
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
    /// It gets a new certificate, connects with it and goes on with it.
    Rotate,
}

impl Event {
    /// Whether it strikes a device: each draws for itself.
    pub fn strikes(&self, device: &str) -> bool {
        self.share >= 1.0
            || uniform(self.seed, "event", device, [self.number.into(), 0]) < self.share
    }

    /// From the start of the run to the moment at which it strikes a device.
    pub fn moment(&self, device: &str) -> Duration {
        if self.spread.is_zero() {
            return self.at;
        }
        let part = uniform(self.seed, "spread", device, [self.number.into(), 0]);
        self.at + self.spread.mul_f64(part)
    }

    /// From the start of the run to the moment at which a struck device can try to connect.
    pub fn over(&self, device: &str) -> Duration {
        self.moment(device) + self.boot.time(self.seed, device, self.number)
    }

    /// The first of the events that strikes a device after that moment and number, and its moment
    /// and number.
    pub fn next<'e>(
        events: &'e [Self],
        device: &str,
        after: Option<(Duration, u32)>,
    ) -> Option<(&'e Self, (Duration, u32))> {
        events
            .iter()
            .filter(|event| event.strikes(device))
            .map(|event| (event, (event.moment(device), event.number)))
            .filter(|(_, struck)| after.is_none_or(|after| *struck > after))
            .min_by_key(|(_, struck)| *struck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(share: f64, number: u32) -> Event {
        Event {
            at: Duration::from_secs(30),
            spread: Duration::ZERO,
            kind: EventKind::PowerLoss,
            share,
            boot: Boot::Fixed(Duration::from_secs(2)),
            check_old: false,
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

    #[test]
    fn a_spread_event_has_a_moment_for_each_device_evenly() {
        let spread = Event {
            spread: Duration::from_secs(10),
            ..event(1.0, 0)
        };
        let mut tenths = [0u32; 10];
        for n in 0..10_000 {
            let after = spread
                .moment(&format!("d{n}"))
                .abs_diff(spread.at)
                .as_secs();
            tenths[usize::try_from(after).unwrap()] += 1;
        }
        // 1,000 each, with a standard deviation of 30.
        assert!(tenths.iter().all(|n| n.abs_diff(1_000) < 150), "{tenths:?}");
        assert_eq!(
            spread.over("d"),
            spread.moment("d") + Duration::from_secs(2)
        );
    }

    #[test]
    fn events_strike_a_device_in_the_order_of_its_own_moments_and_each_once() {
        let events = [0, 1, 2].map(|number| Event {
            spread: Duration::from_secs(20 * u64::from(number)),
            ..event(1.0, number)
        });
        for device in (0..100).map(|n| format!("d{n}")) {
            let (mut after, mut struck) = (None, Vec::new());
            while let Some((event, at)) = Event::next(&events, &device, after) {
                struck.push((event.moment(&device), event.number));
                after = Some(at);
            }
            assert!(struck.is_sorted(), "{struck:?}");
            assert_eq!(struck.len(), 3);
        }
    }
}
