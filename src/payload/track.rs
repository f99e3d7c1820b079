//! A point that goes round a centre: the geography of a device that moves.

use std::f64::consts::TAU;
use std::time::Duration;

use super::error::ModelFault;
use super::model::{MOST, judge_period};

/// A circle on the sphere of the Earth's mean radius, 6,371,008.8 m (IUGG). Where a device is on it
/// at first is its own; it goes counter-clockwise on the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// The centre's latitude in degrees, -85 to 85.
    pub latitude: f64,
    /// The centre's longitude in degrees, -180 to 180.
    pub longitude: f64,
    /// The circle's radius in metres, more than 0, at most 100 km.
    pub radius: f64,
    /// For one round.
    pub period: Duration,
}

impl Track {
    /// The point in degrees, latitude first: `turn` is the share of a round since the start.
    pub(super) fn point(&self, turn: f64) -> (f64, f64) {
        let (sine, cosine) = (libm::sin(TAU * turn), libm::cos(TAU * turn));
        let north = self.radius / METRES_PER_DEGREE;
        let east = north / libm::cos(self.latitude.to_radians());
        let longitude = self.longitude + east * cosine;
        let wrapped = (longitude + 180.0).rem_euclid(360.0) - 180.0;
        (self.latitude + north * sine, wrapped)
    }

    pub(super) fn faults(&self, faults: &mut Vec<ModelFault>) {
        for (key, found, most) in [
            ("latitude", self.latitude, 85.0),
            ("longitude", self.longitude, 180.0),
        ] {
            if !(-most..=most).contains(&found) {
                let what = format!("`{key}` must be from -{most} to {most} degrees, found {found}");
                faults.push(ModelFault::new(key, what, ""));
            }
        }
        if !(self.radius > 0.0 && self.radius <= MOST_METRES) {
            let found = if self.radius.abs() <= MOST {
                self.radius.to_string()
            } else {
                "more".to_owned()
            };
            let what = format!("`radius` must be more than 0 and at most 100000 m, found {found}");
            faults.push(ModelFault::new("radius", what, "it is in metres"));
        }
        judge_period(self.period, faults);
    }
}

/// A degree of a meridian: 2π · 6,371,008.8 m / 360.
const METRES_PER_DEGREE: f64 = 111_195.079_734_632;

const MOST_METRES: f64 = 100_000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The distance on the sphere by haversines, an independent formula.
    fn metres(from: (f64, f64), to: (f64, f64)) -> f64 {
        let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
        let narrowing = from.0.to_radians().cos() * to.0.to_radians().cos();
        let haversine = half(from.0, to.0) + narrowing * half(from.1, to.1);
        2.0 * 6_371_008.8 * haversine.sqrt().asin()
    }

    proptest! {
        #[test]
        fn the_point_stays_at_its_distance_from_the_centre(
            latitude in -60.0..60.0f64, longitude in -180.0..180.0f64, turn in 0.0..100.0f64,
        ) {
            let track = Track { latitude, longitude, radius: 800.0, period: Duration::from_mins(1) };
            let point = track.point(turn);
            let distance = metres((latitude, longitude), point);
            prop_assert!((distance - 800.0).abs() < 1.0, "{distance} at {point:?}");
            prop_assert!((-180.0..180.0).contains(&point.1));
        }
    }
}
