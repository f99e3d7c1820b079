//! A row per cohort and per transport.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::theme::{Theme, cut, number, rule, time};
use super::{WIDE, above};
use crate::metrics::{CohortRow, CohortSetting, Snapshot, TransportRow};
use crate::model::{Expectation, Outcome, TransportKind};

/// Cohorts as far as there is room, on the overview.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    list(frame, area, snapshot, 0, theme);
}

/// The tab: a row per transport, and below them the cohorts from a position on.
pub(super) fn tab(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    scroll: usize,
    theme: Theme,
) {
    let columns = Columns::of(area.width);
    let [transports, cohorts] = above(area, snapshot.transports.len() as u16 + 2);
    let mut lines = vec![columns.heading("Transports")];
    lines.extend(
        snapshot
            .transports
            .iter()
            .map(|row| columns.transport(row, snapshot, theme)),
    );
    frame.render_widget(Text::from(lines), transports);
    list(frame, cohorts, snapshot, scroll, theme);
}

fn list(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, scroll: usize, theme: Theme) {
    let columns = Columns::of(area.width);
    let mut lines = vec![columns.heading("Cohorts")];
    let room = usize::from(area.height).saturating_sub(2);
    let settings = &snapshot.setting.cohorts;
    let from = scroll.min(settings.len().saturating_sub(room));
    let shown = settings.iter().zip(&snapshot.cohorts).skip(from).take(room);
    lines.extend(shown.map(|(setting, row)| columns.cohort(setting, row, theme)));
    let marked = !columns.wide && settings.iter().skip(from).take(room).any(is_marked);
    let note = [
        (from > 0).then(|| format!("{from} above")),
        match settings.len().saturating_sub(from + room) {
            0 => None,
            more => Some(format!("{more} more")),
        },
        Some("times are time_to_provision, response".to_owned()),
        marked.then(|| "* to be refused or rejected".to_owned()),
    ];
    let note: Vec<String> = note.into_iter().flatten().collect();
    let note = format!(" {}", note.join("; "));
    lines.push(Line::styled(note, Theme::faint()));
    frame.render_widget(Text::from(lines), area);
}

/// What there is room for.
#[derive(Clone, Copy)]
struct Columns {
    /// Of the name, the gap behind it included.
    name: usize,
    /// Of each figure.
    figure: usize,
    /// Credentials, and each outcome by itself.
    wide: bool,
    /// Messages as well.
    widest: bool,
    /// The 99th percentile as well.
    all: bool,
}

impl Columns {
    fn of(width: u16) -> Self {
        let wide = width >= WIDE;
        Self {
            name: if wide {
                36
            } else if width >= 79 {
                20
            } else {
                15
            },
            figure: if wide {
                9
            } else if width >= 100 {
                10
            } else {
                8
            },
            wide,
            widest: width >= 185,
            all: width >= 78,
        }
    }

