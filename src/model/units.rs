//! Numbers as people read them: the only place that rounds for display.

use std::time::Duration;

/// Microseconds in the unit that gives three significant digits: `870 µs`, `12.3 ms`, `4.56 s`.
pub fn micros(us: u64) -> String {
    let value = us as f64;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", three_digits(value / 1e3)),
        1_000_000..60_000_000 => format!("{} s", three_digits(value / 1e6)),
        _ => clock(Duration::from_micros(us)),
    }
}

/// A span as `42 s`, `3:07` or `1:02:09`.
pub fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes}:{rest:02}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}"),
    }
}

/// A count with thousands separators: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count in at most 6 characters: `99,999`, then three digits as in `123k`, `4.56M`, `18.4E`.
/// Cut, not rounded, so that a total is never shown as more than it is.
pub fn short_count(n: u64) -> String {
    if n < 100_000 {
        return count(n);
    }
    let (unit, scale) = [
        ('E', 10u64.pow(18)),
        ('P', 10u64.pow(15)),
        ('T', 10u64.pow(12)),
        ('G', 10u64.pow(9)),
        ('M', 10u64.pow(6)),
        ('k', 1_000),
    ]
    .into_iter()
    .find(|(_, scale)| n >= *scale)
    .expect("n is at least 100,000");
    let (whole, rest) = (n / scale, n % scale);
    match whole {
        0..10 => format!("{whole}.{:02}{unit}", rest / (scale / 100)),
        10..100 => format!("{whole}.{}{unit}", rest / (scale / 10)),
        _ => format!("{whole}{unit}"),
    }
}

/// A rate per second: `0.25/s`, `98.4/s`, `12,345/s`.
#[expect(clippy::cast_sign_loss, reason = "a rate is never negative")]
pub fn rate(per_second: f64) -> String {
    if per_second >= 1000.0 {
        format!("{}/s", count(per_second.round() as u64))
    } else {
        format!("{}/s", three_digits(per_second))
    }
}

/// Bytes in binary steps: `512 B`, `1.35 KiB`, `96.2 MiB`.
pub fn bytes(n: u64) -> String {
    let value = n as f64;
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{} KiB", three_digits(value / 1024.0)),
        1_048_576..1_073_741_824 => format!("{} MiB", three_digits(value / 1_048_576.0)),
        _ => format!("{} GiB", three_digits(value / 1_073_741_824.0)),
    }
}

/// A share of a whole as `99.9 %`; never rounds an incomplete whole up to `100 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    if part == whole {
        return "100 %".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A share as `93.4 %`, or `90 %` when there is nothing behind the point.
pub fn share(share: f64) -> String {
    format!("{} %", (share * 1_000.0).round() / 10.0)
}

fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        for (us, text) in [
            (0, "0 µs"),
            (870, "870 µs"),
            (1_000, "1.00 ms"),
            (12_345, "12.3 ms"),
            (999_400, "999 ms"),
            (4_560_000, "4.56 s"),
            (187_000_000, "3:07"),
            (3_729_000_000, "1:02:09"),
        ] {
            assert_eq!(micros(us), text);
        }
    }

    #[test]
    fn counts_have_separators() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(n), text);
        }
    }

    #[test]
    fn short_counts_fit_six_columns_and_are_cut() {
        for (n, text) in [
            (0, "0"),
            (99_999, "99,999"),
            (100_000, "100k"),
            (999_999, "999k"),
            (1_999_999, "1.99M"),
            (45_678_901, "45.6M"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(short_count(n), text);
        }
    }

    #[test]
    fn an_incomplete_whole_is_never_a_hundred_percent() {
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
        assert_eq!(percent(u64::MAX - 1, u64::MAX), "99.9 %");
        assert_eq!(percent(3, 3), "100 %");
        assert_eq!(percent(0, 0), "–");
    }

    #[test]
    fn shares_have_a_digit_behind_the_point_if_it_says_something() {
        for (of, text) in [
            (0.0, "0 %"),
            (0.9, "90 %"),
            (0.9344, "93.4 %"),
            (1.25, "125 %"),
        ] {
            assert_eq!(share(of), text);
        }
    }
}
