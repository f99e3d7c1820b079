//! Draws a snapshot. Pure: the same snapshot and state give the same cells.
//!
//! Text from outside is made harmless before it is drawn, numbers that do not fit are shortened,
//! and what a colour says is said in signs or words as well. [`render`] draws what is on every tab;
//! each tab has a file of its own, and so has each panel that several of them show.

mod ascii;
mod cohorts;
mod devices;
mod dialog;
mod downlink;
mod errors;
mod header;
mod histogram;
mod latency;
mod log;
mod overview;
mod rates;
mod spectrum;
mod tabs;
mod theme;
mod thresholds;
mod tiny;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use self::theme::Theme;
use super::state::{Over, State, Tab};
use crate::metrics::Snapshot;

/// Draws the whole screen:
///
/// ```text
/// fleetcall  scenario  model  target                          ✓ valid  running
/// 0:30 ███████████████████████░░░░░░░░░░░░░░░░░░░░░░░░  49.0 %  30 s left
/// [1 overview] 2 latency  3 errors 7  4 cohorts  5 log      thresholds ✗ 1  ✓ 1
///                                (the tab)
/// q end  f freeze  ? help
/// ```
///
/// Notes, and why the run is not valid, stand below the title when there are any. Below 60x20 there
/// are a few lines with the essentials.
pub fn render(frame: &mut Frame<'_>, snapshot: &Snapshot, state: &State) {
    let area = frame.area();
    let theme = Theme::new(state.options.color);
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        tiny::draw(frame, area, snapshot, state, theme);
    } else {
        whole(frame, area, (snapshot, state), theme);
    }
    if state.options.ascii {
        ascii::plainly(frame.buffer_mut());
    }
}

fn whole(frame: &mut Frame<'_>, area: Rect, (snapshot, state): (&Snapshot, &State), theme: Theme) {
    let note_rows = header::note_count(snapshot).min(1 + (area.height - HEIGHT_MIN) / 10);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(note_rows),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [title, notes, progress, tabs, body, keys] = rows.areas(area);
    header::title(frame, title, snapshot, state, theme);
    if note_rows > 0 {
        header::notes(frame, notes, snapshot, theme);
    }
    header::progress(frame, progress, snapshot, theme);
    tabs::draw(frame, tabs, snapshot, state, theme);
    match state.tab {
        Tab::Overview => overview::draw(frame, body, (snapshot, state), theme),
        Tab::Latency => latency::tab(frame, body, snapshot, state.phase(snapshot), theme),
        Tab::Errors => errors::tab(frame, body, snapshot, state.scroll, theme),
        Tab::Cohorts => cohorts::tab(frame, body, snapshot, state.scroll, theme),
        Tab::Log => log::draw(frame, body, &state.log, state.scroll, theme),
    }
    header::keys(frame, keys, snapshot, state);
    match state.over {
        Some(Over::End) => dialog::end(frame, area, state.stops, theme),
        Some(Over::Help) => dialog::help(frame, area, state.options.steers, theme),
        None => {}
    }
}

fn beside(area: Rect, left: Constraint) -> [Rect; 2] {
    Layout::horizontal([left, Constraint::Min(0)])
        .spacing(1)
        .areas(area)
}

fn above(area: Rect, top: u16) -> [Rect; 2] {
    Layout::vertical([Constraint::Length(top), Constraint::Min(0)]).areas(area)
}

/// Below, only the essentials are drawn.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 20;
/// From so many columns on there is room for explanations.
const WIDE: u16 = 140;

#[cfg(test)]
mod tests;
