//! Every way in, and every way that must stay shut, as a user runs them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use fleetcall::model::Misbehaviour;
use fleetcall::pki::{Authority, KeyKind, Validity};
use fleetcall::target::{Profile, Target, TargetConfig};
use serde_json::Value;

use crate::support::{Ran, Run};

/// At a rate that an unoptimised build keeps beside other tests, one such run at a time: what is
/// asked here is who gets in, not how fast.
fn finish(run: Run) -> Ran {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    run.arg("--set")
        .arg("arrival.stages=[{ duration = \"16s\", rate = 63 }, { duration = \"3s\", rate = 0 }]")
        .finish()
}

#[test]
fn each_device_gets_in_its_own_way_and_sends_telemetry() {
    let ran = finish(Run::shipped("scenarios/every-way-in.toml"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let mut ways: BTreeMap<(String, String), u32> = BTreeMap::new();
    for row in ran.rows("devices.csv") {
        let acked: u32 = row["telemetry_acked"].parse().unwrap();
        assert!(acked > 0, "{row:?}");
        let way = (row["transport"].clone(), row["credentials_type"].clone());
        *ways.entry(way).or_default() += 1;
    }
    let seen: Vec<(&str, &str)> = ways
        .keys()
        .map(|(transport, kind)| (transport.as_str(), kind.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("coap", "ACCESS_TOKEN"),
            ("coaps", "ACCESS_TOKEN"),
            ("coaps", "X509_CERTIFICATE"),
            ("http", "ACCESS_TOKEN"),
            ("https", "ACCESS_TOKEN"),
            ("mqtt", "ACCESS_TOKEN"),
            ("mqtt", "MQTT_BASIC"),
            ("mqtts", "ACCESS_TOKEN"),
            ("mqtts", "MQTT_BASIC"),
            ("mqtts", "X509_CERTIFICATE"),
        ]
    );
    // A handshake is a step of its own, for each connection over TLS or DTLS.
    let secured = ["mqtts", "https", "coaps"].map(|transport| {
        let rows = ran.rows("devices.csv");
        rows.iter()
            .filter(|row| row["transport"] == transport)
            .count() as u64
    });
    assert_eq!(
        ran.number("phases.tls_handshake.count"),
        secured.iter().sum::<u64>()
    );
}

#[test]
fn a_devices_key_is_kept_beside_its_credentials() {
    use std::os::unix::fs::PermissionsExt;
    let scenario = r#"
        name = "keys"
        target = { embedded = true }
        devices.generate = { count = 3 }
        arrival.stages = [{ duration = "1s", rate = 10 }]
        [[cohort]]
        name = "certified"
        transport = "mqtts"
        credentials = "x509"
    "#;
    let ran = Run::of(scenario).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for row in ran.rows("credentials.csv") {
        let key = std::fs::metadata(&row["key_file"]).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600, "{row:?}");
        let checked = std::process::Command::new("openssl")
            .args([
                "x509",
                "-noout",
                "-subject",
                "-in",
                &row["certificate_file"],
            ])
            .output()
            .unwrap();
        let subject = String::from_utf8(checked.stdout).unwrap();
        assert!(subject.contains(&row["name"]), "{subject} {row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_devices_trust_is_the_scenarios_choice_and_no_trust_is_said_aloud() {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let target = Target::start(TargetConfig {
        mqtts: any,
        coaps: any,
        profiles: vec![Profile {
            key: "K".into(),
            secret: "S".into(),
            ..Profile::default()
        }],
        ..TargetConfig::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, target.ca_pem().unwrap()).unwrap();
    let foreign = dir.path().join("foreign.pem");
    let other = Authority::root("other", KeyKind::P256, Validity::days(1)).unwrap();
    std::fs::write(&foreign, other.identity().certificates_pem()).unwrap();
    let (ca, foreign) = (ca.display(), foreign.display());
    for (trust, code, outcome) in [
        (format!("ca = \"{ca}\""), 0, "provisioned"),
        ("insecure = true".to_owned(), 0, "provisioned"),
        (format!("ca = \"{foreign}\""), 3, "failed"),
        // The system's authorities do not know it either.
        (String::new(), 3, "failed"),
    ] {
        let scenario = format!(
            "name = \"trust\"\nprofile = {{ provision_key = \"K\", provision_secret = \"S\" }}\n\
             devices.generate = {{ count = 6, kind = \"serial\", prefix = \"{outcome}{}-\" }}\n\
             arrival.stages = [{{ duration = \"1s\", rate = 20 }}]\n\
             cohort = [{{ name = \"m\", transport = \"mqtts\" }}, {{ name = \"c\", transport = \"coaps\" }}]\n\
             [target]\nmqtts = \"{}\"\ncoaps = \"{}\"\n{trust}\n",
            trust.len(),
            target.mqtts().unwrap(),
            target.coaps().unwrap(),
        );
        let ran = tokio::task::spawn_blocking(move || Run::of(&scenario).finish());
        let ran = ran.await.unwrap();
        assert_eq!(ran.code, code, "{trust}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.number(&format!("devices.{outcome}")), 6, "{trust}");
        if outcome == "failed" {
            let untrusted = ran.errors()["tls_handshake.tls_server_untrusted"];
            assert_eq!(untrusted, 6, "{trust}: {:?}", ran.errors());
        }
        let insecure = trust.starts_with("insecure");
        assert_eq!(ran.stdout.contains("INSECURE"), insecure, "{}", ran.stdout);
        let noted = ran.summary()["notes"].to_string().contains("INSECURE");
        assert_eq!(noted, insecure);
    }
}

#[test]
fn files_that_are_missing_are_told_with_the_device_and_leave_no_directory_behind() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.csv");
    std::fs::write(&list, "name,crt,key\na,nowhere.pem,nowhere.key\n").unwrap();
    let scenario = |target: &str, cohort: &str| {
        format!(
            "name = \"files\"\ndevices.list = \"{}\"\n\
             profile = {{ provision_key = \"K\", provision_secret = \"S\" }}\n\
             arrival.stages = [{{ duration = \"1s\", rate = 1 }}]\ntarget = {{ {target} }}\n\
             [[cohort]]\nname = \"c\"\ntransport = \"mqtts\"\n{cohort}\n",
            list.display()
        )
    };
    let files = "credentials = \"x509\"\n\
        certificate = { file = \"{{ row.crt }}\", key_file = \"{{ row.key }}\" }";
    let authority = "credentials = \"x509_chain\"\n\
        certificate = { ca = \"absent.pem\", ca_key = \"absent.key\" }";
    let ca = "mqtts = \"127.0.0.1:1\", ca = \"unknown.pem\"";
    for (scenario, words) in [
        (
            scenario("embedded = true", files),
            [
                "`a` (number 1 of the list)",
                "nowhere.pem",
                "generate certs",
            ],
        ),
        (
            scenario("embedded = true, strategy = \"x509-chain\"", authority),
            ["cohort `c`", "absent.pem", ""],
        ),
        (scenario(ca, ""), ["unknown.pem", "help: `ca`", ""]),
    ] {
        let ran = Run::of(&scenario).finish();
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        }
        assert!(!ran.out.exists(), "{}", ran.stderr);
    }
}

#[test]
fn what_the_sooner_of_two_requests_was_granted_outlives_a_run_that_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let body =
            r#"{"credentialsValue":"tok","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}"#;
        let mut silent = Vec::new();
        let mut answered = false;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The probe before the run says nothing.
            let asked = stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0);
            if asked && !answered {
                answered = true;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + body).as_bytes()).unwrap();
            }
            silent.push(stream);
        }
    });
    let scenario = format!(
        "name = \"cut\"\nprofile = {{ provision_key = \"K\", provision_secret = \"S\" }}\n\
         target.http = \"{addr}\"\ndevices.generate.count = 1\nlimits.grace = \"1s\"\n\
         arrival.stages = [{{ duration = \"1s\", rate = 10 }}]\n\
         cohort = [{{ name = \"r\", transport = \"http\", misbehaviour = \"concurrent_requests\" }}]\n"
    );
    let ran = Run::of(&scenario).finish();
    // The sums of each run hold, too: a row of credentials for each provisioned device.
    assert_eq!(ran.number("devices.provisioned"), 1, "{}", ran.stdout);
    assert_eq!(ran.rows("credentials.csv")[0]["access_token"], "tok");
    assert_eq!(rows(&ran)[0]["observed"]["unfinished"], 1, "{}", ran.stdout);
}

