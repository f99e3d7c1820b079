//! Attributes by scope, and the latest telemetry: that of the last message a device sent.

use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Refusal};
use super::devices;
use crate::target::administered::now;
use crate::target::device::Device;

/// `GET …/values/attributes/{scope}?keys=`.
pub(super) fn read(call: &Call<'_>, id: &str, scope: &str) -> Answer {
    let device = devices::there(call, id)?;
    let wanted = call.parameter("keys");
    let asked = |key: &str| match &wanted {
        Some(keys) if !keys.is_empty() => keys.split(',').any(|wanted| wanted == key),
        _ => true,
    };
    let entry =
        |at: i64, key: &str, value: &Value| json!({"lastUpdateTs": at, "key": key, "value": value});
    let mut answer = Vec::new();
    if let (SERVER, Some(at)) = (scope, device.provisioned())
        && asked(STATE)
    {
        answer.push(entry(at, STATE, &json!("provisioned")));
    }
    let live = device.live();
    let (at, values) = match scope {
        CLIENT => (
            device.created,
            live.attributes
                .as_deref()
                .map(crate::target::attributes::Attributes::all),
        ),
        SERVER | SHARED => {
            let set = live.administered.as_deref();
            let values = set.map(|set| {
                if scope == SERVER {
                    &set.server
                } else {
                    &set.shared
                }
            });
            (set.map_or(0, |set| set.written), values)
        }
        _ => return Err(Refusal::bad("Invalid scope")),
    };
    for (key, value) in values.into_iter().flatten().filter(|(key, _)| asked(key)) {
        answer.push(entry(at, key, value));
    }
    Ok(Value::Array(answer))
}

/// `POST …/{scope}`: writes server or shared attributes.
pub(super) fn write(call: &Call<'_>, id: &str, scope: &str) -> Answer {
    let device = devices::there(call, id)?;
    let values: Map<String, Value> = call.json()?;
    if values.is_empty() {
        return Err(Refusal::bad("No attributes data found in request body!"));
    }
    match scope {
        SERVER => set(&device, values),
        SHARED => call.backend.share(&device, values),
        // Nobody but the device writes its own.
        _ => return Err(Refusal::bad("Invalid scope")),
    }
    Ok(Value::Null)
}

/// Keeps server attributes.
pub(super) fn set(device: &Device, mut values: Map<String, Value>) {
    let mut live = device.live();
    let held = live.administered.get_or_insert_default();
    held.server.append(&mut values);
    held.written = now();
}

/// `DELETE …/{scope}?keys=`: without `provisionState` a device can be provisioned once more.
pub(super) fn delete(call: &Call<'_>, id: &str, scope: &str) -> Answer {
    let device = devices::there(call, id)?;
    let keys = call.parameter("keys").unwrap_or_default();
    let keys: Vec<&str> = keys.split(',').collect();
    if scope == SHARED {
        call.backend.unshare(&device, &keys);
    }
    if scope == SERVER {
        if keys.contains(&STATE) {
            device.rearm();
        }
        if let Some(held) = device.live().administered.as_deref_mut() {
            held.server.retain(|key, _| !keys.contains(&key.as_str()));
        }
    }
    Ok(Value::Null)
}

/// `GET …/values/timeseries?keys=`: a key that was never seen has null.
pub(super) fn latest(call: &Call<'_>, id: &str) -> Answer {
    let device = devices::there(call, id)?;
    let (at, values) = last(&device).unwrap_or_default();
    let strict = call.parameter("useStrictDataTypes").as_deref() == Some("true");
    let entry = |value: Option<&Value>| match value {
        None => json!([{"ts": at, "value": null}]),
        Some(value) if strict => json!([{"ts": at, "value": value}]),
        Some(Value::String(text)) => json!([{"ts": at, "value": text}]),
        Some(value) => json!([{"ts": at, "value": value.to_string()}]),
    };
    let answer: Map<String, Value> = match call.parameter("keys") {
        Some(keys) if !keys.is_empty() => keys
            .split(',')
            .map(|key| (key.to_owned(), entry(values.get(key))))
            .collect(),
        _ => values
            .iter()
            .map(|(key, value)| (key.clone(), entry(Some(value))))
            .collect(),
    };
    Ok(Value::Object(answer))
}

/// `GET …/keys/timeseries`.
pub(super) fn keys(call: &Call<'_>, id: &str) -> Answer {
    let device = devices::there(call, id)?;
    let (_, values) = last(&device).unwrap_or_default();
    Ok(json!(values.keys().collect::<Vec<_>>()))
}

/// The last point of the last message, with its own time or that at which it came.
fn last(device: &Device) -> Option<(i64, Map<String, Value>)> {
    let live = device.live();
    let (at, payload) = live.latest.as_ref()?;
    let mut value: Value = serde_json::from_slice(payload).unwrap_or_default();
    if let Value::Array(points) = &mut value {
        value = points.pop().unwrap_or_default();
    }
    let Value::Object(mut point) = value else {
        return Some((*at, Map::new()));
    };
    match (
        point.get("ts").and_then(Value::as_i64),
        point.remove("values"),
    ) {
        (Some(ts), Some(Value::Object(values))) => Some((ts, values)),
        (_, values) => {
            point.extend(values.map(|values| ("values".to_owned(), values)));
            Some((*at, point))
        }
    }
}

const SERVER: &str = "SERVER_SCOPE";
const SHARED: &str = "SHARED_SCOPE";
const CLIENT: &str = "CLIENT_SCOPE";
const STATE: &str = "provisionState";
