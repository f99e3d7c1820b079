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
    pub(super) places: f64,
    /// How long each takes, µs.
    pub(super) hold: f64,
    /// Devices due per µs.
    pub(super) rate: f64,
    /// Devices.
    pub(super) devices: f64,
}

impl Crowded {
    /// How late the device at a quantile starts, µs: the n-th starts in round ⌊n / places⌋, and is
    /// due at n / rate.
    pub(super) fn lag(&self, quantile: f64) -> f64 {
        let n = (self.devices - 1.0) * quantile;
        ((n / self.places).floor() * self.hold - n / self.rate).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            for quantile in [0.97, 0.99, 0.999] {
                let n = (quantile * times.len() as f64).ceil() as usize - 1;
                let (counted, formed) = (times[n], theory.response(quantile));
                let off = (counted - formed).abs();
                assert!(off < 0.01 * stall, "{quantile}: {counted}, {formed}");
            }
        }
    }

    #[test]
    fn late_starts_are_what_counting_gives() {
        let crowd = Crowded {
            places: 10.0,
            hold: 50_000.0,
            rate: 400e-6,
            devices: 400.0,
        };
        let mut lags: Vec<f64> = (0..400_u32)
            .map(|n| {
                let round = f64::from(n / 10);
                (round * crowd.hold - f64::from(n) / crowd.rate).max(0.0)
            })
            .collect();
        lags.sort_unstable_by(f64::total_cmp);
        for quantile in [0.5, 0.99, 1.0] {
            let n = (399.0 * quantile) as usize;
            let off = (lags[n] - crowd.lag(quantile)).abs();
            assert!(off <= crowd.hold, "{quantile}: {}", lags[n]);
        }
        assert!((crowd.lag(1.0) - 952_500.0).abs() < 1.0);
    }
}
