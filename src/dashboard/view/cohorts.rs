//! A row per cohort.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::WIDE;
use super::theme::{Theme, cut, number, rule, time};
use crate::metrics::{CohortRow, CohortSetting, Snapshot};
use crate::model::{Expectation, Outcome};

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
    let more = match settings.len().saturating_sub(room) {
        0 => String::new(),
        more => format!("and {more} more; "),
    };
    let marked = if !wide && settings.iter().take(room).any(is_marked) {
        "; * to be refused or rejected"
    } else {
        ""
    };
    let note = format!(" {more}times are time_to_provision, response{marked}");
    lines.push(Line::styled(note, Theme::faint()));
    frame.render_widget(Text::from(lines), area);
}

fn cohort(setting: &CohortSetting, row: &CohortRow, wide: bool, theme: Theme) -> Line<'static> {
    let (name, column) = if wide { (40, 14) } else { (20, 8) };
    let devices = &row.devices;
    let not = devices.decided() - devices.provisioned;
    let alarming = |outcome| setting.alarms(outcome) && devices.of(outcome) > 0;
    let others = Outcome::ALL
        .into_iter()
        .filter(|o| *o != Outcome::Provisioned);
    let done = if alarming(Outcome::Provisioned) {
        theme.bad()
    } else {
        theme.good()
    };
    let mark = match (is_marked(setting), wide) {
        (false, _) => String::new(),
        (true, false) => "*".to_owned(),
        (true, true) => format!(" (to be {})", setting.expectation().as_str()),
    };
    let mut label = cut(&setting.name, name - 2 - mark.len()) + &mark;
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
        Span::styled(number(devices.provisioned, column), done),
        Span::styled(
            number(not, column),
            theme.bad_if(others.into_iter().any(alarming)),
        ),
        Span::raw(number(row.live.live, column)),
        Span::raw(
            [row.time_to_provision.p50, row.time_to_provision.p99]
                .map(|us| format!("{:>column$}", time(us, row.time_to_provision.max)))
                .concat(),
        ),
    ])
}

/// Whether its devices are expected not to get in.
fn is_marked(setting: &CohortSetting) -> bool {
    setting.expectation() != Expectation::Provisioned
}
