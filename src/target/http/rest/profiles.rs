//! Device profiles: the strategy, and the provision key and secret.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal, paged};
use super::ids::{Kind, entity, position};
use crate::model::Strategy;
use crate::target::config::{Chain, Profile};
use crate::target::profiles::Unsaved;
use crate::target::rules::unacceptable;

/// `POST /api/deviceProfile`: makes one, or changes the one of the id.
pub(super) fn save(call: &Call<'_>) -> Answer {
    let body: Value = call.json()?;
    let at = match &body["id"] {
        Value::Null => None,
        id => Some(there(call, id["id"].as_str().unwrap_or_default())?),
    };
    let profile = read(&body)?;
    let saved = call.backend.profiles.save(profile, at);
    let at = saved.map_err(|why| match why {
        Unsaved::Name => Refusal::bad("Device profile with such name already exists!"),
        Unsaved::Key => {
            Refusal::bad("Device profile with such provision device key already exists!")
        }
        Unsaved::Full => Refusal::broken("Too many device profiles"),
    })?;
    Ok(shown(call, at))
}

fn read(body: &Value) -> Result<Profile, Refusal> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&body["name"]);
    if name.trim().is_empty() {
        return Err(Refusal::bad("Device profile name should be specified!"));
    }
    if unacceptable(&name) {
        return Err(Refusal::bad("name is malformed"));
    }
    let kind = body["provisionType"].as_str().unwrap_or("DISABLED");
    let strategy = STRATEGIES
        .iter()
        .find(|(_, name)| *name == kind)
        .ok_or_else(|| Refusal::bad("Malformed JSON request"))?
        .0;
    let provision = &body["profileData"]["provisionConfiguration"];
    if !provision["type"].is_null() && provision["type"] != kind {
        return Err(Refusal::bad("Provision configuration is of another type!"));
    }
    let secret = text(&provision["provisionDeviceSecret"]);
    let chain = (strategy == Strategy::X509Chain).then(|| Chain {
        certificates: secret.clone(),
        name_pattern: text(&provision["certificateRegExPattern"]),
        allow_create: provision["allowCreateNewDevicesByX509Certificate"] == true,
    });
    Ok(Profile {
        name,
        strategy,
        key: text(&body["provisionDeviceKey"]).into(),
        secret: secret.into(),
        chain,
    })
}

/// `GET /api/deviceProfile/{id}`.
pub(super) fn one(call: &Call<'_>, id: &str) -> Answer {
    Ok(shown(call, there(call, id)?))
}

/// `GET /api/deviceProfileInfo/default`: the first.
pub(super) fn default(call: &Call<'_>) -> Value {
    shown(call, 0)
}

/// `GET /api/deviceProfiles`.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let page = call.page()?;
    let wanted = call
        .parameter("textSearch")
        .unwrap_or_default()
        .to_lowercase();
    let profiles = call.backend.profiles.now();
    let found: Vec<u16> = (0..)
        .zip(profiles.iter())
        .filter(|(_, profile)| !profile.name.is_empty())
        .filter(|(_, profile)| profile.name.to_lowercase().contains(&wanted))
        .map(|(position, _)| position)
        .collect();
    Ok(paged(&found, page, |position| shown(call, *position)))
}

/// `DELETE /api/deviceProfile/{id}`.
pub(super) fn delete(call: &Call<'_>, id: &str) -> Answer {
    let at = there(call, id)?;
    if at == 0 {
        return Err(Refusal::bad(
            "Deletion of Default Device Profile is prohibited!",
        ));
    }
    if call
        .backend
        .registry
        .all()
        .iter()
        .any(|device| device.profile() == at)
    {
        return Err(Refusal::bad(
            "The device profile referenced by the devices cannot be deleted!",
        ));
    }
    call.backend.profiles.remove(at);
    Ok(Value::Null)
}

/// The position of the profile of an id.
pub(super) fn there(call: &Call<'_>, id: &str) -> Result<u16, Refusal> {
    let profiles = call.backend.profiles.now();
    position(Kind::Profile, id)
        .and_then(|at| u16::try_from(at).ok())
        .filter(|at| {
            profiles
                .get(usize::from(*at))
                .is_some_and(|p| !p.name.is_empty())
        })
        .ok_or_else(Refusal::absent)
}

/// A profile's name.
pub(super) fn name(call: &Call<'_>, at: u16) -> String {
    call.backend.profiles.now()[usize::from(at)].name.clone()
}

fn shown(call: &Call<'_>, at: u16) -> Value {
    let profile = &call.backend.profiles.now()[usize::from(at)];
    let kind = STRATEGIES
        .iter()
        .find(|(strategy, _)| *strategy == profile.strategy)
        .map_or("DISABLED", |(_, name)| *name);
    let or_null = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    let mut provision = json!({
        "type": kind,
        "provisionDeviceSecret": or_null(profile.secret.expose_secret()),
    });
    if let Some(chain) = &profile.chain {
        provision["provisionDeviceSecret"] = json!(chain.certificates);
        provision["certificateRegExPattern"] = json!(chain.name_pattern);
        provision["allowCreateNewDevicesByX509Certificate"] = json!(chain.allow_create);
    }
    json!({
        "id": entity(Kind::Profile, at.into()),
        "createdTime": 0,
        "tenantId": entity(Kind::Tenant, 0),
        "name": profile.name,
        "description": null,
        "default": at == 0,
        "type": "DEFAULT",
        "transportType": "DEFAULT",
        "provisionType": kind,
        "provisionDeviceKey": or_null(profile.key.expose_secret()),
        "profileData": {
            "configuration": {"type": "DEFAULT"},
            "transportConfiguration": {"type": "DEFAULT"},
            "provisionConfiguration": provision,
            "alarms": null,
        },
        "version": 1,
    })
}

const STRATEGIES: [(Strategy, &str); 4] = [
    (Strategy::Disabled, "DISABLED"),
    (Strategy::Allow, "ALLOW_CREATE_NEW_DEVICES"),
    (Strategy::Check, "CHECK_PRE_PROVISIONED_DEVICES"),
    (Strategy::X509Chain, "X509_CERTIFICATE_CHAIN"),
];
