//! The last lines of `run.log`, the newest at the bottom.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::super::log::LogView;
use super::theme::{Theme, cut, rule};
use crate::model::units;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, log: &LogView, scroll: usize, theme: Theme) {
    let room = usize::from(area.height).saturating_sub(1);
    let end = log
        .lines
        .len()
        .saturating_sub(scroll)
        .max(room.min(log.lines.len()));
    let from = end.saturating_sub(room);
    let mut lines = vec![heading(log, area.width, log.lines.len() - end, theme)];
    for line in &log.lines[from..end] {
        let style = match level(line) {
            Some("ERROR") => theme.bad(),
            Some("WARN") => theme.open(),
            Some("INFO") => ratatui::style::Style::new(),
            _ => Theme::faint(),
        };
        lines.push(Line::styled(cut(line, usize::from(area.width)), style));
    }
    if log.lines.is_empty() {
        lines.push(Line::styled(" nothing yet", Theme::faint()));
    }
    frame.render_widget(Text::from(lines), area);
}

fn heading(log: &LogView, width: u16, below: usize, theme: Theme) -> Line<'static> {
    let earlier = log.written.saturating_sub(log.lines.len() as u64);
    let parts = [
        Some(format!("run.log: lines {}", units::count(log.written))),
        (earlier > 0).then(|| format!("{} earlier ones only there", units::count(earlier))),
        (below > 0).then(|| format!("{} below", units::count(below as u64))),
    ];
    let title = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if log.lost == 0 {
        return rule(&title, width);
    }
    let lost = format!(
        " {} lost: the file did not take them ",
        units::count(log.lost)
    );
    let mut line = rule(&title, width.saturating_sub(lost.len() as u16));
    line.push_span(Span::styled(lost, theme.bad()));
    line
}

/// The level's word in a line.
fn level(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}
