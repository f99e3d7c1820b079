//! A row of figures per phase.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::WIDE;
use super::theme::{Theme, number, rule, time};
use crate::metrics::{LatencyFigures, PhaseRow, Snapshot};

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    chosen: Option<&PhaseRow>,
    theme: Theme,
) {
    let columns = Columns::of(area.width);
    let mut lines = vec![columns.heading(area.width)];
    for row in &snapshot.phases {
        let is_chosen = chosen.is_some_and(|chosen| chosen.phase == row.phase);
        lines.push(columns.row(row, is_chosen, theme));
    }
    if snapshot.phases.is_empty() {
        lines.push(Line::styled(" nothing measured yet", Theme::faint()));
    }
    frame.render_widget(Text::from(lines), area);
}

/// Which figures there is room for.
#[derive(Clone, Copy)]
struct Columns {
    count: usize,
    /// All five percentiles, or p50, p99 and max.
    all: bool,
    service: bool,
}

impl Columns {
    fn of(width: u16) -> Self {
        Self {
            count: if width >= WIDE { 10 } else { 7 },
            all: width >= 79,
            service: width >= WIDE,
        }
    }

    fn heading(self, width: u16) -> Line<'static> {
        let title = if self.service {
            "Times"
        } else {
            "Response times"
        };
        let names = self.pick(["p50", "p90", "p99", "p99.9", "max"]);
        let figures = names.map(|name| format!(" {name:>7}"));
        let figures = figures.collect::<Vec<_>>().concat();
        let counts = format!("{:>1$}{2:>7}", "count", self.count, "errors");
        let heads = if self.service {
            format!("{counts} response{figures}  service{figures}")
        } else {
            counts + &figures
        };
        let mut line = rule(title, (NAME as u16).min(width));
        line.push_span(Span::styled(heads, Theme::faint()));
        line
    }

    fn row(self, row: &PhaseRow, chosen: bool, theme: Theme) -> Line<'static> {
        let sign = if chosen { "▸" } else { " " };
        let name = format!("{sign}{:<1$}", row.phase.as_str(), NAME - 1);
        let mut spans = vec![
            Span::styled(
                name,
                if chosen {
                    Theme::strong()
                } else {
                    ratatui::style::Style::new()
                },
            ),
            Span::raw(number(row.count, self.count)),
            Span::styled(number(row.errors, 7), theme.bad_if(row.alarming > 0)),
        ];
        let gap = if self.service {
            " ".repeat(9)
        } else {
            String::new()
        };
        spans.push(Span::raw(
            gap.clone() + &self.figures(&row.response, row.count),
        ));
        if self.service {
            spans.push(Span::raw(gap + &self.figures(&row.service, row.count)));
        }
        Line::from(spans)
    }

    fn figures(self, us: &LatencyFigures, samples: u64) -> String {
        let all = [us.p50, us.p90, us.p99, us.p999, us.max];
        let texts = self
            .pick(all)
            .map(|us| format!(" {:>7}", time(us, samples)));
        texts.collect()
    }

    fn pick<T>(self, five: [T; 5]) -> impl Iterator<Item = T> {
        let kept = five.into_iter().enumerate();
        kept.filter(move |(i, _)| self.all || matches!(i, 0 | 2 | 4))
            .map(|(_, figure)| figure)
    }
}

/// `▸time_to_first_telemetry`.
const NAME: usize = 25;
