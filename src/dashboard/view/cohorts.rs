//! A row per cohort.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::WIDE;
use super::theme::{Theme, cut, number, rule, time};
use crate::metrics::{CohortRow, CohortSetting, Snapshot};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let wide = area.width >= WIDE;
    let (name, column) = if wide { (40, 14) } else { (20, 8) };
    let mut head = rule("Cohorts", name + 5);
    head.push_span(" ");
    let credentials = if wide {
        format!("{:<14}", "credentials")
    } else {
        String::new()
    };
    let heads = ["listed", "done", "not", "live", "p50", "p99"]
        .map(|word| format!("{word:>column$}"))
        .concat();
    head.push_span(Span::styled(credentials + &heads, Theme::faint()));
    let mut lines = vec![head];
    let room = usize::from(area.height).saturating_sub(2);
    let settings = &snapshot.setting.cohorts;
    for (setting, row) in settings.iter().zip(&snapshot.cohorts).take(room) {
        lines.push(cohort(setting, row, wide, theme));
    }
    let note = match settings.len().saturating_sub(room) {
        0 => " times are time_to_provision, response".to_owned(),
        more => format!(" and {more} more; times are time_to_provision, response"),
    };
    lines.push(Line::styled(note, Theme::faint()));
    frame.render_widget(Text::from(lines), area);
}

fn cohort(setting: &CohortSetting, row: &CohortRow, wide: bool, theme: Theme) -> Line<'static> {
    let (name, column) = if wide { (40, 14) } else { (20, 8) };
    let devices = &row.devices;
    let not = devices.decided() - devices.provisioned;
    let mut label = cut(&setting.name, name - 2);
    let missing = name.saturating_sub(Span::raw(label.as_str()).width() + 1);
    label += &" ".repeat(missing);
    let credentials = if wide {
        cut(&setting.credentials, 13)
    } else {
        String::new()
    };
    let pad = if wide { 14 } else { 0 };
    Line::from(vec![
        Span::raw(format!(
            " {label}{:<6}{credentials:<pad$}",
            setting.transport.as_str()
        )),
        Span::raw(number(devices.listed, column)),
        Span::styled(number(devices.provisioned, column), theme.good()),
        Span::styled(number(not, column), theme.bad_if(not > 0)),
        Span::raw(number(row.live.live, column)),
        Span::raw(
            [row.time_to_provision.p50, row.time_to_provision.p99]
                .map(|us| format!("{:>column$}", time(us, row.time_to_provision.max)))
                .concat(),
        ),
    ])
}
