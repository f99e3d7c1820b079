//! The type of an imported value, which the platform guesses from its text (`TypeCastUtil`).

use serde_json::{Value, json};

/// A cell's value. JSON text is an object from release 4.3 on.
pub(super) fn cast(text: &str, objects: bool) -> Value {
    if let Some(number) = number(text) {
        return number;
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return json!(text.eq_ignore_ascii_case("true"));
    }
    if objects
        && text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        return value;
    }
    json!(text)
}

/// A number, unless Java would take it for octal and find a digit that is none: `0012` is 12 and
/// `0089` a text. A decimal comma counts as a point.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') && digits.contains(['8', '9']) {
            return None;
        }
        return text.parse::<i64>().ok().map(|whole| json!(whole));
    }
    let plain = |c: char| c.is_ascii_digit() || ".,eE+-".contains(c);
    if !digits.chars().all(plain) {
        return None;
    }
    let value: f64 = text.replace(',', ".").parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    // What is whole becomes a long.
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Some(json!(value as i64));
    }
    Some(json!(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_as_the_platform_does() {
        for (text, value) in [
            ("0012", json!(12)),
            ("0089", json!("0089")),
            ("12E5", json!(1_200_000)),
            ("1,5", json!(1.5)),
            ("001122334455", json!(1_122_334_455)),
            ("TRUE", json!(true)),
            ("SN-1", json!("SN-1")),
            ("", json!("")),
            ("{\"a\":1}", json!("{\"a\":1}")),
        ] {
            assert_eq!(cast(text, false), value, "{text}");
        }
        assert_eq!(cast("{\"a\":1}", true), json!({"a": 1}));
        assert_eq!(cast("{a", true), json!("{a"));
    }
}
