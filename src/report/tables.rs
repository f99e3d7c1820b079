//! `devices.csv`: one row per device, for scripts. (`credentials.csv` is the ledger's.)
//!
//! Names stand there exactly as listed, since scripts join on them. A name that a spreadsheet
//! would take for a formula is therefore not altered but counted, so that the caller can warn.

use std::io::{self, Write};
use std::path::Path;

use super::files::{FileError, write};
use crate::model::{Cause, Outcome, TransportKind};

/// A row of `devices.csv`.
#[derive(Clone, Copy, Debug)]
pub struct DeviceRow<'a> {
    /// As listed.
    pub name: &'a str,
    /// The cohort's name.
    pub cohort: &'a str,
    /// How it talked.
    pub transport: TransportKind,
    /// The type received, else the one asked for, as the server's API spells it.
    pub credentials_type: &'a str,
    /// How its provisioning ended.
    pub outcome: Outcome,
    /// Why, if not well.
    pub cause: Option<Cause>,
    /// Provision requests sent.
    pub attempts: u32,
    /// Response time to its credentials, in ms.
    pub time_to_provision_ms: Option<f64>,
    /// Response time to its first acknowledged telemetry, in ms.
    pub time_to_first_telemetry_ms: Option<f64>,
    /// Messages.
    pub telemetry_sent: u64,
    /// Messages.
    pub telemetry_acked: u64,
    /// The trial that it was started for, in a search.
    pub trial: Option<u32>,
}

/// What a table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows, the header not counted.
    pub rows: u64,
    /// Rows whose name begins with `=`, `+`, `-`, `@`, a tab or a carriage return: a spreadsheet
    /// would compute them.
    pub formula_like: u64,
}

/// Writes `devices.csv`: the rows in list order; of a search with each device's trial.
pub fn write_devices<'a>(
    path: &Path,
    rows: impl IntoIterator<Item = DeviceRow<'a>>,
    searched: bool,
) -> Result<Written, FileError> {
    let header = DEVICES_HEADER
        .into_iter()
        .chain(searched.then_some("trial"));
    let header: Vec<_> = header.collect();
    table(path, &header, rows, |row| {
        let trial = row.trial.map(|trial| trial.to_string());
        let ms = |ms: Option<f64>| ms.map(|ms| format!("{ms:.3}")).unwrap_or_default();
        let mut record = vec![
            row.name.to_owned(),
            row.cohort.to_owned(),
            row.transport.as_str().to_owned(),
            row.credentials_type.to_owned(),
            row.outcome.as_str().to_owned(),
            row.cause.map(|cause| cause.to_string()).unwrap_or_default(),
            row.attempts.to_string(),
            ms(row.time_to_provision_ms),
            ms(row.time_to_first_telemetry_ms),
            row.telemetry_sent.to_string(),
            row.telemetry_acked.to_string(),
        ];
        record.extend(searched.then(|| trial.unwrap_or_default()));
        (row.name, record)
    })
}

/// Header and rows, quoted where RFC 4180 wants it, each ended by a line feed.
fn table<'a, R, F>(
    path: &Path,
    header: &[&str],
    rows: impl IntoIterator<Item = R>,
    record: impl Fn(R) -> (&'a str, Vec<F>),
) -> Result<Written, FileError>
where
    F: AsRef<[u8]>,
{
    write(path, |file| {
        let mut written = Written::default();
        let mut csv = csv::Writer::from_writer(file);
        csv.write_record(header).map_err(io::Error::from)?;
        for row in rows {
            let (name, fields) = record(row);
            csv.write_record(&fields).map_err(io::Error::from)?;
            written.rows += 1;
            written.formula_like += u64::from(name.starts_with(FORMULA_SIGNS));
        }
        csv.into_inner()
            .map_err(|e| io::Error::new(e.error().kind(), e.error().to_string()))?
            .flush()?;
        Ok(written)
    })
}

const FORMULA_SIGNS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

