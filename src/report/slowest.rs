//! The devices that took longest to be provisioned, a few of them.

/// Devices in a report's table.
pub const SLOWEST_MAX: usize = 20;

/// The slowest so far, the slowest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slowest(Vec<SlowRow>);

/// A device and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowRow {
    /// Exactly as listed.
    pub name: String,
    /// Its cohort's name.
    pub cohort: String,
    /// Response time, in ms.
    pub time_to_provision_ms: f64,
}

impl Slowest {
    /// One more device, if it is one of them. Of equally slow ones the first stays.
    pub fn add(&mut self, name: &str, cohort: &str, time_to_provision_ms: f64) {
        // As `devices.csv` has it.
        let time_to_provision_ms = (time_to_provision_ms * 1e3).round() / 1e3;
        let slower = |row: &SlowRow| row.time_to_provision_ms >= time_to_provision_ms;
        let place = self.0.partition_point(slower);
        if place < SLOWEST_MAX && time_to_provision_ms.is_finite() {
            self.0.truncate(SLOWEST_MAX - 1);
            let row = SlowRow {
                name: name.to_owned(),
                cohort: cohort.to_owned(),
                time_to_provision_ms,
            };
            self.0.insert(place, row);
        }
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: Self) {
        for row in other.0 {
            self.add(&row.name, &row.cohort, row.time_to_provision_ms);
        }
    }

    /// The slowest first.
    pub fn rows(&self) -> &[SlowRow] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_stay_whatever_the_order() {
        let mut slowest = Slowest::default();
        for device in 0..1_000u32 {
            slowest.add(
                &device.to_string(),
                "all",
                f64::from(device * 7_919 % 1_000),
            );
        }
        let times: Vec<f64> = slowest
            .rows()
            .iter()
            .map(|r| r.time_to_provision_ms)
            .collect();
        let expected: Vec<f64> = (0..20).map(|n| f64::from(999 - n)).collect();
        assert_eq!(times, expected);
        slowest.add("odd", "all", f64::NAN);
        assert_eq!(slowest.rows().len(), SLOWEST_MAX);
    }
}
