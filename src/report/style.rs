//! Colours and widths of text for a terminal.

use crate::model::Paint;

/// How text may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours; off for `NO_COLOR`, files and pipes. They never carry a meaning of their own.
    pub color: bool,
    /// Columns at hand; less than 80 is taken for 80, more than 100 for 100.
    pub width: u16,
}

impl Style {
    /// Columns in use.
    pub(crate) fn columns(self) -> usize {
        usize::from(self.width.clamp(80, 100))
    }
}

impl Paint for Style {
    fn color(&self) -> bool {
        self.color
    }
}

/// At most so many characters, the last an ellipsis when some had to go.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    kept + "…"
}

/// Lines of at most so many characters, broken at blanks; a word that is longer is cut.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().expect("begins with one");
        let used = line.chars().count();
        if used > 0 && used + 1 + word.chars().count() > columns {
            lines.push(fit(word, columns));
        } else {
            if used > 0 {
                line.push(' ');
            }
            line.push_str(&fit(word, columns));
        }
    }
    lines
}

/// A bar of `part` out of `whole`, in eighths of a column; something is never nothing.
pub(super) fn bar(part: u64, whole: u64, columns: usize) -> String {
    if part == 0 || whole == 0 {
        return String::new();
    }
    let eighths = u128::from(part) * columns as u128 * 8 / u128::from(whole);
    let eighths = usize::try_from(eighths).map_or(columns * 8, |n| n.clamp(1, columns * 8));
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]);
    bar
}
