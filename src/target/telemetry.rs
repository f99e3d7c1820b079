//! The rules for telemetry and attribute payloads: what is accepted, how many points it holds,
//! and how it fails. It keeps no values.

use serde_json::{Map, Value};

use super::gson::{self, Node};

/// What a telemetry payload amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Accepted, with so many key-value pairs.
    Points(u64),
    /// An empty list: the platform never answers it.
    Nothing,
}

/// Why a payload is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// Not JSON, or not of the right shape; the text is for people.
    Undecodable(String),
    /// A value of the wrong kind deep inside, such as `"ts":"abc"`.
    WrongKind,
    /// Sound, but beyond a rate limit.
    Limited,
}

/// Judges a telemetry payload: an object, or a list of objects.
pub(super) fn telemetry(payload: &[u8]) -> Result<Reading, Bad> {
    readings(&parse(payload)?)
}

/// Judges telemetry that was read before.
pub(super) fn readings(node: &Node) -> Result<Reading, Bad> {
    match node {
        Node::Object(_) => Ok(Reading::Points(record(node)?)),
        Node::List(list) if list.is_empty() => Ok(Reading::Nothing),
        Node::List(list) => {
            let mut points = 0;
            for element in list {
                points += record(element)?;
            }
            Ok(Reading::Points(points))
        }
        _ => Err(shape(node)),
    }
}

/// Judges attributes: one object. Nulls are dropped, numeric texts become numbers.
pub(super) fn attributes(node: &Node) -> Result<Map<String, Value>, Bad> {
    let Node::Object(members) = node else {
        return Err(shape(node));
    };
    Ok(members
        .iter()
        .filter(|(_, node)| *node != Node::Null)
        .map(|(key, node)| (key.clone(), value(node)))
        .collect())
}

/// A payload that must be a JSON object, of which only that matters.
pub(super) fn object(payload: &[u8]) -> Result<Node, Bad> {
    let node = parse(payload)?;
    match node {
        Node::Object(_) => Ok(node),
        _ => Err(shape(&node)),
    }
}

/// Judges a claim: an object whose members, if they are there, are a text and a whole number.
pub(super) fn claim(node: &Node) -> Result<(), Bad> {
    let Node::Object(_) = node else {
        return Err(shape(node));
    };
    let secret = node.get("secretKey").map(Node::as_text);
    let duration = node.get("durationMs").map(Node::as_text);
    let sound = !matches!(secret, Some(Err(_)))
        && duration.is_none_or(|ms| ms.is_ok_and(|ms| ms.parse::<i64>().is_ok()));
    if sound { Ok(()) } else { Err(Bad::WrongKind) }
}

/// The method of a client-side RPC and its parameters, which must be there, whatever they are.
pub(super) fn client_rpc(payload: &[u8]) -> Result<(String, Node), Bad> {
    let node = object(payload)?;
    match (node.get("method").map(Node::as_text), node.get("params")) {
        (Some(Ok(method)), Some(params)) => Ok((method, params.clone())),
        _ => Err(Bad::Undecodable("method or params missing".to_owned())),
    }
}

/// Reads a payload, whatever JSON it is.
pub(super) fn parse(payload: &[u8]) -> Result<Node, Bad> {
    gson::parse(&String::from_utf8_lossy(payload)).map_err(Bad::Undecodable)
}

fn shape(node: &Node) -> Bad {
    let mut text = String::from("Can't parse value: ");
    node.write(&mut text);
    Bad::Undecodable(text)
}

fn record(node: &Node) -> Result<u64, Bad> {
    let Node::Object(members) = node else {
        return Err(shape(node));
    };
    match (node.get("ts"), node.get("values")) {
        (Some(ts), Some(values)) => {
            let text = ts.as_text().map_err(|_| Bad::WrongKind)?;
            text.parse::<f64>().map_err(|_| Bad::WrongKind)?;
            match values {
                Node::Object(members) => Ok(points(members)),
                _ => Err(shape(values)),
            }
        }
        _ => Ok(points(members)),
    }
}

fn points(members: &[(String, Node)]) -> u64 {
    let values = members.iter().filter(|(_, node)| *node != Node::Null);
    values.count() as u64
}

/// A stored attribute value.
fn value(node: &Node) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(*value),
        Node::Number(text) | Node::Text(text) => number(text),
        Node::List(_) | Node::Object(_) => {
            let mut json = String::new();
            node.write(&mut json);
            serde_json::from_str(&json).unwrap_or(Value::String(json))
        }
    }
}

/// Whole numbers are long, those with a point double; what fits neither stays text.
fn number(text: &str) -> Value {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"-.eE+".contains(&b));
    let decimals = text.split_once('.').map_or(0, |(_, after)| after.len());
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(float) if plain && text.contains('.') && decimals <= 16 => float.into(),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_points_of_a_telemetry_message() {
        for (payload, points) in [
            (r#"{"temperature":21.5,"on":true}"#, 2),
            (r#"{"ts":1700000000000,"values":{"t":21.5,"none":null}}"#, 1),
            (
                r#"[{"ts":1,"values":{"t":1}},{"ts":2,"values":{"t":2,"u":3}}]"#,
                3,
            ),
            (r#"[{"a":1},{"b":2}]"#, 2),
            (r#"{"ts":1,"x":2}"#, 2),
            (r#"{"nested":{"a":{"b":[1,2]}}}"#, 1),
            ("{}", 0),
        ] {
            assert_eq!(
                telemetry(payload.as_bytes()),
                Ok(Reading::Points(points)),
                "{payload}"
            );
        }
        assert_eq!(telemetry(b"[]"), Ok(Reading::Nothing));
    }

    #[test]
    fn refuses_what_is_no_telemetry() {
        for payload in [
            "",
            "null",
            "5",
            "text",
            "[1]",
            "[[]]",
            "{",
            r#"{"ts":1,"values":[]}"#,
        ] {
            assert!(
                matches!(telemetry(payload.as_bytes()), Err(Bad::Undecodable(_))),
                "{payload}"
            );
        }
        for payload in [r#"{"ts":"abc","values":{}}"#, r#"{"ts":null,"values":{}}"#] {
            assert_eq!(
                telemetry(payload.as_bytes()),
                Err(Bad::WrongKind),
                "{payload}"
            );
        }
    }

    #[test]
    fn a_claim_has_a_text_and_a_whole_number_or_nothing() {
        for (payload, judged) in [
            ("{}", Ok(())),
            (r#"{"secretKey":"s","durationMs":60000}"#, Ok(())),
            (r#"{"secretKey":7,"durationMs":"5","more":1}"#, Ok(())),
            (r#"{"durationMs":"soon"}"#, Err(Bad::WrongKind)),
            (r#"{"secretKey":null}"#, Err(Bad::WrongKind)),
        ] {
            let node = parse(payload.as_bytes()).unwrap();
            assert_eq!(claim(&node), judged, "{payload}");
        }
        assert!(matches!(claim(&Node::Null), Err(Bad::Undecodable(_))));
    }

    #[test]
    fn attributes_become_typed_values() {
        let payload = br#"{"n":"12","f":"1.5","s":"abc","b":true,"o":{"x":[1]},"z":null,"big":"99999999999999999999"}"#;
        let map = attributes(&parse(payload).unwrap()).unwrap();
        assert_eq!(
            Value::Object(map).to_string(),
            r#"{"n":12,"f":1.5,"s":"abc","b":true,"o":{"x":[1]},"big":"99999999999999999999"}"#
        );
        assert!(attributes(&Node::List(Vec::new())).is_err());
    }
}
