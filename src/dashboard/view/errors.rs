//! Errors by cause, the most frequent first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::theme::{Theme, cut, number, rule};
use crate::metrics::{ErrorRow, Snapshot};
use crate::model::units;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let width = usize::from(area.width);
    let title = format!("Errors: {}", units::count(snapshot.error_count()));
    let mut lines = vec![rule(&title, area.width)];
    let room = usize::from(area.height).saturating_sub(1);
    let errors = &snapshot.errors;
    // The last row is needed to say that there are more.
    let shown = if errors.len() > room {
        room.saturating_sub(1)
    } else {
        errors.len()
    };
    for row in &errors[..shown] {
        let cause = cut(&row.cause, width.saturating_sub(9));
        let mut spans = vec![
            Span::styled(
                format!(" {} ", number(row.count, 6)),
                theme.bad_if(!row.expected),
            ),
            Span::raw(cause),
        ];
        let mut used = 8 + spans[1].width();
        if row.expected && used + EXPECTED.len() <= width {
            spans.push(Span::styled(EXPECTED, Theme::faint()));
            used += EXPECTED.len();
        }
        if used + 2 + row.hint.len() <= width {
            spans.push(Span::styled(format!("  {}", row.hint), Theme::faint()));
        }
        lines.push(Line::from(spans));
    }
    if errors.is_empty() {
        lines.push(Line::styled(" none", Theme::faint()));
    }
    let rest = &errors[shown..];
    if !rest.is_empty() {
        let n = rest
            .iter()
            .fold(0u64, |sum, row| sum.saturating_add(row.count));
        let more = format!(" {} of {} more causes", number(n, 6), rest.len());
        lines.push(Line::styled(more, Theme::faint()));
    }
    frame.render_widget(Text::from(lines), area);
}

/// Beside a cause that strikes only devices of whom it is expected.
const EXPECTED: &str = "  expected";

/// The tab: all causes with their shares and when they struck, and what the first of them means.
pub(super) fn tab(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    scroll: usize,
    theme: Theme,
) {
    let wide = area.width >= HINTS_FROM;
    let all = snapshot.error_count();
    let title = format!(
        "Errors: {} of {} causes",
        units::count(all),
        snapshot.errors.len()
    );
    let mut lines = vec![rule(&title, area.width)];
    let heads = format!(
        "  {:>8} {:>7}  {:>8} {:>8}  cause",
        "count", "share", "first", "last"
    );
    lines.push(Line::styled(heads, Theme::faint()));
    // Below the list there is room to say what the topmost cause means.
    let below = if wide { 0 } else { 3 };
    let room = usize::from(area.height).saturating_sub(2 + below);
    let from = scroll.min(snapshot.errors.len().saturating_sub(1));
    let shown = snapshot.errors.iter().skip(from).take(room);
    let width = usize::from(area.width);
    lines.extend(shown.enumerate().map(|(n, row)| {
        let sign = if n == 0 && !wide { "▸" } else { " " };
        cause(row, (sign, all), (width, wide), theme)
    }));
    match snapshot.errors.get(from) {
        None => lines.push(Line::styled(" none", Theme::faint())),
        Some(row) if !wide => {
            let last = usize::from(area.height).saturating_sub(below);
            lines.resize(last, Line::raw(""));
            lines.push(rule(&row.cause, area.width));
            let expected = if row.expected { " (expected here)" } else { "" };
            lines.push(Line::raw(cut(&format!(" {}{expected}", row.hint), width)));
        }
        Some(_) => {}
    }
    frame.render_widget(Text::from(lines), area);
}

fn cause(
    row: &ErrorRow,
    (sign, all): (&str, u64),
    (width, wide): (usize, bool),
    theme: Theme,
) -> Line<'static> {
    let figures = format!(
        "{sign} {} {:>7}  {:>8} {:>8}  ",
        number(row.count, 8),
        units::percent(row.count, all),
        units::clock(row.first),
        units::clock(row.last),
    );
    let room = width.saturating_sub(Span::raw(figures.as_str()).width());
    let mut spans = vec![Span::styled(figures, theme.bad_if(!row.expected))];
    spans.push(Span::raw(cut(&row.cause, room)));
    if wide {
        let expected = if row.expected { EXPECTED } else { "" };
        let beside = format!("{expected}  {}", row.hint);
        let left = room.saturating_sub(spans[1].width());
        spans.push(Span::styled(cut(&beside, left), Theme::faint()));
    }
    Line::from(spans)
}

/// From so many columns on each cause is explained beside it.
const HINTS_FROM: u16 = 110;
