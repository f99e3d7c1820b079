//! What the import makes of an attribute's cell: the server guesses a type from the text alone.
//!
//! Number is what commons-lang's `NumberUtils.isCreatable` takes for one after commas have become
//! points; then `BigDecimal` must take it too, and it must fit a long or have at most 16 decimals.

/// What a cell becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Text,
    Number(Loss),
    Boolean,
    Json,
}

/// What a number does not keep of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing: it is just a number.
    None,
    /// Leading zeros: `0012` becomes 12.
    Zeros,
    /// An exponent: `12E5` becomes 1200000.
    Exponent,
    /// A comma: `1,5` becomes 1.5.
    Comma,
    /// A plus sign: `+49` becomes 49.
    Plus,
    /// Digits beyond what a double holds.
    Digits,
    /// Zeros at the end of so many decimals, which may be a part of a version: `1.10` becomes 1.1.
    Trailing,
}

/// What a cell becomes.
pub(super) fn cast(cell: &str) -> Cast {
    let bytes = cell.as_bytes();
    let Some(first) = bytes.first() else {
        return Cast::Text;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' | b',' => number(cell).map_or(Cast::Text, Cast::Number),
        b't' | b'T' | b'f' | b'F' => {
            let boolean = cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false");
            if boolean { Cast::Boolean } else { Cast::Text }
        }
        b'{' | b'[' | b' ' | b'\t' if is_json(cell) => Cast::Json,
        _ => Cast::Text,
    }
}

/// Strict JSON; what else a lenient parser takes is hardly written by a list's maker.
fn is_json(cell: &str) -> bool {
    let trimmed = cell.trim();
    let within = |open, close| trimmed.starts_with(open) && trimmed.ends_with(close);
    (within('{', '}') || within('[', ']'))
        && serde_json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok()
}

/// What a number loses; `None` if it stays text.
fn number(cell: &str) -> Option<Loss> {
    if cell.len() <= 18 && cell.bytes().all(|b| b.is_ascii_digit()) && !cell.starts_with('0') {
        return Some(Loss::None);
    }
    if cell.len() > 400 || !cell.is_ascii() {
        return None;
    }
    let text = cell.replace(',', ".");
    let parts = Parts::of(&text).filter(|_| creatable(&text))?;
    let long = parts.is_long();
    if long {
        // A long that does not fit stays text.
        let value = parts.integer()?;
        let signed = if parts.negative { -value } else { value };
        i64::try_from(signed).ok()?;
    } else if parts.scale() > 16 {
        return None;
    }
    let zeros = parts.whole.len() > 1 && parts.whole.starts_with('0');
    Some(if parts.exponent.is_some() {
        Loss::Exponent
    } else if cell.contains(',') {
        Loss::Comma
    } else if zeros {
        Loss::Zeros
    } else if cell.starts_with('+') {
        Loss::Plus
    } else if !long && !parts.is_kept_by_a_double() {
        Loss::Digits
    } else if parts.fraction.ends_with('0') {
        Loss::Trailing
    } else {
        Loss::None
    })
}

/// How many decimals a text of a number has.
pub(super) fn decimals(cell: &str) -> usize {
    let point = cell.rfind(['.', ',']);
    point.map_or(0, |at| cell.len() - at - 1)
}

