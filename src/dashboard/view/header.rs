//! Who, where, how far, and the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};

use super::super::state::{State, Tab};
use super::theme::{SIGNS, Theme, cut};
use crate::metrics::{GeneratorVerdict, Snapshot};
use crate::model::units;

pub(super) fn title(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    state: &State,
    theme: Theme,
) {
    let (word, style) = course(snapshot, state, theme);
    let setting = &snapshot.setting;
    let (verdict, verdict_style) = verdict(snapshot, theme);
    let verdict = format!("{verdict}  ");
    let beside = [&verdict, &word].map(|text| Span::raw(text.as_str()).width());
    let beside = beside.iter().sum::<usize>() + 2;
    let room = usize::from(area.width).saturating_sub(beside);
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
        Span::styled(verdict, verdict_style),
        Span::styled(word, style),
    ]);
    frame.render_widget(right.right_aligned(), area);
}

/// What the run is doing, and whether this is its picture of now.
pub(super) fn course(snapshot: &Snapshot, state: &State, theme: Theme) -> (String, Style) {
    if state.is_frozen() {
        let word = format!("FROZEN at {}", units::clock(snapshot.elapsed));
        return (word, theme.open().add_modifier(Modifier::REVERSED));
    }
    let steering = &snapshot.steering;
    let word = |word: &str| word.to_owned();
    match state.stops {
        2.. => (word("stopping"), theme.bad()),
        1 => (word("winding down"), theme.bad()),
        0 if steering.winding => (word("winding down"), theme.open()),
        0 if steering.paused => {
            let style = theme.open().add_modifier(Modifier::REVERSED);
            (word("arrivals PAUSED"), style)
        }
        0 if (steering.factor - 1.0).abs() < f64::EPSILON => (word("running"), theme.good()),
        0 => (format!("running ×{}", steering.factor), theme.open()),
    }
}

/// Whether the figures so far may be quoted.
pub(super) fn verdict(snapshot: &Snapshot, theme: Theme) -> (String, Style) {
    let [good, open, bad] = SIGNS;
    let (sign, style) = match snapshot.verdict {
        GeneratorVerdict::Valid => (good, theme.good()),
        GeneratorVerdict::Suspect => (open, theme.open()),
        GeneratorVerdict::Invalid => (bad, theme.bad()),
    };
    (format!("{sign} {}", snapshot.verdict.as_str()), style)
}

/// How many lines [`notes`] has something for.
pub(super) fn note_count(snapshot: &Snapshot) -> u16 {
    (snapshot.setting.notes.len() + snapshot.reasons.len()) as u16
}

/// What nobody may overlook: about the run, and why its figures may not be quoted. A line each where
/// there are enough; the rest shares the last.
pub(super) fn notes(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let all = snapshot.setting.notes.iter().chain(&snapshot.reasons);
    let all: Vec<String> = all.map(|note| format!("! {note}")).collect();
    let own = usize::from(area.height).saturating_sub(1).min(all.len());
    let (own, shared) = all.split_at(own);
    let texts = own.iter().cloned().chain([shared.join("  ")]);
    let lines: Vec<Line<'_>> = texts
        .map(|text| Line::styled(cut(&text, usize::from(area.width)), theme.bad()))
        .collect();
    frame.render_widget(Text::from(lines), area);
}

/// Elapsed, a bar, the share and what is left.
pub(super) fn progress(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let before = format!("{} ", units::clock(snapshot.elapsed));
    let left = match (snapshot.search, snapshot.remaining) {
        (Some(search), _) => search.words(),
        (None, Some(left)) => format!("{} left", units::clock(left)),
        (None, None) if snapshot.steering.paused => "paused".to_owned(),
        (None, None) => "time left unknown".to_owned(),
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

/// The keys that do something on this tab.
pub(super) fn keys(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, state: &State) {
    let freeze = if state.is_frozen() { "go on" } else { "freeze" };
    let end = match state.stops {
        0 => "end",
        1 => "stop now",
        _ => "(stopping)",
    };
    let turn = match state.tab {
        Tab::Overview | Tab::Latency => ("n", "next phase"),
        Tab::Errors | Tab::Cohorts | Tab::Log => ("↑↓", "scroll"),
    };
    let keys = [
        ("q", end),
        ("f", freeze),
        (
            "p",
            if snapshot.steering.paused {
                "resume"
            } else {
                "pause"
            },
        ),
        ("+ -", "rate"),
        turn,
        ("?", "help"),
    ];
    let mut spans = Vec::new();
    let steers = state.options.steers && state.stops == 0 && !snapshot.steering.winding;
    let open = |key: &str| steers || !["p", "+ -"].contains(&key);
    for (key, what) in keys.into_iter().filter(|(key, _)| open(key)) {
        spans.push(Span::styled(key, Theme::strong()));
        spans.push(Span::styled(format!(" {what}  "), Theme::faint()));
    }
    frame.render_widget(Line::from(spans), area);
}
