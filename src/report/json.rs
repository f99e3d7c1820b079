//! `summary.json`, written and read back.

use crate::metrics::{SCHEMA_VERSION, Summary};

/// The summary as JSON for people and programs: indented, ending with a line end.
pub fn summary_json(summary: &Summary) -> String {
    let json = serde_json::to_string_pretty(summary).expect("a summary is plain words and numbers");
    json + "\n"
}

/// Reads what [`summary_json`] wrote, in this or an earlier version of the same form.
pub fn read_summary(json: &str) -> Result<Summary, ReadError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let version = serde_json::from_str::<Version>(json)
        .map_err(ReadError::NoSummary)?
        .schema_version;
    if version != SCHEMA_VERSION {
        return Err(ReadError::OtherVersion(version));
    }
    let summary: Summary = serde_json::from_str(json).map_err(ReadError::Damaged)?;
    summary.check().map_err(ReadError::Inconsistent)?;
    Ok(summary)
}

/// Why a text is no summary.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, or without a version.
    #[error("not a summary of fleetcall ({0}); help: give the summary.json of a run's directory")]
    NoSummary(#[source] serde_json::Error),
    /// Of another form.
    #[error(
        "a summary of form {0}, this version reads form {SCHEMA_VERSION}; help: use the version \
         that wrote it (`fleetcall_version` in the file)"
    )]
    OtherVersion(u32),
    /// Of this form, but with a key missing or of the wrong kind.
    #[error("a damaged summary ({0}); help: take the file as the run wrote it")]
    Damaged(#[source] serde_json::Error),
    /// Its own sums do not agree.
    #[error("a damaged summary ({0}); help: take the file as the run wrote it")]
    Inconsistent(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    #[test]
    fn a_summary_is_read_as_it_was_written() {
        let summary = fixture::summary();
        let json = summary_json(&summary);
        assert!(json.ends_with("}\n"));
        assert_eq!(read_summary(&json).expect("own form"), summary);
    }

    #[test]
    fn keys_added_by_a_later_version_do_not_disturb() {
        let json = summary_json(&fixture::summary());
        let json = json.replacen('{', "{\n  \"added_later\": [1],", 1);
        assert_eq!(read_summary(&json).expect("same form"), fixture::summary());
    }

    #[test]
    fn what_is_no_summary_is_refused_with_a_way_out() {
        let json = summary_json(&fixture::summary());
        for (text, says) in [
            ("name\nAA:BB", "not a summary of fleetcall"),
            ("{}", "not a summary of fleetcall"),
            (
                &json.replace("\"schema_version\": 1", "\"schema_version\": 2"),
                "form 2",
            ),
            (&json.replace("\"seed\": 42", "\"seed\": \"x\""), "damaged"),
            (&json[..json.len() / 2], "not a summary"),
        ] {
            let error = read_summary(text).expect_err(says).to_string();
            assert!(error.contains(says) && error.contains("help: "), "{error}");
        }
    }
}
