//! Reports held to the published schemas, with lists and names that try to break out of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use serde_json::Value;

use super::{BAD, Desk, GOOD, said};
use crate::support::documents::{all_of, validated};

const HOSTILE: [&str; 12] = [
    "<script>alert(\"1\")</script>",
    "]]>",
    "<![CDATA[x",
    "&amp;&#0;&lt;",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{9b}2J",
    "\u{202e}txet\u{2066}",
    "\u{0}\u{1}\u{8}\u{b}",
    "\u{fffe}\u{ffff}",
    "{0} {{x}} [a](http://evil)",
    "\\u001b %1b ${x}",
    "a\u{300}\u{301}🌡\u{e0041}",
];

#[test]
fn reports_are_valid_with_and_without_findings() {
    let desk = Desk::new(&[("bad.csv", BAD), ("good.csv", GOOD), ("empty.csv", "")]);
    for lists in [
        &["good.csv"][..],
        &["bad.csv", "good.csv", "empty.csv", "bad.csv"],
    ] {
        for kind in ["sarif", "junit"] {
            let options = ["--force", "--format", kind, "-o", kind];
            desk.check(&[lists, &options].concat());
            let read = validated(kind, &desk.path(kind));
            if kind == "sarif" {
                let artifacts = read["runs"][0]["artifacts"].as_array().unwrap();
                assert_eq!(artifacts.len(), lists.len());
            } else {
                let mut suites = Vec::new();
                all_of(&read, "testsuite", &mut suites);
                assert_eq!(suites.len(), lists.len());
            }
        }
    }
}

#[test]
fn cells_that_try_to_break_out_stay_text() {
    let desk = Desk::new(&[]);
    for cell in HOSTILE {
        // The rule on delimiters within names tells what it found.
        let quoted = cell.replace('"', "\"\"");
        desk.put("list.csv", format!("name\n\"x{quoted};\"\n").as_bytes());
        let shown = format!("{cell:?}");
        let shown = shown.trim_matches('"');
        let json = desk.check(&["list.csv", "--format", "json"]);
        let report: Value = serde_json::from_str(&json.out).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let finding = findings
            .iter()
            .find(|f| f["rule"] == "delimiter-in-name")
            .unwrap_or_else(|| panic!("{cell:?}: {json:?}"));
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains(shown), "{message}");
        let text = desk.check(&["list.csv"]).out;
        for told in [&json.out, &text] {
            let acts = |c: char| c != '\n' && c.is_control();
            assert!(!told.contains(acts), "{told:?}");
        }
        for kind in ["sarif", "junit"] {
            desk.check(&["list.csv", "--force", "--format", kind, "-o", kind]);
            let read = validated(kind, &desk.path(kind));
            let told = if kind == "sarif" {
                let results = read["runs"][0]["results"].as_array().unwrap();
                let found = results.iter().find(|r| r["ruleId"] == "delimiter-in-name");
                let told = found.unwrap()["message"]["text"].as_str().unwrap();
                assert!(
                    !told.contains("](") || told.contains("\\]("),
                    "a link: {told}"
                );
                let told = told.replace("{{", "{").replace("}}", "}");
                told.replace("\\[", "[").replace("\\]", "]")
            } else {
                let mut failures = Vec::new();
                all_of(&read, "failure", &mut failures);
                let texts: Vec<&str> = failures.iter().filter_map(|f| f[2].as_str()).collect();
                texts.join("\n")
            };
            assert!(told.contains(shown), "{kind} of {cell:?}: {told}");
        }
    }
}

#[test]
fn files_with_hostile_names_are_named_and_found() {
    let desk = Desk::new(&[]);
    for name in HOSTILE
        .iter()
        .map(|name| name.as_bytes())
        .chain([&b"\xff\xfe,\x80"[..]])
    {
        let mut name: Vec<u8> = name
            .iter()
            .copied()
            .filter(|b| !b"\0/".contains(b))
            .collect();
        name.extend_from_slice(b" 1.csv");
        let name = OsStr::from_bytes(&name);
        let path = desk.path("").join(name);
        fs::write(&path, BAD).unwrap();
        let run = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
            command.current_dir(desk.path("")).arg("check").args(args);
            said(command.arg("--").arg(name))
        };
        for format in ["text", "json"] {
            let told = run(&["--format", format]);
            assert_eq!(told.code, Some(2));
            assert!(
                told.out.chars().all(|c| c == '\n' || !c.is_control()),
                "{told:?}"
            );
        }
        let told: Value = serde_json::from_str(&run(&["--format", "json"]).out).unwrap();
        assert_eq!(told["findings"][0]["file"], name.to_string_lossy().as_ref());
        for kind in ["sarif", "junit"] {
            run(&["--force", "--format", kind, "-o", kind]);
            let read = validated(kind, &desk.path(kind));
            if kind == "junit" {
                let mut cases = Vec::new();
                all_of(&read, "testcase", &mut cases);
                assert!(cases.len() > 50);
                continue;
            }
            let location = &read["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
            let uri = location["artifactLocation"]["uri"].as_str().unwrap();
            let bytes: Vec<u8> = percent_encoding::percent_decode_str(uri).collect();
            assert_eq!(OsStr::from_bytes(&bytes), name, "{uri}");
            assert!(!uri.contains(':'), "{uri} would have a scheme");
        }
        fs::remove_file(path).unwrap();
    }
}
