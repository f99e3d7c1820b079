//! What is true of devices after a run, whatever the run was told.

use std::collections::BTreeSet;

use super::*;
use crate::support::{Ran, Run};

/// A run over HTTP with a profile that was set up, of a list that may have been imported.
fn run(desk: &Desk, count: u32, limits: &str) -> Ran {
    desk.put("lot.csv", &list(count));
    let ran = Run::of(&format!(
        "name = \"line\"\nseed = 5\ntarget.http = {}\ndevices.list = \"{}\"\n\
        arrival.stages = [{{ duration = \"2s\", rate = 400 }}]\n{limits}\n{}\n\
        [[cohort]]\nname = \"all\"\ntransport = \"http\"\n",
        desk.ready["http"],
        desk.path("lot.csv").display(),
        desk.text("meter.toml"),
    ));
    ran.finish()
}

fn names(ran: &Ran, outcome: &str) -> BTreeSet<String> {
    let rows = ran.rows("devices.csv").into_iter();
    let of = rows.filter(|row| row["outcome"] == outcome);
    of.map(|row| row["name"].clone()).collect()
}

/// The names that `verify --format csv` has in a standing.
fn standing(table: &str, wanted: &str) -> BTreeSet<String> {
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let rows = rows.records().map(Result::unwrap);
    rows.filter(|row| &row[1] == wanted)
        .map(|row| row[0].to_owned())
        .collect()
}

const DEVICES: u32 = 400;

/// Some answers are lost after the server did its work, and some connections break before.
fn lost_answers(strategy: &str) {
    let desk = Desk::new("seed = 3\n[faults]\nlose_answer = 0.05\ndisconnect = 0.03\n");
    desk.profile("meter", strategy);
    if strategy == "check" {
        desk.put("lot.csv", &list(DEVICES));
        desk.passes(&["import", "lot.csv", "--profile", "meter"]);
    }
    let ran = run(
        &desk,
        DEVICES,
        "limits.answer_timeout = \"1s\"\nlimits.grace = \"20s\"",
    );
    let unknown = names(&ran, "unknown");
    assert!(!unknown.is_empty());
    assert_eq!(
        ran.number("devices.provisioned") + unknown.len() as u64,
        u64::from(DEVICES)
    );

    let out = ran.out.to_str().unwrap();
    let args = ["verify", out, "--profile", "meter", "--format", "csv"];
    let verified = desk.admin(&[&args[..], &["--recover", "lost.csv"]].concat());
    assert_eq!(
        verified.code,
        Some(3),
        "an answer was lost: {}",
        verified.err
    );
    let lost = standing(&verified.out, "answer_lost");
    let never = standing(&verified.out, "never_provisioned");
    assert!(!lost.is_empty() && !never.is_empty());
    assert_eq!(
        &lost | &never,
        unknown,
        "each unknown one is the one or the other"
    );
    assert_eq!(
        standing(&verified.out, "provisioned"),
        names(&ran, "provisioned")
    );
    assert_eq!(
        verified.out.lines().count(),
        DEVICES as usize + 1,
        "and nobody else is there"
    );

    // By the server's own word, and what was recovered lets each in.
    for name in &unknown {
        let there = desk.device(name);
        let state = there.is_some_and(|device| {
            let id = device["id"]["id"].as_str().unwrap();
            let path = format!("/api/plugins/telemetry/DEVICE/{id}/values/attributes/SERVER_SCOPE");
            desk.get(&path)
                .as_array()
                .unwrap()
                .iter()
                .any(|a| a["value"] == "provisioned")
        });
        assert_eq!(state, lost.contains(name), "{name}");
    }
    assert_eq!(mode(&desk.path("lost.csv")), 0o600);
    let mut recovered = csv::Reader::from_path(desk.path("lost.csv")).unwrap();
    let mut names = BTreeSet::new();
    for row in recovered.records().map(Result::unwrap) {
        names.insert(row[0].to_owned());
        let url = format!("{}/api/v1/{}/telemetry", desk.url, &row[2]);
        let mut curl = program("curl");
        succeed(curl.args(["-sSf", "-d", "{\"t\":1}", &url]));
        assert!(
            !format!("{verified:?}").contains(&row[2]),
            "a token is shown"
        );
    }
    assert_eq!(names, lost);
}

