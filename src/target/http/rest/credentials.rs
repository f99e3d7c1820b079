//! Devices' credentials, in the open: an administrator may read them.

use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal};
use super::devices;
use super::ids::{Kind, entity, id};
use crate::target::credentials::{Kind as CredentialsKind, Stored, Wanted};
use crate::target::device::Device;
use crate::target::downlink::Ending;

/// `GET /api/device/{id}/credentials`.
pub(super) fn read(call: &Call<'_>, id: &str) -> Answer {
    Ok(shown(&*devices::there(call, id)?))
}

/// `POST /api/device/credentials`: gives a device others, and closes its session.
pub(super) fn write(call: &Call<'_>) -> Answer {
    let body: Value = call.json()?;
    let device = devices::there(call, body["deviceId"]["id"].as_str().unwrap_or_default())?;
    let credentials = settled(&body)?;
    call.backend
        .registry
        .replace_credentials(&device, credentials)
        .map_err(|_| Refusal::bad("Device credentials are already assigned to another device!"))?;
    device.dismiss(Ending::Administered);
    Ok(shown(&device))
}

fn settled(body: &Value) -> Result<Stored, Refusal> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let value = text(&body["credentialsValue"]);
    let kind = CredentialsKind::from_name(body["credentialsType"].as_str().unwrap_or_default());
    let wanted = match kind {
        Some(CredentialsKind::AccessToken) => Wanted {
            token: text(&body["credentialsId"]),
            ..Wanted::default()
        },
        Some(CredentialsKind::MqttBasic) => {
            let basic: Value = serde_json::from_str(&value).map_err(|_| {
                Refusal::bad("Invalid credentials body for simple mqtt credentials!")
            })?;
            Wanted {
                client_id: text(&basic["clientId"]),
                username: text(&basic["userName"]),
                password: text(&basic["password"]),
                ..Wanted::default()
            }
        }
        _ => Wanted {
            certificate: value,
            ..Wanted::default()
        },
    };
    kind.and_then(|kind| Stored::settle(kind, &wanted).ok())
        .ok_or_else(|| Refusal::bad("Device credentials are not valid"))
}

fn shown(device: &Device) -> Value {
    let credentials = device.live().credentials.clone();
    let value = match credentials {
        Stored::AccessToken(_) => Value::Null,
        _ => json!(credentials.value()),
    };
    json!({
        "id": {"id": id(Kind::Credentials, device.serial)},
        "createdTime": device.created,
        "deviceId": entity(Kind::Device, device.serial),
        "credentialsType": credentials.type_name(),
        "credentialsId": credentials.id(),
        "credentialsValue": value,
        "version": 1,
    })
}
