//! How fast, and whether the generator keeps up.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::theme::{EIGHTHS, Theme, rate, rule, short, time};
use crate::metrics::{RateFigures, Snapshot};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    if area.width < 30 {
        return narrow(frame, area, snapshot, theme);
    }
    let telemetry = &snapshot.telemetry;
    let starts = &snapshot.starts;
    let lines = vec![
        rule("Rates, a column per second", area.width),
        rate_line("provisioned", &snapshot.provisioned_rate, area.width, theme),
        rate_line("telemetry", &snapshot.telemetry_rate, area.width, theme),
        Line::from(vec![
            Span::raw(format!(
                " sent {} acked {} ",
                short(telemetry.sent),
                short(telemetry.acked)
            )),
            Span::styled(
                format!("lost {}", short(telemetry.lost)),
                theme.bad_if(telemetry.lost > 0),
            ),
        ]),
        Line::from(vec![
            Span::styled(
                format!(" late {} ", short(starts.late)),
                theme.bad_if(starts.late > 0),
            ),
            Span::styled(
                format!("dropped {} ", short(starts.dropped)),
                theme.bad_if(starts.dropped > 0),
            ),
            Span::styled(
                format!("lag p99 {}", time(snapshot.lag.p99, starts.started)),
                theme.bad_if(snapshot.lags()),
            ),
        ]),
    ];
    frame.render_widget(Text::from(lines), area);
}

/// The same in a few columns; what is amiss comes first.
fn narrow(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let (telemetry, starts) = (&snapshot.telemetry, &snapshot.starts);
    let rate = |label, rates: &RateFigures| Line::raw(format!(" {label:<5}{:>8}", rate(rates.now)));
    let lost = format!(
        " lost {} of {}",
        short(telemetry.lost),
        short(telemetry.sent)
    );
    let kept = if snapshot.lags() {
        format!(" lag p99 {}", time(snapshot.lag.p99, starts.started))
    } else {
        format!(
            " late {} dropped {}",
            short(starts.late),
            short(starts.dropped)
        )
    };
    let behind = snapshot.lags() || starts.late > 0 || starts.dropped > 0;
    let lines = vec![
        rule("Rates", area.width),
        rate("new", &snapshot.provisioned_rate),
        rate("sent", &snapshot.telemetry_rate),
        Line::styled(lost, theme.bad_if(telemetry.lost > 0)),
        Line::styled(kept, theme.bad_if(behind)),
    ];
    frame.render_widget(Text::from(lines), area);
}

fn rate_line(label: &str, rates: &RateFigures, columns: u16, theme: Theme) -> Line<'static> {
    let text = format!(" {label:<12}{:>8} ", rate(rates.now));
    let mut room = usize::from(columns).saturating_sub(text.len());
    let peak = rates.history.iter().copied().fold(0.0, f64::max);
    let after = if room >= 60 {
        format!(" peak {:>8}", rate(peak))
    } else {
        String::new()
    };
    room -= after.len();
    Line::from(vec![
        Span::raw(text),
        Span::styled(spark(&rates.history, peak, room), theme.good()),
        Span::styled(after, Theme::faint()),
    ])
}

/// The last seconds as eighths of the peak; a second in which something happened is never empty.
fn spark(history: &[f64], peak: f64, columns: usize) -> String {
    let shown = &history[history.len().saturating_sub(columns)..];
    let mut out = " ".repeat(columns - shown.len());
    for value in shown {
        #[expect(clippy::cast_sign_loss, reason = "rates are not negative")]
        let eighths = if *value > 0.0 && peak > 0.0 {
            ((value / peak * 8.0).round() as usize).clamp(1, 8)
        } else {
            0
        };
        out += EIGHTHS[eighths];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_ends_now_and_never_hides_a_little() {
        assert_eq!(spark(&[0.0, 1.0, 500.0, 1000.0], 1000.0, 6), "   ▁▄█");
        assert_eq!(spark(&[9.0, 0.0, 4.0], 8.0, 2), " ▄");
        assert_eq!(spark(&[], 0.0, 3), "   ");
    }
}
