//! One row of an import: the device it makes or changes, and what it breaks.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attributes::set;
use super::cast::cast;
use crate::model::Release;
use crate::target::administered::now;
use crate::target::backend::Backend;
use crate::target::credentials::{Kind, Stored, Wanted};
use crate::target::device::Device;
use crate::target::registry::Taken;
use crate::target::rules::{drawn_token, unacceptable};

/// A cell with its column: the type, and the key of an attribute.
pub(super) struct Field<'r> {
    pub(super) column: &'r str,
    pub(super) key: &'r str,
    pub(super) cell: &'r str,
}

/// What a row did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Created,
    Updated,
}

/// Why it did not, in the platform's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    class: &'static str,
    message: String,
}

impl Fault {
    fn data(message: impl Into<String>) -> Self {
        Self {
            class: "DataValidationException",
            message: message.into(),
        }
    }

    fn credentials(message: &str) -> Self {
        Self {
            class: "DeviceCredentialsValidationException",
            message: message.to_owned(),
        }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// As the list of errors has it.
    pub(super) fn line(&self, line: usize) -> String {
        format!("Line {line}: {}: {}", self.class, self.message)
    }
}

/// The fields of a row that are not empty.
pub(super) struct Row<'r>(pub(super) Vec<Field<'r>>);

impl Row<'_> {
    /// Carries the row out. `update` concerns attributes alone: everything else of a device that
    /// is there is overwritten whatever it says.
    pub(super) fn import(&self, backend: &Backend, update: bool) -> Result<Done, Fault> {
        let name = self.of("NAME").unwrap_or_default();
        check_text("name", name)?;
        for (column, what) in [("TYPE", "type"), ("LABEL", "label")] {
            if let Some(text) = self.of(column) {
                check_text(what, text)?;
            }
        }
        let credentials = self.credentials()?;
        self.settings()?;
        let profile = self.of("TYPE").map(|kind| {
            let position = backend.profiles.named(kind);
            position.ok_or_else(|| Fault::data("Too many device profiles"))
        });
        let profile = profile.transpose()?;
        let existing = backend.registry.by_name(name);
        let taken =
            || Fault::credentials("Device credentials are already assigned to another device!");
        let (device, done) = if let Some(device) = existing {
            if let Some(credentials) = credentials {
                let replaced = backend.registry.replace_credentials(&device, credentials);
                replaced.map_err(|_| taken())?;
            }
            if let Some(profile) = profile {
                device.set_profile(profile);
            }
            (device, Done::Updated)
        } else {
            full(backend)?;
            let credentials = credentials.unwrap_or_else(|| drawn_token(backend.config.seed, name));
            let device = Device::new(name, credentials, false, profile.unwrap_or(0), false);
            let created = backend.registry.create(device).map_err(|why| match why {
                Taken::Credentials => taken(),
                Taken::Name => Fault::data("Device with such name already exists!"),
            })?;
            (created, Done::Created)
        };
        self.describe(&device);
        if done == Done::Created || update {
            self.attributes(backend, &device);
        }
        Ok(done)
    }

    fn of(&self, column: &str) -> Option<&str> {
        // Of two columns of one type the later wins.
        let mut fields = self.0.iter().rev();
        fields
            .find(|field| field.column == column)
            .map(|field| field.cell)
    }

    /// By the platform's precedence; `None` if the row has none.
    fn credentials(&self) -> Result<Option<Stored>, Fault> {
        let settle = |kind, wanted: &Wanted| {
            let settled = Stored::settle(kind, wanted);
            settled
                .map(Some)
                .map_err(|_| Fault::credentials("Device credentials are not valid"))
        };
        let text = |column| self.of(column).unwrap_or_default().to_owned();
        if self.of("LWM2M_CLIENT_ENDPOINT").is_some() {
            let mode = text("LWM2M_CLIENT_SECURITY_CONFIG_MODE");
            return Err(Fault::credentials(
                &if LWM2M_MODES.contains(&mode.as_str()) {
                    "LwM2M is not served by this target".to_owned()
                } else {
                    format!(
                        "Unknown LwM2M security mode: {mode}, the mode should be NO_SEC, PSK, RPK, X509!"
                    )
                },
            ));
        }
        if let Some(certificate) = self.of("X509") {
            let wanted = Wanted {
                certificate: certificate.to_owned(),
                ..Wanted::default()
            };
            return settle(Kind::X509, &wanted);
        }
        let (client_id, username) = (text("MQTT_CLIENT_ID"), text("MQTT_USER_NAME"));
        let password = text("MQTT_PASSWORD");
        if ["MQTT_CLIENT_ID", "MQTT_USER_NAME", "MQTT_PASSWORD"]
            .iter()
            .any(|c| self.of(c).is_some())
        {
            if client_id.is_empty() && username.is_empty() {
                return Err(Fault::credentials(
                    "Both mqtt client id and user name are empty!",
                ));
            }
            if !client_id.is_empty() && username.is_empty() && !password.is_empty() {
                return Err(Fault::credentials(
                    "Password cannot be specified along with client id",
                ));
            }
            plain(&[&client_id, &username, &password])?;
            let wanted = Wanted {
                client_id,
                username,
                password,
                ..Wanted::default()
            };
            return settle(Kind::MqttBasic, &wanted);
        }
        let Some(token) = self.of("ACCESS_TOKEN") else {
            return Ok(None);
        };
        plain(&[token])?;
        let wanted = Wanted {
            token: token.to_owned(),
            ..Wanted::default()
        };
        settle(Kind::AccessToken, &wanted)
    }

    /// SNMP, which is judged and not kept.
    fn settings(&self) -> Result<(), Fault> {
        if let Some(port) = self.of("SNMP_PORT")
            && port.parse::<i32>().is_err()
        {
            return Err(Fault {
                class: "NumberFormatException",
                message: format!("For input string: \"{port}\""),
            });
        }
        Ok(())
    }

    fn describe(&self, device: &Device) {
        let (label, gateway) = (self.of("LABEL"), self.of("IS_GATEWAY"));
        let description = self.of("DESCRIPTION");
        if label.or(gateway).or(description).is_none() {
            return;
        }
        let mut live = device.live();
        let held = live.administered.get_or_insert_default();
        if let Some(label) = label {
            held.label = Some(label.to_owned());
        }
        if let Some(gateway) = gateway {
            held.gateway = gateway.eq_ignore_ascii_case("true");
        }
        if let Some(description) = description {
            held.description = Some(description.to_owned());
        }
    }

    fn attributes(&self, backend: &Backend, device: &Arc<Device>) {
        let objects = backend.config.release >= Release::V4_3;
        let of = |column: &str| -> Map<String, Value> {
            let fields = self.0.iter().filter(|field| field.column == column);
            fields
                .map(|field| (field.key.to_owned(), cast(field.cell, objects)))
                .collect()
        };
        let (server, shared) = (of("SERVER_ATTRIBUTE"), of("SHARED_ATTRIBUTE"));
        if !server.is_empty() {
            set(device, server);
        }
        if !shared.is_empty() {
            backend.share(device, shared);
        }
        let telemetry = of("TIMESERIES");
        if !telemetry.is_empty() {
            let payload = json!(telemetry).to_string().into_bytes();
            device.live().latest = Some((now(), payload.into()));
        }
    }
}

