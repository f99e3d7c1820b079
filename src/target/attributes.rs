//! Client attributes as a device sent them, bounded, and the answers to attribute requests, in which
//! the shared ones are as well.

use serde_json::{Map, Value};

/// One device's client attributes.
#[derive(Default)]
pub(super) struct Attributes {
    values: Map<String, Value>,
    bytes: usize,
}

impl Attributes {
    /// Takes new values in; what would exceed `BYTES` per device is not kept.
    pub(super) fn merge(&mut self, values: Map<String, Value>) {
        for (key, value) in values {
            let size = |value: &Value| key.len() + value.to_string().len();
            let before = self.values.get(&key).map_or(0, size);
            let after = self.bytes - before + size(&value);
            if after <= BYTES {
                self.bytes = after;
                self.values.insert(key, value);
            }
        }
    }

    /// All that is kept.
    pub(super) fn all(&self) -> &Map<String, Value> {
        &self.values
    }
}

/// What an attribute request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Names of client attributes, comma-separated.
    pub(super) client: Option<String>,
    /// Names of shared attributes, comma-separated.
    pub(super) shared: Option<String>,
}

impl Asked {
    /// The answer; an empty scope is left out. Without names of either scope all of both are meant,
    /// with names of one scope none of the other.
    pub(super) fn answer(
        &self,
        client: Option<&Attributes>,
        shared: Option<&Map<String, Value>>,
    ) -> Map<String, Value> {
        let all = self.client.is_none() && self.shared.is_none();
        let scopes = [
            ("client", &self.client, client.map(Attributes::all)),
            ("shared", &self.shared, shared),
        ];
        let mut answer = Map::new();
        for (scope, names, held) in scopes {
            let Some(held) = held else { continue };
            let found: Map<String, Value> = match names {
                Some(names) => names
                    .split(',')
                    .map(str::trim)
                    .filter_map(|name| Some((name.to_owned(), held.get(name)?.clone())))
                    .collect(),
                None if all => held.clone(),
                None => continue,
            };
            if !found.is_empty() {
                answer.insert(scope.to_owned(), Value::Object(found));
            }
        }
        answer
    }
}

/// The most that is kept for one device.
const BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Attributes {
        let mut held = Attributes::default();
        let values = serde_json::json!({"a": 1, "b": "x"});
        held.merge(values.as_object().unwrap().clone());
        held
    }

    #[test]
    fn answers_what_is_asked_for_and_known() {
        let asked = |client: Option<&str>, shared: Option<&str>| {
            let asked = Asked {
                client: client.map(Into::into),
                shared: shared.map(Into::into),
            };
            let shared = serde_json::json!({"a": true, "s": 2});
            Value::Object(asked.answer(Some(&held()), shared.as_object())).to_string()
        };
        assert_eq!(
            asked(None, None),
            r#"{"client":{"a":1,"b":"x"},"shared":{"a":true,"s":2}}"#
        );
        assert_eq!(asked(Some("b,c"), None), r#"{"client":{"b":"x"}}"#);
        assert_eq!(asked(Some("c"), Some("d")), "{}");
        assert_eq!(asked(None, Some("a, b")), r#"{"shared":{"a":true}}"#);
        assert_eq!(
            asked(Some("a"), Some("s")),
            r#"{"client":{"a":1},"shared":{"s":2}}"#
        );
    }

    #[test]
    fn keeps_no_more_than_its_bound() {
        let mut held = Attributes::default();
        for n in 0..1_000 {
            let mut values = Map::new();
            values.insert(format!("key-{n}"), Value::from("x".repeat(100)));
            held.merge(values);
        }
        assert!(held.bytes <= BYTES);
        assert!(held.values.len() < 100);
        // A value that replaces another does not count twice.
        let before = held.bytes;
        let mut same = Map::new();
        same.insert("key-0".to_owned(), Value::from("y".repeat(100)));
        held.merge(same);
        assert_eq!(held.bytes, before);
    }
}
