//! Devices by what they are doing and by outcome.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::theme::{Theme, number, rule};
use crate::metrics::{GatewayCounts, Snapshot};
use crate::model::{Outcome, units};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let (devices, live) = (&snapshot.devices, &snapshot.live);
    let title = format!(
        "Devices: {}{}",
        units::count(devices.listed),
        behind(&snapshot.gateway)
    );
    let width = usize::from(area.width).saturating_sub(1) / 2;
    let cell = |label: &str, n: u64, style: Style| {
        let digits = width.saturating_sub(LABEL + 2).min(26);
        Span::styled(format!(" {label:<LABEL$}{} ", number(n, digits)), style)
    };
    let calm = Style::new();
    let ended = |outcome: Outcome, calm: Style| {
        let style = if snapshot.alarming(outcome) > 0 {
            theme.bad()
        } else {
            calm
        };
        cell(outcome.as_str(), devices.of(outcome), style)
    };
    let lines = vec![
        rule(&title, area.width),
        Line::from(vec![
            cell("not started", live.waiting, calm),
            ended(Outcome::Provisioned, theme.good()),
        ]),
        Line::from(vec![
            cell("bringing up", live.bringing_up, calm),
            ended(Outcome::Refused, calm),
        ]),
        Line::from(vec![
            cell("live", live.live, theme.good()),
            ended(Outcome::Failed, calm),
        ]),
        Line::from(vec![
            ended(Outcome::Unfinished, calm),
            ended(Outcome::Unknown, calm),
        ]),
    ];
    frame.render_widget(ratatui::text::Text::from(lines), area);
}

/// Of gateways' devices, how many are connected, where gateways connect them.
fn behind(gateway: &GatewayCounts) -> String {
    let all = units::short_count(gateway.sub_devices);
    match (gateway.sub_devices, gateway.connects.sent) {
        (0, _) => " listed".to_owned(),
        (_, 0) => format!(", behind them {all}"),
        _ => format!(", behind {}/{all}", units::short_count(gateway.connected)),
    }
}

const LABEL: usize = 12;
