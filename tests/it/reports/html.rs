//! `report.html` in a browser that is not told what to expect.

use std::fs;

use serde_json::Value;

use super::{drawn, finished, path, scenario};
use crate::support::Run;
use crate::support::documents::told_by;

/// What holds for every report: it draws, loads nothing and says nothing on the console.
fn assert_calm(seen: &Value) {
    assert_eq!(seen["faults"], Value::Array(Vec::new()));
    for view in ["light", "dark", "narrow", "plain"] {
        let seen = &seen[view];
        assert_eq!(seen["said"], Value::Array(Vec::new()), "{view}");
        assert_eq!(seen["asked"], Value::Array(Vec::new()), "{view}");
        assert_eq!(seen["wide"], false, "{view}");
        let charts = seen["charts"].as_u64().unwrap();
        assert!(charts > 4, "{view}: {charts}");
        let (canvases, pictures) = if view == "plain" {
            (0, charts)
        } else {
            (charts, 0)
        };
        assert_eq!(seen["canvases"], canvases, "{view}");
        assert_eq!(seen["pictures"], pictures, "{view}");
        if view != "plain" {
            assert_ne!(seen["toggled"], seen["background"], "{view}");
            assert_eq!(seen["redrawn"], charts, "{view}");
        }
    }
    assert_eq!(seen["light"]["toggled"], seen["dark"]["background"]);
}

#[test]
fn a_browser_shows_the_figures_of_the_summary_and_loads_nothing() {
    let ran = finished(&scenario(1, ""));
    let seen = told_by("browser.py", &ran.out.join("report.html"));
    assert_calm(&seen);
    for view in ["light", "plain"] {
        for outcome in ["provisioned", "refused", "failed", "unknown", "unfinished"] {
            let count = ran.number(&format!("devices.{outcome}"));
            assert_eq!(
                seen[view]["rows"][outcome],
                count.to_string(),
                "{view} {outcome}"
            );
        }
        let text = seen[view]["text"].as_str().unwrap();
        for part in [
            "name taken, not listed, or provisioned before",
            "meters",
            "valves",
        ] {
            assert!(text.contains(part), "{view}: {part}");
        }
    }
}

#[test]
fn hostile_names_are_text_and_nothing_else() {
    let names = [
        "<script>window.hit=1</script>",
        "</script><script>window.hit=2</script>",
        "<!-- <script>",
        "\" onmouseover=\"window.hit=3",
        "'><img src=x onerror=window.hit=4>",
        "line\u{2028}and\u{2029}end",
        "{{ 7 * 7 }}{% for %}",
        "&lt;b&gt;&amp;",
    ];
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("names.csv");
    let cells = names.map(|name| format!("\"{}\"\n", name.replace('"', "\"\"")));
    fs::write(&list, format!("name\n{}", cells.concat())).unwrap();
    let scenario = format!(
        r#"
        name = "hostile"
        [target]
        embedded = true
        [devices]
        list = {list:?}
        [[cohort]]
        name = "</title><script>window.hit=5</script>"
        [[cohort]]
        name = "]]><!-- &"
        [arrival]
        stages = [{{ duration = "1s", rate = 8 }}]
        [telemetry]
        interval = "500ms"
        "#
    );
    let ran = Run::of(&scenario).finish();
    // The server refuses those that look like elements: they are named among the errors.
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let seen = told_by("browser.py", &ran.out.join("report.html"));
    assert_calm(&seen);
    for view in ["light", "plain"] {
        assert_eq!(seen[view]["hit"], Value::Null, "{view}");
        let shown = seen[view]["names"].as_array().unwrap();
        for name in names {
            let name = name.replace(['\u{2028}', '\u{2029}'], "\u{fffd}");
            assert!(
                shown.iter().any(|n| *n == name),
                "{view}: {name} of {shown:?}"
            );
        }
    }
}

#[test]
fn a_merged_report_has_a_row_for_each_run() {
    let (one, two) = (finished(&scenario(1, "")), finished(&scenario(1, "")));
    let file = one.out.join("both.html");
    drawn(&[
        path(&one),
        path(&two),
        "--format",
        "html",
        "-o",
        file.to_str().unwrap(),
    ]);
    let seen = told_by("browser.py", &file);
    assert_calm(&seen);
    let sum = one.number("devices.provisioned") + two.number("devices.provisioned");
    let text = seen["light"]["text"].as_str().unwrap();
    assert!(text.contains("Everything above is their sum"), "{text}");
    let rows = &seen["light"]["rows"]["provisioned"];
    assert_eq!(rows.as_str().unwrap().replace(',', ""), sum.to_string());
}
