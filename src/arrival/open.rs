//! The open model: a rate per second over stages, each constant or a linear ramp.

use std::time::Duration;

use super::Due;

/// One stretch of an open schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenStage {
    /// Its length.
    pub duration: Duration,
    /// Devices per second at its start, ≥ 0.
    pub from: f64,
    /// Devices per second at its end, ≥ 0; the rate between is linear.
    pub to: f64,
}

impl OpenStage {
    /// The integral of the rate over the stage.
    fn starts(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.duration.as_secs_f64()
    }

    /// The offset within the stage by which `k` devices have started, for `0 ≤ k ≤ starts()`.
    ///
    /// With rate `r(t) = a + b·t`, `a` the rate at the start and `b` its slope, the number of
    /// starts is `N(t) = a·t + b·t²/2`; this is its inverse, in the form that stays exact when
    /// `b` is near 0: `t = 2k / (a + √(a² + 2·b·k))`.
    fn offset(&self, k: f64) -> f64 {
        let length = self.duration.as_secs_f64();
        let slope = (self.to - self.from) / length;
        let root = (self.from * self.from + 2.0 * slope * k).max(0.0).sqrt();
        if k <= 0.0 && self.from == 0.0 {
            return 0.0;
        }
        (2.0 * k / (self.from + root)).min(length)
    }
}

/// The stages of an open schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    stages: Vec<OpenStage>,
    truncate: bool,
}

impl Open {
    /// A schedule of at least one stage with a positive rate. With `truncate` the devices that
    /// the stages do not deliver have no turn; else they go on at the last positive rate.
    ///
    /// # Panics
    /// When no stage has a positive rate: scenarios are checked before.
    pub fn new(stages: Vec<OpenStage>, truncate: bool) -> Self {
        assert!(
            stages.iter().any(|stage| stage.starts() > 0.0),
            "a schedule needs a rate"
        );
        Self { stages, truncate }
    }

    /// When the n-th device (from 0) is due: the first moment at which the integral of the rate
    /// reaches `n`.
    pub fn due(&self, n: u32) -> Due {
        let n = f64::from(n);
        let (mut done, mut elapsed) = (0.0, 0.0);
        for stage in &self.stages {
            let starts = stage.starts();
            if starts > 0.0 && n < done + starts - EPSILON {
                return Due::At(Duration::from_secs_f64(elapsed + stage.offset(n - done)));
            }
            done += starts;
            elapsed += stage.duration.as_secs_f64();
        }
        if self.truncate {
            return Due::Never;
        }
        Due::At(Duration::from_secs_f64(
            elapsed + (n - done).max(0.0) / self.tail_rate(),
        ))
    }

    /// The length of all stages together.
    pub fn span(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }

    /// The last positive rate, per second.
    fn tail_rate(&self) -> f64 {
        self.stages
            .iter()
            .rev()
            .flat_map(|stage| [stage.to, stage.from])
            .find(|rate| *rate > 0.0)
            .expect("checked by new: some stage has a positive rate")
    }
}

/// Half a millionth of a device: a sum of stage integrals is not exact in floating point, and a
/// device due at the seam of two stages belongs to the second.
const EPSILON: f64 = 5e-7;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stage(seconds: f64, from: f64, to: f64) -> OpenStage {
        OpenStage {
            duration: Duration::from_secs_f64(seconds),
            from,
            to,
        }
    }

    fn due_s(open: &Open, n: u32) -> f64 {
        match open.due(n) {
            Due::At(at) => at.as_secs_f64(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let open = Open::new(vec![stage(10.0, 100.0, 100.0)], false);
        assert_eq!(open.due(0), Due::At(Duration::ZERO));
        assert_eq!(open.due(1), Due::At(Duration::from_millis(10)));
        assert_eq!(open.due(999), Due::At(Duration::from_millis(9990)));
    }

    #[test]
    fn a_list_longer_than_the_stages_goes_on_at_the_last_rate() {
        let open = Open::new(vec![stage(1.0, 10.0, 10.0), stage(5.0, 0.0, 0.0)], false);
        assert!((due_s(&open, 10) - 6.0).abs() < 1e-6);
        assert!((due_s(&open, 11) - 6.1).abs() < 1e-6);
    }

    #[test]
    fn a_truncated_list_ends_with_the_stages() {
        let open = Open::new(vec![stage(1.0, 10.0, 10.0)], true);
        assert!(matches!(open.due(9), Due::At(_)));
        assert_eq!(open.due(10), Due::Never);
    }

    #[test]
    fn a_ramp_from_zero_starts_at_once_and_thickens() {
        let open = Open::new(vec![stage(10.0, 0.0, 100.0)], false);
        assert_eq!(open.due(0), Due::At(Duration::ZERO));
        assert!((due_s(&open, 125) - 5.0).abs() < 1e-6);
    }

    fn stages() -> impl Strategy<Value = Vec<OpenStage>> {
        prop::collection::vec(
            (0.1f64..20.0, 0.0f64..500.0, 0.0f64..500.0).prop_map(|(s, a, b)| stage(s, a, b)),
            1..5,
        )
        .prop_filter("needs a rate", |v| v.iter().any(|s| s.from + s.to > 1.0))
    }

    proptest! {
        #[test]
        fn due_times_never_decrease(stages in stages()) {
            let open = Open::new(stages, false);
            let mut last = Duration::ZERO;
            for n in 0..2_000 {
                let Due::At(at) = open.due(n) else { panic!("not truncated") };
                prop_assert!(at >= last, "device {n} at {at:?} after {last:?}");
                last = at;
            }
        }

        #[test]
        fn starts_up_to_any_moment_are_the_integral_of_the_rate(
            stages in stages(), share in 0.0f64..1.0,
        ) {
            let until = stages.iter().map(|s| s.duration.as_secs_f64()).sum::<f64>() * share;
            let mut integral = 0.0;
            let mut elapsed = 0.0;
            for s in &stages {
                let length = s.duration.as_secs_f64();
                let t = (until - elapsed).clamp(0.0, length);
                integral += s.from * t + (s.to - s.from) / length * t * t / 2.0;
                elapsed += length;
            }
            let open = Open::new(stages, true);
            let started = (0..30_000)
                .take_while(|n| matches!(open.due(*n), Due::At(at) if at.as_secs_f64() < until))
                .count() as f64;
            prop_assert!((started - integral).abs() <= 1.0 + 1e-6, "{started} for {integral}");
        }
    }
}
