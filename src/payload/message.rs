//! The bytes of a device's message.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::error::{PayloadError, Section, Unfit};
use super::form::Form;
use super::model::{ColumnKind, Model};
use super::value::{Asked, Moment};
use crate::inventory::Inventory;
use crate::model::{DeviceIx, fnv};

/// What devices send: bytes for each device and message.
#[derive(Debug)]
pub struct Payload {
    seed: u64,
    form: Form,
    layout: Layout,
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
        if let (Some(size), Some(widest)) = (layout.size, payload.form.widest()) {
            let each = widest + if stamped { WRAP + 1 } else { 0 };
            let brackets = if layout.batch > 1 { 2 } else { 0 };
            // A fixed payload that has the size already needs no padding.
            let fits = payload.fixed_text().is_some_and(|text| text.len() == size);
            let found = each * layout.batch as usize + brackets + PADDING;
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

    /// The columns of the list that it needs; with repetitions.
    pub fn columns(&self) -> Vec<String> {
        self.form.columns()
    }

    /// The bytes of a device's message, numbered from 0. `sent` is when it was meant to be sent, in
    /// milliseconds since 1970; only [`Stamp::Sent`] looks at it.
    pub fn at(
        &self,
        inventory: &Inventory,
        ix: DeviceIx,
        message: u32,
        sent: i64,
    ) -> Result<Bytes, Unfit> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let Layout { stamp, batch, .. } = self.layout;
        let stamped = stamp != Stamp::None;
        let first = u64::from(message) * u64::from(batch);
        let each = self.layout.interval.as_secs_f64() / f64::from(batch);
        let mut now = self.moment(inventory, ix, sent);
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

    /// The bytes of a device's answer to a call.
    pub fn answer(
        &self,
        inventory: &Inventory,
        ix: DeviceIx,
        asked: &Asked<'_>,
    ) -> Result<Bytes, Unfit> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let now = Moment {
            asked: Some(asked),
            ..self.moment(inventory, ix, 0)
        };
        let mut out = String::new();
        self.form.write(&now, &mut out)?;
        Ok(Bytes::from(out))
    }

    fn moment<'a>(&self, inventory: &'a Inventory, ix: DeviceIx, sent: i64) -> Moment<'a> {
        Moment {
            inventory,
            ix,
            device: fnv(inventory.name(ix)),
            seed: self.seed,
            tick: 0,
            seconds: 0.0,
            ts: sent,
            asked: None,
        }
    }

    /// Judges the first device's first message, and whatever a list may have that breaks another
    /// device's.
    pub fn prove(&self, inventory: &Inventory, key: Section) -> Result<(), PayloadError> {
        let columns = self.columns();
        let columns: Vec<_> = inventory
            .columns()
            .iter()
            .enumerate()
            .filter_map(|(n, column)| columns.contains(column).then_some(n))
            .collect();
        let is_template = matches!(self.form, Form::Template(..));
        let reads_cells = self
            .form
            .models()
            .any(|model| matches!(model, Model::Column { kind, .. } if *kind != ColumnKind::Text));
        let sized = self.layout.size.is_some() && self.form.widest().is_none();
        let count = u32::try_from(inventory.len()).expect("lists are no longer");
        for ix in (0..count).map(DeviceIx) {
            let texts = || {
                let cells = columns.iter().map(|column| inventory.value(ix, *column));
                cells.chain([inventory.name(ix)])
            };
            let odd = || {
                texts().any(|text| text.contains(|c: char| c.is_control() || "\"\\".contains(c)))
            };
            if ix.0 == 0 || reads_cells || sized || (is_template && odd()) {
                let bytes = self.at(inventory, ix, 0, 0);
                bytes
                    .and_then(|bytes| acceptable(&bytes, key))
                    .map_err(|why| PayloadError::Device {
                        name: inventory.name(ix).to_owned(),
                        number: ix.0 + 1,
                        key,
                        why,
                    })?;
            }
        }
        Ok(())
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

/// What ThingsBoard takes (section 6.4 of the wire specification), and answers.
fn acceptable(bytes: &[u8], section: Section) -> Result<(), Unfit> {
    let no = |why: &str| Err(Unfit::Unacceptable(why.to_owned()));
    let record = |value: &Value| match value {
        Value::Object(members) => match (members.get("ts"), members.get("values")) {
            (Some(ts), Some(values)) => ts.is_number() && values.is_object(),
            _ => true,
        },
        _ => false,
    };
    match serde_json::from_slice(bytes) {
        // The parser's words quote nothing of the text.
        Err(e) => no(&format!("the payload is no JSON: {e}")),
        Ok(Value::Object(_)) if section != Section::Telemetry => Ok(()),
        Ok(_) if section == Section::Attributes => no("attributes are one object"),
        Ok(_) if section != Section::Telemetry => no("this must be one object"),
        Ok(Value::Array(all)) if all.is_empty() => {
            no("the payload is an empty list, which ThingsBoard never answers")
        }
        Ok(Value::Array(all)) if all.iter().all(record) => Ok(()),
        Ok(value) if record(&value) => Ok(()),
        Ok(_) => no(
            "the payload is not what ThingsBoard takes: an object, or a list of objects; \
             one with `ts` and `values` needs a number and an object there",
        ),
    }
}

/// The names that a payload's template knows besides a device's own.
pub const TEMPLATE_NAMES: [&str; 3] = ["tick", "ts", "values"];

/// The names that texts within a payload know besides a device's own.
pub const TEXT_NAMES: [&str; 1] = ["tick"];

/// The names that an answer to a call knows besides a device's own.
pub const ANSWER_NAMES: [&str; 3] = ["id", "method", "params"];

/// The key of the text that a payload is padded with.
pub const PAD: &str = "pad";

/// The least that padding takes: `,"pad":""`.
const PADDING: usize = 9;

/// What a stamp takes: `{"ts":-9223372036854775808,"values":}`.
const WRAP: usize = 37;