/// A number as `BigDecimal` reads it.
struct Parts<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: Option<i64>,
    point: bool,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent.parse::<i32>().ok()?.into())),
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let sound = digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0;
        sound.then_some(Self {
            negative: text.starts_with('-'),
            whole,
            fraction,
            exponent,
            point: mantissa.contains('.'),
        })
    }

    fn scale(&self) -> i64 {
        signed(self.fraction.len()) - self.exponent.unwrap_or(0)
    }

    /// Whether the server makes a long of it.
    fn is_long(&self) -> bool {
        if self.point && self.exponent.is_none() {
            return false;
        }
        let digits = [self.whole, self.fraction].concat();
        let significant = digits.trim_end_matches('0');
        let zeros = signed(digits.len() - significant.len());
        // Zero has no decimals.
        significant.is_empty() || self.scale() - zeros <= 0
    }

    /// The value without its sign, if it may be that of a long.
    fn integer(&self) -> Option<i128> {
        let digits = [self.whole, self.fraction].concat();
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(0);
        }
        let zeros = signed(digits.len() - digits.trim_end_matches('0').len());
        let exponent = u32::try_from(zeros - self.scale()).ok()?;
        if significant.len() as u32 > 19 || exponent > 19 {
            return None;
        }
        let value: i128 = significant.parse().ok()?;
        Some(value * 10_i128.pow(exponent))
    }

    /// Whether a double comes back with the same digits.
    fn is_kept_by_a_double(&self) -> bool {
        let significant = [self.whole, self.fraction].concat();
        let significant = significant.trim_start_matches('0').trim_end_matches('0');
        significant.len() <= 15 || {
            let text = format!("{}.{}", self.whole, self.fraction);
            let shortest = text.parse::<f64>().map(|value| value.to_string());
            let plain = |text: &str| {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                digits.trim_matches('0').to_owned()
            };
            shortest.is_ok_and(|shortest| plain(&shortest) == significant.trim_matches('0'))
        }
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Whether commons-lang takes it for a number of which `BigDecimal` is then asked. Numbers with
/// a type's letter at the end and hexadecimal ones stay text, since `BigDecimal` refuses them.
fn creatable(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let bytes = unsigned.as_bytes();
    // A leading zero makes it octal, unless there is a point.
    if bytes.len() > 1 && bytes[0] == b'0' && bytes[1].is_ascii_digit() && !unsigned.contains('.') {
        return bytes.iter().all(|b| (b'0'..=b'7').contains(b));
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn guesses_as_the_server_does() {
        use Loss as L;
        for (cell, expected) in [
            ("12", Cast::Number(L::None)),
            ("0", Cast::Number(L::None)),
            ("-7", Cast::Number(L::None)),
            ("21.5", Cast::Number(L::None)),
            ("0.5", Cast::Number(L::None)),
            ("112233445566", Cast::Number(L::None)),
            ("0012", Cast::Number(L::Zeros)),
            ("001122334455", Cast::Number(L::Zeros)),
            ("00.5", Cast::Number(L::Zeros)),
            ("0089", Cast::Text),
            ("12E5", Cast::Number(L::Exponent)),
            ("1.5e3", Cast::Number(L::Exponent)),
            ("1e-3", Cast::Number(L::Exponent)),
            ("1E400", Cast::Text),
            ("1E-9223372036854775808", Cast::Text),
            ("1E2147483647", Cast::Text),
            ("0E2147483647", Cast::Number(L::Exponent)),
            ("1E-17", Cast::Text),
            ("1,5", Cast::Number(L::Comma)),
            ("1,500,000", Cast::Text),
            ("+491701234567", Cast::Number(L::Plus)),
            ("1.10", Cast::Number(L::Trailing)),
            ("1.2.3", Cast::Text),
            ("9223372036854775807", Cast::Number(L::None)),
            ("9223372036854775808", Cast::Text),
            ("-9223372036854775808", Cast::Number(L::None)),
            ("89490240001234567890", Cast::Text),
            ("0.1234567890123456", Cast::Number(L::None)),
            ("1234567.1234567890123", Cast::Number(L::Digits)),
            ("0.12345678901234567", Cast::Text),
            ("0x1F", Cast::Text),
            ("12L", Cast::Text),
            ("1.5f", Cast::Text),
            ("00:1B", Cast::Text),
            ("-", Cast::Text),
            (".", Cast::Text),
            ("12E", Cast::Text),
            (" 12", Cast::Text),
            ("TRUE", Cast::Boolean),
            ("truer", Cast::Text),
            ("{\"a\":1}", Cast::Json),
            ("[1]", Cast::Json),
            ("{a", Cast::Text),
            ("{a}", Cast::Text),
            ("", Cast::Text),
        ] {
            assert_eq!(cast(cell), expected, "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(cell in "\\PC*|[-+0-9.,eE]{0,30}") {
            cast(&cell);
            decimals(&cell);
        }

        #[test]
        fn a_number_that_loses_nothing_comes_back(value in any::<i64>()) {
            prop_assert_eq!(cast(&value.to_string()), Cast::Number(Loss::None));
        }
    }
}
