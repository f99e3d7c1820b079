//! The distribution of one phase's times, on a logarithmic scale.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};

use super::theme::{EIGHTHS, Theme, rule};
use crate::metrics::{BARS, PhaseRow, bar_floor_us};
use crate::model::units;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    chosen: Option<&PhaseRow>,
    service: bool,
    theme: Theme,
) {
    let bars = |row: &PhaseRow| if service { row.service_bars } else { row.bars };
    let drawn = chosen.and_then(|row| Some((row, bars(row), bars(row).occupied()?)));
    let Some((row, bars, occupied)) = drawn else {
        let nothing = Line::styled(" no samples yet", Theme::faint());
        let lines = vec![rule("Histogram", area.width), nothing];
        frame.render_widget(Text::from(lines), area);
        return;
    };
    let (which, style) = if service {
        ("service", theme.service())
    } else {
        ("response", theme.response())
    };
    let title = format!("{}, {which}", row.phase.as_str());
    let mut lines = vec![rule(&title, area.width)];
    let columns = usize::from(area.width).saturating_sub(1);
    let chart = Chart::new(&bars.0, occupied, columns);
    let height = usize::from(area.height).saturating_sub(2);
    for level in (0..height).rev() {
        lines.push(Line::styled(
            format!(" {}", chart.level(level, height)),
            style,
        ));
    }
    lines.push(Line::styled(format!(" {}", chart.axis()), Theme::faint()));
    frame.render_widget(Text::from(lines), area);
}

/// Bars merged or widened to the columns at hand.
struct Chart {
    /// The first bar's position on the scale.
    first: usize,
    /// Positions that one drawn bar stands for.
    merged: usize,
    /// Columns of one drawn bar.
    wide: usize,
    heights: Vec<u64>,
    peak: u64,
}

impl Chart {
    fn new(bars: &[u64; BARS], occupied: std::ops::RangeInclusive<usize>, columns: usize) -> Self {
        // A little air, and at least a decade, so that a narrow distribution looks narrow.
        let first = occupied.start().saturating_sub(2);
        let last = (occupied.end() + 2).max(first + 9).min(BARS - 1);
        let positions = last + 1 - first;
        let columns = columns.max(1);
        let merged = positions.div_ceil(columns);
        let heights: Vec<u64> = bars[first..=last]
            .chunks(merged)
            .map(|chunk| chunk.iter().copied().fold(0, u64::saturating_add))
            .collect();
        Self {
            first,
            merged,
            wide: (columns / heights.len()).max(1),
            peak: heights.iter().copied().max().unwrap_or(0),
            heights,
        }
    }

    /// One row of cells, `level` counted from the bottom; a bar with a sample is never empty.
    fn level(&self, level: usize, height: usize) -> String {
        let peak = u128::from(self.peak.max(1));
        let cell = |n: &u64| {
            let eighths = (u128::from(*n) * height as u128 * 8).div_ceil(peak);
            let here = eighths.saturating_sub(level as u128 * 8).min(8);
            EIGHTHS[here as usize].repeat(self.wide)
        };
        self.heights.iter().map(cell).collect()
    }

    /// `└` stands below the left edge of the bar that begins at the named time.
    fn axis(&self) -> String {
        let mut axis = String::new();
        let mut used = 0;
        for (i, _) in self.heights.iter().enumerate() {
            let (column, position) = (i * self.wide, self.first + i * self.merged);
            // Decades are named when a bar begins there, else the first bar from which the name fits.
            let even = position % 10 == 0 || (position % 5 == 0 && self.wide > 2);
            if column < used || !(even || (self.merged > 1 && column >= used + 4)) {
                continue;
            }
            let name = format!("└{}", label(position));
            let end = column + name.chars().count();
            if end > self.heights.len() * self.wide {
                break;
            }
            axis += &" ".repeat(column - axis.chars().count());
            axis += &name;
            used = end + 1;
        }
        axis
    }
}

/// The lower edge of a position on the scale, rounded for reading.
fn label(position: usize) -> String {
    #[expect(clippy::cast_sign_loss, reason = "a power of ten is not negative")]
    let us = bar_floor_us(position).round() as u64;
    units::micros(us)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(occupied: &[(usize, u64)], columns: usize) -> Chart {
        let mut bars = [0; BARS];
        for (bar, n) in occupied {
            bars[*bar] = *n;
        }
        let (first, last) = (occupied[0].0, occupied[occupied.len() - 1].0);
        Chart::new(&bars, first..=last, columns)
    }

    #[test]
    fn heights_follow_counts_and_a_single_sample_is_seen() {
        let chart = chart(&[(32, 1), (33, 500), (34, 1_000)], 12);
        assert_eq!(
            chart.level(1, 2),
            "    █       ".trim_end().to_owned() + "     "
        );
        assert_eq!(chart.level(0, 2), "  ▁██     ");
    }

    #[test]
    fn the_axis_names_the_edge_above_it() {
        let chart = chart(&[(32, 1), (41, 5)], 45);
        assert_eq!(chart.wide, 3);
        assert_eq!(chart.axis(), "└1.00 ms       └3.16 ms       └10.0 ms");
    }

    #[test]
    fn a_distribution_wider_than_the_screen_is_merged_and_loses_nothing() {
        let all: Vec<(usize, u64)> = (0..BARS).map(|bar| (bar, 3)).collect();
        let chart = chart(&all, 30);
        assert_eq!(chart.heights.iter().sum::<u64>(), BARS as u64 * 3);
        assert!(chart.heights.len() <= 30, "{}", chart.heights.len());
        assert!(chart.level(0, 4).chars().count() <= 30);
        assert!(chart.axis().chars().count() <= 30);
    }

    #[test]
    fn no_room_is_no_panic() {
        for columns in 0..3 {
            let chart = chart(&[(0, u64::MAX), (95, 1)], columns);
            assert!(chart.level(0, 1).chars().count() <= columns.max(1));
        }
    }
}