#[test]
fn devices_that_a_server_would_take_for_one_are_refused_before_the_first_packet() {
    let scenario = r#"
        name = "namesakes"
        target = { embedded = true, strategy = "x509-chain" }
        devices.generate.count = 3
        arrival.stages = [{ duration = "1s", rate = 10 }]
        [[cohort]]
        name = "chained"
        transport = "mqtts"
        credentials = "x509_chain"
        certificate.common_name = "line-3"
    "#;
    let ran = Run::of(scenario).finish();
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    for word in ["line-3", "one device", "common_name"] {
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
}

#[test]
fn a_device_that_is_kept_out_with_its_credentials_is_seen_with_and_without_telemetry() {
    for (transport, more) in [
        ("mqtts", ""),
        ("mqtts", "telemetry.interval = \"200ms\""),
        ("coaps", "telemetry.interval = \"200ms\""),
    ] {
        let scenario = format!(
            r#"
            name = "kept-out"
            target.embedded = true
            devices.generate.count = 4
            arrival.stages = [{{ duration = "1s", rate = 10 }}]
            {more}
            [[cohort]]
            name = "outdated"
            transport = "{transport}"
            credentials = "x509"
            misbehaviour = "expired_certificate"
            "#
        );
        let ran = Run::of(&scenario).finish();
        assert_eq!(
            ran.code, 0,
            "{transport} {more}: {}{}",
            ran.stdout, ran.stderr
        );
        assert_eq!(
            rows(&ran)[0]["observed"]["rejected"],
            4,
            "{transport} {more}"
        );
        // They were given their credentials, whose keys are kept.
        assert_eq!(ran.number("devices.provisioned"), 4);
    }
}

#[test]
fn the_negative_suite_finds_nothing_wrong_with_a_sound_server() {
    let ran = finish(Run::shipped("scenarios/negative.toml"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let rows = rows(&ran);
    for (word, _) in Misbehaviour::WORDS {
        let row = rows.iter().find(|row| row["misbehaviour"] == *word);
        let row = row.unwrap_or_else(|| panic!("{word} is not in the suite"));
        assert_eq!(row["off"], 0, "{row}");
        let expected = row["expected"].as_str().unwrap();
        assert!(row["observed"][expected].as_u64().unwrap() >= 10, "{row}");
    }
    // The normal load is judged, too.
    assert!(rows.iter().any(|row| row["misbehaviour"].is_null()));
    assert!(rows.iter().all(|row| row["off"] == 0), "{rows:?}");
}

#[test]
fn each_fault_of_judgement_is_found_and_named() {
    for (bug, cohort, sentence) in [
        (
            "accept_wrong_secret",
            "wrong-secret",
            "wrong provision secret",
        ),
        ("accept_race", "racers", "concurrent"),
        ("foreign_token", "", "same credentials"),
    ] {
        let run = Run::shipped("scenarios/negative.toml").arg("--set");
        let ran = finish(run.arg(&format!("target.bugs=[\"{bug}\"]")));
        assert_eq!(ran.code, 3, "{bug}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.summary()["result"], "failed");
        assert!(ran.stdout.contains(sentence), "{bug}: {}", ran.stdout);
        if !cohort.is_empty() {
            let rows = rows(&ran);
            let row = rows.iter().find(|row| row["cohort"] == cohort).unwrap();
            assert!(row["off"].as_u64().unwrap() > 0, "{row}");
        }
    }
}

fn rows(ran: &Ran) -> Vec<Value> {
    ran.summary()["expectations"].as_array().unwrap().clone()
}
