//! A disk that is full, on a real file system of a few hundred kilobytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::start;
use crate::support::Said;

/// What a run on such a disk said and left. The file system is mounted for this process and its
/// children alone, and is gone with them.
fn on_a_disk_of(kilobytes: u32, devices: u32, then: &str, kept: &Path) -> Said {
    let program = env!("CARGO_BIN_EXE_fleetcall");
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k none \"$1\" && cd \"$1\" && \
         {program} run \"$2\" --out out --ui none --allow-invalid; code=$?; {then} \
         cp -r out/. \"$3\"; exit $code"
    );
    let dir = tempfile::tempdir().unwrap();
    let scenario = kept.join("scenario.toml");
    let text = format!(
        "name = \"disk\"\ntarget.embedded = true\ndevices.generate = {{ count = {devices} }}\n\
         arrival.stages = [{{ duration = \"1s\", rate = 500 }}]\n"
    );
    fs::write(&scenario, text).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    command.arg(dir.path()).arg(scenario).arg(kept);
    Said::by(start(&mut command))
}

#[test]
fn a_disk_that_is_too_small_for_the_list_is_found_before_the_first_packet() {
    let kept = tempfile::tempdir().unwrap();
    let said = on_a_disk_of(300, 1_000, "", kept.path());
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    assert!(said.err.contains("ledger.jsonl"), "{}", said.err);
    assert!(said.err.contains("no room for the 1 MB"), "{}", said.err);
    assert!(!kept.path().join("summary.json").exists());
}

#[test]
fn a_disk_that_fills_up_costs_reports_and_no_device() {
    let kept = tempfile::tempdir().unwrap();
    // The ledger's room is reserved; what is left does not do for all the reports.
    let then = "rm -f out/report.html out/run.log; mount -o remount,size=8m .;";
    let said = on_a_disk_of(460, 500, then, kept.path());
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.err.contains("No space left on device"), "{}", said.err);
    assert!(said.err.contains("fleetcall resume"), "{}", said.err);
    let ledger = fs::read_to_string(kept.path().join("ledger.jsonl")).unwrap();
    let mut ended: BTreeMap<String, u32> = BTreeMap::new();
    let mut granted = 0;
    for line in ledger.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        granted += u32::from(line["is"] == "provisioned");
        if line["is"] == "ended" {
            *ended
                .entry(line["outcome"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    assert_eq!(ended.values().sum::<u32>(), 500);
    assert_eq!(
        ended["provisioned"], granted,
        "each credential that came is on record"
    );
}
