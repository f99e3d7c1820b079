//! A search as pictures: what was achieved of what was offered, and at which times.

use super::chart::{Chart, Series};
use super::scale::{Unit, X};
use super::spread::{RESPONSE, SERVICE};
use crate::metrics::{SearchSummary, TrialSummary};

/// Two charts over the offered rate; none before two rates were judged.
pub(super) fn knee(search: &SearchSummary) -> Vec<Chart> {
    let mut judged: Vec<&TrialSummary> = search
        .trials
        .iter()
        .filter(|trial| trial.verdict.is_some())
        .collect();
    judged.sort_by(|one, other| one.rate_per_s.total_cmp(&other.rate_per_s));
    let same = |one: &&TrialSummary, other: &&TrialSummary| {
        one.rate_per_s.total_cmp(&other.rate_per_s).is_eq()
    };
    let rates: Vec<&[&TrialSummary]> = judged.chunk_by(same).collect();
    if rates.len() < 2 {
        return Vec::new();
    }
    let offered: Vec<f64> = rates.iter().map(|trials| trials[0].rate_per_s).collect();
    // Of several trials at one rate, the worst.
    let worst = |of: &dyn Fn(&TrialSummary) -> Option<f64>, pick: fn(f64, f64) -> f64| {
        let each = |trials: &&[&TrialSummary]| trials.iter().filter_map(|t| of(t)).reduce(pick);
        rates.iter().map(each).collect::<Vec<_>>()
    };
    let millis = |us: u64| us as f64 / 1e3;
    let p50 = worst(&|t| t.response_us.map(|us| millis(us.p50)), f64::max);
    let p99 = worst(&|t| t.response_us.map(|us| millis(us.p99)), f64::max);
    let rates_chart = Chart {
        id: "knee-rates".to_owned(),
        title: "Achieved of what was offered".to_owned(),
        alt:
            "Devices provisioned per second over devices due per second, of each trial: the table \
              has the figures."
                .to_owned(),
        y_unit: Unit::PerSecond,
        y_log: false,
        series: vec![
            Series::new("offered", 2, offered.iter().copied().map(Some).collect()).dashed(),
            Series::new("achieved", 3, worst(&|t| t.achieved_per_s, f64::min)),
        ],
        ..over(&offered)
    };
    let times = Chart {
        id: "knee-times".to_owned(),
        title: "Time to provision".to_owned(),
        alt: "50th and 99th percentile of the time to provision over devices due per second, of each \
              trial: the table has the figures."
            .to_owned(),
        y_unit: Unit::Millis,
        y_log: true,
        series: vec![
            Series::new("p99", SERVICE, p99),
            Series::new("p50", RESPONSE, p50).dashed(),
        ],
        ..over(&offered)
    };
    vec![rates_chart, times]
}

fn over(offered: &[f64]) -> Chart {
    Chart {
        id: String::new(),
        title: String::new(),
        alt: String::new(),
        x_kind: X::Rate,
        y_unit: Unit::PerSecond,
        y_log: false,
        stepped: false,
        x: offered.to_vec(),
        series: Vec::new(),
        marks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    #[test]
    fn a_rate_that_was_tried_more_than_once_is_drawn_at_its_worst() {
        let charts = knee(&fixture::search());
        let [rates, times] = &charts[..] else {
            panic!("two charts: {charts:?}");
        };
        assert_eq!(rates.x, [40.0, 50.0, 60.0, 80.0]);
        let achieved = [Some(40.0), Some(49.5), Some(50.0), Some(50.0)];
        assert_eq!(rates.series[1].y, achieved);
        assert_eq!(times.series[0].y[2], Some(900.0));
        let mut one = fixture::search();
        one.trials.truncate(1);
        assert!(knee(&one).is_empty(), "one rate is no curve");
    }
}