const DEVICES_HEADER: [&str; 11] = [
    "name",
    "cohort",
    "transport",
    "credentials_type",
    "outcome",
    "cause",
    "attempts",
    "time_to_provision_ms",
    "time_to_first_telemetry_ms",
    "telemetry_sent",
    "telemetry_acked",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FaultKind, Phase};

    fn device(name: &str) -> DeviceRow<'_> {
        DeviceRow {
            name,
            cohort: "meters",
            transport: TransportKind::Mqtt,
            credentials_type: "ACCESS_TOKEN",
            outcome: Outcome::Provisioned,
            cause: None,
            attempts: 1,
            time_to_provision_ms: Some(12.3456),
            time_to_first_telemetry_ms: Some(1_020.0),
            telemetry_sent: 12,
            telemetry_acked: 11,
            trial: None,
        }
    }

    fn written<T>(write: impl FnOnce(&Path) -> Result<T, FileError>) -> (T, String) {
        let directory = tempfile::tempdir().expect("a place");
        let path = directory.path().join("table.csv");
        let result = write(&path).expect("written");
        (result, std::fs::read_to_string(&path).expect("text"))
    }

    #[test]
    fn a_device_is_a_row_under_the_promised_header() {
        let refused = DeviceRow {
            outcome: Outcome::Refused,
            cause: Some(Cause::At(Phase::Provision, FaultKind::Failure)),
            credentials_type: "",
            time_to_provision_ms: None,
            time_to_first_telemetry_ms: None,
            telemetry_sent: 0,
            telemetry_acked: 0,
            ..device("AA:BB:CC:00:00:02")
        };
        let rows = [device("AA:BB:CC:00:00:01"), refused];
        let (result, text) = written(|path| write_devices(path, rows, false));
        assert_eq!((result.rows, result.formula_like), (2, 0));
        assert_eq!(
            text,
            "name,cohort,transport,credentials_type,outcome,cause,attempts,time_to_provision_ms,\
             time_to_first_telemetry_ms,telemetry_sent,telemetry_acked\n\
             AA:BB:CC:00:00:01,meters,mqtt,ACCESS_TOKEN,provisioned,,1,12.346,1020.000,12,11\n\
             AA:BB:CC:00:00:02,meters,mqtt,,refused,provision.failure,1,,,0,0\n"
        );
    }

    #[test]
    fn devices_of_a_search_have_their_trial_in_a_last_column() {
        let tried = DeviceRow {
            trial: Some(3),
            ..device("a")
        };
        let (_, text) = written(|path| write_devices(path, [tried, device("b")], true));
        let ends: Vec<_> = text.lines().map(|row| row.rsplit(',').next()).collect();
        assert_eq!(ends, [Some("trial"), Some("3"), Some("")]);
    }

    #[test]
    fn each_transport_has_its_word_in_the_third_column() {
        let over = |transport| DeviceRow {
            transport,
            ..device("a")
        };
        let rows = TransportKind::ALL.map(over);
        let (_, text) = written(|path| write_devices(path, rows, false));
        let third = text.lines().skip(1).map(|row| row.split(',').nth(2));
        let third: Vec<&str> = third.map(|word| word.expect("eleven columns")).collect();
        assert_eq!(third.join(" "), "mqtt mqtts http https coap coaps");
    }

    #[test]
    fn a_table_without_rows_has_its_header() {
        let (result, text) = written(|path| write_devices(path, [], false));
        assert_eq!(result.rows, 0);
        assert!(text.starts_with("name,cohort,") && text.lines().count() == 1);
    }

    #[test]
    fn hostile_names_are_read_back_exactly_and_counted() {
        let names = [
            "=HYPERLINK(\"http://evil\")",
            "+1",
            "-1",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "a,b\"c\r\nd",
            " spaced ",
            "",
            "東",
        ];
        let (result, text) = written(|path| write_devices(path, names.map(device), false));
        assert_eq!((result.rows, result.formula_like), (10, 6));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let read: Vec<String> = reader
            .records()
            .map(|r| r.expect("legal CSV")[0].to_owned())
            .collect();
        assert_eq!(read, names);
    }
}
