//! The form of the ledger's lines: a JSON object each, with its number and, as its last key, the
//! CRC-32 of all that is before it. One can be read with `jq`, and none can be half there unseen.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::entry::{Fate, Files, Issued};
use super::rotations::{Rotation, RotationState};
use crate::model::{Cause, Credentials, Observed, Outcome, Shard};

/// What a run was begun with: the ledger's first line. Secrets may stand in `set`; the file is its
/// owner's alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of this form, at most [`Header::FORMAT`].
    pub format: u32,
    /// The program that began the run.
    pub fleetcall_version: String,
    /// When, RFC 3339 in UTC.
    pub started_at: String,
    /// The scenario's file, from the root.
    pub scenario_file: PathBuf,
    /// The list that was taken in the scenario's place, if one was.
    pub devices_file: Option<PathBuf>,
    /// The values that were changed.
    pub set: Vec<String>,
    /// The credentials that the run was begun with, if it was.
    pub credentials_file: Option<PathBuf>,
    /// The seed.
    pub seed: u64,
    /// Where relative paths count from.
    pub working_directory: PathBuf,
    /// SHA-256 of the scenario as it is run, secrets masked.
    pub scenario_sha256: String,
    /// Names, cohorts and turns of all devices: `schedule_digest` of `summary.json`.
    pub schedule_digest: String,
    /// How many devices are listed.
    pub devices: u32,
    /// Which part of the run this ledger is of, if several machines share it: it says nothing of the other
    /// devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Tells one start of the machine from the next: what was written before it may be lost with it.
    pub boot_id: String,
}

impl Header {
    /// The latest version.
    pub const FORMAT: u32 = 2;

    /// The version that a ledger needs: programs which know no shards must not go on with one's, as with
    /// the whole run.
    pub fn format_of(shard: Option<Shard>) -> u32 {
        if shard.is_some() { Self::FORMAT } else { 1 }
    }

    /// How many devices the ledger is to have room for.
    pub(super) fn own_devices(&self) -> u32 {
        let shards = self.shard.map_or(1, |shard| shard.of);
        self.devices.div_ceil(shards)
    }
}

/// A further part of the run begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number, from 2.
    pub part: u32,
    /// When, RFC 3339 in UTC.
    pub started_at: String,
    /// As in the header.
    pub boot_id: String,
}

/// A line's content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Run(Header),
    Part(Part),
    Asked {
        device: u32,
        name: Cow<'a, str>,
        #[serde(flatten)]
        files: FilesForm,
    },
    Provisioned {
        device: u32,
        name: Cow<'a, str>,
        #[serde(flatten)]
        credentials: CredentialsForm,
        #[serde(flatten)]
        files: FilesForm,
        attempts: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        time_to_provision_us: Option<u64>,
    },
    Besides {
        device: u32,
        name: Cow<'a, str>,
        #[serde(flatten)]
        credentials: CredentialsForm,
        #[serde(flatten)]
        files: FilesForm,
    },
    Rotated {
        device: u32,
        name: Cow<'a, str>,
        state: Cow<'a, str>,
        #[serde(flatten)]
        credentials: CredentialsForm,
        #[serde(flatten)]
        files: FilesForm,
    },
    OldAccepted {
        device: u32,
        name: Cow<'a, str>,
    },
    Ended(EndedForm),
}

/// Where a certificate and its key are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct FilesForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
}

/// Credentials, as the columns of `credentials.csv` name their parts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CredentialsForm {
    credentials_type: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

/// How a device ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EndedForm {
    pub(super) device: u32,
    outcome: Outcome,
    observed: Observed,
    credentials_type: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_provision_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_first_telemetry_us: Option<u64>,
    telemetry_sent: u32,
    telemetry_acked: u32,
}

impl FilesForm {
    pub(super) fn of(files: Option<&Files>) -> Self {
        files.map_or_else(Self::default, |(certificate, key)| Self {
            certificate_file: Some(certificate.clone()),
            key_file: Some(key.clone()),
        })
    }

    pub(super) fn into_files(self) -> Option<Files> {
        self.certificate_file.zip(self.key_file)
    }
}

impl CredentialsForm {
    pub(super) fn of(credentials: &Credentials) -> Self {
        let form = Self {
            credentials_type: Cow::Borrowed(credentials.type_name()),
            ..Self::default()
        };
        match credentials {
            Credentials::AccessToken(token) => Self {
                access_token: Some(token.expose_secret().to_owned()),
                ..form
            },
            Credentials::MqttBasic(basic) => Self {
                client_id: Some(basic.client_id.clone()),
                username: Some(basic.username.clone()),
                password: Some(basic.password.expose_secret().to_owned()),
                ..form
            },
            Credentials::X509 { certificate } => Self {
                certificate: Some(certificate.clone()),
                ..form
            },
        }
    }

