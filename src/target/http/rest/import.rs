//! The bulk import with its traps: an existing device is overwritten whatever `update` says, one
//! cell too many fails everything, rows are counted and not lines, and their order is nobody's.

use serde::Deserialize;
use serde_json::json;

use super::call::{Answer, Call, Refusal};
use super::row::{Done, Field, Row};

#[derive(Deserialize)]
struct Import {
    file: Option<String>,
    mapping: Option<Mapping>,
}

#[derive(Deserialize)]
struct Mapping {
    columns: Option<Vec<Column>>,
    delimiter: Option<char>,
    header: Option<bool>,
    update: Option<bool>,
}

#[derive(Deserialize)]
struct Column {
    #[serde(rename = "type")]
    kind: String,
    key: Option<String>,
}

/// `POST /api/device/bulk_import`.
pub(super) async fn answer(call: &Call<'_>) -> Answer {
    let import: Import = call.json()?;
    let missing = || Refusal::broken("Cannot read a member that is null");
    let mapping = import.mapping.ok_or_else(missing)?;
    let (file, columns) = (
        import.file.ok_or_else(missing)?,
        mapping.columns.ok_or_else(missing)?,
    );
    let delimiter = mapping.delimiter.ok_or_else(missing)?;
    let (header, update) = (
        mapping.header.ok_or_else(missing)?,
        mapping.update.ok_or_else(missing)?,
    );
    if columns
        .iter()
        .any(|column| !COLUMNS.contains(&column.kind.as_str()))
    {
        return Err(Refusal::bad("Malformed JSON request"));
    }
    let records = records(&file, delimiter, header)?;
    if let Some(long) = records.iter().find(|record| record.len() > columns.len()) {
        let (index, length) = (columns.len(), long.len());
        return Err(Refusal::broken(format!(
            "Index {index} out of bounds for length {index} ({length} values)"
        )));
    }
    let (mut created, mut updated, mut errors) = (0, 0, Vec::new());
    // As two threads would have it: every second row first.
    let order = (0..records.len())
        .step_by(2)
        .chain((1..records.len()).step_by(2));
    for (done, n) in order.enumerate() {
        if done % ROWS_AT_A_TIME == 0 {
            tokio::task::yield_now().await;
        }
        let fields = columns.iter().zip(records[n].iter());
        let row = Row(fields
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(column, cell)| Field {
                column: &column.kind,
                key: column.key.as_deref().unwrap_or_default(),
                cell,
            })
            .collect());
        match row.import(call.backend, update) {
            Ok(Done::Created) => created += 1,
            Ok(Done::Updated) => updated += 1,
            Err(fault) => errors.push(fault.line(n + 1 + usize::from(header))),
        }
    }
    Ok(json!({
        "created": created,
        "updated": updated,
        "errors": errors.len(),
        "errorsList": errors,
    }))
}

/// The rows with a value, without the header.
fn records(file: &str, delimiter: char, header: bool) -> Result<Vec<csv::StringRecord>, Refusal> {
    let delimiter =
        u8::try_from(delimiter).map_err(|_| Refusal::broken("The delimiter cannot be used"))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(header)
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(file.as_bytes());
    let records = reader.records().collect::<Result<Vec<_>, _>>();
    records.map_err(|_| Refusal::broken("The file cannot be parsed"))
}

/// Rows between which others get their turn.
const ROWS_AT_A_TIME: usize = 256;

/// Column types (section 8.5).
const COLUMNS: [&str; 30] = [
    "NAME",
    "TYPE",
    "LABEL",
    "SHARED_ATTRIBUTE",
    "SERVER_ATTRIBUTE",
    "TIMESERIES",
    "ACCESS_TOKEN",
    "X509",
    "MQTT_CLIENT_ID",
    "MQTT_USER_NAME",
    "MQTT_PASSWORD",
    "LWM2M_CLIENT_ENDPOINT",
    "LWM2M_CLIENT_SECURITY_CONFIG_MODE",
    "LWM2M_CLIENT_IDENTITY",
    "LWM2M_CLIENT_KEY",
    "LWM2M_CLIENT_CERT",
    "LWM2M_BOOTSTRAP_SERVER_SECURITY_MODE",
    "LWM2M_BOOTSTRAP_SERVER_PUBLIC_KEY_OR_ID",
    "LWM2M_BOOTSTRAP_SERVER_SECRET_KEY",
    "LWM2M_SERVER_SECURITY_MODE",
    "LWM2M_SERVER_CLIENT_PUBLIC_KEY_OR_ID",
    "LWM2M_SERVER_CLIENT_SECRET_KEY",
    "SNMP_HOST",
    "SNMP_PORT",
    "SNMP_VERSION",
    "SNMP_COMMUNITY_STRING",
    "IS_GATEWAY",
    "DESCRIPTION",
    "ROUTING_KEY",
    "SECRET",
];
