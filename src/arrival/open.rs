//! The open model: a rate per second over stages, each constant or a linear ramp; bursts and batches.
//!
//! Devices follow a clock that runs at the rate: it shows the integral of the rate. Evenly spaced,
//! the m-th is due when it shows `m`; Poisson, when it shows the m-th moment of a unit-rate process.

use std::time::Duration;

use super::Due;
use super::poisson::UnitProcess;
use super::stage::{Batches, OpenStage};

/// The stages of an open schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    stages: Vec<OpenStage>,
    truncate: bool,
    blocks: Vec<Block>,
    /// Absent when devices are evenly spaced.
    poisson: Option<UnitProcess>,
}

/// Devices that come together, and where they stand among the others.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block {
    /// The ordinal of its first device.
    first: u64,
    batches: Batches,
    /// When the first of them is due.
    at: Duration,
    /// What the clock of the rate shows by then.
    shown: f64,
}

impl Open {
    /// A schedule of at least one stage that starts somebody. With `truncate` the devices that the
    /// stages do not deliver have no turn; else they go on at the last positive rate or takt.
    ///
    /// # Panics
    /// When all stages are pauses: scenarios are checked before.
    pub fn new(stages: Vec<OpenStage>, truncate: bool) -> Self {
        assert!(
            !stages.iter().all(OpenStage::is_pause),
            "a schedule needs a rate"
        );
        let (mut shown, mut at, mut blocks) = (0.0, Duration::ZERO, Vec::new());
        let mut block = |batches: Option<Batches>, at, shown| {
            blocks.extend(batches.map(|batches| Block {
                first: 0,
                batches,
                at,
                shown,
            }));
        };
        for stage in &stages {
            block(stage.batches, at, shown);
            shown += stage.starts();
            at += stage.duration;
        }
        let goes_on = |stage: &&OpenStage| stage.starts() > 0.0 || stage.endless().is_some();
        if let (Some(last), false) = (stages.iter().rfind(goes_on), truncate) {
            block(last.endless(), at, shown);
        }
        let mut open = Self {
            stages,
            truncate,
            blocks,
            poisson: None,
        };
        open.place_blocks();
        open
    }

    /// The same stages with exponential gaps: a Poisson process of that rate, to be
    /// [drawn](Self::poisson) once seed and list are known.
    #[must_use]
    pub fn spaced_randomly(self) -> Self {
        self.poisson(0, 0)
    }

    /// Whether the gaps are those of a Poisson process.
    pub fn is_poisson(&self) -> bool {
        self.poisson.is_some()
    }

    /// Draws the Poisson process by the seed for so many devices. Those that come together still do.
    #[must_use]
    pub fn poisson(mut self, seed: u64, devices: u32) -> Self {
        self.poisson = Some(UnitProcess::new(seed, devices));
        self.place_blocks();
        self
    }

    #[expect(clippy::cast_sign_loss, reason = "cut at 0 on the line")]
    fn place_blocks(&mut self) {
        let mut before = 0u64;
        for block in &mut self.blocks {
            let spaced = match &self.poisson {
                // Not a device that is due at the very moment: the block goes first.
                None => (block.shown - EPSILON).max(0.0).ceil() as u64,
                Some(process) => process.before(block.shown),
            };
            block.first = spaced.saturating_add(before);
            before = before.saturating_add(block.batches.devices);
        }
    }

    /// When the n-th device (from 0) is due: evenly spaced, the first moment at which the integral
    /// of the rate reaches `n`.
    ///
    /// # Panics
    /// With Poisson spacing, when it was drawn for fewer devices.
    pub fn due(&self, n: u32) -> Due {
        let mut spaced = u64::from(n);
        for block in &self.blocks {
            let Some(ordinal) = u64::from(n).checked_sub(block.first) else {
                break;
            };
            if ordinal < block.batches.devices {
                return Due::At(block.at + block.batches.offset(ordinal));
            }
            spaced -= block.batches.devices;
        }
        let spaced = u32::try_from(spaced).expect("at most n");
        self.reached(match &self.poisson {
            None => f64::from(spaced),
            Some(process) => process.moment(spaced),
        })
    }

