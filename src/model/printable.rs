//! Text from outside as it may be put on a terminal or into a report for people.
//!
//! Names of devices, cohorts, scenarios and targets come from files. Machine-readable outputs keep
//! them exactly; this is for screens alone.

use std::borrow::Cow;

/// The text with `U+FFFD` in place of each character that would act on a terminal instead of
/// being seen: control characters (escape sequences, line ends), invisible ones, and those that
/// turn the direction of what follows. Never longer in characters than the input.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(acts) {
        text.chars()
            .map(|c| {
                if acts(c) {
                    char::REPLACEMENT_CHARACTER
                } else {
                    c
                }
            })
            .collect::<String>()
            .into()
    } else {
        text.into()
    }
}

/// As [`printable`], without what XML 1.0 has no place for.
pub fn printable_xml(text: &str) -> String {
    printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left() {
        for (text, shown) in [
            ("AA:BB:CC:00:00:01", "AA:BB:CC:00:00:01"),
            ("Zähler №7 東", "Zähler №7 東"),
            ("a\x1b[2Jb", "a\u{fffd}[2Jb"),
            ("a\r\nb\tc\0", "a\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}"),
            ("csi\u{9b}31m", "csi\u{fffd}31m"),
            ("gpj\u{202e}exe", "gpj\u{fffd}exe"),
            ("in\u{200b}visible\u{feff}", "in\u{fffd}visible\u{fffd}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