    fn into_credentials(self) -> Option<Credentials> {
        match &*self.credentials_type {
            "ACCESS_TOKEN" => Some(Credentials::AccessToken(self.access_token?.into())),
            "MQTT_BASIC" => Some(Credentials::mqtt_basic(
                self.client_id?,
                self.username?,
                self.password?,
            )),
            "X509_CERTIFICATE" => Some(Credentials::X509 {
                certificate: self.certificate?,
            }),
            _ => None,
        }
    }

    /// Together with their files; `None` when they are not whole.
    pub(super) fn into_issued(self, files: FilesForm) -> Option<Issued> {
        Some(Issued {
            credentials: self.into_credentials()?,
            files: files.into_files(),
        })
    }
}

impl EndedForm {
    pub(super) fn of(device: u32, fate: &Fate) -> Self {
        Self {
            device,
            outcome: fate.outcome,
            observed: fate.observed,
            credentials_type: Cow::Borrowed(fate.credentials_type),
            cause: fate.cause.map(|cause| cause.to_string()),
            attempts: fate.attempts,
            time_to_provision_us: fate.time_to_provision.map(micros),
            time_to_first_telemetry_us: fate.time_to_first_telemetry.map(micros),
            telemetry_sent: fate.telemetry_sent,
            telemetry_acked: fate.telemetry_acked,
        }
    }

    /// `None` when a word of it is none.
    pub(super) fn into_fate(self) -> Option<Fate> {
        let types = ["ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE"];
        let cause: Option<Cause> = match self.cause {
            None => None,
            Some(word) => Some(word.parse().ok()?),
        };
        Some(Fate {
            outcome: self.outcome,
            observed: self.observed,
            credentials_type: types
                .into_iter()
                .find(|known| *known == self.credentials_type)?,
            cause,
            attempts: self.attempts,
            time_to_provision: self.time_to_provision_us.map(Duration::from_micros),
            time_to_first_telemetry: self.time_to_first_telemetry_us.map(Duration::from_micros),
            telemetry_sent: self.telemetry_sent,
            telemetry_acked: self.telemetry_acked,
        })
    }
}

impl<'a> Line<'a> {
    pub(super) fn rotated(device: u32, name: &'a str, rotation: &Rotation) -> Self {
        Self::Rotated {
            device,
            name: name.into(),
            state: rotation.state.as_str().into(),
            credentials: CredentialsForm::of(&rotation.new.credentials),
            files: FilesForm::of(rotation.new.files.as_ref()),
        }
    }

    /// Appends the line of that number, line feed and all.
    pub(super) fn write(&self, number: u64, out: &mut String) {
        let begin = out.len();
        let body = serde_json::to_string(self).expect("plain words and numbers");
        out.push_str(body.strip_suffix('}').expect("an object"));
        let _ = write!(out, ",\"n\":{number}");
        let crc = crc32fast::hash(&out.as_bytes()[begin..]);
        let _ = writeln!(out, "{CRC}{crc:08x}\"}}");
    }

    /// Reads a line back; `None` when it is not whole, or not the one of that number.
    pub(super) fn read(text: &'a str, number: u64) -> Option<Self> {
        let (body, crc) = text.strip_suffix("\"}")?.rsplit_once(CRC)?;
        let crc = u32::from_str_radix(crc, 16).ok()?;
        let (_, n) = body.rsplit_once(",\"n\":")?;
        if crc32fast::hash(body.as_bytes()) != crc || n.parse() != Ok(number) {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// Whether a text is some line, of whatever number.
    pub(super) fn is_whole(text: &str) -> bool {
        let n = |body: &str| body.rsplit_once(",\"n\":")?.1.parse::<u64>().ok();
        let body = text.rsplit_once(CRC).map(|(body, _)| body);
        body.and_then(n)
            .is_some_and(|number| Line::read(text, number).is_some())
    }
}

/// The state that a word means.
pub(super) fn state(word: &str) -> Option<RotationState> {
    use RotationState::{Begun, Done, Failed, InDoubt};
    [Begun, Done, Failed, InDoubt]
        .into_iter()
        .find(|state| state.as_str() == word)
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

const CRC: &str = ",\"crc\":\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> Line<'_> {
        Line::Asked {
            device: 7,
            name: name.into(),
            files: FilesForm::default(),
        }
    }

    #[test]
    fn a_line_is_json_that_says_what_it_is() {
        let mut text = String::new();
        asked("meter \"7\"").write(12, &mut text);
        insta::assert_snapshot!(text, @r#"{"is":"asked","device":7,"name":"meter \"7\"","n":12,"crc":"7d40577c"}"#);
        assert!(Line::read(text.trim_end(), 12).is_some());
    }

    #[test]
    fn no_changed_or_misplaced_line_is_believed() {
        let mut text = String::new();
        asked("meter-7").write(12, &mut text);
        let text = text.trim_end();
        assert!(Line::read(text, 13).is_none());
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1;
            if let Ok(changed) = std::str::from_utf8(&bytes) {
                assert!(Line::read(changed, 12).is_none(), "{changed}");
            }
            assert!(Line::read(&text[..at], 12).is_none());
        }
    }
}
