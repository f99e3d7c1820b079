//! `report.html` in a browser that is not told what to expect.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{altered, drawn, finished, path, scenario};
use crate::support::documents::{assert_calm, told_by};
use crate::support::{Ran, Run};

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

/// A run of a million devices that went on for a day, as large as its files get: all the intervals that a
/// time line has, everything in each, names as long as lists may have them.
fn of_a_million(ran: &Ran) -> (TempDir, PathBuf) {
    const TIMES: u64 = 1_000;
    let (dir, file) = altered(ran, |summary| {
        let scaled = |counts: &mut Value| {
            for count in counts.as_object_mut().unwrap().values_mut() {
                if let Some(n) = count.as_u64() {
                    *count = (n * TIMES).into();
                }
            }
        };
        scaled(&mut summary["devices"]);
        scaled(&mut summary["starts"]);
        for cohort in summary["cohorts"].as_object_mut().unwrap().values_mut() {
            scaled(&mut cohort["devices"]);
        }
    });
    let table = fs::read_to_string(ran.out.join("devices.csv")).unwrap();
    let (header, rows) = table.split_once('\n').unwrap();
    let mut devices = BufWriter::new(File::create(dir.path().join("devices.csv")).unwrap());
    writeln!(devices, "{header}").unwrap();
    for n in 0..TIMES {
        for row in rows.lines() {
            writeln!(devices, "\"{n:0>40}\"{}", &row[row.find(',').unwrap()..]).unwrap();
        }
    }
    devices.flush().unwrap();
    fs::write(dir.path().join("timeline.jsonl"), of_a_day(ran)).unwrap();
    (dir, file)
}

/// The run's time line over a day: 600 intervals of 144 s, each as full as the fullest one.
fn of_a_day(ran: &Ran) -> String {
    let text = fs::read_to_string(ran.out.join("timeline.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let intervals = lines.iter().filter(|line| line["line"] == "interval");
    let fullest = intervals.max_by_key(|line| line.to_string().len()).unwrap();
    let mut day = vec![lines[0].clone()];
    day.extend((0..600u32).map(|n| {
        let mut interval = fullest.clone();
        interval["from_s"] = (n * 144).into();
        interval["to_s"] = ((n + 1) * 144).into();
        // No two alike, so that nothing is left out of a chart.
        interval["live"]["live"] = (n * 1_661 % 1_000_003).into();
        interval
    }));
    day.extend((0..1_000u32).map(|n| {
        json!({"line": "mark", "at_s": n * 86, "kind": "power_loss", "text": "power loss ".repeat(20)})
    }));
    let mut end = lines.last().unwrap().clone();
    assert_eq!(end["line"], "end");
    end["elapsed_s"] = 86_400.into();
    day.push(end);
    let day: Vec<String> = day.iter().map(Value::to_string).collect();
    day.join("\n") + "\n"
}

#[test]
fn the_page_of_a_million_devices_and_a_day_is_below_5_mb_and_opens() {
    let ran = finished(&scenario(1, ""));
    let (dir, _) = of_a_million(&ran);
    let file = dir.path().join("report.html");
    drawn(&[
        dir.path().to_str().unwrap(),
        "--format",
        "html",
        "-o",
        file.to_str().unwrap(),
    ]);
    let size = fs::metadata(&file).unwrap().len();
    println!("{size} bytes");
    assert!(size < 5_000_000, "{size}");
    let seen = told_by("browser.py", &file);
    assert_calm(&seen);
    let text = seen["light"]["text"].as_str().unwrap();
    assert!(text.contains("of 1,000,000 devices provisioned"), "{text}");
}
