use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tokio::time::Instant;

use super::super::entry::Grant;
use super::*;
use crate::model::{Credentials, Observed, Outcome};

fn record(device: u32, entry: Entry) -> Post {
    Post::Record(Record {
        device: DeviceIx(device),
        name: format!("dev,\"{device}").into(),
        entry,
    })
}

fn fate(outcome: Outcome) -> Fate {
    Fate {
        outcome,
        observed: Observed::Failed,
        credentials_type: "ACCESS_TOKEN",
        cause: None,
        attempts: 1,
        time_to_provision: None,
        time_to_first_telemetry: None,
        telemetry_sent: 0,
        telemetry_acked: 0,
    }
}

fn header(devices: u32) -> Header {
    Header {
        format: Header::format_of(None),
        fleetcall_version: "0".to_owned(),
        started_at: String::new(),
        scenario_file: PathBuf::new(),
        devices_file: None,
        set: Vec::new(),
        credentials_file: None,
        seed: 1,
        working_directory: PathBuf::new(),
        scenario_sha256: String::new(),
        schedule_digest: String::new(),
        devices,
        shard: None,
        boot_id: "boot".to_owned(),
    }
}

fn provisioned(issued: Issued) -> Entry {
    Entry::Provisioned(Grant {
        issued,
        attempts: 1,
        time_to_provision: Some(Duration::from_micros(1_234)),
    })
}

#[test]
fn keeps_credentials_for_the_owner_only_and_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials.csv");
    let ledger = Ledger::create(dir.path(), &header(2)).unwrap();
    let sender = ledger.sender().records;
    let token = Credentials::AccessToken("to\"k,en".into());
    sender
        .blocking_send(record(
            1,
            provisioned(Issued {
                credentials: token,
                files: None,
            }),
        ))
        .unwrap();
    sender
        .blocking_send(record(1, Entry::Ended(fate(Outcome::Provisioned))))
        .unwrap();
    drop(sender);
    let fates = ledger.close().unwrap().fates;
    assert_eq!(fates, [None, Some(fate(Outcome::Provisioned))]);
    for file in [&path, &dir.path().join(LEDGER)] {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let mut rows = csv::Reader::from_path(&path).unwrap();
    let row = rows.records().next().unwrap().unwrap();
    assert_eq!(
        row.iter().collect::<Vec<_>>(),
        ["dev,\"1", "ACCESS_TOKEN", "to\"k,en", "", "", "", "", ""]
    );
}

#[test]
fn never_overwrites_credentials_of_an_earlier_run() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::create(dir.path(), &header(1))
        .unwrap()
        .close()
        .unwrap();
    let again = Ledger::create(dir.path(), &header(1)).err().unwrap();
    assert!(again.to_string().contains("ledger.jsonl"), "{again}");
    std::fs::remove_file(dir.path().join(LEDGER)).unwrap();
    let again = Ledger::create(dir.path(), &header(1)).err().unwrap();
    assert!(again.to_string().contains("credentials.csv"), "{again}");
}

#[test]
fn a_device_that_ends_twice_is_a_bug_that_shows() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::create(dir.path(), &header(1)).unwrap();
    let sender = ledger.sender().records;
    for _ in 0..2 {
        sender
            .blocking_send(record(0, Entry::Ended(fate(Outcome::Failed))))
            .unwrap();
    }
    drop(sender);
    assert!(matches!(ledger.close(), Err(LedgerError::EndedTwice(0))));
}

/// A certificate of `leaf`, in files named so.
fn issued(leaf: &str) -> Issued {
    Issued {
        credentials: Credentials::X509 {
            certificate: leaf.to_owned(),
        },
        files: Some((format!("{leaf}.crt").into(), format!("{leaf}.key").into())),
    }
}

fn rotated(device: u32, state: RotationState, old: &str, new: &str) -> Post {
    let entry = Entry::Rotated(Rotation {
        state,
        old: issued(old).files,
        new: issued(new),
    });
    record(device, entry)
}

#[test]
fn at_the_end_each_device_has_the_certificate_that_holds_and_each_rotation_its_last_word() {
    use RotationState::{Begun, Done, Failed, InDoubt};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials.csv");
    let ledger = Ledger::create(dir.path(), &header(4)).unwrap();
    let sender = ledger.sender().records;
    let send = |record| sender.blocking_send(record).unwrap();
    for device in 0..3 {
        send(record(device, provisioned(issued(&format!("{device}-1")))));
    }
    let token = Issued {
        credentials: Credentials::AccessToken("t".into()),
        files: None,
    };
    send(record(3, provisioned(token)));
    for (device, state, old, new) in [
        (0, Begun, "0-1", "0-2"),
        (1, Begun, "1-1", "1-2"),
        (0, Done, "0-1", "0-2"),
        (2, Begun, "2-1", "2-2"),
        (1, Failed, "1-1", "1-2"),
        (0, Begun, "0-2", "0-3"),
        (0, Done, "0-2", "0-3"),
        (2, InDoubt, "2-1", "2-2"),
    ] {
        send(rotated(device, state, old, new));
    }
    drop(sender);
    ledger.close().unwrap();
    assert_eq!(column(&path, 6), ["1-1.crt", "2-1.crt", "", "0-3.crt"]);
    let rotations = dir.path().join("rotations.csv");
    assert_eq!(
        column(&rotations, 1),
        ["done", "failed", "done", "in_doubt"]
    );
    assert_eq!(
        column(&rotations, 2),
        ["0-2.crt", "1-2.crt", "0-3.crt", "2-2.crt"]
    );
    for path in [path, rotations] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_run_that_is_cut_off_leaves_both_certificates_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials.csv");
    let ledger = Ledger::create(dir.path(), &header(1)).unwrap();
    let sender = ledger.sender().records;
    let send = |record| sender.blocking_send(record).unwrap();
    send(record(0, provisioned(issued("1"))));
    send(rotated(0, RotationState::Begun, "1", "2"));
    send(rotated(0, RotationState::Done, "1", "2"));
    // Nobody closes it: what a killed run leaves once the ledger was idle.
    let rotations = dir.path().join("rotations.csv");
    let begun = Instant::now();
    while column(&rotations, 1) != ["begun", "done"] {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::yield_now();
    }
    assert_eq!(column(&path, 6), ["1.crt", "2.crt"]);
}

/// The cells of a column, of as many rows as are whole.
fn column(path: &Path, n: usize) -> Vec<String> {
    let Ok(mut rows) = csv::Reader::from_path(path) else {
        return Vec::new();
    };
    let rows = rows.records().map_while(Result::ok);
    rows.filter_map(|row| Some(row.get(n)?.to_owned()))
        .collect()
}
