//! `--format sarif`: SARIF 2.1.0 (OASIS), for code scanning and editors.
//!
//! SARIF knows no damage: it is an `error` here, since both mean that the list must not be sent;
//! `properties.severity` has the difference.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::json::rules as per_rule;
use super::{Totals, counting, harmless};
use crate::lint::check::Checked;
use crate::lint::finding::{Finding, Severity};
use crate::lint::options::Options;
use crate::lint::rule::Rule;

/// Writes the findings as SARIF.
pub fn sarif(checked: &Checked, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let uris: Vec<String> = checked.lists.iter().map(|list| uri(&list.path)).collect();
    let positions: HashMap<Rule, usize> =
        counting(options).map(|(rule, _)| rule).zip(0..).collect();
    let artifacts: Vec<Value> = uris
        .iter()
        .zip(&checked.lists)
        .map(|(uri, list)| {
            json!({
                "location": { "uri": uri },
                "roles": ["analysisTarget"],
                "properties": { "rows": list.rows },
            })
        })
        .collect();
    let rules: Vec<Value> = counting(options)
        .map(|(rule, severity)| descriptor(rule, severity))
        .collect();
    let driver = json!({
        "name": "fleetcall",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    let totals = Totals::of(checked, options);
    let properties = json!({
        "rows": checked.rows(),
        "error": totals.error,
        "damage": totals.damage,
        "warning": totals.warning,
        "keptPerRuleAndFile": options.kept,
        "ruleSet": options.rules.as_str(),
        "rules": per_rule(checked, options),
    });
    writeln!(out, "{{\"version\":\"2.1.0\",\"$schema\":\"{SCHEMA}\",")?;
    out.write_all(b"\"runs\":[{\"columnKind\":\"unicodeCodePoints\",\n\"tool\":")?;
    harmless::write(out, &json!({ "driver": driver }))?;
    out.write_all(b",\n\"artifacts\":")?;
    harmless::write(out, &artifacts)?;
    out.write_all(b",\n\"properties\":")?;
    harmless::write(out, &properties)?;
    out.write_all(b",\n")?;
    out.write_all(b"\"results\":[")?;
    let mut gap = "\n";
    let mut seen = HashMap::new();
    for finding in &checked.findings {
        let uri = &uris[finding.list];
        let fingerprint = fingerprint(finding, uri, &mut seen);
        let result = result(finding, uri, positions[&finding.rule], &fingerprint);
        out.write_all(gap.as_bytes())?;
        harmless::write(out, &result)?;
        gap = ",\n";
    }
    out.write_all(b"\n]}]}\n")
}

fn descriptor(rule: Rule, severity: Severity) -> Value {
    json!({
        "id": rule.id(),
        "shortDescription": { "text": rule.title() },
        "fullDescription": { "text": rule.effect() },
        "help": { "text": rule.fix() },
        "defaultConfiguration": { "level": level(severity) },
        "properties": {
            "severity": severity.as_str(),
            "repair": rule.repair().as_str(),
            "number": rule.number(),
        },
    })
}

fn result(finding: &Finding, uri: &str, position: usize, fingerprint: &str) -> Value {
    let (rule, place) = (finding.rule, finding.place);
    json!({
        "ruleId": rule.id(),
        "ruleIndex": position,
        "level": level(finding.severity),
        "message": { "text": plain(&format!("{}: {}", rule.title(), finding.message)) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri, "index": finding.list },
                "region": { "startLine": place.line.max(1), "startColumn": place.column.max(1) },
            },
        }],
        "partialFingerprints": { "fleetcall/v1": fingerprint },
        "properties": {
            "severity": finding.severity.as_str(),
            "record": place.record,
            "serverLine": place.server_line(),
        },
    })
}

/// A text as a plain text message has it: without placeholders (SARIF 2.1.0 section 3.11.5) and
/// without links (3.11.6), whatever a cell holds.
fn plain(text: &str) -> String {
    let text = text.replace('{', "{{").replace('}', "}}");
    if text.contains("](") {
        text.replace('[', "\\[").replace(']', "\\]")
    } else {
        text
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error | Severity::Damage => "error",
        Severity::Warning => "warning",
    }
}

/// Tells a finding from others without its line, which changes when rows above it do. Findings
/// alike in all else are numbered.
fn fingerprint(finding: &Finding, uri: &str, seen: &mut HashMap<[u8; 16], u64>) -> String {
    let rule = finding.rule.id();
    let text = format!("{rule}\0{uri}\0{}", finding.message);
    let digest = digest(&SHA256, text.as_bytes());
    let digest: [u8; 16] = digest.as_ref()[..16].try_into().expect("it has 32 bytes");
    let nth = seen.entry(digest).or_default();
    *nth += 1;
    format!("{:032x}:{nth}", u128::from_be_bytes(digest))
}

/// A path as a reference of RFC 3986: relative to where the check ran, or a `file:` URI.
fn uri(path: &Path) -> String {
    let encoded = percent_encode(path.as_os_str().as_bytes(), OUTSIDE);
    if path.is_absolute() {
        format!("file://{encoded}")
    } else {
        encoded.to_string()
    }
}

/// All but the unreserved characters and the slash; a colon would make a scheme of what is before
/// it.
const OUTSIDE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
