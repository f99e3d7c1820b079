//! The tabs, and how the thresholds stand whichever is shown.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::state::{State, Tab};
use super::theme::{SIGNS, Theme, short};
use crate::metrics::{Snapshot, Standing};

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    state: &State,
    theme: Theme,
) {
    let mut spans = Vec::new();
    for (n, tab) in (1..).zip(Tab::ALL) {
        let word = format!("{n} {}", tab.as_str());
        let count = match (tab, snapshot.error_count()) {
            (Tab::Errors, errors) if errors > 0 => format!(" {}", short(errors)),
            _ => String::new(),
        };
        if tab == state.tab {
            spans.push(Span::styled(format!("[{word}{count}]"), Theme::chosen()));
        } else {
            spans.push(Span::raw(format!(" {word}")));
            let wants = tab == Tab::Errors && snapshot.errors.iter().any(|row| !row.expected);
            spans.push(Span::styled(count, theme.bad_if(wants)));
            spans.push(Span::raw(" "));
        }
    }
    let tabs = Line::from(spans);
    let room = usize::from(area.width).saturating_sub(tabs.width() + 1);
    frame.render_widget(tabs, area);
    let told = [true, false]
        .into_iter()
        .map(|word| standing(snapshot, word, theme));
    if let Some(told) = told.into_iter().find(|told| told.width() <= room) {
        frame.render_widget(told.right_aligned(), area);
    }
}

fn standing(snapshot: &Snapshot, word: bool, theme: Theme) -> Line<'static> {
    let [good, open, bad] = SIGNS;
    let counts = [
        (Standing::Broken, bad, theme.bad()),
        (Standing::Pending, open, theme.open()),
        (Standing::Holding, good, theme.good()),
    ];
    let mut spans = vec![Span::styled(
        if word { "thresholds" } else { "" },
        Theme::faint(),
    )];
    for (standing, sign, style) in counts {
        let n = snapshot.standing(standing);
        if n > 0 {
            spans.push(Span::styled(format!(" {sign}{n}"), style));
        }
    }
    if spans.len() == 1 {
        spans[0] = Span::styled("", Style::new());
    }
    Line::from(spans)
}
