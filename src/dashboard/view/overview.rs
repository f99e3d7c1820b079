//! All that matters most: how devices fare, how fast, how slow, and what is amiss.
//!
//! ```text
//! ─ Devices: 1,000 listed ────────────────── ─ Rates, a column per second ───────
//!  not started     500  provisioned     495   provisioned  16.6/s ▇▇█▇▇▇▇▇▇▇█▇▇▇▇
//!  bringing up       0  refused           4   telemetry     199/s ▇▇█▇▇▇▇▇▇▇█▇▇▇▇
//!  live            493  failed            0   telemetry sent, acknowledged, lost
//!  unfinished        0  unknown           1   starts late, dropped; lag
//! ─ Response times ──────── count errors     p50     p90     p99   p99.9     max
//!   tcp_connect               300      0 …                      (a row per phase)
//! ─ Cohorts ─────────────── (from 36 rows on)
//! ─ Thresholds ──────────────────────────── ─ Errors: 7 ─────────────────────────
//!  ✓ holding time_to_provision.p99 < 500ms         4 provision.failure
//! ─ time_to_provision ───────────────────── ─ percentiles ────── (what room is left)
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};

use super::super::state::State;
use super::theme::Theme;
use super::{above, beside, cohorts, devices, downlink, errors, latency, rates, thresholds};
use crate::metrics::Snapshot;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    (snapshot, state): (&Snapshot, &State),
    theme: Theme,
) {
    let [counts, rest] = above(area, 5);
    let left = if area.width < 76 {
        38
    } else {
        42.max(area.width / 4)
    };
    let [left, right] = beside(counts, Constraint::Length(left));
    devices::draw(frame, left, snapshot, theme);
    rates::draw(frame, right, snapshot, theme);
    let [heard, rest] = above(rest, u16::from(downlink::is_there(snapshot)));
    if heard.height > 0 {
        downlink::draw(frame, heard, snapshot, theme);
    }
    let amiss = amiss_rows(rest.height, snapshot);
    let wanted = latency::rows(snapshot);
    let [latencies, rest] = above(rest, wanted.min(rest.height.saturating_sub(amiss)));
    let chosen = state.phase(snapshot);
    latency::table(frame, latencies, snapshot, chosen, theme);
    let cohort_rows = if area.height >= COHORTS_FROM && snapshot.cohorts.len() > 1 {
        (snapshot.cohorts.len() as u16 + 2).min(area.height / 4 + 2)
    } else {
        0
    };
    let [per_cohort, rest] = above(rest, cohort_rows);
    if cohort_rows > 0 {
        cohorts::draw(frame, per_cohort, snapshot, theme);
    }
    let spare = rest.height.saturating_sub(amiss);
    let amiss = if spare < latency::CHARTS_FROM {
        rest.height
    } else {
        amiss
    };
    let [amiss, charts] = above(rest, amiss);
    let [left, right] = beside(amiss, Constraint::Percentage(55));
    thresholds::draw(frame, left, snapshot, theme);
    errors::draw(frame, right, snapshot, theme);
    if charts.height > 0 {
        latency::charts(frame, charts, chosen, theme);
    }
}

/// What thresholds and errors ask for: at least a third of a small screen, at most a third of a large
/// one.
fn amiss_rows(room: u16, snapshot: &Snapshot) -> u16 {
    let causes = snapshot.errors.len().max(1) as u16 + 1;
    let wanted = thresholds::rows(snapshot).max(causes);
    wanted.clamp(3, (room / 3).max(4))
}

/// From so many rows on there is room for cohorts.
const COHORTS_FROM: u16 = 32;
