//! Errors by cause, the most frequent first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::theme::{Theme, cut, number, rule};
use crate::metrics::Snapshot;
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
