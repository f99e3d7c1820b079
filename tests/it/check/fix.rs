//! `--fix` and `--split`: what is written, what is told, and what is never touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::Desk;

/// A list as a spreadsheet exports it: mark, semicolons, CRLF.
const EXPORT: &str = "\u{feff}name;type; LABEL ;note\r\n\
    00:1B:C5:00:00:01;meter;a;1\r\n\r\n\
    00:1B:C5:00:00:02,meter,b,2\r\n\
    00:1B:C5:00:00:03;meter;\"two\r\nlines\";3\r\n\
    ;;;\r\n\
    00:1B:C5:00:00:04;meter;d;4";

const REPAIRED: &str = "name,type,LABEL,note\n\
    00:1B:C5:00:00:01,meter,a,1\n\
    00:1B:C5:00:00:02,meter,b,2\n\
    00:1B:C5:00:00:03,meter,two lines,3\n\
    00:1B:C5:00:00:04,meter,d,4\n";

#[test]
fn a_spreadsheets_export_is_repaired_and_passes() {
    let desk = Desk::new(&[("lot.csv", EXPORT)]);
    assert_eq!(desk.check(&["lot.csv"]).code, Some(2));
    let said = desk.check(&["lot.csv", "--fix", "out.csv"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert_eq!(desk.text("out.csv"), REPAIRED);
    assert_eq!(desk.text("lot.csv"), EXPORT);
    assert_eq!(desk.files(), ["lot.csv", "out.changes.csv", "out.csv"]);
    assert_eq!(
        said.out,
        "lot.csv: 4 places repaired\n\
         \x20 delimiter        1\n\
         \x20 cell-line-break  1\n\
         \x20 blank-row        1\n\
         \x20 header-spelling  1\n\
         \x20 in the file as a whole: bom, delimiter-other, line-numbers, last-line-end\n\
         \n\
         out.csv: the list, 4 devices\n\
         out.changes.csv: 4 changes\n\
         \n\
         1 list, 4 devices: nothing found\n"
    );
    for file in ["out.csv", "out.changes.csv"] {
        let mode = fs::metadata(desk.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let changes: Vec<Vec<String>> = csv::Reader::from_path(desk.path("out.changes.csv"))
        .unwrap()
        .deserialize()
        .map(Result::unwrap)
        .collect();
    let rules: Vec<&str> = changes.iter().map(|change| change[5].as_str()).collect();
    assert_eq!(
        rules,
        [
            "header-spelling",
            "delimiter",
            "cell-line-break",
            "blank-row"
        ]
    );
    // What was repaired has nothing to repair.
    let again = desk.check(&["out.csv", "--fix", "again.csv"]);
    assert!(
        again.out.starts_with("out.csv: nothing to repair\n"),
        "{again:?}"
    );
    assert_eq!(desk.text("again.csv"), REPAIRED);
}

#[test]
fn what_somebody_must_decide_is_left_and_told() {
    let odd =
        "\u{feff}name,type\n00:1B:C5:00:00:01,meter\n00:1B:C5:00:00:02\n00:1B:C5:00:00:03,x\n";
    let desk = Desk::new(&[("lot.csv", odd)]);
    let said = desk.check(&["lot.csv", "--fix", "out.csv"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.out
            .contains("Left for somebody to decide: cells (1)\n"),
        "{said:?}"
    );
    assert!(
        said.out.contains("out.csv:3:"),
        "positions are the output's: {said:?}"
    );
    assert_eq!(desk.text("out.csv"), odd.trim_start_matches('\u{feff}'));
    let passes = desk.check(&[
        "lot.csv",
        "--fix",
        "out.csv",
        "--force",
        "--severity",
        "cells=warning",
    ]);
    assert_eq!(passes.code, Some(0), "{passes:?}");

    let json = desk.check(&["lot.csv", "--fix", "out.csv", "--force", "--format", "json"]);
    assert_eq!(json.code, Some(2));
    assert!(json.err.starts_with("lot.csv: repaired\n"), "{json:?}");
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(report["findings"][0]["file"], "out.csv");
    let to_file = desk.check(&["lot.csv", "--fix", "out.csv", "--force", "-o", "told.txt"]);
    assert_eq!((to_file.code, to_file.out.as_str()), (Some(2), ""));
    assert!(desk.text("told.txt").contains("out.changes.csv: 0 changes"));
}

#[test]
fn a_unit_that_is_there_twice_is_not_called_repaired_while_its_rows_differ() {
    let twice = "name,label\n00:1B:C5:00:00:01,a\n00-1B-C5-00-00-02,b\n00:1B:C5:00:00:02,OTHER\n";
    let desk = Desk::new(&[
        ("lot.csv", twice),
        ("same.csv", &twice.replace("OTHER", "b")),
    ]);
    let rules = |list: &str| -> Vec<String> {
        let found = desk.found(&[list, "--fix", "out.csv", "--force"]);
        found.into_iter().map(|(rule, _)| rule).collect()
    };
    assert_eq!(rules("lot.csv"), ["name-duplicate"]);
    let said = desk.check(&["lot.csv", "--fix", "out.csv", "--force"]);
    assert!(
        said.out
            .starts_with("lot.csv: 1 place repaired\n  mac-notation  1\n\n"),
        "{said:?}"
    );
    assert_eq!(rules("same.csv"), Vec::<String>::new());
    assert_eq!(
        desk.text("out.csv"),
        "name,label\n00:1B:C5:00:00:01,a\n00:1B:C5:00:00:02,b\n"
    );
}

#[test]
fn rows_that_pass_and_rows_that_do_not_go_apart() {
    let list = "\u{feff}name;type\r\n00:1B:C5:00:00:01;a\r\n00:1B:C5:00:00:02\r\n\r\n\
        00:1B:C5:00:00:03;\"b;c\"\r\n00:1B:C5:00:00:04;d\"e\r\n";
    let desk = Desk::new(&[("lot.csv", list)]);
    let said = desk.check(&["lot.csv", "--split", "lot.csv"]);
    assert_eq!((said.code, said.err.as_str()), (Some(2), ""));
    let head = "lot.csv: 2 of 4 rows rejected\nlot.clean.csv: 2 rows\nlot.rejected.csv: 2 rows\n\n";
    assert!(said.out.starts_with(head), "{said:?}");
    assert!(said.out.contains("lot.csv:3:18"), "{said:?}");
    assert_eq!(
        desk.text("lot.clean.csv"),
        "name;type\n00:1B:C5:00:00:01;a\n00:1B:C5:00:00:03;\"b;c\"\n"
    );
    assert_eq!(
        desk.text("lot.rejected.csv"),
        "name;type\n00:1B:C5:00:00:02\n00:1B:C5:00:00:04;d\"e\n"
    );
    assert_eq!(desk.text("lot.csv"), list);
    assert_eq!(desk.check(&["lot.clean.csv"]).code, Some(0));
    let clean = desk.check(&["lot.clean.csv", "--split", "none.csv"]);
    assert_eq!(clean.code, Some(0));
    assert!(
        clean.out.starts_with("lot.clean.csv: no row is rejected\n"),
        "{clean:?}"
    );
}

#[test]
fn no_file_is_overwritten_unasked_and_no_list_ever() {
    let desk = Desk::new(&[
        ("lot.csv", EXPORT),
        ("out.csv", "precious"),
        ("p.clean.csv", "precious"),
    ]);
    for args in [
        ["lot.csv", "--fix", "out.csv"],
        ["lot.csv", "--split", "p.csv"],
    ] {
        let said = desk.check(&args);
        assert_eq!(said.code, Some(2));
        assert!(said.err.contains("--force"), "{said:?}");
    }
    assert_eq!(desk.files(), ["lot.csv", "out.csv", "p.clean.csv"]);
    assert_eq!(desk.text("out.csv"), "precious");
    std::os::unix::fs::symlink("lot.csv", desk.path("link.csv")).unwrap();
    for to in ["lot.csv", "./lot.csv", "link.csv"] {
        let said = desk.check(&["lot.csv", "--force", "--fix", to]);
        assert_eq!(said.code, Some(2));
        assert!(
            said.err.contains("the output is the list itself"),
            "{said:?}"
        );
    }
    assert_eq!(desk.text("lot.csv"), EXPORT);
    let device = desk.check(&["lot.csv", "--force", "--fix", "/dev/null"]);
    assert_eq!(device.code, Some(2));
    assert!(
        device.err.contains("/dev/null: cannot be written"),
        "{device:?}"
    );
    let both = desk.check(&["lot.csv", "--fix", "new.csv", "-o", "new.csv"]);
    assert!(
        both.code == Some(2) && both.err.contains("new.csv"),
        "{both:?}"
    );
    let nowhere = desk.check(&["lot.csv", "--fix", "no/such/out.csv"]);
    assert!(
        nowhere.code == Some(2) && nowhere.err.contains("no/such/out"),
        "{nowhere:?}"
    );
}

#[test]
fn a_list_that_cannot_be_read_to_its_end_is_not_written_at_all() {
    let desk = Desk::new(&[(
        "lot.csv",
        "name,note\n00:1B:C5:00:00:01,\"open\n00:1B:C5:00:00:02,x\n",
    )]);
    let said = desk.check(&["lot.csv", "--fix", "out.csv"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(
        said.err.contains("lot.csv:2: a quote that is never closed"),
        "{said:?}"
    );
    assert_eq!(desk.files(), ["lot.csv"]);
}
