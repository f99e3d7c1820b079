//! Draws a snapshot. Pure: the same snapshot and state give the same cells.
//!
//! Text from outside is made harmless before it is drawn, numbers that do not fit are shortened,
//! and what a colour says is said in words as well.

mod cohorts;
mod devices;
mod downlink;
mod errors;
mod header;
mod help;
mod histogram;
mod latency;
mod rates;
mod theme;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use self::theme::Theme;
use super::state::State;
use crate::metrics::Snapshot;
use crate::model::{Outcome, units};

/// Draws the whole screen:
///
/// ```text
/// fleetcall  scenario  model  target                            valid  running
/// 0:30 ███████████████████████░░░░░░░░░░░░░░░░░░░░░░░░  49.0 %  30 s left
/// ─ Devices: 1,000 listed ────────────────── ─ Rates, a column per second ───────
///  not started     500  provisioned     495   provisioned  16.6/s ▇▇█▇▇▇▇▇▇▇█▇▇▇▇
///  bringing up       0  refused           4   telemetry     199/s ▇▇█▇▇▇▇▇▇▇█▇▇▇▇
///  live            493  failed            0   telemetry sent, acknowledged, lost
///  unfinished        0  unknown           1   starts late, dropped; lag
/// ─ Response times ──────── count errors     p50     p90     p99   p99.9     max
///   tcp_connect               300      0 …                      (a row per phase)
/// ─ time_to_provision, response ─────────────── ─ Errors: 7 ─────────────────────
///        ▂▅▇█▆▄▂▁▁                                   4 provision.failure
///  └1.00 ms  └10.0 ms                                2 reconnect.connack_5
/// q quit  p pause  n next phase  ? help
/// ```
///
/// From 140 columns on the latency table shows service times as well and errors are explained;
/// from 36 rows on there is a row per cohort. Below 60x20 there is one line of counts. Notes, and
/// why the run is not valid, stand below the title when there are any; what devices hear stands
/// above the response times.
pub fn render(frame: &mut Frame<'_>, snapshot: &Snapshot, state: &State) {
    let area = frame.area();
    let theme = Theme::new(state.color);
    if area.width < 60 || area.height < 20 {
        tiny(frame, area, snapshot);
        return;
    }
    let latency_rows = snapshot.phases.len().max(1) as u16 + 1;
    let cohort_rows = if area.height >= COHORTS_FROM && snapshot.cohorts.len() > 1 {
        (snapshot.cohorts.len() as u16).min(area.height / 4) + 2
    } else {
        0
    };
    let note_rows = u16::from(header::has_notes(snapshot));
    let heard_rows = u16::from(downlink::is_there(snapshot));
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(note_rows),
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Length(heard_rows),
        Constraint::Length(latency_rows),
        Constraint::Length(cohort_rows),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [
        title,
        notes,
        progress,
        counts,
        heard,
        latencies,
        per_cohort,
        rest,
        keys,
    ] = rows.areas(area);
    header::title(frame, title, snapshot, state, theme);
    if note_rows > 0 {
        header::notes(frame, notes, snapshot, theme);
    }
    header::progress(frame, progress, snapshot, theme);
    let [left, right] = beside(counts, Constraint::Length(42.max(area.width / 4)));
    devices::draw(frame, left, snapshot, theme);
    rates::draw(frame, right, snapshot, theme);
    if heard_rows > 0 {
        downlink::draw(frame, heard, snapshot, theme);
    }
    let chosen = state.phase(snapshot);
    latency::draw(frame, latencies, snapshot, chosen, theme);
    if cohort_rows > 0 {
        cohorts::draw(frame, per_cohort, snapshot, theme);
    }
    let share = Constraint::Percentage(if area.width >= WIDE { 50 } else { 55 });
    let [left, right] = beside(rest, share);
    histogram::draw(frame, left, chosen, theme);
    errors::draw(frame, right, snapshot, theme);
    header::keys(frame, keys, state, theme);
    if state.help {
        help::draw(frame, area, theme);
    }
}

fn beside(area: Rect, left: Constraint) -> [Rect; 2] {
    Layout::horizontal([left, Constraint::Min(0)])
        .spacing(1)
        .areas(area)
}

/// What matters most, on whatever there is.
fn tiny(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let devices = &snapshot.devices;
    let alarming = Outcome::ALL.map(|outcome| snapshot.alarming(outcome));
    let lost = alarming.into_iter().fold(0, u64::saturating_add);
    let left = match snapshot.remaining {
        Some(left) => format!("{} left", units::clock(left)),
        None => units::clock(snapshot.elapsed),
    };
    let line = format!(
        "{}/{} ok, {} not, {left} (60x20 for all)",
        units::short_count(devices.decided().saturating_sub(lost)),
        units::short_count(devices.listed),
        units::short_count(lost),
    );
    frame.render_widget(
        Line::raw(line),
        Rect {
            height: area.height.min(1),
            ..area
        },
    );
}

/// From so many columns on there is room for explanations.
const WIDE: u16 = 140;
/// From so many rows on there is room for cohorts.
const COHORTS_FROM: u16 = 36;

#[cfg(test)]
mod tests;
