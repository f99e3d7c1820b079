//! One stretch of an open schedule: a rate, a ramp, a burst, or batches by takt.

use std::time::Duration;

/// One stretch of an open schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenStage {
    /// Its length.
    pub duration: Duration,
    /// Devices per second at its start, ≥ 0.
    pub from: f64,
    /// Devices per second at its end, ≥ 0; the rate between is linear.
    pub to: f64,
    /// Devices that it starts, where it ends by number: [`OpenStage::counted`].
    pub count: Option<u32>,
    /// Devices that come together, beside those of the rate.
    pub batches: Option<Batches>,
}

/// Devices that come together, once or by takt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// In all.
    pub devices: u64,
    /// Due at one moment, ≥ 1; the last ones may be fewer.
    pub size: u32,
    /// From one batch to the next; zero if there is but one.
    pub every: Duration,
}

impl Batches {
    /// How long after the first batch the device of that ordinal among them is due.
    pub(super) fn offset(&self, ordinal: u64) -> Duration {
        let batch = u32::try_from(ordinal / u64::from(self.size)).unwrap_or(u32::MAX);
        self.every.saturating_mul(batch)
    }
}

impl OpenStage {
    /// A stage from one rate to another, per second.
    pub fn lasting(duration: Duration, from: f64, to: f64) -> Self {
        Self {
            duration,
            from,
            to,
            count: None,
            batches: None,
        }
    }

    /// A stage that lasts as long as `count` devices take at these rates, of which one must be
    /// above 0.
    pub fn counted(count: u32, from: f64, to: f64) -> Self {
        let length = f64::from(count) / f64::midpoint(from, to);
        Self {
            count: Some(count),
            ..Self::lasting(Duration::from_secs_f64(length), from, to)
        }
    }

    /// So many devices at one moment.
    pub fn burst(devices: u32) -> Self {
        let batches = Batches {
            devices: devices.into(),
            size: devices.max(1),
            every: Duration::ZERO,
        };
        Self {
            batches: Some(batches).filter(|batches| batches.devices > 0),
            ..Self::lasting(Duration::ZERO, 0.0, 0.0)
        }
    }

    /// `size` devices at its start and then each `every`, as long as it lasts. Neither is 0.
    pub fn batches(size: u32, every: Duration, duration: Duration) -> Self {
        let batches = duration.as_nanos().div_ceil(every.as_nanos());
        let devices = batches.saturating_mul(size.into());
        Self::takt(
            size,
            every,
            u64::try_from(devices).unwrap_or(u64::MAX),
            duration,
        )
    }

    /// `size` devices each `every` until `count` were due; each batch, the last one too, takes the
    /// stage `every`. None of the three is 0.
    pub fn counted_batches(size: u32, every: Duration, count: u32) -> Self {
        let duration = every.saturating_mul(count.div_ceil(size));
        Self::takt(size, every, count.into(), duration)
    }

    fn takt(size: u32, every: Duration, devices: u64, duration: Duration) -> Self {
        Self {
            batches: Some(Batches {
                devices,
                size,
                every,
            }),
            ..Self::lasting(duration, 0.0, 0.0)
        }
    }

    /// Whether nobody starts in it.
    pub fn is_pause(&self) -> bool {
        self.starts() <= 0.0 && self.batches.is_none()
    }

    /// Its takt, if it has one: the batches as they would go on.
    pub(super) fn endless(&self) -> Option<Batches> {
        let takt = self.batches.filter(|batches| !batches.every.is_zero())?;
        Some(Batches {
            devices: u64::MAX,
            ..takt
        })
    }

    /// The integral of the rate over the stage.
    pub(super) fn starts(&self) -> f64 {
        if let Some(count) = self.count {
            return f64::from(count);
        }
        f64::midpoint(self.from, self.to) * self.duration.as_secs_f64()
    }

    /// The offset within the stage by which `k` devices have started, for `0 ≤ k ≤ starts()`.
    ///
    /// With rate `r(t) = a + b·t`, `a` the rate at the start and `b` its slope, the number of
    /// starts is `N(t) = a·t + b·t²/2`; this is its inverse, in the form that stays exact when
    /// `b` is near 0: `t = 2k / (a + √(a² + 2·b·k))`.
    pub(super) fn offset(&self, k: f64) -> f64 {
        let length = self.duration.as_secs_f64();
        let slope = (self.to - self.from) / length;
        let root = (self.from * self.from + 2.0 * slope * k).max(0.0).sqrt();
        if k <= 0.0 && self.from == 0.0 {
            return 0.0;
        }
        (2.0 * k / (self.from + root)).min(length)
    }
}
