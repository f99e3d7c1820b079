use std::fs;

use super::*;
use crate::ledger::{Entry, Grant, Intent, LEDGER, Ledger, Record};
use crate::model::{Cause, Credentials, FaultKind, Observed, Phase};

fn header(devices: u32) -> Header {
    Header {
        format: Header::format_of(None),
        fleetcall_version: "0".to_owned(),
        started_at: "2026-11-29T00:00:00Z".to_owned(),
        scenario_file: "/s.toml".into(),
        devices_file: None,
        set: vec!["a.b=1".to_owned()],
        credentials_file: None,
        seed: 7,
        working_directory: "/".into(),
        scenario_sha256: "s".to_owned(),
        schedule_digest: "d".to_owned(),
        devices,
        shard: None,
        boot_id: "this".to_owned(),
    }
}

fn fate(outcome: Outcome, cause: Option<Cause>) -> Fate {
    Fate {
        outcome,
        observed: Observed::Failed,
        credentials_type: "ACCESS_TOKEN",
        cause,
        attempts: 2,
        time_to_provision: Some(Duration::from_micros(5_000_001)),
        time_to_first_telemetry: None,
        telemetry_sent: 3,
        telemetry_acked: 2,
    }
}

fn asked() -> Entry {
    let (written, _) = tokio::sync::oneshot::channel();
    Entry::Asked(Intent {
        files: None,
        written,
    })
}

fn granted(token: &str) -> Entry {
    Entry::Provisioned(Grant {
        issued: Issued {
            credentials: Credentials::AccessToken(token.into()),
            files: None,
        },
        attempts: 1,
        time_to_provision: Some(Duration::from_micros(77)),
    })
}

const TIMEOUT: Cause = Cause::At(Phase::Provision, FaultKind::Timeout);

/// Five devices: one provisioned and ended, one provisioned, one in doubt, one whose answer was lost,
/// and one that was never touched.
fn write(dir: &Path) -> PathBuf {
    let ledger = Ledger::create(dir, &header(5)).unwrap();
    let sender = ledger.sender().records;
    for (device, entry) in [
        (0, asked()),
        (1, asked()),
        (0, granted("zero")),
        (2, asked()),
        (1, granted("one")),
        (3, asked()),
        (0, Entry::Ended(fate(Outcome::Provisioned, None))),
        (3, Entry::Ended(fate(Outcome::Unknown, Some(TIMEOUT)))),
    ] {
        let record = Record {
            device: DeviceIx(device),
            name: format!("meter,\"{device}").into(),
            entry,
        };
        sender.blocking_send(record.into()).unwrap();
    }
    drop(sender);
    ledger.close().unwrap();
    dir.join(LEDGER)
}

fn token(trace: &Trace) -> Option<String> {
    use secrecy::ExposeSecret;
    match &trace.granted.as_ref()?.1.credentials {
        Credentials::AccessToken(token) => Some(token.expose_secret().to_owned()),
        _ => None,
    }
}

#[test]
fn what_was_written_is_read_back_device_by_device() {
    let dir = tempfile::tempdir().unwrap();
    let past = Past::read(&write(dir.path()), "this").unwrap();
    assert_eq!(past.header, header(5));
    assert_eq!(
        (past.parts, past.power_lost, past.torn_bytes),
        (1, false, 0)
    );
    let trace = |ix| past.trace(DeviceIx(ix));
    let zero = trace(0).unwrap();
    assert_eq!(zero.fate, Some(fate(Outcome::Provisioned, None)));
    assert_eq!(token(zero).as_deref(), Some("zero"));
    let one = trace(1).unwrap();
    assert_eq!((token(one).as_deref(), one.fate), (Some("one"), None));
    assert_eq!(one.time_to_provision, Some(Duration::from_micros(77)));
    assert!(!one.is_in_doubt());
    assert!(trace(2).unwrap().is_in_doubt());
    let three = trace(3).unwrap();
    assert!(three.is_in_doubt(), "its answer was lost");
    assert_eq!(three.fate, Some(fate(Outcome::Unknown, Some(TIMEOUT))));
    assert!(trace(4).is_none());
    let mut names: Vec<_> = past.credentials().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["meter,\"0", "meter,\"1"]);
}

