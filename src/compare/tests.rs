//! Each format of a comparison by hand.

use super::fixture::{comparison, hostile};
use super::*;
use crate::report::Style;

const PLAIN: Style = Style {
    color: false,
    width: 100,
};

#[test]
fn the_text_of_a_comparison() {
    insta::assert_snapshot!(text(&comparison(), PLAIN));
}

#[test]
fn the_json_of_a_comparison() {
    insta::assert_snapshot!(json(&comparison()));
}

#[test]
fn the_page_of_a_comparison() {
    insta::assert_snapshot!(markdown(&comparison()));
}

#[test]
fn the_cases_of_a_comparison() {
    insta::assert_snapshot!(junit(&comparison(), false));
}

#[test]
fn a_strict_comparison_fails_what_it_cannot_tell() {
    let failures = |strict| junit(&comparison(), strict).matches("<failure").count();
    assert_eq!((failures(false), failures(true)), (2, 3));
    let mut nothing = comparison();
    nothing.metrics.clear();
    assert!(junit(&nothing, true).contains("nothing that could be judged"));
}

#[test]
fn no_name_breaks_out_of_its_place() {
    let acts = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    let told = [
        text(&hostile(), PLAIN),
        markdown(&hostile()),
        junit(&hostile(), false),
    ];
    for told in &told {
        assert!(!told.contains(acts), "{told:?}");
    }
    assert!(
        !told[1].contains("](http") && !told[1].contains("\n| c |"),
        "{}",
        told[1]
    );
    assert!(
        !told[2].contains("<b>") && !told[2].contains("]]>"),
        "{}",
        told[2]
    );
}

#[test]
fn a_comparison_is_read_as_it_was_written() {
    let again: Comparison = serde_json::from_str(&json(&comparison())).expect("own form");
    assert_eq!(again, comparison());
}

#[test]
fn figures_are_those_of_the_merged_result() {
    let run = crate::metrics::fixture::summary();
    let intervals = crate::metrics::fixture::intervals();
    let data = RunData {
        summary: &run,
        intervals: &intervals,
    };
    let recorded = Recorded::new([vec![data], vec![data]]);
    for (phase, row) in &run.phases {
        for (clock, us) in [
            (Clock::Response, row.response_us),
            (Clock::Service, row.service_us),
        ] {
            let samples = recorded.samples(0, None, *phase, clock).expect("own form");
            let ones = vec![1; samples.runs() * samples.cells()];
            for (quantile, us) in Quantile::ALL
                .into_iter()
                .zip([us.p50, us.p90, us.p99, us.p999])
            {
                let found = samples.quantile(quantile.share(), &ones);
                assert_eq!(found.unwrap_or(0), us, "{phase:?} {clock:?} {quantile:?}");
            }
        }
    }
    for outcome in crate::model::Outcome::ALL {
        let parts = recorded.parts(0, None, Measure::OutcomeShare(outcome));
        let sum = |of: &[f64]| of.iter().sum::<f64>();
        assert!(
            (sum(&parts.of) - run.devices.of(outcome) as f64).abs() < 1e-9,
            "{outcome:?}"
        );
        assert!(
            (sum(&parts.whole) - run.devices.listed as f64).abs() < 1e-9,
            "{outcome:?}"
        );
    }
}
