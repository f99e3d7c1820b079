//! A scenario as it was run, fit to be kept beside the results: overrides and seed put in, secrets
//! masked, and without comments, which could hold one.
//!
//! Only values of keys that hold no secret are written; references such as `${env:NAME}` stay as
//! they are. The order of keys stays, since payloads are sent in it.

use std::path::Path;

use super::mask::{is_reference, names_secret};
use super::tree::{Kind, Table, Value};

/// The scenario as TOML, but for its seed: that is drawn where there is none. `devices` is the list
/// that the command line names.
pub(super) fn shown(table: &Table, devices: Option<&Path>) -> String {
    let (sections, plain): (Vec<_>, Vec<_>) = table
        .entries
        .iter()
        .filter(|(key, _)| key.name != "seed")
        .partition(|(_, value)| opens_section(value));
    let plain = plain.into_iter();
    let mut lines: Vec<String> = plain
        .map(|(key, value)| line("", &key.name, value))
        .collect();
    for (key, value) in sections {
        let name = self::key(&key.name);
        match &value.kind {
            Kind::Table(table) => {
                lines.extend([String::new(), format!("[{name}]")]);
                let list = devices.filter(|_| key.name == "devices");
                lines.extend(list.map(|list| format!("list = {}", text(&list.to_string_lossy()))));
                let replaced = |name: &str| list.is_some() && ["list", "generate"].contains(&name);
                lines.extend(inside(&key.name, table, replaced));
            }
            Kind::Array(values) => {
                for value in values {
                    lines.extend([String::new(), format!("[[{name}]]")]);
                    if let Kind::Table(table) = &value.kind {
                        lines.extend(inside(&key.name, table, |_| false));
                    }
                }
            }
            _ => unreachable!("nothing else opens a section"),
        }
    }
    lines.join("\n") + "\n"
}

/// The lines of a section, but for some of its keys.
fn inside(section: &str, table: &Table, without: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = table.entries.iter();
    let entries = entries.filter(|(key, _)| !without(&key.name));
    entries
        .map(|(key, value)| line(section, &key.name, value))
        .collect()
}

/// A table, or an array of tables alone, at the top.
fn opens_section(value: &Value) -> bool {
    match &value.kind {
        Kind::Table(_) => true,
        Kind::Array(values) => {
            let table = |value: &Value| matches!(value.kind, Kind::Table(_));
            !values.is_empty() && values.iter().all(table)
        }
        _ => false,
    }
}

/// An entry; its value is hidden when its own name, or its section's, is that of a secret.
fn line(section: &str, name: &str, value: &Value) -> String {
    // What follows a metric is a condition, whatever the cohort in its name is called.
    let hide = section != "thresholds" && (names_secret(section) || names_secret(name));
    format!("{} = {}", key(name), inline(value, hide))
}

fn inline(value: &Value, hide: bool) -> String {
    match &value.kind {
        Kind::Table(table) => {
            let entry = |(key, value): &(super::tree::Key, Value)| {
                let hide = hide || names_secret(&key.name);
                format!("{} = {}", self::key(&key.name), inline(value, hide))
            };
            let entries: Vec<String> = table.entries.iter().map(entry).collect();
            if entries.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {} }}", entries.join(", "))
            }
        }
        Kind::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| inline(value, hide)).collect();
            format!("[{}]", values.join(", "))
        }
        Kind::Text(raw) if !hide || is_reference(raw) => text(raw),
        _ if hide => text("***"),
        Kind::Text(_) | Kind::Faulty => text(""),
        Kind::Integer(n) => n.to_string(),
        Kind::Float(n) => toml::Value::Float(*n).to_string(),
        Kind::Boolean(b) => b.to_string(),
        Kind::Datetime(text) => text.clone(),
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        text(name)
    }
}

/// A basic string on one line.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(["\\u", &format!("{:04X}", u32::from(c))]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::parse;
    use super::*;

    fn of(source: &str) -> String {
        shown(&parse(source, 0).unwrap(), None)
    }

    #[test]
    fn a_scenario_is_shown_without_comments_and_secrets_and_in_its_order() {
        let source = r#"
            # the old key was s3cret-value
            name = "line" # s3cret-value
            seed = 7
            target.mqtt = "${env:TB_HOST}:1883"
            [profile]
            provision_key = "s3cret-value"
            provision_secret = "${env:TB_SECRET}"
            [[cohort]]
            name = "a \"b\"\n"
            token = "{{ row.token }}"
            [[cohort]]
            password = 's3cret-value'
            certificate = { key_file = "s3cret-value.pem", days = 3 }
            [telemetry]
            payload = { z = { b = 1, a = 2.0 }, a = [1, "x"], token = "s3cret-value", "é" = true }
            [thresholds]
            "cohort.keys.provision.p99" = "< 1s"
            "#;
        let told = of(source);
        assert!(!told.contains("s3cret"), "{told}");
        assert_eq!(
            told,
            "name = \"line\"\n\
             \n[target]\nmqtt = \"${env:TB_HOST}:1883\"\n\
             \n[profile]\nprovision_key = \"***\"\nprovision_secret = \"${env:TB_SECRET}\"\n\
             \n[[cohort]]\nname = \"a \\\"b\\\"\\n\"\ntoken = \"{{ row.token }}\"\n\
             \n[[cohort]]\npassword = \"***\"\n\
             certificate = { key_file = \"***\", days = 3 }\n\
             \n[telemetry]\n\
             payload = { z = { b = 1, a = 2.0 }, a = [1, \"x\"], token = \"***\", \"é\" = true }\n\
             \n[thresholds]\n\"cohort.keys.provision.p99\" = \"< 1s\"\n"
        );
    }

    #[test]
    fn what_is_shown_is_read_again_as_the_same() {
        for source in [
            super::super::starting_scenario(),
            include_str!("../../scenarios/every-way-in.toml"),
            include_str!("../../scenarios/telemetry.toml"),
            include_str!("../../scenarios/negative.toml"),
        ] {
            let once = of(source);
            assert_eq!(of(&once), once);
        }
    }

    #[test]
    fn the_list_of_the_command_line_takes_the_place_of_the_scenarios() {
        let table = parse(
            "[devices]\ngenerate = { count = 5 }\nname_column = \"n\"\n",
            0,
        )
        .unwrap();
        assert_eq!(
            shown(&table, Some(Path::new("lot \"17\".csv"))),
            "\n[devices]\nlist = \"lot \\\"17\\\".csv\"\nname_column = \"n\"\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_survives(raw in ".{0,30}", name in ".{1,8}") {
            let source = format!("x = {{ {} = {} }}", text(&name), text(&raw));
            let table = parse(&source, 0).unwrap();
            let Kind::Table(inner) = &table.get("x").unwrap().kind else { panic!("a table") };
            prop_assert_eq!(&inner.entries[0].0.name, &name);
            prop_assert!(matches!(&inner.entries[0].1.kind, Kind::Text(read) if *read == raw));
        }
    }
}