#[test]
fn wherever_the_end_is_torn_all_that_is_before_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path());
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    for length in first..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let past = Past::read(&path, "this").unwrap();
        let kept = whole[..length].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        assert_eq!(past.torn_bytes, (length - kept) as u64);
        // What a power cut may leave: blocks that were never written.
        let mut zeros = whole[..length].to_vec();
        zeros.extend([0; 5_000]);
        zeros.extend(b"\n\0\0\n");
        fs::write(&path, zeros).unwrap();
        let past = Past::read(&path, "this").unwrap();
        assert_eq!(past.end.0, kept as u64);
    }
}

#[test]
fn a_damaged_line_before_whole_ones_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path());
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let long = "x".repeat(300_000);
    let mut changed = lines.clone();
    changed[3] = "";
    let mut endless = lines.clone();
    endless[3] = &long;
    let mut missing = lines.clone();
    missing.remove(3);
    for (damaged, what) in [
        (join(&changed), "emptied"),
        (join(&endless), "endless"),
        (join(&missing), "missing"),
        (whole.replacen("zero", "hero", 1), "changed"),
    ] {
        fs::write(&path, &damaged).unwrap();
        let error = Past::read(&path, "this").unwrap_err();
        let PastError::Damaged { line, .. } = error else {
            panic!("{what}: {error}");
        };
        let expected = damaged.lines().zip(&lines).position(|(a, b)| a != *b);
        assert_eq!(line as usize, expected.unwrap() + 1, "{what}");
    }
}

#[test]
fn what_is_no_ledger_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    for text in ["", "{}", "{}\n", "\n\n"] {
        fs::write(&path, text).unwrap();
        let error = Past::read(&path, "this").unwrap_err();
        assert!(
            matches!(error, PastError::NoHeader { .. }),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn a_run_goes_on_in_its_ledger_with_a_table_of_all_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path());
    // A kill in mid-line, and in mid-row.
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"is\":\"asked\",\"dev");
    fs::write(&path, text).unwrap();
    fs::write(dir.path().join("credentials.csv"), "name,torn").unwrap();
    let past = Past::read(&path, "another").unwrap();
    assert!(past.power_lost);
    let next = Part {
        part: 2,
        started_at: String::new(),
        boot_id: "another".to_owned(),
    };
    let settled = [
        Some(fate(Outcome::Provisioned, None)),
        Some(fate(Outcome::Provisioned, Some(TIMEOUT))),
        None,
        None,
        None,
    ];
    let ledger = Ledger::resume(dir.path(), &past, &next, &settled).unwrap();
    let again = Ledger::resume(dir.path(), &past, &next, &settled).err();
    assert!(again.unwrap().to_string().contains("not over"));
    let busy = Past::read(&path, "another").unwrap_err();
    assert!(matches!(busy, PastError::Busy { .. }), "{busy}");
    let sender = ledger.sender().records;
    let record = |entry| Record {
        device: DeviceIx(4),
        name: "meter,\"4".into(),
        entry,
    };
    sender.blocking_send(record(asked()).into()).unwrap();
    sender
        .blocking_send(record(granted("four")).into())
        .unwrap();
    drop(sender);
    let closed = ledger.close().unwrap();
    assert_eq!(closed.fates[0], settled[0]);
    let past = Past::read(&path, "another").unwrap();
    assert_eq!(
        (past.parts, past.power_lost, past.torn_bytes),
        (2, false, 0)
    );
    assert_eq!(
        token(past.trace(DeviceIx(4)).unwrap()).as_deref(),
        Some("four")
    );
    assert_eq!(
        past.trace(DeviceIx(1)).unwrap().fate,
        settled[1],
        "it has its end now"
    );
    let table = fs::read_to_string(dir.path().join("credentials.csv")).unwrap();
    let tokens: Vec<_> = table
        .lines()
        .skip(1)
        .map(|row| row.rsplit(',').nth(5).unwrap())
        .collect();
    assert_eq!(tokens, ["zero", "one", "four"]);
}
