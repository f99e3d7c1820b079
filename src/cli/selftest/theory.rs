//! What a generator that tells the truth must report, in closed form.

/// A load of evenly spaced messages during which the server stands still once.
///
/// Each device sends one message at a time. While the server stands still, messages fall due that
/// cannot be sent; each waits for the end of the stall and for those before it. With the stall's
/// length `D`, the share `ρ` of its time that a device spends on messages, and `T` the time that
/// all messages take, the response time of a message that falls due `u` after the stall began is
/// `D − u·(1 − ρ)`, so that `P(R > x) = (D − x) / ((1 − ρ)·T)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stalled {
    /// How long the server stands still, µs.
    pub(super) stall: f64,
    /// From the first message to the last, µs.
    pub(super) span: f64,
    /// The share of its time that a device spends on messages otherwise, 0..1.
    pub(super) busy: f64,
    /// A message's time otherwise, µs.
    pub(super) service: f64,
}

impl Stalled {
    /// The response time at a quantile (0..1), µs.
    pub(super) fn response(&self, quantile: f64) -> f64 {
        let beyond = (1.0 - quantile) * self.span;
        (self.stall - beyond * (1.0 - self.busy)).max(0.0) + self.service
    }
}

/// A load that finds fewer places than it needs: a place is held for `hold`, devices fall due at a
/// rate, and each waits for its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowded {
    /// Devices that can be brought up at a time.
    pub(super) places: u32,
    /// How long each takes, µs.
    pub(super) hold: f64,
    /// Devices due per µs.
    pub(super) rate: f64,
    /// Devices.
    pub(super) devices: u32,
}

impl Crowded {
    /// How late the device at a quantile (0..=1) starts, µs: the n-th starts in round ⌊n / places⌋,
    /// and is due at n / rate.
    pub(super) fn lag(&self, quantile: f64) -> f64 {
        let mut lags: Vec<f64> = (0..self.devices)
            .map(|n| {
                let started = f64::from(n / self.places) * self.hold;
                (started - f64::from(n) / self.rate).max(0.0)
            })
            .collect();
        lags.sort_unstable_by(f64::total_cmp);
        let last = f64::from(self.devices.saturating_sub(1)) * quantile;
        let upto = (0..)
            .zip(&lags)
            .take_while(|(n, _): &(u32, _)| f64::from(*n) <= last);
        upto.last().map_or(0.0, |(_, lag)| *lag)
    }
}

/// A load that is more than one server with a queue can carry out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    /// Requests due per µs.
    pub(super) rate: f64,
    /// Requests carried out per µs, fewer.
    pub(super) capacity: f64,
    /// Requests.
    pub(super) requests: f64,
}

impl Queued {
    /// The response time at a quantile, µs: the n-th is due at n / rate, and done when it and those
    /// before it are, at (n + 1) / capacity.
    pub(super) fn response(&self, quantile: f64) -> f64 {
        let n = (self.requests * quantile).ceil() - 1.0;
        (n + 1.0) / self.capacity - n / self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_grows_by_what_it_cannot_carry_out() {
        let queue = Queued {
            rate: 400e-6,
            capacity: 200e-6,
            requests: 400.0,
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(queue.response(1.0), 2_000_000.0 - 997_500.0));
        assert!(near(queue.response(0.5), 1_000_000.0 - 497_500.0));
        assert!(
            near(queue.response(0.0025), 5_000.0),
            "the first waits for nobody"
        );
    }

    /// The same by counting: each device's messages one after the other.
    fn counted(
        devices: u32,
        interval: f64,
        service: f64,
        at: f64,
        stall: f64,
        span: f64,
    ) -> Vec<f64> {
        let mut times = Vec::new();
        for device in 0..devices {
            let mut free = 0.0_f64;
            let mut due = interval * f64::from(device) / f64::from(devices);
            while due < span {
                let mut sent = free.max(due);
                // Whatever is on its way when the server stands still is answered after that.
                if sent + service > at && sent < at + stall {
                    sent = at + stall;
                }
                free = sent + service;
                times.push(free - due);
                due += interval;
            }
        }
        times.sort_unstable_by(f64::total_cmp);
        times
    }

    #[test]
    fn the_closed_form_is_what_counting_gives() {
        for (interval, service, stall) in [(1e4, 200.0, 1e6), (2e4, 1000.0, 2e6), (1e4, 50.0, 5e5)]
        {
            let span = 1e7;
            let times = counted(10, interval, service, 3e6, stall, span);
            let theory = Stalled {
                stall,
                span,
                busy: service / interval,
                service,
            };
            for permille in [970_u16, 990, 999] {
                let n = (usize::from(permille) * times.len()).div_ceil(1000) - 1;
                let formed = theory.response(f64::from(permille) / 1e3);
                let off = (times[n] - formed).abs();
                assert!(off < 0.01 * stall, "{permille}: {}, {formed}", times[n]);
            }
        }
    }

    #[test]
    fn starts_wait_for_the_places_of_those_before() {
        let crowd = Crowded {
            places: 10,
            hold: 50_000.0,
            rate: 400e-6,
            devices: 400,
        };
        // The first of the last round: due at 390 / 400 s, started after 39 rounds.
        assert!((crowd.lag(1.0) - (1_950_000.0 - 975_000.0)).abs() < 1e-6);
        assert!(crowd.lag(0.0).abs() < 1e-6, "the first ten wait for nobody");
        let (half, most) = (crowd.lag(0.5), crowd.lag(1.0));
        assert!((half - most / 2.0).abs() < crowd.hold, "{half}");
    }
}
