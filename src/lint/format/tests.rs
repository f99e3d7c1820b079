use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::lint::check;
use crate::lint::fix::tests as fixed;

const PLAIN: Look = Look {
    color: false,
    width: 80,
    places: 2,
};

/// A list with a bit of everything that concerns files and rows.
const LOT_17: &str = "\u{feff}name;type; LABEL ;note\r\n\
    00:1B:C5:00:00:01;meter;a;1\r\n\r\n\
    00:1B:C5:00:00:02,meter,b,2\r\n\
    00:1B:C5:00:00:03;meter;\"two\r\nlines\";3\r\n\
    ;;;\r\n\
    00:1B:C5:00:00:04;meter\r\n\
    00:1B:C5:00:00:05;meter;d;5;6;7\r\n\
    00:1B:C5:00:00:06;meter;e;6;7;8\r\n\
    00:1B:C5:00:00:07;me\"ter;f;7\r\n";

const LOT_18: &str = "name\n00:1B:C5:00:01:01\n00:1B:C5:00:01:02;<b>&\"]]>\u{1b}[31m\n";

/// Lists as checked, called as if they lay in the working directory.
fn checked(lists: &[&str], options: &Options) -> Checked {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (17..)
        .zip(lists)
        .map(|(n, text)| {
            let path = dir.path().join(format!("lot-{n}.csv"));
            fs::write(&path, text).unwrap();
            path
        })
        .collect();
    let mut checked = check(&paths, options).unwrap();
    for list in &mut checked.lists {
        list.path = list.path.file_name().unwrap().into();
    }
    checked
}

