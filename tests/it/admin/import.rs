//! Lists onto a server: which rows fail and why, what is there already, and what is never sent.

use fleetcall::lint::{Repair, Rule, fix};

use super::*;
use crate::lists::{expected, lists};

/// A token of a device on the server is on another's row; the list itself is flawless.
const TAKEN: &str = "\
name,type,access_token,note

00:1B:C5:00:00:01,meter,Rf93kfEodkeEw9dkWfP1,\"a, b\"
00:1B:C5:00:00:02,meter,taken-Kd93kfUe83jdEw,plain
00:1B:C5:00:00:03,meter,Bf83mfEodkeEw9dkWfP3,plain
";

fn with_a_taken_token() -> Desk {
    let desk = Desk::new("");
    desk.profile("meter", "check");
    desk.put(
        "old.csv",
        "name,type,access_token\n00:1B:C5:00:00:99,meter,taken-Kd93kfUe83jdEw\n",
    );
    desk.passes(&["import", "old.csv"]);
    desk.put("lot.csv", TAKEN);
    desk
}

#[test]
fn a_row_that_fails_is_told_with_its_line_and_kept() {
    let desk = with_a_taken_token();
    let said = desk.admin(&["import", "lot.csv"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(said.out, "lot.csv: 3 rows: 2 created, 1 failed\n");
    assert!(
        said.err
            .contains("lot.csv:4: DeviceCredentialsValidationException: "),
        "{said:?}"
    );
    let failed = desk.text("lot.failed.csv");
    assert_eq!(
        failed,
        "name,type,access_token,note\n00:1B:C5:00:00:02,meter,taken-Kd93kfUe83jdEw,plain\n"
    );
    assert_eq!(mode(&desk.path("lot.failed.csv")), 0o600);
    assert_eq!(desk.devices(), 3);
    assert_eq!(desk.token("00:1B:C5:00:00:03"), "Bf83mfEodkeEw9dkWfP3");
    let journal = desk.text("lot.csv.import.jsonl");
    assert_eq!(mode(&desk.path("lot.csv.import.jsonl")), 0o600);
    for secret in ["taken-Kd93kfUe83jdEw", "Bf83mfEodkeEw9dkWfP3", PASSWORD] {
        let told = format!("{journal}{said:?}");
        assert!(!told.contains(secret), "{told}");
    }
}

#[test]
fn a_row_that_failed_is_tried_again_and_the_others_are_not() {
    let desk = with_a_taken_token();
    assert_eq!(desk.admin(&["import", "lot.csv"]).code, Some(3));
    let still = desk.admin(&["import", "lot.csv"]);
    assert_eq!(still.code, Some(3), "a failure is not forgotten: {still:?}");
    desk.passes(&["clean", "old.csv", "--yes"]);
    let said = desk.passes(&["import", "lot.csv"]);
    assert_eq!(said.out, "lot.csv: 3 rows: 1 created, 2 done before\n");
    assert_eq!(desk.token("00:1B:C5:00:00:02"), "taken-Kd93kfUe83jdEw");
}

#[test]
fn what_is_on_the_server_is_refused_or_left_or_overwritten_as_asked() {
    let desk = Desk::new("");
    desk.profile("meter", "check");
    desk.put(
        "old.csv",
        "name,access_token\n00:1B:C5:00:00:01,Rf93kfEodkeEw9dkWfP1\n",
    );
    desk.passes(&["import", "old.csv", "--profile", "meter"]);
    let lot = "name,access_token\n00:1B:C5:00:00:01,Zx93kfEodkeEw9dkWfP9\n00:1B:C5:00:00:02,Bf83mfEodkeEw9dkWfP3\n";
    for (name, mode, code, told, token) in [
        (
            "a.csv",
            "refuse",
            3,
            "1 created, 1 failed",
            "Rf93kfEodkeEw9dkWfP1",
        ),
        (
            "b.csv",
            "skip",
            0,
            "0 created, 2 on the server already",
            "Rf93kfEodkeEw9dkWfP1",
        ),
        (
            "c.csv",
            "update",
            0,
            "0 created, 2 overwritten",
            "Zx93kfEodkeEw9dkWfP9",
        ),
    ] {
        desk.put(name, lot);
        let said = desk.admin(&["import", name, "--profile", "meter", "--existing", mode]);
        assert_eq!(said.code, Some(code), "{mode}: {said:?}");
        assert!(said.out.contains(told), "{mode}: {said:?}");
        assert_eq!(desk.token("00:1B:C5:00:00:01"), token, "{mode}");
    }
}

#[test]
fn a_list_goes_in_parts_in_its_order() {
    let desk = Desk::new("");
    desk.profile("meter", "check");
    desk.put("lot.csv", &list(250));
    let said = desk.passes(&[
        "import",
        "lot.csv",
        "--profile",
        "meter",
        "--chunk-rows",
        "100",
    ]);
    assert_eq!(said.out, "lot.csv: 250 rows: 250 created\n");
    assert!(said.err.is_empty(), "no bar off a terminal: {said:?}");
    let journal = desk.text("lot.csv.import.jsonl");
    let sent: Vec<usize> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| Some(line["send"]["rows"].as_array()?.len()))
        .collect();
    assert_eq!(sent, [100, 100, 50]);
    desk.passes(&[
        "verify",
        "lot.csv",
        "--profile",
        "meter",
        "--expect",
        "imported",
    ]);
}

#[test]
fn a_profile_that_the_server_would_make_up_is_refused_before_anything_is_sent() {
    let desk = Desk::new("");
    desk.put(
        "lot.csv",
        "name,type\n00:1B:C5:00:00:01,default\n00:1B:C5:00:00:02,metre\n",
    );
    for args in [
        &["import", "lot.csv"][..],
        &["import", "plain.csv", "--profile", "metre"],
    ] {
        desk.put("plain.csv", &list(2));
        let said = desk.admin(args);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("no device profile \"metre\""), "{said:?}");
        assert!(said.err.contains("fleetcall admin setup"), "{said:?}");
    }
    assert!(
        desk.admin(&["import", "lot.csv"])
            .err
            .contains("lot.csv:3: ")
    );
    assert_eq!(desk.devices(), 0);
    let profiles = desk.get("/api/deviceProfiles?pageSize=10&page=0");
    assert_eq!(profiles["totalElements"], 1, "the default one");
}

