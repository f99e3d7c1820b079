//! The payloads of ThingsBoard's own performance tests, so that figures can be held against theirs:
//! github.com/thingsboard/performance-tests, src/main/java/org/thingsboard/tools/service/msg/
//! {smartMeter/SmartMeter,smartTracker/SmartTracker,industrialPLC/IndustrialPLC,random/Random}
//! TelemetryGenerator.java as of 2026 (commit 2cf870bb). Keys, their order, ranges and types are
//! those; the numbers are drawn by our seed. Not taken over: their values that set off alarms.

use rand::{Rng, RngExt};
use serde_json::Value;

use super::draw::Stream;
use super::number::WIDEST;
use super::value::Moment;
use crate::model::fnv;

/// A kind of payload of ThingsBoard's performance tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `SMART_METER`: three values.
    SmartMeter,
    /// `SMART_TRACKER`: five values, three of them numbers in text.
    SmartTracker,
    /// `INDUSTRIAL_PLC`: `line000`, `line001` … of 0 to 100.
    IndustrialPlc {
        /// How many, 1 to 999; theirs is 60 unless set.
        lines: u16,
    },
    /// `RANDOM`: 29 % one value, 30 % twenty, 40 % a text of a hundred, 1 % a text of a thousand.
    Random,
}

impl Preset {
    /// Writes one reading, a JSON object.
    pub(super) fn write(self, now: &Moment<'_>, out: &mut String) {
        let stream: Stream = now.stream(fnv("preset"));
        let mut random = stream.at(now.tick);
        let mut object = Object::begin(out);
        match self {
            Self::SmartMeter => {
                object.put("pulseCounter", random.random_range(0..1_000_000u32));
                // Their remark says 1 %, their code says all but 2 %; the bytes are the code's.
                object.put("leakage", random.random_range(0..100u32) > 1);
                object.put("batteryLevel", random.random_range(50..100u32));
            }
            Self::SmartTracker => {
                for (key, decimals) in [("latitude", 6), ("longitude", 6), ("speed", 1)] {
                    object.put(key, java_format(hundred(&mut random), decimals));
                }
                object.put("fuel", random.random_range(0..100u32));
                object.put("batteryLevel", random.random_range(50..100u32));
            }
            Self::IndustrialPlc { lines } => {
                for line in 0..lines {
                    object.put(&format!("line{line:03}"), hundred(&mut random));
                }
            }
            Self::Random => match random.random_range(0..100u32) {
                0..29 => object.put("t1", random.random_range(0..100u32)),
                29..59 => (0..20).for_each(|n| {
                    object.put(&format!("t2_{n}"), random.random_range(0..100u32));
                }),
                59..99 => object.put("t3", text_of(100, &mut random)),
                _ => object.put("t4", text_of(1000, &mut random)),
            },
        }
        object.end();
    }

    /// The most bytes of a reading.
    pub(super) fn widest(self) -> usize {
        match self {
            Self::SmartMeter => r#"{"pulseCounter":999999,"leakage":false,"batteryLevel":99}"#.len(),
            Self::SmartTracker => r#"{"latitude":"99.999999","longitude":"99.999999","speed":"99.9","fuel":99,"batteryLevel":99}"#.len(),
            Self::IndustrialPlc { lines } => 1 + usize::from(lines) * (r#""line000":,"#.len() + WIDEST),
            // {"t4":"{\"v0\":99,…}"}: ten of one digit, ninety of two, nine hundred of three.
            Self::Random => {
                let each = r#"\"v\":99,"#.len();
                r#"{"t4":"{}"}"#.len() + 1000 * each + 10 + 90 * 2 + 900 * 3
            }
        }
    }
}

/// 0 to 100, 100 not included.
fn hundred(random: &mut impl Rng) -> f64 {
    random.random::<f64>() * 100.0
}

/// An object of whole numbers, as a text.
fn text_of(n: u32, random: &mut impl Rng) -> String {
    let mut text = String::new();
    let mut object = Object::begin(&mut text);
    for i in 0..n {
        object.put(&format!("v{i}"), random.random_range(0..100u32));
    }
    object.end();
    text
}

/// As `java.text.DecimalFormat("#.######")` writes a number of at least 0: half to even, without
/// trailing zeros, and without the zero before the point.
fn java_format(x: f64, decimals: usize) -> String {
    let fixed = format!("{x:.decimals$}");
    let short = fixed.trim_end_matches('0').trim_end_matches('.');
    match short.strip_prefix('0') {
        Some(rest) if rest.starts_with('.') => rest.to_owned(),
        _ => short.to_owned(),
    }
}

/// A JSON object being written.
struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    /// Keys are plain words.
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out.push_str(&value.into().to_string());
    }

    fn end(self) {
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `new DecimalFormat("#.######").format(x)`, as its documentation has it.
    #[test]
    fn numbers_are_written_as_java_does() {
        for (x, decimals, text) in [
            (42.222_222_22, 6, "42.222222"),
            (0.0, 6, "0"),
            (0.000_000_1, 6, "0"),
            (0.5, 6, ".5"),
            (10.0, 1, "10"),
            (55.25, 1, "55.2"),
            (55.75, 1, "55.8"),
            (99.99, 1, "100"),
        ] {
            assert_eq!(java_format(x, decimals), text, "{x}");
        }
    }
}
