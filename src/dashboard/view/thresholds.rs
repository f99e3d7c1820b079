//! Thresholds as they stand.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::theme::{SIGNS, Theme, cut, rule};
use crate::metrics::{Snapshot, Standing, ThresholdRow};

/// Rows that all of them take.
pub(super) fn rows(snapshot: &Snapshot) -> u16 {
    snapshot.thresholds.len().max(1) as u16 + 1
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let room = usize::from(area.height).saturating_sub(1);
    let mut all: Vec<&ThresholdRow> = snapshot.thresholds.iter().collect();
    if all.len() > room {
        // What wants attention must be seen.
        all.sort_by_key(|row| match row.standing {
            Standing::Broken => 0,
            Standing::Pending => 1,
            Standing::Holding => 2,
        });
    }
    let shown = if all.len() > room {
        room.saturating_sub(1)
    } else {
        all.len()
    };
    let mut lines = vec![rule("Thresholds", area.width)];
    let width = usize::from(area.width);
    lines.extend(all[..shown].iter().map(|row| line(row, width, theme)));
    if all.is_empty() {
        let none = " none: cohorts are held to what is expected of them";
        lines.push(Line::styled(cut(none, width), Theme::faint()));
    } else if shown < all.len() {
        let more = format!(" and {} more", all.len() - shown);
        lines.push(Line::styled(more, Theme::faint()));
    }
    frame.render_widget(Text::from(lines), area);
}

/// Sign, word, condition, and what was seen; what does not fit is left out from the right.
fn line(row: &ThresholdRow, width: usize, theme: Theme) -> Line<'static> {
    let [good, open, bad] = SIGNS;
    let (sign, style) = match row.standing {
        Standing::Holding => (good, theme.good()),
        Standing::Pending => (open, theme.open()),
        Standing::Broken => (bad, theme.bad()),
    };
    let word = format!(" {sign} {:<8}", row.standing.as_str());
    let observed = Span::raw(cut(&row.observed, 30));
    let room = width.saturating_sub(Span::raw(word.as_str()).width());
    let beside = room.saturating_sub(observed.width() + 2);
    let expression = Span::raw(row.expression.as_str()).width();
    // The condition first; what was seen only where the condition is whole, or most of it.
    let mut spans = vec![Span::styled(word, style)];
    if beside >= expression.min(24) {
        spans.push(Span::raw(cut(&row.expression, beside)));
        spans.push(Span::raw("  "));
        spans.push(Span::styled(observed.content, style));
    } else {
        spans.push(Span::raw(cut(&row.expression, room)));
    }
    Line::from(spans)
}