#[test]
fn a_list_with_damage_is_not_sent_unless_asked() {
    let desk = Desk::new("");
    desk.put(
        "lot.csv",
        "name,access_token\n00:1B:C5:00:00:01,\n00:1B:C5:00:00:01,\n",
    );
    let said = desk.admin(&["import", "lot.csv"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.err.contains("fleetcall check lot.csv") && said.err.contains("--unchecked"),
        "{said:?}"
    );
    assert_eq!(desk.devices(), 0);
    desk.put(
        "house.toml",
        "[rules]\nname-duplicate = \"off\"\nmac-duplicate = \"off\"\ntoken-empty = \"off\"\n",
    );
    let all = desk.admin(&["import", "lot.csv", "--config", "house.toml"]);
    assert_eq!(
        all.out, "lot.csv: 2 rows: 1 created, 1 overwritten\n",
        "{all:?}"
    );
}

#[test]
fn several_lists_are_imported_and_what_is_in_both_is_sent_once() {
    let desk = Desk::new("");
    desk.put("a.csv", "name\n00:1B:C5:00:00:01\n");
    desk.put("b.csv", "name\n00:1B:C5:00:00:02\n");
    desk.put("c.csv", "name\n00:1B:C5:00:00:01\n");
    let said = desk.admin(&["import", "a.csv", "b.csv", "c.csv"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(
        said.out,
        "a.csv: 1 row: 1 created\nb.csv: 1 row: 1 created\nc.csv: 1 row: 0 created, 1 failed\n"
    );
    assert!(
        said.err
            .contains("c.csv:2: the device is on the server already"),
        "{said:?}"
    );
}

#[test]
fn a_changed_list_or_another_server_is_another_import() {
    let desk = Desk::new("");
    desk.put("lot.csv", &list(2));
    desk.passes(&["import", "lot.csv"]);
    desk.put("lot.csv", &list(3));
    let said = desk.admin(&["import", "lot.csv"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.err.contains("as it was before") && said.err.contains("move it away"),
        "{said:?}"
    );
    let other = Desk::new("");
    desk.put("lot.csv", &list(2));
    let mut elsewhere = desk.command(&["import", "lot.csv"]);
    let said = Said::by(
        elsewhere
            .env("FLEETCALL_TB_URL", &other.url)
            .spawn()
            .unwrap(),
    );
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("another server"), "{said:?}");
    assert_eq!(other.devices(), 0);
}

/// What `--fix` writes is what a server takes whole.
#[test]
fn every_rules_repaired_list_is_imported_without_an_error() {
    let mut wrong = Vec::new();
    let mut imported = 0;
    for rule in Rule::ALL {
        let repaired = rule.repair() == Repair::Automatic && *rule != Rule::LineLong;
        if !repaired {
            continue;
        }
        let (_, options, mode) = expected(*rule);
        let lists = lists(*rule, "bad", mode);
        for path in &lists.paths {
            let desk = Desk::new("");
            desk.profile("meter", "check");
            fix(path, &desk.path("lot.csv"), &options, false).unwrap();
            let said = desk.admin(&["import", "lot.csv", "--unchecked"]);
            if said.code != Some(0) {
                wrong.push(format!("{rule}: {said:?}"));
            }
            imported += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(imported > 20, "only {imported}");
}
