//! The percentiles of one phase, from the median to p99.99, both times on one plane: rightwards, each
//! step of the same width has a tenth as many samples beyond it; upwards, times, logarithmic.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::theme::{Theme, rule};
use crate::metrics::{PhaseRow, SPECTRUM, Spectrum, spectrum_position};
use crate::model::units;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, chosen: Option<&PhaseRow>, theme: Theme) {
    let Some(row) = chosen.filter(|row| row.count > 0) else {
        let nothing = Line::styled(" no samples yet", Theme::faint());
        let lines = vec![rule("Percentiles", area.width), nothing];
        frame.render_widget(Text::from(lines), area);
        return;
    };
    let title = format!("{}, percentiles", row.phase.as_str());
    let mut lines = vec![rule(&title, area.width)];
    let height = usize::from(area.height).saturating_sub(3);
    let columns = usize::from(area.width).saturating_sub(MARGIN + 1);
    let plot = Plot::new([&row.spectrum, &row.service_spectrum], columns, height);
    for level in (0..height).rev() {
        lines.push(plot.level(level, theme));
    }
    let axis = format!("{:MARGIN$}{}", "", axis(columns));
    lines.push(Line::styled(axis, Theme::faint()));
    lines.push(Line::from(vec![
        Span::raw(" ".repeat(MARGIN)),
        Span::styled("● response  ", theme.response()),
        Span::styled("○ service  ", theme.service()),
        Span::styled("◉ both", Theme::faint()),
    ]));
    frame.render_widget(Text::from(lines), area);
}

/// Where both lines run.
struct Plot {
    /// For each column, the levels that each line covers there.
    cells: [Vec<(usize, usize)>; 2],
    lowest: f64,
    highest: f64,
    height: usize,
}

impl Plot {
    fn new(lines: [&Spectrum; 2], columns: usize, height: usize) -> Self {
        let ends = lines.map(|line| [line.0[0], line.highest()]);
        let all = ends.iter().flatten().map(|us| (*us).max(1) as f64);
        let lowest = all.clone().fold(f64::INFINITY, f64::min);
        // A flat line is one in the middle of at least a third of a decade.
        let highest = all.fold(0.0, f64::max).max(lowest * 2.0);
        let mut plot = Self {
            cells: [Vec::new(), Vec::new()],
            lowest,
            highest,
            height,
        };
        for (of, line) in lines.into_iter().enumerate() {
            let levels: Vec<usize> = (0..columns)
                .map(|column| plot.level_of(at(line, column, columns)))
                .collect();
            let from = std::iter::once(levels.first()).chain(levels.iter().map(Some));
            let strokes = from.zip(&levels).map(|(before, here)| {
                // A jump is drawn as one: the line never tears.
                let before = before.copied().unwrap_or(*here);
                ((before + 1).min(*here), *here)
            });
            plot.cells[of] = strokes.collect();
        }
        plot
    }

    #[expect(clippy::cast_sign_loss, reason = "within the levels")]
    fn level_of(&self, us: f64) -> usize {
        let share = (us / self.lowest).ln() / (self.highest / self.lowest).ln();
        let top = self.height.saturating_sub(1);
        ((share.clamp(0.0, 1.0) * top as f64).round() as usize).min(top)
    }

    fn level(&self, level: usize, theme: Theme) -> Line<'static> {
        let mut spans = vec![Span::styled(self.label(level), Theme::faint())];
        let [response, service] = &self.cells;
        for (response, service) in response.iter().zip(service) {
            let here = |stroke: &(usize, usize)| (stroke.0..=stroke.1).contains(&level);
            spans.push(match (here(response), here(service)) {
                (true, true) => Span::styled("◉", theme.response()),
                (true, false) => Span::styled("●", theme.response()),
                (false, true) => Span::styled("○", theme.service()),
                (false, false) => Span::raw(" "),
            });
        }
        Line::from(spans)
    }

    /// The time at a level, at the top, the bottom and in the middle.
    fn label(&self, level: usize) -> String {
        let top = self.height.saturating_sub(1);
        if ![0, top / 2, top].contains(&level) {
            return " ".repeat(MARGIN);
        }
        let share = level as f64 / top.max(1) as f64;
        #[expect(clippy::cast_sign_loss, reason = "between two times")]
        let us = (self.lowest * (self.highest / self.lowest).powf(share)).round() as u64;
        format!("{:>1$} ", units::micros(us), MARGIN - 1)
    }
}

/// The percentile at a column, in µs.
fn at(line: &Spectrum, column: usize, columns: usize) -> f64 {
    let position = column as f64 / columns.saturating_sub(1).max(1) as f64;
    #[expect(clippy::cast_sign_loss, reason = "from the left to the right")]
    let n = (position * (SPECTRUM - 1) as f64).round() as usize;
    line.0[n.min(SPECTRUM - 1)].max(1) as f64
}

/// `└` stands below its percentile; the last stands left of it, to be whole.
fn axis(columns: usize) -> String {
    let mut axis = String::new();
    for (name, share) in [("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999)] {
        #[expect(clippy::cast_sign_loss, reason = "from the left to the right")]
        let column = (spectrum_position(share) * columns.saturating_sub(1) as f64).round() as usize;
        let used = axis.chars().count();
        if column >= used && column + name.len() + 8 < columns.max(1) {
            axis += &" ".repeat(column - used);
            axis.push('└');
            axis += name;
        }
    }
    let used = axis.chars().count();
    let last = "99.99┘";
    if let Some(gap) = columns.checked_sub(used + last.chars().count()) {
        axis += &" ".repeat(gap);
        axis += last;
    }
    axis
}

/// Columns of the times at the left.
const MARGIN: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn rising() -> Spectrum {
        let mut line = Spectrum::default();
        for (n, us) in line.0.iter_mut().enumerate() {
            *us = 1_000 + (n as u64).pow(3);
        }
        line
    }

    #[test]
    fn a_line_is_in_every_column_and_never_tears() {
        let line = rising();
        let plot = Plot::new([&line, &Spectrum([1_000; SPECTRUM])], 60, 12);
        for cells in &plot.cells {
            assert_eq!(cells.len(), 60);
            for pair in cells.windows(2) {
                assert!(pair[1].0 <= pair[0].1 + 1, "{pair:?}");
            }
        }
        assert_eq!(plot.cells[0][59].1, 11, "the highest is at the top");
        assert!(plot.cells[1].iter().all(|cell| *cell == (0, 0)));
    }

    #[test]
    fn the_axis_is_as_wide_as_the_plane_and_names_what_fits() {
        assert_eq!(
            axis(60),
            "└50        └90             └99             └99.9      99.99┘"
        );
        for columns in 0..100 {
            assert!(axis(columns).chars().count() <= columns, "{columns}");
        }
    }

    #[test]
    fn no_room_is_no_panic() {
        for (columns, height) in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)] {
            let plot = Plot::new([&rising(), &Spectrum::default()], columns, height);
            let _ = plot.level(0, Theme::new(false));
        }
    }
}
