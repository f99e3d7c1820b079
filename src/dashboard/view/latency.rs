//! A row of figures per phase, and the distribution of one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};

use super::theme::{Theme, number, rule, time};
use super::{WIDE, above, beside, histogram, spectrum};
use crate::metrics::{LatencyFigures, PhaseRow, Snapshot};
use crate::model::Phase;

/// Rows that all phases take.
pub(super) fn rows(snapshot: &Snapshot) -> u16 {
    snapshot.phases.len().max(1) as u16 + 1
}

/// The tab: the table above, as far as it leaves room for the charts.
pub(super) fn tab(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    chosen: Option<&PhaseRow>,
    theme: Theme,
) {
    let least = (area.height / 2).max(CHARTS_FROM);
    let height = rows(snapshot).min(area.height.saturating_sub(least));
    let [figures, rest] = above(area, height);
    table(frame, figures, snapshot, chosen, theme);
    charts(frame, rest, chosen, theme);
}

/// Histogram and percentiles; the histogram of service times below that of response times, where there is
/// room.
pub(super) fn charts(frame: &mut Frame<'_>, area: Rect, chosen: Option<&PhaseRow>, theme: Theme) {
    let [bars, percentiles] = beside(area, Constraint::Percentage(50));
    if chosen.is_some() && bars.height >= 2 * CHARTS_FROM {
        let [response, service] = above(bars, bars.height.div_ceil(2));
        histogram::draw(frame, response, chosen, false, theme);
        histogram::draw(frame, service, chosen, true, theme);
    } else {
        histogram::draw(frame, bars, chosen, false, theme);
    }
    spectrum::draw(frame, percentiles, chosen, theme);
}

pub(super) fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    chosen: Option<&PhaseRow>,
    theme: Theme,
) {
    let columns = Columns::of(area.width);
    let mut lines = vec![columns.heading(area.width)];
    let room = usize::from(area.height).saturating_sub(1);
    let (shown, more) = pick(&snapshot.phases, chosen, room);
    for row in shown {
        let is_chosen = chosen.is_some_and(|chosen| chosen.phase == row.phase);
        lines.push(columns.row(row, is_chosen, theme));
    }
    if more > 0 {
        let more = format!(" {more} more phases: 2");
        lines.push(Line::styled(more, Theme::faint()));
    }
    if snapshot.phases.is_empty() {
        lines.push(Line::styled(" nothing measured yet", Theme::faint()));
    }
    frame.render_widget(Text::from(lines), area);
}

/// The phases that fit, in their order, and how many are left out: those that are parts of others
/// first, never the chosen one.
fn pick<'a>(
    rows: &'a [PhaseRow],
    chosen: Option<&PhaseRow>,
    room: usize,
) -> (Vec<&'a PhaseRow>, usize) {
    if rows.len() <= room {
        return (rows.iter().collect(), 0);
    }
    let rank = |row: &PhaseRow| {
        let is_chosen = chosen.is_some_and(|chosen| chosen.phase == row.phase);
        let main = MAIN.iter().position(|phase| *phase == row.phase);
        (!is_chosen, main.unwrap_or(MAIN.len()), row.phase)
    };
    let mut ranked: Vec<&PhaseRow> = rows.iter().collect();
    ranked.sort_by_key(|row| rank(row));
    ranked.truncate(room.saturating_sub(1));
    ranked.sort_by_key(|row| rows.iter().position(|other| other.phase == row.phase));
    let more = rows.len() - ranked.len();
    (ranked, more)
}

/// Which figures there is room for.
#[derive(Clone, Copy)]
struct Columns {
    /// The sign of the chosen one included.
    name: usize,
    count: usize,
    errors: usize,
    /// All five percentiles, or p50, p99 and max.
    all: bool,
    service: bool,
}

impl Columns {
    fn of(width: u16) -> Self {
        let narrow = width < 63;
        Self {
            name: if narrow { NAME } else { NAME + 1 },
            count: match width {
                _ if narrow => 6,
                ..WIDE => 7,
                _ => 10,
            },
            errors: if narrow { 6 } else { 7 },
            all: width >= 79,
            service: width >= SERVICE_FROM,
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
        let counts = format!(
            "{:>2$}{:>3$}",
            "count",
            if self.errors < 7 { "errs" } else { "errors" },
            self.count,
            self.errors,
        );
        let heads = if self.service {
            format!("{counts} response{figures}  service{figures}")
        } else {
            counts + &figures
        };
        let mut line = rule(title, (self.name as u16).min(width));
        line.push_span(Span::styled(heads, Theme::faint()));
        line
    }

    fn row(self, row: &PhaseRow, chosen: bool, theme: Theme) -> Line<'static> {
        let sign = if chosen { "▸" } else { " " };
        let name = format!("{sign}{:<1$}", row.phase.as_str(), self.name - 1);
        let style = if chosen {
            Theme::strong()
        } else {
            Style::new()
        };
        let gap = if self.service {
            " ".repeat(9)
        } else {
            String::new()
        };
        let mut spans = vec![
            Span::styled(name, style),
            Span::raw(number(row.count, self.count)),
            Span::styled(
                number(row.errors, self.errors),
                theme.bad_if(row.alarming > 0),
            ),
            Span::styled(
                gap.clone() + &self.figures(&row.response, row.count),
                theme.response(),
            ),
        ];
        if self.service {
            let figures = gap + &self.figures(&row.service, row.count);
            spans.push(Span::styled(figures, theme.service()));
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

/// What a small screen shows rather than the steps that they are made of.
const MAIN: [Phase; 4] = [
    Phase::TimeToProvision,
    Phase::TimeToFirstTelemetry,
    Phase::Telemetry,
    Phase::Provision,
];

/// `▸time_to_first_telemetry`.
const NAME: usize = 24;

/// From so many columns on there is room for service times.
const SERVICE_FROM: u16 = 138;

/// Rows that a chart needs at least.
pub(super) const CHARTS_FROM: u16 = 6;
