//! Devices: one by one, by name, and page by page.

use std::sync::Arc;

use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal, paged};
use super::ids::{Kind, entity, position};
use super::profiles;
use super::row::{Fault, check_text, full};
use crate::target::credentials::{Kind as CredentialsKind, Stored, Wanted};
use crate::target::device::Device;
use crate::target::registry::Taken;
use crate::target::rules::drawn_token;

/// `POST /api/device`: makes one.
pub(super) fn create(call: &Call<'_>) -> Answer {
    let body: Value = call.json()?;
    let text = |key: &str| body[key].as_str();
    let name = text("name").unwrap_or_default();
    let refused = |fault: Fault| Refusal::bad(fault.message());
    check_text("name", name).map_err(refused)?;
    full(call.backend).map_err(refused)?;
    let profile = match (&body["deviceProfileId"]["id"], text("type")) {
        (Value::String(id), _) => profiles::there(call, id)?,
        (_, Some(kind)) => named(call, kind)?,
        _ => 0,
    };
    let credentials = match call.parameter("accessToken") {
        Some(token) => settled(&token)?,
        None => drawn_token(call.backend.config.seed, name),
    };
    let gateway = body["additionalInfo"]["gateway"].as_bool() == Some(true);
    let device = Device::new(name, credentials, gateway, profile, false);
    let device = call
        .backend
        .registry
        .create(device)
        .map_err(|taken| match taken {
            Taken::Name => Refusal::bad("Device with such name already exists!"),
            Taken::Credentials => {
                Refusal::bad("Device credentials are already assigned to another device!")
            }
        })?;
    if let Some(label) = text("label") {
        device.live().administered.get_or_insert_default().label = Some(label.to_owned());
    }
    Ok(shown(call, &device))
}

fn named(call: &Call<'_>, kind: &str) -> Result<u16, Refusal> {
    check_text("type", kind).map_err(|fault| Refusal::bad(fault.message()))?;
    let position = call.backend.profiles.named(kind);
    position.ok_or_else(|| Refusal::broken("Too many device profiles"))
}

fn settled(token: &str) -> Result<Stored, Refusal> {
    let wanted = Wanted {
        token: token.to_owned(),
        ..Wanted::default()
    };
    Stored::settle(CredentialsKind::AccessToken, &wanted)
        .map_err(|_| Refusal::bad("Device credentials are not valid"))
}

/// `GET /api/device/{id}`.
pub(super) fn one(call: &Call<'_>, id: &str) -> Answer {
    Ok(shown(call, &*there(call, id)?))
}

/// `DELETE /api/device/{id}`.
pub(super) fn delete(call: &Call<'_>, id: &str) -> Answer {
    let device = there(call, id)?;
    if call.backend.registry.remove(&device) {
        Ok(Value::Null)
    } else {
        Err(Refusal::absent())
    }
}

/// `GET /api/tenant/devices` and `…/deviceInfos`: the one of a name, or a page of them.
pub(super) fn list(call: &Call<'_>) -> Answer {
    if let Some(name) = call.parameter("deviceName") {
        let found = call.backend.registry.by_name(&name);
        return found
            .map(|device| shown(call, &device))
            .ok_or_else(Refusal::absent);
    }
    let page = call.page()?;
    let text = call
        .parameter("textSearch")
        .unwrap_or_default()
        .to_lowercase();
    let profile = match (call.parameter("deviceProfileId"), call.parameter("type")) {
        (Some(id), _) if !id.is_empty() => Some(profiles::there(call, &id)?),
        (_, Some(kind)) if !kind.is_empty() => {
            let profiles = call.backend.profiles.now();
            let found = (0..)
                .zip(profiles.iter())
                .find(|(_, profile)| profile.name == kind);
            // One that nobody has.
            Some(found.map_or(u16::MAX, |(at, _)| at))
        }
        _ => None,
    };
    let mut found = call.backend.registry.all();
    found.retain(|device| {
        profile.is_none_or(|at| device.profile() == at)
            && (text.is_empty() || device.name.to_lowercase().contains(&text))
    });
    Ok(paged(&found, page, |device| shown(call, device)))
}

/// The device of an id.
pub(super) fn there(call: &Call<'_>, id: &str) -> Result<Arc<Device>, Refusal> {
    position(Kind::Device, id)
        .and_then(|serial| call.backend.registry.by_serial(serial))
        .ok_or_else(Refusal::absent)
}

fn shown(call: &Call<'_>, device: &Device) -> Value {
    let profile = profiles::name(call, device.profile());
    let gateway = device.is_gateway();
    let live = device.live();
    let set = live.administered.as_deref();
    json!({
        "id": entity(Kind::Device, device.serial),
        "createdTime": device.created,
        "tenantId": entity(Kind::Tenant, 0),
        "customerId": {"entityType": "CUSTOMER", "id": NOBODY},
        "name": &*device.name,
        "type": profile,
        "label": set.and_then(|set| set.label.as_deref()),
        "deviceProfileId": entity(Kind::Profile, device.profile().into()),
        "deviceProfileName": profile,
        "active": live.presence.is_some(),
        "deviceData": {
            "configuration": {"type": "DEFAULT"},
            "transportConfiguration": {"type": "DEFAULT"},
        },
        "firmwareId": null,
        "softwareId": null,
        "externalId": null,
        "version": 1,
        "additionalInfo": {
            "gateway": gateway,
            "description": set.and_then(|set| set.description.as_deref()).unwrap_or_default(),
        },
    })
}

/// The platform's id for no customer.
const NOBODY: &str = "13814000-1dd2-11b2-8080-808080808080";