    /// When the clock of the rate shows `n`.
    fn reached(&self, n: f64) -> Due {
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

    /// The last positive rate, per second; without any, everybody who is left comes at once.
    fn tail_rate(&self) -> f64 {
        self.stages
            .iter()
            .rev()
            .flat_map(|stage| [stage.to, stage.from])
            .find(|rate| *rate > 0.0)
            .unwrap_or(f64::INFINITY)
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
        OpenStage::lasting(Duration::from_secs_f64(seconds), from, to)
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

    #[test]
    fn a_stage_by_count_starts_so_many_and_ends() {
        let stages = vec![OpenStage::counted(3, 1e6, 1e6), stage(1.0, 0.0, 0.0)];
        let open = Open::new(stages, true);
        assert!(matches!(open.due(2), Due::At(_)));
        assert_eq!(open.due(3), Due::Never);
        let open = Open::new(
            vec![OpenStage::counted(100, 10.0, 10.0), stage(1.0, 5.0, 5.0)],
            false,
        );
        assert!((due_s(&open, 100) - 10.0).abs() < 1e-6);
    }

    #[test]
    fn a_burst_is_due_at_one_moment_and_the_rate_goes_on() {
        let stages = vec![
            stage(1.0, 10.0, 10.0),
            OpenStage::burst(50),
            stage(1.0, 10.0, 10.0),
        ];
        let open = Open::new(stages.clone(), true);
        assert!(due_s(&open, 9) < 1.0);
        for n in 10..=60 {
            assert!((due_s(&open, n) - 1.0).abs() < 1e-9, "device {n}");
        }
        assert!((due_s(&open, 61) - 1.1).abs() < 1e-6);
        assert_eq!(open.due(70), Due::Never);
        let open = Open::new(stages, true).poisson(7, 100);
        let at_once = (0..100).filter(|n| open.due(*n) == Due::At(Duration::from_secs(1)));
        assert_eq!(at_once.count(), 50);
    }

    /// 12 devices each 30 s: for 10 minutes, or until there were 30.
    fn takts() -> [OpenStage; 2] {
        let takt = Duration::from_secs(30);
        [
            OpenStage::batches(12, takt, Duration::from_mins(10)),
            OpenStage::counted_batches(12, takt, 30),
        ]
    }

    #[test]
    fn a_batch_is_due_each_takt_as_long_as_the_stage_lasts() {
        let [timed, counted] = takts();
        let open = Open::new(vec![timed], true);
        for (n, due) in [(0, 0.0), (11, 0.0), (12, 30.0), (239, 570.0)] {
            assert!((due_s(&open, n) - due).abs() < 1e-9, "device {n}");
        }
        assert_eq!(open.due(240), Due::Never);
        // The last batch is of six, and takes its takt all the same.
        let open = Open::new(vec![counted, stage(1.0, 10.0, 10.0)], true);
        for (n, due) in [(24, 60.0), (29, 60.0), (30, 90.0), (31, 90.1)] {
            assert!((due_s(&open, n) - due).abs() < 1e-6, "device {n}");
        }
    }

    #[test]
    fn a_list_longer_than_its_batches_goes_on_in_the_same_takt() {
        let [timed, counted] = takts();
        let open = Open::new(vec![timed], false);
        assert!((due_s(&open, 240) - 600.0).abs() < 1e-9);
        assert!((due_s(&open, 252) - 630.0).abs() < 1e-9);
        let open = Open::new(vec![counted, stage(5.0, 0.0, 0.0)], false);
        assert!((due_s(&open, 30) - 95.0).abs() < 1e-9, "after the pause");
        let open = Open::new(vec![timed, stage(1.0, 10.0, 10.0)], false);
        assert!(
            (due_s(&open, 260) - 602.0).abs() < 1e-6,
            "the rate came last"
        );
    }

    #[test]
    fn another_seed_draws_another_schedule_and_the_same_seed_the_same() {
        let drawn = |seed, devices| {
            let open = Open::new(vec![stage(1.0, 10.0, 10.0)], false).poisson(seed, devices);
            (0..100).map(|n| open.due(n)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1, 100), drawn(1, 5_000));
        assert_ne!(drawn(1, 100), drawn(2, 100));
    }

    #[test]
    fn poisson_counts_have_the_mean_and_the_variance_of_the_rate() {
        let open = Open::new(vec![stage(1000.0, 20.0, 20.0)], true).poisson(42, 25_000);
        let mut counts = [0.0f64; 1000];
        for at in (0..25_000).map_while(|n| match open.due(n) {
            Due::At(at) => Some(at),
            _ => None,
        }) {
            counts[at.as_secs() as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 1000.0;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 999.0;
        // Five sigma: of the mean √(20/1000), of the variance 20·√(2/1000).
        assert!((mean - 20.0).abs() < 0.71, "mean {mean}");
        assert!((variance - 20.0).abs() < 4.6, "variance {variance}");
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
        fn due_times_never_decrease(
            mut stages in stages(), burst in 0u32..300, size in 1u32..300, ms in 1u64..9_000,
            count in 1u32..900, seed: u64, poisson: bool,
        ) {
            let (every, lasting) = (Duration::from_millis(ms), Duration::from_secs(20));
            stages.insert(1, OpenStage::burst(burst));
            stages.insert(1, OpenStage::batches(size, every, lasting));
            stages.push(OpenStage::counted_batches(size, every, count));
            let open = Open::new(stages, false);
            let open = if poisson { open.poisson(seed, 2_000) } else { open };
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

        #[test]
        fn starts_up_to_any_moment_are_the_batches_until_then(
            size in 1u32..50, ms in 1u64..5_000, lasting in 1u64..20_000, at in 0u64..20_000,
        ) {
            let (every, length) = (Duration::from_millis(ms), Duration::from_millis(lasting));
            let stages = vec![OpenStage::batches(size, every, length)];
            let open = Open::new(stages, true);
            let due = |n| open.due(n);
            let started = (0..2_000)
                .take_while(|n| matches!(due(*n), Due::At(due) if due < Duration::from_millis(at)));
            let batches = at.min(lasting).div_ceil(ms);
            let expected = (batches * u64::from(size)).min(2_000);
            prop_assert_eq!(started.count() as u64, expected);
        }
    }
}