    fn heads(self) -> &'static [&'static str] {
        const ALL: [&str; 14] = [
            "listed", "waiting", "starting", "live", "done", "refused", "failed", "unknown",
            "unfin.", "p50", "p99", "sent", "acked", "lost",
        ];
        match (self.wide, self.all) {
            (true, _) if self.widest => &ALL,
            (true, _) => &ALL[..11],
            (false, true) => &["listed", "done", "not", "live", "p50", "p99"],
            (false, false) => &["done", "not", "live", "p99"],
        }
    }

    fn heading(self, title: &str) -> Line<'static> {
        let mut head = rule(title, (self.name + TRANSPORT - 1) as u16);
        let credentials = if self.wide {
            format!(" {:<13}", "credentials")
        } else {
            " ".to_owned()
        };
        let heads = self.heads().iter();
        let heads: Vec<String> = heads
            .map(|word| format!("{word:>width$}", width = self.figure))
            .collect();
        let heads = heads.concat();
        head.push_span(Span::styled(credentials + &heads, Theme::faint()));
        head
    }

    fn cohort(self, setting: &CohortSetting, row: &CohortRow, theme: Theme) -> Line<'static> {
        let mark = match (is_marked(setting), self.wide) {
            (false, _) => String::new(),
            (true, false) => "*".to_owned(),
            (true, true) => format!(" (to be {})", setting.expectation().as_str()),
        };
        let name = cut(&setting.name, self.name.saturating_sub(2 + mark.len())) + &mark;
        let alarms = |outcome| setting.alarms(outcome) && row.devices.of(outcome) > 0;
        let beside = (setting.transport, setting.credentials.as_str());
        self.row(&name, beside, row, alarms, theme)
    }

    fn transport(self, row: &TransportRow, snapshot: &Snapshot, theme: Theme) -> Line<'static> {
        let cohorts = snapshot.setting.cohorts.iter().zip(&snapshot.cohorts);
        let mine = cohorts.filter(|(setting, _)| setting.transport == row.transport);
        let alarms = |outcome| {
            let mut mine = mine.clone();
            mine.any(|(setting, row)| setting.alarms(outcome) && row.devices.of(outcome) > 0)
        };
        let name = match row.cohorts {
            1 => "1 cohort".to_owned(),
            n => format!("{n} cohorts"),
        };
        self.row(&name, (row.transport, ""), &row.sum, alarms, theme)
    }

    fn row(
        self,
        name: &str,
        (transport, credentials): (TransportKind, &str),
        row: &CohortRow,
        alarms: impl Fn(Outcome) -> bool,
        theme: Theme,
    ) -> Line<'static> {
        let missing = self.name.saturating_sub(Span::raw(name).width() + 1);
        let mut label = format!(
            " {name}{}{:<TRANSPORT$}",
            " ".repeat(missing),
            transport.as_str()
        );
        if self.wide {
            let credentials = cut(credentials, 12);
            label += &credentials;
            label += &" ".repeat(13usize.saturating_sub(Span::raw(credentials).width()));
        }
        let (devices, live) = (&row.devices, &row.live);
        let not = devices.decided().saturating_sub(devices.provisioned);
        let bad = |outcome| theme.bad_if(alarms(outcome));
        let done = if alarms(Outcome::Provisioned) {
            theme.bad()
        } else {
            theme.good()
        };
        let others = Outcome::ALL
            .into_iter()
            .filter(|o| *o != Outcome::Provisioned);
        let plain = ratatui::style::Style::new();
        let time = |us| format!("{:>1$}", time(us, row.time_to_provision.max), self.figure);
        let mut spans = vec![Span::raw(label)];
        for head in self.heads() {
            let count = |n, style| Span::styled(number(n, self.figure), style);
            spans.push(match *head {
                "listed" => count(devices.listed, plain),
                "waiting" => count(live.waiting, plain),
                "starting" => count(live.bringing_up, plain),
                "live" => count(live.live, plain),
                "done" => count(devices.provisioned, done),
                "not" => count(not, theme.bad_if(others.clone().any(&alarms))),
                "refused" => count(devices.refused, bad(Outcome::Refused)),
                "failed" => count(devices.failed, bad(Outcome::Failed)),
                "unknown" => count(devices.unknown, bad(Outcome::Unknown)),
                "unfin." => count(devices.unfinished, bad(Outcome::Unfinished)),
                "sent" => count(row.telemetry.sent, plain),
                "acked" => count(row.telemetry.acked, plain),
                "lost" => count(row.telemetry.lost, theme.bad_if(row.telemetry.lost > 0)),
                "p50" => Span::styled(time(row.time_to_provision.p50), theme.response()),
                _ => Span::styled(time(row.time_to_provision.p99), theme.response()),
            });
        }
        Line::from(spans)
    }
}

/// Whether its devices are expected not to get in.
fn is_marked(setting: &CohortSetting) -> bool {
    setting.expectation() != Expectation::Provisioned
}

/// Of the transport's word, the gap behind it included.
const TRANSPORT: usize = 6;
