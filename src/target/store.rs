//! A registry that outlives its target: each change of a device is a line of a file, in the kernel's
//! hands before anybody hears of the change.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::device::Device;
use crate::model::Credentials;

/// The open file.
pub(super) struct Store {
    file: Mutex<File>,
}

/// A device, as it is from this line on.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
    /// Its profile's position.
    #[serde(default)]
    pub(super) profile: u16,
    #[serde(default)]
    pub(super) gateway: bool,
    #[serde(default)]
    pub(super) provisioned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// Client id, user name, password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mqtt_basic: Option<[String; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

impl Row {
    fn of(device: &Device) -> Self {
        let row = Self {
            name: device.name.to_string(),
            profile: device.profile(),
            gateway: device.is_gateway(),
            provisioned: device.provisioned().is_some(),
            ..Self::default()
        };
        match device.live().credentials.told() {
            Credentials::AccessToken(token) => Self {
                access_token: Some(token.expose_secret().to_owned()),
                ..row
            },
            Credentials::MqttBasic(basic) => {
                let password = basic.password.expose_secret().to_owned();
                Self {
                    mqtt_basic: Some([basic.client_id, basic.username, password]),
                    ..row
                }
            }
            Credentials::X509 { certificate } => Self {
                certificate: Some(certificate),
                ..row
            },
        }
    }

    /// `None` where it has none: it was deleted.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        let token = self.access_token.as_deref();
        let basic = self.mqtt_basic.as_ref();
        let certificate = self.certificate.as_ref();
        token
            .map(|token| Credentials::AccessToken(token.into()))
            .or_else(|| {
                let [client_id, username, password] = basic?.clone();
                Some(Credentials::mqtt_basic(client_id, username, password))
            })
            .or_else(|| {
                Some(Credentials::X509 {
                    certificate: certificate?.clone(),
                })
            })
    }
}

impl Store {
    /// Opens the file, or makes it with mode 0600, and reads what is there. An end without its line
    /// feed was never told to anybody, and is cut.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Row>)> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let rows = text[..whole].lines().zip(1..).map(|(line, number)| {
            serde_json::from_str(line)
                .map_err(|error| io::Error::other(format!("line {number}: {error}")))
        });
        let rows = rows.collect::<Result<_, _>>()?;
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        file.set_len(whole as u64)?;
        let file = Mutex::new(file);
        Ok((Self { file }, rows))
    }

    /// Keeps a device as it is now.
    pub(super) fn keep(&self, device: &Device) {
        self.append(&Row::of(device));
    }

    /// Keeps that it is there no more.
    pub(super) fn forget(&self, device: &Device) {
        self.append(&Row {
            name: device.name.to_string(),
            deleted: true,
            ..Row::default()
        });
    }

    /// What cannot be kept must not be answered: a target that forgets would be taken for one that
    /// loses devices.
    fn append(&self, row: &Row) {
        let mut line = serde_json::to_string(row).expect("plain words and numbers");
        line.push('\n');
        let mut file = self.file.lock().expect("nothing panics while it is held");
        if let Err(error) = file.write_all(line.as_bytes()) {
            eprintln!("fleetcall: target: the registry's file cannot be written: {error}");
            #[expect(
                clippy::disallowed_methods,
                reason = "only `fleetcall target` keeps one, and it has no reports to write"
            )]
            std::process::exit(1);
        }
    }
}
