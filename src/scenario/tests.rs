//! Whole scenarios: the bad ones against the diagnostics that stand beside them, the good ones
//! against the plans they mean.

mod search;
mod thresholds;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::load::plan;
use super::*;
use crate::arrival::{Arrival, Due};
use crate::inventory::Speaker;
use crate::model::{DeviceIx, Qos, Release, Strategy as Provisioning, TransportKind};
use crate::payload::Rhythm;

fn env(name: &str) -> Option<String> {
    match name {
        "TB_HOST" => Some("tb.example".to_owned()),
        "TB_PORT" => Some("1883".to_owned()),
        "TB_PROVISION_KEY" | "TB_PROVISION_SECRET" | "SECRET_VALUE" => {
            Some("3nv1ronment".to_owned())
        }
        _ => None,
    }
}

fn check(text: &str, overrides: &[&str]) -> Result<Plan, Diagnostics> {
    let overrides: Vec<_> = overrides.iter().map(|text| (*text).to_owned()).collect();
    plan(
        "s.toml",
        text.as_bytes(),
        &overrides,
        &Overrides::default(),
        &env,
    )
}

/// A scenario as short as it can be.
const SHORT: &str = "name = \"n\"\ntarget.embedded = true\ndevices.generate = { count = 10 }\n\
    arrival.stages = [{ duration = \"1s\", rate = 10 }]\n";

fn files(dir: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{dir}");
    files
}

