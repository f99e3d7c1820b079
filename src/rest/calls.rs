//! The requests, by what they are for.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Again, Client};
use super::error::RestError;

/// A device profile, as the server has it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `ALLOW_CREATE_NEW_DEVICES` and its like.
    pub strategy: String,
    /// The provision key, if it has one.
    pub key: Option<SecretString>,
    /// The provision secret, if it has one.
    pub secret: Option<SecretString>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was created by the server's clock, ms since 1970.
    pub created: i64,
    /// Its profile's id.
    pub profile: String,
}

/// A page of devices.
#[derive(Debug)]
pub struct Page {
    /// The devices.
    pub devices: Vec<Device>,
    /// Whether there are more.
    pub more: bool,
}

/// A device's credentials.
#[derive(Debug, Deserialize)]
pub struct ServerCredentials {
    /// `ACCESS_TOKEN` and its like.
    #[serde(rename = "credentialsType")]
    pub kind: String,
    /// What they are found by; of an access token, the token.
    #[serde(rename = "credentialsId")]
    pub id: SecretString,
    /// The rest of them.
    #[serde(rename = "credentialsValue")]
    pub value: Option<SecretString>,
}

/// What became of an import's rows.
#[derive(Debug, Deserialize)]
pub struct ImportAnswer {
    /// Devices made.
    pub created: u64,
    /// Devices changed.
    pub updated: u64,
    /// `Line N: …`, in no order.
    #[serde(rename = "errorsList", default)]
    pub errors: Vec<String>,
}

impl Client {
    /// The profile of exactly this name.
    pub async fn profile_named(&self, name: &str) -> Result<Option<Profile>, RestError> {
        let search = escaped(name);
        for page in 0.. {
            let path = format!("/api/deviceProfiles?pageSize=100&page={page}&textSearch={search}");
            let listed: Value = self.get(&path).await?;
            let all = listed["data"].as_array().cloned().unwrap_or_default();
            if let Some(found) = all.iter().find(|profile| profile["name"] == name) {
                return Ok(Some(profile(found)));
            }
            if listed["hasNext"] != true {
                break;
            }
        }
        Ok(None)
    }

    /// Makes a profile.
    pub async fn make_profile(&self, body: &Value) -> Result<Profile, RestError> {
        // Sent twice, the second is refused for its name.
        let made: Value = self.post("/api/deviceProfile", body, Again::No).await?;
        Ok(profile(&made))
    }

    /// The device of a name, byte for byte.
    pub async fn device_named(&self, name: &str) -> Result<Option<Device>, RestError> {
        let path = format!("/api/tenant/devices?deviceName={}", escaped(name));
        match self.get::<Value>(&path).await {
            Ok(found) => Ok(device(&found)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page of a profile's devices, the oldest first.
    pub async fn devices_of(&self, profile: &str, page: u32) -> Result<Page, RestError> {
        let path = format!(
            "/api/tenant/deviceInfos?pageSize={PAGE}&page={page}&deviceProfileId={}\
            &sortProperty=createdTime&sortOrder=ASC",
            escaped(profile)
        );
        let listed: Value = self.get(&path).await?;
        let all = listed["data"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        Ok(Page {
            devices: all.iter().filter_map(device).collect(),
            more: listed["hasNext"] == true,
        })
    }

    /// A device's credentials.
    pub async fn credentials(&self, id: &str) -> Result<ServerCredentials, RestError> {
        self.get(&format!("/api/device/{}/credentials", escaped(id)))
            .await
    }

    /// When a device's `provisionState` became `provisioned`, ms since 1970 by the server's clock.
    pub async fn provisioned(&self, id: &str) -> Result<Option<i64>, RestError> {
        let path = format!(
            "/api/plugins/telemetry/DEVICE/{}/values/attributes/SERVER_SCOPE?keys=provisionState",
            escaped(id)
        );
        let found: Value = self.get(&path).await?;
        let state = found
            .as_array()
            .and_then(|list| list.iter().find(|a| a["key"] == "provisionState"));
        Ok(state
            .filter(|state| state["value"] == "provisioned")
            .and_then(|state| state["lastUpdateTs"].as_i64()))
    }

    /// When the newest value of a device's telemetry is from, ms since 1970; `None`: it has none.
    pub async fn last_telemetry(&self, id: &str) -> Result<Option<i64>, RestError> {
        let path = format!(
            "/api/plugins/telemetry/DEVICE/{}/values/timeseries",
            escaped(id)
        );
        let found: Value = self.get(&path).await?;
        let keys = found.as_object().into_iter().flat_map(|keys| keys.values());
        Ok(keys
            .filter(|points| !points[0]["value"].is_null())
            .filter_map(|points| points[0]["ts"].as_i64())
            .max())
    }

    /// Deletes a device; whether it was there.
    pub async fn delete_device(&self, id: &str) -> Result<bool, RestError> {
        match self.delete(&format!("/api/device/{}", escaped(id))).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Imports rows. After an error some of them may be on the server.
    pub async fn bulk_import(&self, body: &Value) -> Result<ImportAnswer, RestError> {
        self.post("/api/device/bulk_import", body, Again::No).await
    }
}

fn profile(found: &Value) -> Profile {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let secret = |value: &Value| value.as_str().map(SecretString::from);
    Profile {
        id: text(&found["id"]["id"]),
        name: text(&found["name"]),
        strategy: text(&found["provisionType"]),
        key: secret(&found["provisionDeviceKey"]),
        secret: secret(&found["profileData"]["provisionConfiguration"]["provisionDeviceSecret"]),
    }
}

fn device(found: &Value) -> Option<Device> {
    Some(Device {
        id: found["id"]["id"].as_str()?.to_owned(),
        name: found["name"].as_str()?.to_owned(),
        created: found["createdTime"].as_i64()?,
        profile: found["deviceProfileId"]["id"].as_str()?.to_owned(),
    })
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

const PAGE: usize = 500;
