//! Whether a payload is one for everybody who is to send it, found out before the run.

use bytes::Bytes;
use serde_json::Value;

use super::error::{PayloadError, Section, Unfit};
use super::form::Form;
use super::message::Payload;
use super::model::{ColumnKind, Model};
use crate::inventory::{Inventory, Speaker};
use crate::model::DeviceIx;

/// A payload being tried: the first message of the first who speaks, listed and behind a gateway,
/// and of everybody whose texts may break it.
#[derive(Debug)]
pub struct Proof<'p> {
    payload: &'p Payload,
    section: Section,
    /// The kept columns that it uses.
    columns: Vec<usize>,
    is_template: bool,
    /// Each one's message is its own in form or length.
    everybody: bool,
    /// It was tried with somebody who is listed, and with somebody behind a gateway.
    tried: [bool; 2],
}

impl Payload {
    /// Begins to try it with a list's devices.
    pub fn proof(&self, inventory: &Inventory, section: Section) -> Proof<'_> {
        let names = self.columns();
        let columns = inventory.columns().iter().enumerate();
        let columns = columns.filter_map(|(n, column)| names.contains(column).then_some(n));
        let reads_cells = self
            .form
            .models()
            .any(|model| matches!(model, Model::Column { kind, .. } if *kind != ColumnKind::Text));
        let sized = self.layout.size.is_some() && self.form.widest().is_none();
        Proof {
            payload: self,
            section,
            columns: columns.collect(),
            is_template: matches!(self.form, Form::Template(..)),
            everybody: reads_cells || sized,
            tried: [false; 2],
        }
    }

    /// Tries it with all devices of a list.
    pub fn prove(&self, inventory: &Inventory, section: Section) -> Result<(), PayloadError> {
        let mut proof = self.proof(inventory, section);
        let count = u32::try_from(inventory.len()).expect("lists are no longer");
        (0..count).try_for_each(|ix| proof.of(&Speaker::listed(inventory, DeviceIx(ix))))
    }
}

impl Payload {
    /// The first message of somebody's, if it is one that servers take.
    pub fn proven(&self, speaker: &Speaker<'_>, section: Section) -> Result<Bytes, PayloadError> {
        let message = self.at(speaker, 0, A_TIME);
        message
            .and_then(|bytes| acceptable(&bytes, section).map(|()| bytes))
            .map_err(|why| PayloadError::Device {
                name: speaker.name.to_owned(),
                number: speaker.ix.0 + 1,
                key: section,
                why,
            })
    }
}

impl Proof<'_> {
    /// Tries it with one more.
    pub fn of(&mut self, speaker: &Speaker<'_>) -> Result<(), PayloadError> {
        let tried = &mut self.tried[usize::from(speaker.sub.is_some())];
        let is_first = !std::mem::replace(tried, true);
        if !(is_first || self.everybody || self.is_template && self.is_odd(speaker)) {
            return Ok(());
        }
        self.payload.proven(speaker, self.section).map(drop)
    }

    /// Whether a text of the speaker's has characters that JSON writes otherwise.
    fn is_odd(&self, speaker: &Speaker<'_>) -> bool {
        let Speaker {
            inventory,
            ix,
            name,
            ..
        } = *speaker;
        let cells = self
            .columns
            .iter()
            .map(|column| inventory.value(ix, *column));
        cells
            .chain([name])
            .any(|text| text.contains(|c: char| c.is_control() || "\"\\".contains(c)))
    }
}

/// A time of sending with as many digits as any of this century's.
const A_TIME: i64 = 1_700_000_000_000;

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