#[test]
fn lost_answers_are_told_from_requests_that_did_nothing_when_devices_are_made() {
    lost_answers("allow");
}

#[test]
fn lost_answers_are_told_from_requests_that_did_nothing_when_devices_are_checked() {
    lost_answers("check");
}

#[test]
fn every_device_of_a_good_run_is_right_and_its_telemetry_is_seen() {
    let desk = Desk::new("");
    desk.profile("meter", "allow");
    let ran = run(&desk, 30, "telemetry.interval = \"1s\"");
    let out = ran.out.to_str().unwrap();
    let said = desk.passes(&["verify", out, "--profile", "meter"]);
    assert!(said.out.contains("       30  provisioned\n"), "{said:?}");
    assert!(
        said.out
            .contains("       30  with telemetry on the server\n"),
        "{said:?}"
    );
    assert!(
        said.out.ends_with("All devices are as they should be.\n"),
        "{said:?}"
    );
    desk.passes(&["verify", "lot.csv", "--profile", "meter"]);
    let json = desk.passes(&[
        "verify",
        out,
        "--profile",
        "meter",
        "--format",
        "json",
        "-o",
        "truth.json",
    ]);
    assert!(json.out.is_empty());
    let truth: Value = serde_json::from_str(&desk.text("truth.json")).unwrap();
    assert_eq!(truth["right"], true);
    assert_eq!(truth["counts"]["provisioned"], 30);
    assert_eq!(truth["devices"].as_array().unwrap().len(), 30);
    assert!(truth["devices"][0]["last_telemetry_ms"].as_i64().unwrap() > 1_700_000_000_000);
}

#[test]
fn who_is_on_no_list_and_who_changed_is_told() {
    let desk = Desk::new("");
    desk.profile("meter", "allow");
    desk.profile("other", "check");
    let ran = run(&desk, 6, "");
    let out = ran.out.to_str().unwrap().to_owned();
    // One is gone, one belongs to another profile now, one has other credentials, one is a stranger.
    let id = desk.device("00:1B:C5:00:00:00").unwrap()["id"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    desk.put("odd.csv", "name,type,access_token\n00:1B:C5:00:00:01,other,Rf93kfEodkeEw9dkWfP1\n00:1B:C5:00:00:02,meter,Zx93kfEodkeEw9dkWfP9\nstranger,meter,Bf83mfEodkeEw9dkWfP3\n");
    desk.passes(&["import", "odd.csv", "--existing", "update"]);
    desk.ask("DELETE", &format!("/api/device/{id}"));

    let said = desk.admin(&["verify", &out, "--profile", "meter", "--format", "csv"]);
    assert_eq!(said.code, Some(3));
    for (name, wanted) in [
        ("00:1B:C5:00:00:00", "missing"),
        ("00:1B:C5:00:00:01", "other_profile"),
        ("00:1B:C5:00:00:02", "other_credentials"),
        ("stranger", "unlisted"),
    ] {
        assert_eq!(
            standing(&said.out, wanted),
            BTreeSet::from([name.to_owned()]),
            "{}",
            said.out
        );
    }
    assert_eq!(standing(&said.out, "provisioned").len(), 3);
    let text = desk.admin(&["verify", &out, "--profile", "meter"]);
    assert!(
        text.out
            .contains("of the profile on the server, and not on the list"),
        "{text:?}"
    );
    assert!(text.out.contains("stranger"), "{text:?}");
}

#[test]
fn a_list_that_was_only_imported_is_not_provisioned_yet() {
    let desk = Desk::new("");
    desk.profile("meter", "check");
    desk.put(
        "lot.csv",
        "name,type\n00:1B:C5:00:00:01,meter\n00:1B:C5:00:00:02,default\n",
    );
    desk.passes(&["import", "lot.csv"]);
    desk.passes(&["verify", "lot.csv", "--expect", "imported"]);
    let early = desk.admin(&["verify", "lot.csv"]);
    assert_eq!(early.code, Some(3), "{early:?}");
    assert!(
        early.out.contains("        2  never provisioned\n"),
        "{early:?}"
    );
    desk.put("plain.csv", "name\n00:1B:C5:00:00:01\n");
    let unsaid = desk.admin(&["verify", "plain.csv"]);
    assert_eq!(unsaid.code, Some(2));
    assert!(unsaid.err.contains("--profile"), "{unsaid:?}");
}