fn lots() -> (Checked, Options) {
    let options = Options::default();
    (checked(&[LOT_17, LOT_18], &options), options)
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn people_read_it_at_80_columns() {
    let (checked, options) = lots();
    let told = written(|out| {
        text(&checked, &options, PLAIN, out)?;
        ways_on(&checked, PLAIN, out)
    });
    let wide: Vec<&str> = told.lines().filter(|l| l.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    insta::assert_snapshot!(told);
}

#[test]
fn colours_only_add_to_the_words() {
    let (checked, options) = lots();
    let plain = written(|out| text(&checked, &options, PLAIN, out));
    let colours = Look {
        color: true,
        ..PLAIN
    };
    let coloured = written(|out| text(&checked, &options, colours, out));
    assert!(
        coloured.starts_with("\x1b[1;38;5;208m2 lists"),
        "{coloured}"
    );
    let mut stripped = coloured.clone();
    for code in ["1;38;5;33", "1;38;5;208", "0", "1", "2"] {
        stripped = stripped.replace(&format!("\x1b[{code}m"), "");
    }
    assert_eq!(stripped, plain);
    let good = "name\n00:1B:C5:00:00:01\n";
    let good = self::checked(&[good], &options);
    let good = written(|out| text(&good, &options, PLAIN, out));
    assert_eq!(good, "1 list, 1 device: nothing found\n");
}

#[test]
fn programs_read_it_as_json() {
    let (checked, options) = lots();
    insta::assert_snapshot!(written(|out| json(&checked, &options, out)));
}

#[test]
fn code_scanning_reads_it() {
    let (checked, options) = lots();
    let text = written(|out| sarif(&checked, &options, out));
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let run = &mut document["runs"][0];
    let all = run["tool"]["driver"]["rules"].take();
    let mut broken: Vec<&Value> = Vec::new();
    for result in run["results"].as_array_mut().unwrap() {
        let position = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        let rule = &all[position];
        assert_eq!(rule["id"], result["ruleId"]);
        // The catalogue grows; what was found stays.
        result["ruleIndex"] = "…".into();
        if !broken.contains(&rule) {
            broken.push(rule);
        }
    }
    run["tool"]["driver"]["rules"] = broken.into_iter().cloned().collect();
    run["tool"]["driver"]["version"] = "…".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn a_finding_keeps_its_fingerprint_where_rows_move() {
    let options = Options::default();
    let prints = |list: &str| -> Vec<String> {
        let text = written(|out| sarif(&checked(&[list], &options), &options, out));
        let document: Value = serde_json::from_str(&text).unwrap();
        let results = document["runs"][0]["results"].as_array().unwrap();
        let print = |r: &Value| r["partialFingerprints"]["fleetcall/v1"].to_string();
        results.iter().map(print).collect()
    };
    let before = prints("name,note\n00:1B:C5:00:00:01\n00:1B:C5:00:00:02,x\n00:1B:C5:00:00:03\n");
    let after = prints("name,note\n00:1B:C5:00:00:02,x\n00:1B:C5:00:00:01\n00:1B:C5:00:00:03\n");
    assert_eq!(before.len(), 2);
    assert_ne!(before[0], before[1]);
    assert_eq!(before, after);
}

#[test]
fn ci_reads_it_as_junit() {
    let (checked, options) = lots();
    let text = written(|out| junit(&checked, &options, out));
    let cases = counting(&options).count();
    assert_eq!(text.matches("<testcase ").count(), 2 * cases);
    // The catalogue grows; what was found stays.
    let all = text
        .replace(&format!("tests=\"{}\"", 2 * cases), "tests=\"…\"")
        .replace(&format!("tests=\"{cases}\""), "tests=\"…\"");
    let passed = |line: &&str| line.contains("<testcase ") && line.ends_with("/>");
    let rest: Vec<&str> = all.lines().filter(|line| !passed(line)).collect();
    insta::assert_snapshot!(rest.join("\n"));
}

#[test]
fn a_case_fails_where_the_command_does() {
    for (fail_on, failures) in [
        (Some(Severity::Error), 1),
        (Some(Severity::Warning), 2),
        (None, 0),
    ] {
        let options = Options {
            fail_on,
            ..Options::default()
        };
        let checked = checked(
            &["name,type\n00:1B:C5:00:00:01\n00:1B:C5:00:00:02,a"],
            &options,
        );
        let text = written(|out| junit(&checked, &options, out));
        assert_eq!(text.matches("<failure ").count(), failures, "{text}");
        assert_eq!(text.matches("<system-out>").count(), 2 - failures, "{text}");
        assert_eq!(checked.fails(&options), failures > 0);
    }
}

#[test]
fn counts_are_exact_where_places_are_not_kept() {
    let options = Options {
        kept: 3,
        ..Options::default()
    };
    let list = format!("name,type\n{}", "00:1B:C5:00:00:01\n".repeat(1234));
    let checked = checked(&[&list], &options);
    let told = written(|out| text(&checked, &options, PLAIN, out));
    assert!(
        told.contains("1,234 errors") && told.contains("and 1,232 more"),
        "{told}"
    );
    let told = written(|out| junit(&checked, &options, out));
    assert!(told.contains("and 1,231 more"), "{told}");
    let told: Value = serde_json::from_str(&written(|out| json(&checked, &options, out))).unwrap();
    assert_eq!(told["summary"]["error"], 1234);
    assert_eq!(told["findings"].as_array().unwrap().len(), 3);
}

#[test]
fn what_acts_on_a_terminal_or_on_a_viewer_is_only_text() {
    let cell = "a;\u{9b}31m\u{202e}\u{e0041}{0}[x](http://y)\u{1b}[2J";
    let options = Options::default();
    let mut checked = checked(&[&format!("name\n{cell}\n")], &options);
    checked.lists[0].path = "\u{1b}]0;x\u{7}[x](y)\u{85}.csv".into();
    checked.findings.retain(|f| f.rule == Rule::DelimiterInName);
    assert_eq!(checked.findings.len(), 1);
    // A rule may quote less carefully than `shown` does.
    checked.findings[0].message = format!("quoted as {cell}");
    let acts = |text: &str| {
        let line = text.replace(['\n', ' '], "");
        crate::model::printable(&line) != line
    };
    for format in [text_at_80, json, sarif, junit] {
        let told = written(|out| format(&checked, &options, out));
        assert!(!acts(&told), "{told:?}");
    }
    let told: Value = serde_json::from_str(&written(|out| json(&checked, &options, out))).unwrap();
    assert_eq!(told["findings"][0]["message"], format!("quoted as {cell}"));
    assert_eq!(
        told["findings"][0]["file"],
        "\u{1b}]0;x\u{7}[x](y)\u{85}.csv"
    );
    let told: Value = serde_json::from_str(&written(|out| sarif(&checked, &options, out))).unwrap();
    let message = told["runs"][0]["results"][0]["message"]["text"]
        .as_str()
        .unwrap();
    assert!(message.contains("{{0}}\\[x\\](http://y)"), "{message}");
}

fn text_at_80(
    checked: &Checked,
    options: &Options,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    text(checked, options, PLAIN, out)
}

proptest! {
    #[test]
    fn any_bytes_are_told_in_every_format(bytes in fixed::lists()) {
        let (_dir, path) = fixed::list(&bytes);
        let options = Options::default();
        let checked = check(&[path], &options).unwrap();
        let told = written(|out| text_at_80(&checked, &options, out));
        prop_assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
        for format in [json, sarif] {
            let told = written(|out| format(&checked, &options, out));
            prop_assert!(serde_json::from_str::<Value>(&told).is_ok(), "{told}");
        }
        let told = written(|out| junit(&checked, &options, out));
        prop_assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
        for (severity, key) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
            let kept = checked.findings.iter().filter(|f| f.severity == severity).count();
            let told = written(|out| json(&checked, &options, out));
            let told: Value = serde_json::from_str(&told).unwrap();
            prop_assert_eq!(told["summary"][key].as_u64(), Some(kept as u64));
        }
    }
}
