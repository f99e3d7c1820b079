//! The bytes of a device's message.

use std::time::Duration;

use bytes::Bytes;

use super::error::Unfit;
use super::form::Form;
use super::value::{Asked, Moment};
use crate::inventory::Speaker;
use crate::model::fnv;

/// What devices send: bytes for each device and message.
#[derive(Debug)]
pub struct Payload {
    seed: u64,
    pub(super) form: Form,
    pub(super) layout: Layout,
    /// The bytes, if they are the same for all.
    fixed: Option<Bytes>,
}

/// How readings stand in a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Whether readings carry their time.
    pub stamp: Stamp,
    /// Readings in a message, at least 1; more than one need a stamp each.
    pub batch: u32,
    /// Bytes of every message.
    pub size: Option<usize>,
    /// From one message to the next.
    pub interval: Duration,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            stamp: Stamp::None,
            batch: 1,
            size: None,
            interval: Duration::from_secs(1),
        }
    }
}

/// Where the time of a reading comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// Readings carry no time.
    #[default]
    None,
    /// From when the message was meant to be sent.
    Sent,
    /// From this many milliseconds since 1970 on, by the interval.
    From(i64),
}

impl Payload {
    /// Refuses what can be no payload of its size for any device.
    pub fn new(seed: u64, form: Form, layout: Layout) -> Result<Self, Unfit> {
        let stamped = layout.stamp != Stamp::None;
        assert!(stamped || layout.batch == 1, "several readings need stamps");
        let mut payload = Self {
            seed,
            form,
            layout,
            fixed: None,
        };
        if let (Some(size), Some(widest)) = (layout.size, payload.widest()) {
            // A fixed payload that has the size already needs no padding.
            let fits = payload.fixed_text().is_some_and(|text| text.len() == size);
            let found = widest + PADDING;
            if found > size && !fits {
                return Err(Unfit::Size { size, found });
            }
        }
        if let Some(text) = payload.fixed_text() {
            let end = text.len();
            payload.fixed = Some(payload.sized(text, end)?);
        }
        Ok(payload)
    }

    /// The most bytes of a message; `None` where that depends on the device.
    pub fn longest(&self) -> Option<usize> {
        match &self.fixed {
            Some(fixed) => Some(fixed.len()),
            None => self.layout.size.or_else(|| self.widest()),
        }
    }

    /// The same without any padding.
    fn widest(&self) -> Option<usize> {
        let stamp = if self.layout.stamp == Stamp::None {
            0
        } else {
            WRAP + 1
        };
        let brackets = if self.layout.batch > 1 { 2 } else { 0 };
        let each = self.form.widest()? + stamp;
        Some(each * self.layout.batch as usize + brackets)
    }

    /// The columns of the list that it needs; with repetitions.
    pub fn columns(&self) -> Vec<String> {
        self.form.columns()
    }

    /// The bytes of somebody's message, numbered from 0. `sent` is when it was meant to be sent, in
    /// milliseconds since 1970; only [`Stamp::Sent`] looks at it.
    pub fn at(&self, speaker: &Speaker<'_>, message: u32, sent: i64) -> Result<Bytes, Unfit> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let Layout { stamp, batch, .. } = self.layout;
        let stamped = stamp != Stamp::None;
        let first = u64::from(message) * u64::from(batch);
        let each = self.layout.interval.as_secs_f64() / f64::from(batch);
        let mut now = self.moment(speaker, sent);
        let mut out = String::with_capacity(256);
        let mut end = 0;
        if batch > 1 {
            out.push('[');
        }
        for n in 0..batch {
            now.tick = first + u64::from(n);
            now.seconds = now.tick as f64 * each;
            now.ts = match stamp {
                Stamp::From(origin) => origin.saturating_add((now.seconds * 1e3).round() as i64),
                // The last reading is of now, those before it of the time since the last message.
                Stamp::None | Stamp::Sent => {
                    let ago = f64::from(batch - 1 - n) * each;
                    sent.saturating_sub((ago * 1e3).round() as i64)
                }
            };
            if n > 0 {
                out.push(',');
            }
            if stamped {
                out.push_str("{\"ts\":");
                out.push_str(&now.ts.to_string());
                out.push_str(",\"values\":");
            }
            self.form.write(&now, &mut out)?;
            end = out.len();
            if stamped {
                out.push('}');
            }
        }
        if batch > 1 {
            out.push(']');
        }
        self.sized(out, end)
    }

    /// The bytes of somebody's answer to a call.
    pub fn answer(&self, speaker: &Speaker<'_>, asked: &Asked<'_>) -> Result<Bytes, Unfit> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let now = Moment {
            asked: Some(asked),
            ..self.moment(speaker, 0)
        };
        let mut out = String::new();
        self.form.write(&now, &mut out)?;
        Ok(Bytes::from(out))
    }

    fn moment<'a>(&self, speaker: &Speaker<'a>, sent: i64) -> Moment<'a> {
        Moment {
            speaker: *speaker,
            device: fnv(speaker.name),
            seed: self.seed,
            tick: 0,
            seconds: 0.0,
            ts: sent,
            asked: None,
        }
    }

    fn fixed_text(&self) -> Option<String> {
        (self.layout.stamp == Stamp::None)
            .then(|| self.form.fixed())
            .flatten()
    }

    /// Pads the object that ends at `end` until the message has its size.
    fn sized(&self, mut message: String, end: usize) -> Result<Bytes, Unfit> {
        let Some(size) = self.layout.size.filter(|size| *size != message.len()) else {
            return Ok(Bytes::from(message));
        };
        let inside = message[..end].strip_suffix('}').ok_or(Unfit::NoObject)?;
        let comma = if inside.trim_end().ends_with('{') {
            ""
        } else {
            ","
        };
        let least = PADDING - 1 + comma.len();
        let Some(rest) = size.checked_sub(message.len() + least) else {
            let found = message.len() + least;
            return Err(Unfit::Size { size, found });
        };
        let padding = format!("{comma}\"{PAD}\":\"{}\"", "x".repeat(rest));
        message.insert_str(end - 1, &padding);
        Ok(Bytes::from(message))
    }
}

/// The names that a payload's template knows besides a device's own.
pub const TEMPLATE_NAMES: [&str; 4] = ["tick", "sub", "ts", "values"];

/// The names that texts within a payload know besides a device's own.
pub const TEXT_NAMES: [&str; 2] = ["tick", "sub"];

/// The names that an answer to a call knows besides a device's own.
pub const ANSWER_NAMES: [&str; 4] = ["id", "method", "params", "sub"];

/// The key of the text that a payload is padded with.
pub const PAD: &str = "pad";

/// The least that padding takes: `,"pad":""`.
const PADDING: usize = 9;

/// What a stamp takes: `{"ts":-9223372036854775808,"values":}`.
const WRAP: usize = 37;
