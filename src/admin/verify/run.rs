//! What a finished run says of its devices: `summary.json`, `devices.csv` and `credentials.csv`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use crate::model::Outcome;

/// A finished run.
#[derive(Debug)]
pub struct Run {
    /// When it began, milliseconds since 1970 by this machine's clock.
    pub started: i64,
    /// Its devices, in list order.
    pub devices: Vec<RunDevice>,
    /// The credentials that it was given, by device.
    pub credentials: HashMap<String, Given>,
}

/// A run's device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RunDevice {
    /// As listed.
    pub name: String,
    /// How its provisioning ended.
    pub outcome: Outcome,
    /// Messages.
    pub telemetry_acked: u64,
}

/// Credentials that a run was given. Those of files are not compared.
#[derive(Debug, Deserialize)]
pub struct Given {
    name: String,
    /// As the server's API spells it.
    #[serde(rename = "credentials_type")]
    pub kind: String,
    /// The access token; empty if it is none.
    pub access_token: SecretString,
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}\nhelp: give a directory that `fleetcall run` has finished", path.display())]
pub struct UnreadableRun {
    path: PathBuf,
    why: String,
}

#[derive(Deserialize)]
struct Summary {
    started_at: String,
}

impl Run {
    /// Reads a run's directory.
    pub fn read(directory: &Path) -> Result<Self, UnreadableRun> {
        let path = directory.join("summary.json");
        let summary: Summary = open(&path)
            .and_then(|file| {
                serde_json::from_reader(io::BufReader::new(file)).map_err(io::Error::other)
            })
            .map_err(|e| unreadable(&path, &e))?;
        let started = humantime::parse_rfc3339(&summary.started_at)
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .ok_or_else(|| unreadable(&path, &"`started_at` is no time"))?;
        let devices = table(&directory.join("devices.csv"))?;
        let path = directory.join("credentials.csv");
        let given: Vec<Given> = if path.exists() {
            table(&path)?
        } else {
            Vec::new()
        };
        let credentials = given
            .into_iter()
            .map(|given| (given.name.clone(), given))
            .collect();
        Ok(Self {
            started,
            devices,
            credentials,
        })
    }
}

fn table<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, UnreadableRun> {
    let file = open(path).map_err(|e| unreadable(path, &e))?;
    let mut rows = csv::Reader::from_reader(io::BufReader::new(file));
    let mut read = Vec::new();
    for row in rows.deserialize() {
        // The error's own text would show the row, which may have a token.
        let row = row.map_err(|e: csv::Error| match e.position() {
            Some(at) => unreadable(path, &format!("line {} is no row of it", at.line())),
            None => unreadable(path, &"it is no table of a run"),
        })?;
        read.push(row);
    }
    Ok(read)
}

fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> UnreadableRun {
    UnreadableRun {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn write(dir: &Path, file: &str, text: &str) {
        fs::write(dir.join(file), text).unwrap();
    }

    #[test]
    fn reads_what_a_run_wrote() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            "summary.json",
            r#"{"started_at":"2026-11-23T08:00:00.250Z","x":1}"#,
        );
        write(
            dir.path(),
            "devices.csv",
            "name,cohort,transport,credentials_type,outcome,cause,attempts,time_to_provision_ms,\
             time_to_first_telemetry_ms,telemetry_sent,telemetry_acked\n\
             A1,all,mqtt,ACCESS_TOKEN,provisioned,,1,3.1,,2,2\nA2,all,mqtt,,unknown,x,1,,,0,0\n",
        );
        write(
            dir.path(),
            "credentials.csv",
            "name,credentials_type,access_token,client_id,username,password,certificate_file,\
             key_file\nA1,ACCESS_TOKEN,t1,,,,,\n",
        );
        let run = Run::read(dir.path()).unwrap();
        assert_eq!(run.started % 1000, 250);
        assert_eq!(run.devices[1].outcome, Outcome::Unknown);
        assert_eq!(run.credentials["A1"].access_token.expose_secret(), "t1");
        assert!(!format!("{run:?}").contains("t1"));
    }

    #[test]
    fn what_is_no_run_is_told_without_its_secrets() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            Run::read(dir.path())
                .unwrap_err()
                .to_string()
                .contains("summary.json")
        );
        write(
            dir.path(),
            "summary.json",
            r#"{"started_at":"2026-11-23T08:00:00Z"}"#,
        );
        write(
            dir.path(),
            "devices.csv",
            "name,outcome,telemetry_acked\nA1,provisioned,1\n",
        );
        write(
            dir.path(),
            "credentials.csv",
            "name,credentials_type,access_token\nA1,hush\n",
        );
        let error = Run::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("credentials.csv: line 2"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
