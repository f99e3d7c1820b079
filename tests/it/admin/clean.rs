//! What was created is deleted, and nothing else.

use super::*;
use crate::support::Run;

#[test]
fn an_imports_devices_go_and_those_that_were_there_stay() {
    let desk = Desk::new("");
    desk.put("old.csv", &list(2));
    desk.passes(&["import", "old.csv"]);
    desk.put("lot.csv", &list(5));
    desk.passes(&["import", "lot.csv", "--existing", "skip"]);
    assert_eq!(desk.devices(), 5);

    let dry = desk.passes(&["clean", "lot.csv", "--dry-run"]);
    assert!(
        dry.out.contains("3 of 3 devices are on the server"),
        "{dry:?}"
    );
    let unasked = desk.admin(&["clean", "lot.csv"]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.err.contains("--yes"), "{unasked:?}");
    assert_eq!(desk.devices(), 5, "nothing goes without a yes");

    let said = desk.passes(&["clean", "lot.csv", "--yes"]);
    assert!(said.out.ends_with("3 deleted\n"), "{said:?}");
    assert_eq!(desk.devices(), 2);
    let again = desk.passes(&["clean", "lot.csv", "--yes"]);
    assert!(again.out.contains("0 of 3 devices"), "{again:?}");
    let never = desk.admin(&["clean", "new.csv", "--yes"]);
    assert_eq!(never.code, Some(2));
    assert!(never.err.contains("new.csv.import.jsonl"), "{never:?}");
}

/// What a run provisioned of five devices, two of which were there, and what is left after `clean`.
fn clean_after_a_run(strategy: &str) -> (u64, u64) {
    let desk = Desk::new("");
    desk.profile("meter", strategy);
    desk.put("old.csv", &list(2));
    desk.passes(&["import", "old.csv", "--profile", "meter"]);
    // The devices that were there must be older than the run by more than a date tells.
    std::thread::sleep(std::time::Duration::from_secs(3));
    desk.put("lot.csv", &list(5));
    let run = Run::of(&format!(
        "name = \"line\"\ntarget.mqtt = {}\ndevices.list = \"{}\"\n\
        arrival.stages = [{{ duration = \"1s\", rate = 100 }}]\n{}",
        desk.ready["mqtt"],
        desk.path("lot.csv").display(),
        desk.text("meter.toml"),
    ));
    let ran = run.finish();
    desk.passes(&["clean", ran.out.to_str().unwrap(), "--yes"]);
    (ran.number("devices.provisioned"), desk.devices())
}

#[test]
fn a_runs_devices_go_and_those_that_were_there_stay() {
    assert_eq!(clean_after_a_run("allow"), (3, 2), "new names were made");
    assert_eq!(
        clean_after_a_run("check"),
        (2, 2),
        "those that were there were not"
    );
}
