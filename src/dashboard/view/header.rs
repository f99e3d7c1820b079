//! Who, where, how far, and the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::state::State;
use super::theme::{Theme, cut};
use crate::metrics::{GeneratorVerdict, Snapshot};
use crate::model::units;

pub(super) fn title(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    state: &State,
    theme: Theme,
) {
    let (word, style) = match (state.stops, state.is_paused()) {
        (0, false) => ("running", theme.good()),
        (0, true) => ("display paused", theme.bad()),
        (1, _) => ("winding down", theme.bad()),
        _ => ("stopping", theme.bad()),
    };
    let setting = &snapshot.setting;
    let verdict = format!("{}  ", snapshot.verdict.as_str());
    let room = usize::from(area.width) - verdict.len() - word.len() - 2;
    let name = cut(&setting.scenario, room / 3);
    let model = cut(&setting.model, 8);
    let used = "fleetcall  ".len() + Span::raw(name.as_str()).width() + model.len() + 4;
    let target = cut(&setting.target, room.saturating_sub(used));
    let line = Line::from(vec![
        Span::styled("fleetcall  ", Theme::faint()),
        Span::styled(name, Theme::strong()),
        Span::raw(format!("  {model}  {target}")),
    ]);
    frame.render_widget(line, area);
    let right = Line::from(vec![
        Span::styled(verdict, verdict_style(snapshot, theme)),
        Span::styled(word, style),
    ]);
    frame.render_widget(right.right_aligned(), area);
}

fn verdict_style(snapshot: &Snapshot, theme: Theme) -> Style {
    if snapshot.verdict == GeneratorVerdict::Valid {
        Theme::faint()
    } else {
        theme.bad()
    }
}

/// Whether there is anything for [`notes`].
pub(super) fn has_notes(snapshot: &Snapshot) -> bool {
    !(snapshot.setting.notes.is_empty() && snapshot.reasons.is_empty())
}

/// What nobody may overlook: about the run, and why its figures may not be quoted. The first gets
/// the room when there are several.
pub(super) fn notes(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let all = snapshot.setting.notes.iter().chain(&snapshot.reasons);
    let all: Vec<String> = all.map(|note| format!("! {note}")).collect();
    let text = all.join("  ");
    let line = Line::styled(cut(&text, usize::from(area.width)), theme.bad());
    frame.render_widget(line, area);
}

/// Elapsed, a bar, the share and what is left.
pub(super) fn progress(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let before = format!("{} ", units::clock(snapshot.elapsed));
    let left = match snapshot.remaining {
        Some(left) => format!("{} left", units::clock(left)),
        None => "time left unknown".to_owned(),
    };
    // Cut, so that it is 100 only at the end.
    let after = format!(
        "  {:>5.1} %  {left}",
        (snapshot.progress * 1000.0).floor() / 10.0
    );
    let room = usize::from(area.width).saturating_sub(before.len() + after.len());
    #[expect(clippy::cast_sign_loss, reason = "progress is within 0..=1")]
    let full = ((snapshot.progress * room as f64) as usize).min(room);
    let line = Line::from(vec![
        Span::raw(before),
        Span::styled("█".repeat(full), theme.good()),
        Span::styled("░".repeat(room - full), Theme::faint()),
        Span::raw(after),
    ]);
    frame.render_widget(line, area);
}

pub(super) fn keys(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let quit = match state.stops {
        0 => "quit",
        1 => "stop at once",
        _ => "(stopping)",
    };
    let pause = if state.is_paused() {
        "go on"
    } else {
        "pause display"
    };
    let mut spans = Vec::new();
    for (key, what) in [
        ("q", quit),
        ("p", pause),
        ("n", "next phase"),
        ("?", "help"),
    ] {
        spans.push(Span::styled(key, Theme::strong()));
        spans.push(Span::styled(format!(" {what}   "), Theme::faint()));
    }
    if state.stops == 1 {
        let note = "finishing what runs";
        spans.push(Span::styled(note, theme.bad()));
    }
    frame.render_widget(Line::from(spans), area);
}
