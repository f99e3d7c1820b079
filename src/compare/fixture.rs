//! Comparisons by hand, for the tests of formats.

use super::comparison::{
    COMPARISON_VERSION, Comparison, EffectRow, MetricRow, Noise, NotJudged, RunRow, Unit, Verdict,
};
use super::history::{ChangePoint, History};

fn run(path: &str, started_at: &str) -> RunRow {
    RunRow {
        path: path.to_owned(),
        started_at: started_at.to_owned(),
        elapsed_s: 60.25,
        seed: 42,
        target: "mqtts 127.0.0.1:8883".to_owned(),
        fleetcall_version: "0.1.0".to_owned(),
        verdict: "valid".to_owned(),
        result: "passed".to_owned(),
    }
}

fn row(
    metric: &str,
    unit: Unit,
    figures: [f64; 2],
    change: [f64; 3],
    verdict: Verdict,
) -> MetricRow {
    MetricRow {
        metric: metric.to_owned(),
        cohort: None,
        unit,
        baseline: figures[0],
        candidate: figures[1],
        change: change[0],
        change_low: change[1],
        change_high: change[2],
        limit: if unit == Unit::Share { 0.01 } else { 0.05 },
        verdict,
        p: 0.000_25,
        p_better: 1.0,
        runs_needed: None,
        noise: Noise {
            error: 0.012,
            df: 14.0,
            within: Some(0.012),
            between: None,
            cells: 60,
            block: 4,
        },
    }
}

/// One of each verdict.
pub(super) fn comparison() -> Comparison {
    let mut open = row(
        "provision.p99",
        Unit::Us,
        [183_679.0, 199_679.0],
        [0.087, -0.031, 0.219],
        Verdict::Inconclusive,
    );
    open.runs_needed = Some(7);
    let mut cohort = row(
        "provision.error_share",
        Unit::Share,
        [0.001, 0.036],
        [0.035, 0.018, 0.052],
        Verdict::Regression,
    );
    cohort.cohort = Some("meters".to_owned());
    Comparison {
        comparison_version: COMPARISON_VERSION,
        fleetcall_version: "0.1.0".to_owned(),
        scenario: "line-3-night-shift".to_owned(),
        verdict: Verdict::Regression,
        tolerance: 0.05,
        floor_us: 1_000,
        share_floor: 0.01,
        confidence: 0.95,
        family: 5,
        warnings: vec![
            "one run per side: how much runs differ by themselves is unknown, and not in the \
             intervals"
                .to_owned(),
        ],
        baseline: vec![run("results/main", "2026-11-23T02:22:00Z")],
        candidate: vec![run("results/branch", "2026-11-23T02:32:00Z")],
        metrics: vec![
            row(
                "provision.p50",
                Unit::Us,
                [100_351.0, 120_319.0],
                [0.199, 0.171, 0.228],
                Verdict::Regression,
            ),
            open,
            row(
                "telemetry.p50",
                Unit::Us,
                [870.0, 950.0],
                [0.092, 0.02, 0.17],
                Verdict::NoChange,
            ),
            row(
                "telemetry.rate_per_s",
                Unit::PerS,
                [1_000.0, 1_250.0],
                [0.25, 0.22, 0.28],
                Verdict::Improvement,
            ),
            cohort,
        ],
        effects: vec![EffectRow {
            phase: "provision".to_owned(),
            time: "service".to_owned(),
            a12: 0.731,
        }],
        not_judged: vec![NotJudged {
            metric: "provision.p999".to_owned(),
            cohort: None,
            why: "3000 and 3000 samples: fewer than 10 are beyond it".to_owned(),
        }],
        history: Some(history()),
    }
}

fn history() -> History {
    History {
        entries: 24,
        changes: vec![ChangePoint {
            metric: "provision.p50".to_owned(),
            unit: Unit::Us,
            started_at: "2026-11-14T02:22:00Z".to_owned(),
            commit: Some("1f0c2d7".to_owned()),
            before: 100_351.0,
            after: 112_063.0,
        }],
    }
}

/// What tries to break out of each format.
pub(super) fn hostile() -> Comparison {
    let evil = "<b>|`]]>\u{1b}[31m\u{202e}@team #1 [x](http://evil.example)\n| c |";
    let mut comparison = comparison();
    comparison.scenario = evil.to_owned();
    comparison.warnings = vec![evil.to_owned()];
    for run in comparison
        .baseline
        .iter_mut()
        .chain(&mut comparison.candidate)
    {
        (run.path, run.target, run.started_at) =
            (evil.to_owned(), evil.to_owned(), evil.to_owned());
    }
    comparison.metrics[0].cohort = Some(evil.to_owned());
    if let Some(history) = &mut comparison.history {
        history.changes[0].commit = Some(evil.to_owned());
        history.changes[0].metric = evil.to_owned();
    }
    comparison
}
