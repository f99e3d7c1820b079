//! `run --credentials FROM.csv`: a fleet that is provisioned already.

use std::collections::HashMap;
use std::path::Path;

use super::Failure;
use crate::engine::Fleet;
use crate::ledger::{CREDENTIALS_HEADER, Issued};
use crate::model::Credentials;
use crate::pki::Identity;

/// Gives each device of the fleet its credentials out of a table as runs write it.
pub(super) fn take_over(fleet: &mut Fleet, from: &Path) -> Result<(), Failure> {
    let failed = |what: String| Failure::usage(format!("{}: {what}", from.display()));
    if !fleet.plan.stays() {
        return Err(Failure::usage(
            "--credentials: the scenario has neither [telemetry] nor [downlink]: there is nothing for \
             a provisioned fleet to do\nhelp: add [telemetry] to it",
        ));
    }
    if let Some(cohort) = fleet.plan.cohorts.iter().find(|c| c.misbehaviour.is_some()) {
        return Err(Failure::usage(format!(
            "--credentials: cohort `{}` misbehaves when it is provisioned, and nobody is here\nhelp: \
             leave it out",
            cohort.name
        )));
    }
    let mut table = csv::Reader::from_path(from).map_err(|error| failed(error.to_string()))?;
    let header = table.headers().map_err(|error| failed(error.to_string()))?;
    if header.iter().ne(CREDENTIALS_HEADER) {
        return Err(failed(format!(
            "is no credentials table: its first line is to be {}",
            CREDENTIALS_HEADER.join(",")
        )));
    }
    let mut known = HashMap::new();
    for row in table.records() {
        let row = row.map_err(|error| failed(error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let issued = issued(&row)
            .map_err(|what| Failure::usage(format!("{}:{line}: {what}", from.display())))?;
        // A later row is a later certificate's.
        known.insert(row[0].to_owned(), issued);
    }
    let mut without = Vec::new();
    let mut all = Vec::with_capacity(fleet.inventory.len());
    for ix in fleet.listed() {
        let issued = known.remove(fleet.name(ix)).filter(|_| fleet.has(ix));
        if issued.is_none() && fleet.has(ix) {
            without.push(fleet.name(ix));
        }
        all.push(issued);
    }
    if let Some(first) = without.first() {
        return Err(failed(format!(
            "has no credentials for {} of {} listed devices, `{first}` first\nhelp: take the list that \
             they were provisioned from, or provision the others with `fleetcall run` first",
            without.len(),
            fleet.len()
        )));
    }
    if !known.is_empty() {
        eprintln!(
            "fleetcall: note: {}: {} devices of it are not on the list and stay out",
            from.display(),
            known.len()
        );
    }
    fleet.take_over(all).map_err(Failure::usage)
}

fn issued(row: &csv::StringRecord) -> Result<Issued, String> {
    let [_, kind, token, id, username, password, certificate, key] =
        std::array::from_fn(|column| row.get(column).unwrap_or_default());
    let without_files = |credentials| Issued {
        credentials,
        files: None,
    };
    match kind {
        "ACCESS_TOKEN" if token.is_empty() => Err("no access_token".to_owned()),
        "ACCESS_TOKEN" => Ok(without_files(Credentials::AccessToken(token.into()))),
        "MQTT_BASIC" => Ok(without_files(Credentials::mqtt_basic(
            id, username, password,
        ))),
        "X509_CERTIFICATE" => {
            let identity = Identity::from_files(Path::new(certificate), Path::new(key));
            let identity = identity.map_err(|error| error.to_string())?;
            Ok(Issued {
                credentials: Credentials::X509 {
                    certificate: identity.leaf_base64(),
                },
                files: Some((certificate.into(), key.into())),
            })
        }
        other => Err(format!(
            "`{other}` is no type of credentials: ACCESS_TOKEN, MQTT_BASIC and X509_CERTIFICATE are"
        )),
    }
}
