//! What matters most, on a terminal that is too small for the rest.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};

use super::super::state::State;
use super::theme::{SIGNS, Theme};
use super::{HEIGHT_MIN, WIDTH_MIN, header};
use crate::metrics::{Snapshot, Standing};
use crate::model::{Outcome, units};

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    state: &State,
    theme: Theme,
) {
    let devices = &snapshot.devices;
    let alarming = Outcome::ALL.map(|outcome| snapshot.alarming(outcome));
    let lost = alarming.into_iter().fold(0, u64::saturating_add);
    let left = match snapshot.remaining {
        Some(left) => format!("{} left", units::clock(left)),
        None => units::clock(snapshot.elapsed),
    };
    let well = devices.decided().saturating_sub(lost);
    let [well, all, not] = [well, devices.listed, lost].map(units::short_count);
    let (word, style) = header::course(snapshot, state, theme);
    let (verdict, verdict_style) = header::verdict(snapshot, theme);
    let broken = snapshot.standing(Standing::Broken);
    let crossed = if broken > 0 { SIGNS[2] } else { SIGNS[0] };
    let size = format!(
        "too small: {}x{}, needs {WIDTH_MIN}x{HEIGHT_MIN}",
        area.width, area.height
    );
    let lines = vec![
        Line::raw(format!("{well}/{all} ok, {not} not, {left}")),
        Line::styled(word, style),
        Line::styled(format!("generator {verdict}"), verdict_style),
        Line::styled(
            format!("{crossed} {broken} thresholds broken"),
            theme.bad_if(broken > 0),
        ),
        Line::styled(size, Theme::faint()),
        Line::styled("Ctrl-C ends the run", Theme::faint()),
    ];
    frame.render_widget(Text::from(lines), area);
}
