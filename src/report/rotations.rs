//! Certificates that devices got in mid-run, within the text.

use super::style::{Style, fit};
use crate::metrics::Summary;
use crate::model::{Paint as _, units};

/// How many were taken, and what became of the others; nothing when nobody got one.
pub(super) fn rotations(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let lines = told(summary);
    if lines.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(style.bold("Rotations of certificates"));
    for line in lines {
        out.push(format!("  {}", fit(&line, style.columns() - 2)));
    }
}

/// The same in sentences.
pub(super) fn told(summary: &Summary) -> Vec<String> {
    let counts = &summary.rotations;
    if counts.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{} due, {} done, {} failed, {} in doubt",
        units::count(counts.due),
        units::count(counts.done),
        units::count(counts.failed),
        units::count(counts.in_doubt),
    )];
    if counts.old_refused + counts.old_accepted > 0 {
        lines.push(format!(
            "{} old certificates shown once more were refused, {} let in",
            units::count(counts.old_refused),
            units::count(counts.old_accepted),
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture::{METERS, ending, recorded, setting};
    use crate::metrics::{Aggregate, RotationCounts, Threshold};

    const PLAIN: Style = Style {
        color: false,
        width: 80,
    };

    /// The run of the fixture, in which 1,200 certificates were to be rotated.
    fn certificate_day() -> Summary {
        let mut recorder = recorded(1_000);
        let counts = RotationCounts {
            due: 1_200,
            done: 1_197,
            failed: 2,
            in_doubt: 1,
            old_refused: 1_190,
            old_accepted: 3,
        };
        recorder.rotations(METERS, &counts);
        let mut aggregate = Aggregate::new(setting());
        aggregate.add(&recorder);
        aggregate.finish(ending())
    }

    fn text(summary: &Summary) -> String {
        let mut out = Vec::new();
        rotations(summary, PLAIN, &mut out);
        out.join("\n")
    }

    #[test]
    fn rotations_are_told_with_what_became_of_the_old_ones() {
        let expected = "\nRotations of certificates\n  1,200 due, 1,197 done, 2 failed, 1 in doubt\n  \
            1,190 old certificates shown once more were refused, 3 let in";
        assert_eq!(text(&certificate_day()), expected);
        assert_eq!(text(&crate::metrics::fixture::summary()), "");
    }

    #[test]
    fn what_became_of_certificates_is_judged_by_thresholds() {
        let summary = certificate_day();
        assert_eq!(summary.cohorts["meters"].rotations, summary.rotations);
        for (metric, condition, observed, passed) in [
            ("rotations.due", "== 1200", "1200", true),
            ("rotations.done", "== 100%", "99.75% (1197 of 1200)", false),
            ("rotations.done", ">= 1197", "1197", true),
            ("rotations.failed", "<= 1%", "0.166666% (2 of 1200)", true),
            ("rotations.in_doubt", "== 0", "1", false),
            ("rotations.old_accepted", "== 0", "3", false),
            (
                "rotations.old_refused",
                ">= 99%",
                "99.166666% (1190 of 1200)",
                true,
            ),
        ] {
            let judged = Threshold::parse(metric, condition, std::iter::empty())
                .expect(metric)
                .judge(&summary);
            assert_eq!(
                (judged.observed.as_str(), judged.passed),
                (observed, passed),
                "{metric}"
            );
        }
        let calm = crate::metrics::fixture::summary();
        let judged = Threshold::parse("rotations.done", "== 100%", std::iter::empty())
            .expect("legal")
            .judge(&calm);
        assert_eq!(
            (judged.observed.as_str(), judged.passed),
            ("no samples", false)
        );
    }
}