/// A name, type or label that the platform's validation takes.
pub(super) fn check_text(what: &str, text: &str) -> Result<(), Fault> {
    if what == "name" && text.trim().is_empty() {
        return Err(Fault::data("Device name should be specified!"));
    }
    if text.contains('\0') {
        return Err(Fault::data(format!(
            "Device {what} should not contain 0x00 symbol"
        )));
    }
    if text.encode_utf16().count() > 255 {
        return Err(Fault::data(format!(
            "{what} length must be equal or less than 255"
        )));
    }
    if unacceptable(text) {
        return Err(Fault::data(format!("{what} field value is malformed")));
    }
    Ok(())
}

/// Fails if the tenant may have no more devices.
pub(super) fn full(backend: &Backend) -> Result<(), Fault> {
    if backend.is_full() {
        let most = backend.accounts.rest().max_devices;
        return Err(Fault::data(format!(
            "Can't create more then {most} devices!"
        )));
    }
    Ok(())
}

fn plain(texts: &[&str]) -> Result<(), Fault> {
    let odd = texts.iter().any(|text| text.chars().any(char::is_control));
    if odd {
        return Err(Fault::credentials(
            "Device credentials must not contain control characters!",
        ));
    }
    Ok(())
}

const LWM2M_MODES: [&str; 4] = ["NO_SEC", "PSK", "RPK", "X509"];
