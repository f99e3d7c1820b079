//! What lies over the rest: the help, and the question before the end.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear};

use super::theme::Theme;

/// What the keys do and what the words mean.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect, steers: bool, theme: Theme) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .filter(|(_, meaning)| steers || !STEERING.contains(meaning))
        .map(|(word, meaning)| pair(word, meaning))
        .collect();
    over(frame, area, ("Help", "Esc closes"), lines, theme);
}

/// What cannot be undone is asked for first.
pub(super) fn end(frame: &mut Frame<'_>, area: Rect, stops: u8, theme: Theme) {
    let mut lines = vec![Line::raw("")];
    if stops == 0 {
        lines.push(pair("y", "wind down: no device starts any more,"));
        lines.push(pair("", "and what is under way finishes"));
    }
    lines.push(pair("x", "stop now: what is under way is cut off,"));
    lines.push(pair("", "and its record says so"));
    lines.push(pair("any other", "go on"));
    lines.push(Line::raw(""));
    lines.push(Line::raw(" The reports are written in each case."));
    over(frame, area, ("End the run?", ""), lines, theme);
}

fn pair(word: &str, meaning: &'static str) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!(" {word:<14}"), Theme::strong()),
        Span::raw(meaning),
    ])
}

fn over(
    frame: &mut Frame<'_>,
    area: Rect,
    (title, bottom): (&str, &str),
    lines: Vec<Line<'_>>,
    theme: Theme,
) {
    let (width, height) = (
        60.min(area.width),
        (lines.len() as u16 + 2).min(area.height),
    );
    let [left, top] = [(area.width - width) / 2, (area.height - height) / 2];
    let area = Rect::new(area.x + left, area.y + top, width, height);
    let mut block = Block::bordered()
        .title(format!(" {title} "))
        .border_style(theme.open());
    if !bottom.is_empty() {
        block = block.title_bottom(Line::from(format!(" {bottom} ")).right_aligned());
    }
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    frame.render_widget(Text::from(lines), inner);
}

const HELP: [(&str, &str); 18] = [
    ("1…5, Tab, ← →", "overview, latency, errors, cohorts, log"),
    ("n, N, ↑ ↓", "another phase; lists scroll, also by page"),
    ("f, space", "freeze the picture; the run goes on"),
    ("p", STEERING[0]),
    ("+, -, 0", STEERING[1]),
    ("q", "end the run; asks first"),
    ("Ctrl-C", "wind the run down; once more: stop at once"),
    ("bringing up", "started, not yet ready for telemetry"),
    ("live", "provisioned, connected, sending"),
    ("refused", "the server said no"),
    ("failed", "network or protocol, surely not provisioned"),
    ("unknown", "asked, answer lost: perhaps provisioned"),
    ("response", "counted from the intended start"),
    ("service", "counted from the actual send"),
    ("late", "started over 10 ms after its due time"),
    ("dropped", "due, and the generator could not start it"),
    ("suspect", "the generator itself may be in the figures"),
    ("pending", "a threshold that does not hold yet, and may"),
];

/// Where nobody may steer, nobody is told of it.
const STEERING: [&str; 2] = [
    "pause arrivals and go on: nobody is late",
    "arrivals twice, half as fast; as planned",
];
