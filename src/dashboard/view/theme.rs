//! Colours, rules and texts that fit.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::model::{printable, units};

/// Hues of Okabe and Ito's palette, told apart by every kind of colour vision, on the 256 colours
/// that every terminal has. What a colour says is said by a sign or a word as well; without colours
/// weight alone is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    color: bool,
}

impl Theme {
    pub(super) fn new(color: bool) -> Self {
        Self { color }
    }

    /// What is as it should be: bluish green.
    pub(super) fn good(self) -> Style {
        self.paint(36)
    }

    /// What wants attention: vermilion.
    pub(super) fn bad(self) -> Style {
        self.paint(BAD).add_modifier(Modifier::BOLD)
    }

    /// What is not decided, and what a person did to the run: orange.
    pub(super) fn open(self) -> Style {
        self.paint(214)
    }

    /// Response times: sky blue.
    pub(super) fn response(self) -> Style {
        self.paint(74)
    }

    /// Service times: reddish purple.
    pub(super) fn service(self) -> Style {
        self.paint(175)
    }

    /// Attention only when there is something to attend to.
    pub(super) fn bad_if(self, bad: bool) -> Style {
        if bad { self.bad() } else { Style::new() }
    }

    pub(super) fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is chosen, whatever the colours.
    pub(super) fn chosen() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn faint() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn paint(self, index: u8) -> Style {
        if self.color {
            Style::new().fg(Color::Indexed(index))
        } else {
            Style::new()
        }
    }
}

/// A heading on a rule of so many columns.
pub(super) fn rule(title: &str, columns: u16) -> Line<'static> {
    let title = format!(" {} ", cut(title, usize::from(columns).saturating_sub(4)));
    let used = 1 + Span::raw(title.as_str()).width();
    let rest = "─".repeat(usize::from(columns).saturating_sub(used));
    Line::from(vec![
        Span::styled("─", Theme::faint()),
        Span::styled(title, Theme::strong()),
        Span::styled(rest, Theme::faint()),
    ])
}

/// Text from outside, harmless and at most so many columns wide, with an ellipsis where it was cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let text = printable(text);
    if Span::raw(text.as_ref()).width() <= columns {
        return text.into_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if Span::raw(kept.as_str()).width() >= columns {
            kept.pop();
            break;
        }
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A count right-aligned in so many columns, shortened when it does not fit.
pub(super) fn number(n: u64, columns: usize) -> String {
    let whole = units::count(n);
    if whole.len() <= columns {
        format!("{whole:>columns$}")
    } else {
        format!("{:>columns$}", units::short_count(n))
    }
}

/// A count in as few columns as it needs, at most 7.
pub(super) fn short(n: u64) -> String {
    number(n, 0).trim_start().to_owned()
}

/// A rate in at most 8 columns.
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 100_000.0 {
        units::rate(per_second)
    } else {
        #[expect(clippy::cast_sign_loss, reason = "rates are not negative")]
        let whole = per_second as u64;
        format!("{}/s", units::short_count(whole))
    }
}

/// A time of at most 7 columns; a dash without samples.
pub(super) fn time(us: u64, samples: u64) -> String {
    if samples == 0 {
        "–".to_owned()
    } else {
        units::micros(us)
    }
}

/// Eighths of a cell, from empty to full.
pub(super) const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The colour of what wants attention.
pub(super) const BAD: u8 = 202;

/// It is well; it is open, or wants a look; it is not well.
pub(super) const SIGNS: [&str; 3] = ["✓", "!", "✗"];
