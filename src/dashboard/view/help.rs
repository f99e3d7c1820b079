//! What the keys do and what the words mean, over everything else.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear};

use super::theme::Theme;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let (width, height) = (
        60.min(area.width),
        (LINES.len() as u16 + 2).min(area.height),
    );
    let [left, top] = [(area.width - width) / 2, (area.height - height) / 2];
    let area = Rect::new(area.x + left, area.y + top, width, height);
    let block = Block::bordered()
        .title(" Help ")
        .title_bottom(Line::from(" Esc closes ").right_aligned())
        .border_style(theme.good());
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let lines: Vec<Line<'_>> = LINES
        .iter()
        .map(|(word, meaning)| {
            Line::from(vec![
                Span::styled(format!(" {word:<13}"), Theme::strong()),
                Span::raw(*meaning),
            ])
        })
        .collect();
    frame.render_widget(Text::from(lines), inner);
}

const LINES: [(&str, &str); 18] = [
    ("q, Ctrl-C", "wind the run down; once more: stop at once"),
    ("p, space", "pause the display; the run goes on"),
    ("n, Tab, ← →", "histogram of the next or previous phase"),
    ("?, h", "this help"),
    ("", ""),
    ("bringing up", "started, not yet ready for telemetry"),
    ("live", "provisioned, connected, sending"),
    ("refused", "the server said no"),
    ("failed", "network or protocol, surely not provisioned"),
    ("unknown", "asked, answer lost: perhaps provisioned"),
    ("unfinished", "cut off by the end of the run"),
    ("", ""),
    ("response", "counted from the intended start"),
    ("service", "counted from the actual send"),
    ("late", "started over 10 ms after its due time"),
    ("dropped", "due, and the generator could not start it"),
    ("lag", "actual minus intended start"),
    ("suspect", "the generator itself may be in the figures"),
];