/// `UPDATE_GOLDEN=1` writes what is found, for a look at the difference.
#[test]
fn each_bad_scenario_is_told_all_its_faults() {
    for path in files("fixtures/scenarios-bad") {
        let error = load_with(&path, &[], &Overrides::default(), &env).unwrap_err();
        let (found, golden) = (format!("{error}\n"), path.with_extension("txt"));
        for secret in ["l1teral", "3nv1ronment"] {
            assert!(!found.contains(secret), "{found}");
            assert!(!format!("{error:?}").contains(secret), "{error:?}");
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{}", golden.display());
    }
}

#[test]
fn every_scenario_that_ships_loads_and_says_what_it_shows() {
    for path in files("scenarios") {
        let plan = load_with(&path, &[], &Overrides::default(), &env)
            .unwrap_or_else(|e| panic!("{}:\n{e}", path.display()));
        assert!(!plan.thresholds.is_empty(), "{}", path.display());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{}", path.display());
    }
    let plan = check(starting_scenario(), &[]).unwrap();
    assert_eq!(plan.load_inventory().unwrap().len(), 100);
}

#[test]
fn the_quickstart_deals_a_thousand_devices_to_every_transport_and_credentials() {
    let path = Path::new("scenarios/quickstart.toml");
    let plan = load_with(path, &[], &Overrides::default(), &env).unwrap();
    let list = plan.load_inventory().unwrap();
    assert_eq!(list.len(), 1000);
    let dealt = deal(&plan.cohorts, 1000).unwrap();
    let kinds: BTreeSet<_> = dealt[..20]
        .iter()
        .map(|n| &plan.cohorts[usize::from(*n)])
        .map(|c| (c.transport, c.credentials.as_str()))
        .collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    let due = plan.arrival.unwrap().due(999);
    assert!(
        matches!(due, Due::At(at) if at <= Duration::from_secs(20)),
        "{due:?}"
    );
    let tokens: BTreeSet<_> = plan
        .cohorts
        .iter()
        .filter_map(|c| match &c.credentials {
            CredentialsPlan::AccessToken(TokenPlan::Given(template)) => Some(template),
            _ => None,
        })
        .flat_map(|template| (0..1000).map(|n| template.render(&list, DeviceIx(n)).unwrap()))
        .collect();
    assert_eq!(tokens.len(), 1000);
}

#[test]
fn defaults_are_filled_in() {
    let plan = check(SHORT, &[]).unwrap();
    assert_eq!(plan.limits, Limits::default());
    assert!(plan.telemetry.is_none() && plan.thresholds.is_empty());
    assert_eq!(plan.cohorts.len(), 1);
    assert_eq!(
        (plan.cohorts[0].name.as_str(), plan.cohorts[0].deal),
        ("all", Deal::Rest)
    );
    assert_eq!(plan.cohorts[0].transport, TransportKind::Mqtt);
    let TargetPlan::Embedded {
        faults,
        release,
        bugs,
        rpc,
        resumption,
    } = plan.target
    else {
        panic!("remote")
    };
    assert_eq!(*faults, crate::model::Faults::default());
    assert_eq!((release, bugs, resumption), (Release::V4_3, vec![], false));
    assert!(rpc.0.is_empty());
    assert_eq!(plan.profiles.len(), 1);
    assert_eq!(plan.profiles[0].strategy, Provisioning::Allow);
    assert_eq!(plan.arrival.unwrap().model(), "open");
    assert_ne!(
        plan.profiles[0].key.expose_secret(),
        plan.profiles[0].secret.expose_secret()
    );

    let telemetry = check(&format!("{SHORT}[telemetry]\n"), &[])
        .unwrap()
        .telemetry
        .unwrap();
    let every_five = Rhythm {
        seed: telemetry.rhythm.seed,
        ..Rhythm::every(Duration::from_secs(5))
    };
    assert_eq!(telemetry.rhythm, every_five);
    assert_eq!(telemetry.qos, Qos::AtLeastOnce);
    assert_eq!(first_message(&telemetry), r#"{"temperature":21.5}"#);
    assert!(telemetry.attributes.is_none());
}

/// What the first of ten made-up devices sends first.
fn first_message(telemetry: &TelemetryPlan) -> String {
    let list = check(SHORT, &["seed=1"]).unwrap().load_inventory().unwrap();
    let speaker = Speaker::listed(&list, DeviceIx(0));
    let bytes = telemetry.payload.at(&speaker, 0, 0).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every key, as far as they go together.
const LONG: &str = r#"
    name = "line 3"
    seed = 42
    [target]
    mqtt = "${env:TB_HOST}:1883"
    http = "[::1]:8080"
    coap = "unused.example:5683"
    [profile]
    provision_key = "${env:TB_PROVISION_KEY}"
    provision_secret = "literal"
    [devices]
    list = "devices.csv"
    name_column = "MAC"
    [[cohort]]
    name = "a"
    share = 0.25
    [[cohort]]
    name = "b"
    count = 7
    transport = "http"
    credentials = "access_token"
    token = "{{ row.token }}"
    [[cohort]]
    name = "c"
    [arrival]
    model = "closed"
    stages = [{ duration = "1min", concurrency = 200 }]
    truncate = true
    [telemetry]
    interval = "250ms"
    qos = 0
    payload = { z = 1, a = [true, "x", { b = 1.5 }], at = 2026-11-23 }
    [limits]
    connect_timeout = "1s"
    answer_timeout = "2s"
    suback_wait = "3s"
    grace = "0s"
    keep_alive = "5s"
    in_flight = 6
    processes = 3
    workers = 7
    sources = "127.0.1.8/31"
    "#;

#[test]
fn what_is_written_is_what_is_meant() {
    let plan = check(LONG, &[]).unwrap();
    assert_eq!((plan.name.as_str(), plan.seed), ("line 3", 42));
    let TargetPlan::Remote {
        addresses, trust, ..
    } = &plan.target
    else {
        panic!("embedded")
    };
    let addresses: Vec<_> = addresses.iter().map(|(t, a)| (*t, a.as_str())).collect();
    assert_eq!(
        addresses,
        [
            (TransportKind::Mqtt, "tb.example:1883"),
            (TransportKind::Http, "[::1]:8080")
        ]
    );
    assert_eq!(*trust, TrustPlan::System);
    assert_eq!(plan.profiles[0].key.expose_secret(), "3nv1ronment");
    let DeviceSource::List { path, name_column } = &plan.devices else {
        panic!("generated")
    };
    assert_eq!(
        (path.to_str(), name_column.as_str()),
        (Some("devices.csv"), "MAC")
    );
    let deals: Vec<_> = plan.cohorts.iter().map(|c| c.deal).collect();
    assert_eq!(deals, [Deal::Share(0.25), Deal::Count(7), Deal::Rest]);
    assert_eq!(plan.wanted_columns(), ["token"]);
    let Some(Arrival::Closed(closed)) = &plan.arrival else {
        panic!("open")
    };
    assert_eq!(
        (closed.stages()[0].concurrency, closed.places_after()),
        (200, None)
    );
    let telemetry = plan.telemetry.unwrap();
    assert_eq!(
        (telemetry.rhythm.interval, telemetry.qos),
        (Duration::from_millis(250), Qos::AtMostOnce)
    );
    assert_eq!(
        first_message(&telemetry),
        r#"{"z":1,"a":[true,"x",{"b":1.5}],"at":"2026-11-23"}"#
    );
    let seconds = Duration::from_secs;
    let expected = Limits {
        connect_timeout: seconds(1),
        answer_timeout: seconds(2),
        coap_answer_timeout: seconds(2),
        suback_wait: seconds(3),
        grace: seconds(0),
        keep_alive: seconds(5),
        in_flight: 6,
        processes: Some(3),
        workers: 7,
        sources: vec![[127, 0, 1, 8].into(), [127, 0, 1, 9].into()],
    };
    assert_eq!(plan.limits, expected);
}

#[test]
fn a_file_from_windows_is_read() {
    let text = format!("\u{feff}{}", SHORT.replace('\n', "\r\n"));
    assert_eq!(check(&text, &[]).unwrap().name, "n");
    let shown = check(&format!("{text}é = 1 # x\r\n"), &[])
        .unwrap_err()
        .to_string();
    assert!(shown.contains("--> s.toml:5:1\n"), "{shown}");
}

#[test]
fn the_command_line_has_the_last_word() {
    let set = |overrides: &[&str]| check(SHORT, overrides).unwrap();
    assert_eq!(set(&["name=other"]).name, "other");
    assert_eq!(set(&["seed=1", "seed=2"]).seed, 2);
    assert_eq!(
        set(&["telemetry.interval=1s"])
            .telemetry
            .unwrap()
            .rhythm
            .interval,
        Duration::from_secs(1)
    );
    let stages =
        "arrival={ model = \"closed\", stages = [{ duration = \"1s\", concurrency = 3 }] }";
    assert_eq!(set(&[stages]).arrival.unwrap().model(), "closed");

    let run = Overrides {
        devices: Some("lot 7.csv".into()),
        seed: Some(u64::MAX),
    };
    let plan = plan(
        "s.toml",
        SHORT.as_bytes(),
        &["seed=1".to_owned()],
        &run,
        &env,
    )
    .unwrap();
    assert_eq!(plan.seed, u64::MAX);
    let DeviceSource::List { path, name_column } = plan.devices else {
        panic!("generated")
    };
    assert_eq!((path, name_column.as_str()), ("lot 7.csv".into(), "name"));
}

#[test]
fn a_faulty_override_is_shown_as_it_was_typed_without_secrets() {
    let shown = check(
        SHORT,
        &["limits.workers=none", "profile.provision_key=[\"s3cret\"]"],
    )
    .unwrap_err();
    let shown = shown.to_string();
    assert!(shown.contains("--> --set:1:16\n"), "{shown}");
    assert!(shown.contains("limits.workers=none\n"), "{shown}");
    assert!(shown.contains("--> --set:1:23\n"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn the_seed_decides_over_what_is_made_up_and_is_drawn_when_there_is_none() {
    let key = |seed: &str| {
        check(SHORT, &[seed]).unwrap().profiles[0]
            .key
            .expose_secret()
            .to_owned()
    };
    assert_eq!(key("seed=5"), key("seed=5"));
    assert_ne!(key("seed=5"), key("seed=6"));
    let drawn: BTreeSet<_> = (0..8).map(|_| check(SHORT, &[]).unwrap().seed).collect();
    assert!(drawn.len() > 1);
}

#[test]
fn a_file_that_is_not_utf8_or_not_there_is_told() {
    let shown = plan(
        "s.toml",
        b"name = \"n\"\nx = \"\xe9\"\n",
        &[],
        &Overrides::default(),
        &env,
    );
    assert!(shown.unwrap_err().to_string().contains("--> s.toml:2:6\n"));
    let error = load_with(Path::new("no/such.toml"), &[], &Overrides::default(), &env).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no/such.toml: cannot be read: "),
        "{error}"
    );
}

/// Every key of the JSON Schema as a path: `telemetry.interval`.
pub(crate) fn keys() -> BTreeSet<String> {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let mut found = BTreeSet::new();
    walk(&schema, &schema, "", &mut found);
    found
}

fn walk(
    root: &serde_json::Value,
    at: &serde_json::Value,
    path: &str,
    found: &mut BTreeSet<String>,
) {
    if let Some(reference) = at["$ref"].as_str() {
        walk(
            root,
            root.pointer(reference.trim_start_matches('#')).unwrap(),
            path,
            found,
        );
    }
    for (key, below) in at["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        walk(root, below, &path, found);
        found.insert(path);
    }
    if at["items"].is_object() {
        walk(root, &at["items"], path, found);
    }
    if at["additionalProperties"].is_object() {
        let path = format!("{path}.METHOD");
        walk(root, &at["additionalProperties"], &path, found);
    }
}

#[test]
fn the_schema_knows_every_key_and_its_default() {
    let keys = keys();
    for key in [
        "name",
        "seed",
        "target.embedded",
        "target.faults.lose_answer",
        "profile.provision_key",
        "devices.generate.count",
        "cohort.share",
        "arrival.stages.concurrency",
        "telemetry.payload",
        "limits.keep_alive",
        "thresholds",
    ] {
        assert!(keys.contains(key), "{key} in {keys:?}");
    }
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let mut required: Vec<_> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect();
    required.sort_unstable();
    assert_eq!(required, ["devices", "name", "target"]);
    assert_eq!(
        schema["$defs"]["Telemetry"]["properties"]["interval"]["default"],
        "5s"
    );
}

#[test]
fn the_handbook_explains_every_key_and_no_other() {
    let text = fs::read_to_string("docs/scenario.md").unwrap();
    let explained: BTreeSet<_> = text
        .split("| key | type, default | meaning |\n")
        .skip(1)
        .flat_map(|table| table.lines().take_while(|line| line.starts_with('|')))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .collect();
    let mut keys = keys();
    // The same section as [arrival], which is explained.
    keys.retain(|key| !key.starts_with("cohort.arrival."));
    assert_eq!(explained, keys);
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(
        lines in prop::collection::vec(prop_oneof![
            Just("name = \"n\""), Just("target.embedded = true"), Just("[target]"), Just("mqtt = \"h:1\""),
            Just("[devices]"), Just("generate = { count = 3 }"), Just("list = \"x\""), Just("[[cohort]]"),
            Just("name = \"a\""), Just("share = 0.5"), Just("count = 2"), Just("token = \"{{ name }}\""),
            Just("credentials = \"access_token\""), Just("[arrival]"), Just("model = \"closed\""),
            Just("stages = [{ duration = \"1s\", rate = 1 }]"), Just("stages = []"), Just("[telemetry]"),
            Just("arrival = { stages = [{ batch = 2, duration = \"1s\" }] }"),
            Just("stages = [{ batch = 2, every = \"1s\", count = 3 }]"),
            Just("stages = [{ duration = \"1s\", concurrency = 1 }]"), Just("qos = 0"), Just("é = \"${\""),
            Just("[thresholds]"), Just("a.b = \"< 5\""), Just("payload = { a = [1, inf] }"), Just("= ]"),
            Just("batch = 3"), Just("size = 64"), Just("timestamp = false"), Just("preset = \"random\""),
            Just("template = '{\"a\":{{ values.v }}}'"), Just("payload = { n = \"{{ tick }}\" }"),
            Just("values.v = { model = \"uniform\", min = -9e15, max = 1e300, integer = true }"),
            Just("values.v = { model = \"uniform\", min = 0, max = 9 }"), Just("values.w = 1"),
            Just("[telemetry.attributes]"), Just("gateway = { devices = 2, name = \"{{ sub }}\" }"),
        ], 0..14),
    ) {
        let text = lines.join("\n");
        if let Err(found) = check(&text, &[]) {
            prop_assert!(found.count() > 0);
            prop_assert!(found.to_string().contains("s.toml:"));
        }
    }
}
