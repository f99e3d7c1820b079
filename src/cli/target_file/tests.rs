//! What a file may say, what is refused, and that the handbook explains all of it.

use std::collections::BTreeSet;

use super::*;
use crate::model::{Delay, Outage, PhaseFaults, RpcAnswer, RpcAnswers};
use crate::pki::{Authority, KeyKind, Validity};

fn fallback() -> Fallback {
    Fallback {
        key: "env-key".into(),
        secret: "env-secret".into(),
    }
}

/// Reads a file of this text; `DIR` in it is the file's directory.
fn configured(dir: &Path, text: &str) -> Result<TargetConfig, String> {
    let path = dir.join("target.toml");
    let here = dir.display().to_string();
    fs::write(&path, text.replace("DIR", &here)).unwrap();
    read(&path, fallback()).map_err(|failure| failure.message.replace(&here, "DIR"))
}

fn refused(text: &str) -> String {
    configured(tempfile::tempdir().unwrap().path(), text).unwrap_err()
}

#[test]
fn every_key_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::root("ca", KeyKind::P256, Validity::days(1)).unwrap();
    ca.identity().write(dir.path(), "ca").unwrap();
    fs::write(dir.path().join("list.csv"), "name\nd1\nd2\n").unwrap();
    fs::write(dir.path().join("secret"), "from the file\r\n").unwrap();
    let config = configured(dir.path(), EVERYTHING).unwrap();
    assert_eq!((config.seed, config.release), (9, Release::V3_8));
    assert_eq!(config.repeat_provisioning, Some(Repeat::Success));
    assert!(config.skip_validity_check && config.identity.is_some());
    for kind in TransportKind::ALL {
        assert!(config.listener(kind).is_some(), "{kind:?}");
    }
    assert_eq!(config.faults, faults());
    assert_eq!(config.rpc, answers());
    assert_eq!(config.core_timeout, Duration::from_secs(1));
    let limits = config.limits;
    let times = [
        limits.after_answer,
        limits.inactivity,
        limits.http_async,
        limits.http_idle,
        limits.client_rpc,
        limits.rpc_timeout,
        limits.rpc_timeout_min,
    ];
    assert_eq!(times.map(|time| time.as_secs()), [2, 3, 4, 5, 11, 12, 13]);
    assert_eq!(
        (limits.pending, limits.mqtt_packet, limits.coap_exchanges),
        (6, 7, 10)
    );
    assert_eq!((limits.http_body, limits.http_rpc_body), (8, 9));
    let rest = &config.rest;
    assert_eq!(
        (&*rest.username, rest.password.expose_secret()),
        ("qa@example.org", "secret1")
    );
    assert_eq!(
        rest.api_key.as_ref().unwrap().expose_secret(),
        "key of the API"
    );
    assert_eq!(
        (
            rest.token_life.as_secs(),
            rest.max_devices,
            rest.unavailable
        ),
        (60, 11, 0.0625)
    );
    let [meters, trackers] = &config.profiles[..] else {
        panic!("two profiles");
    };
    assert_eq!(
        (&*meters.name, meters.strategy),
        ("meters", Strategy::Check)
    );
    assert_eq!(meters.key.expose_secret(), "key of meters");
    assert_eq!(meters.secret.expose_secret(), "from the file");
    let chain = trackers.chain.as_ref().unwrap();
    assert!(chain.certificates.contains("BEGIN CERTIFICATE"));
    assert_eq!(chain.name_pattern, "(.*)@fleet");
    assert!(!chain.allow_create);
    let devices: Vec<_> = config
        .devices
        .iter()
        .map(|d| (&*d.name, d.profile))
        .collect();
    assert_eq!(devices, [("d1", 0), ("d2", 0)]);
}

/// Those of `EVERYTHING`.
fn answers() -> RpcAnswers {
    let time = RpcAnswer::Fixed(r#"{"utc":1,"parts":[1.5,"x"]}"#.into());
    let answers = [("getTime", time), ("ping", RpcAnswer::Echo)];
    RpcAnswers(answers.map(|(method, a)| (method.to_owned(), a)).into())
}

/// Those of `EVERYTHING`.
fn faults() -> Faults {
    Faults {
        delay: Duration::from_millis(5),
        refuse: 0.5,
        lose_answer: 0.25,
        disconnect: 0.125,
        telemetry: PhaseFaults {
            delay: Some(Delay::Normal(
                Duration::from_millis(20),
                Duration::from_millis(5),
            )),
            reset: 0.5,
            ..PhaseFaults::default()
        },
        restart: vec![Outage {
            at: Duration::from_secs(10),
            length: Duration::from_secs(3),
        }],
        ..Faults::default()
    }
}

const EVERYTHING: &str = r#"
seed = 9
release = "3.8"
repeat_provisioning = "success"
skip_validity_check = true

[listen]
mqtt = "127.0.0.1:1"
mqtts = "127.0.0.1:2"
http = "127.0.0.1:3"
https = "127.0.0.1:4"
coap = "127.0.0.1:5"
coaps = "[::1]:6"

[tls]
certificate = "DIR/ca.crt.pem"
key = "DIR/ca.key.pem"

[faults]
delay = "5ms"
refuse = 0.5
lose_answer = 0.25
disconnect = 0.125
telemetry = { delay = { model = "normal", mean = "20ms", sd = "5ms" }, reset = 0.5 }
restart = [{ at = "10s", for = "3s" }]

[rpc]
getTime = { answer = { utc = 1, parts = [1.5, "x"] } }
ping.echo = true

[limits]
core_timeout = "1s"
after_answer = "2s"
inactivity = "3s"
http_async = "4s"
http_idle = "5s"
client_rpc = "11s"
rpc_timeout = "12s"
rpc_timeout_min = "13s"
pending = 6
mqtt_packet = 7
http_body = 8
http_rpc_body = 9
coap_exchanges = 10

[rest]
username = "qa@example.org"
password = "secret1"
api_key = "key of the API"
token_life = "1min"
max_devices = 11
unavailable = 0.0625

[[profile]]
name = "meters"
strategy = "check"
provision_key = "key of meters"
provision_secret_file = "DIR/secret"
devices = "DIR/list.csv"

[[profile]]
name = "trackers"
strategy = "x509-chain"
ca = "DIR/ca.crt.pem"
name_pattern = "(.*)@fleet"
allow_create = false
"#;

#[test]
fn an_empty_file_and_a_nameless_profile_are_the_default() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "[[profile]]\n"] {
        let config = configured(dir.path(), text).unwrap();
        let [profile] = &config.profiles[..] else {
            panic!("one profile");
        };
        assert_eq!(profile.name, "default");
        assert_eq!(profile.key.expose_secret(), "env-key");
        assert_eq!(profile.secret.expose_secret(), "env-secret");
    }
}

/// Each text is refused with each of the words, and without its secrets.
fn hold(cases: &[(String, &[&str])]) {
    for (text, words) in cases {
        let said = refused(text);
        for word in *words {
            assert!(said.contains(word), "{text}\nlacks {word:?}: {said}");
        }
        for secret in ["SECRET", "424242"] {
            assert!(!said.contains(secret), "{text}\n{said}");
        }
    }
}

#[test]
fn each_fault_has_its_place() {
    hold(&[
        ("sede = 1".to_owned(), &["toml:1:1: ", "sede", "seed"][..]),
        ("seed = 1\nlisten.mqtt = \"host\"".into(), &["toml:2:15: "]),
        ("release = \"5.0\"".into(), &["toml:1:11: ", "4.2.1"]),
        ("release = 4.3".into(), &["toml:1:11: "]),
        ("seed = ".into(), &["toml:1:8: "]),
        ("é = 1 1".into(), &["toml:1:"]),
        ("[tls]\ncertificate = \"c\"".into(), &["toml:1:", "key"]),
        (
            "[tls]\ncertificate = \"nowhere.pem\"\nkey = \"k\"".into(),
            &["toml:1:", "nowhere.pem"],
        ),
        (
            "[faults]\nrefuse = 1.5".into(),
            &["toml:2:10", "from 0 to 1"],
        ),
        (
            "[faults]\nrefuse = 0.6\ndisconnect = 0.6".into(),
            &["toml:3:14", "in total"],
        ),
        ("faults.refuse = nan".into(), &["toml:1:17", "finite"]),
        (
            "[faults]\nrefus = 1\ncapacity = 0".into(),
            &["toml:2:1", "`refuse`", "toml:3:12", "above 0"],
        ),
        ("faults.delay = \"soon\"".into(), &["toml:1:16", "500ms"]),
        ("rpc.ping = {}".into(), &["toml:1:12", "echo"]),
        (
            "rpc = { m = { ansver = 1 } }".into(),
            &["`answer`", "toml:1:15"],
        ),
        ("faults.delay = \"9years\"".into(), &["toml:1:16", "year"]),
        (
            "limits.inactivity = \"0s\"".into(),
            &["toml:1:21: ", "1 ms"],
        ),
        ("limits.pending = 0".into(), &["toml:1:18: ", "nonzero"]),
    ]);
    let nowhere = read(Path::new("nowhere.toml"), fallback()).unwrap_err();
    assert!(nowhere.message.contains("nowhere.toml"));
}

/// A profile's table.
fn profile(name: &str, rest: &str) -> String {
    format!("[[profile]]\nname = \"{name}\"\n{rest}\n")
}

const SOUND: &str = "provision_key = \"K\"\nprovision_secret = \"SECRET\"";

#[test]
fn a_secret_that_is_none_is_not_shown() {
    hold(&[
        (
            profile("a", "provision_key = 5\nprovision_secret = 424242"),
            &["toml:3:17: ", "quotes"],
        ),
        (
            profile("a", "provision_secret = { a = \"SECRET\" }"),
            &["toml:3:20: ", "quotes"],
        ),
        (
            profile("a", "provision_secret = \"SECRET\" SECRET"),
            &["toml:3:"],
        ),
        (profile("a", "provision_secret = SECRET"), &["toml:3:20: "]),
        (
            profile("a", "provision_secret = \"SECRET\nprovision_key = \"k\""),
            &["toml:3:"],
        ),
        (
            profile("a", "provision_secret = \"\""),
            &["toml:3:20: ", "empty"],
        ),
    ]);
}

#[test]
fn a_profile_that_contradicts_itself_or_another_is_refused() {
    let other = "provision_key = \"L\"\nprovision_secret = \"SECRET\"";
    hold(&[
        (
            profile("a", SOUND) + &profile("b", SOUND),
            &["toml:5:1: ", "\"b\"", "provision_key"],
        ),
        (
            profile("a", SOUND) + &profile("a", other),
            &["toml:5:1: ", "named \"a\""],
        ),
        (
            profile("a", SOUND) + "[[profile]]\n" + other,
            &["toml:5:1: ", "`name`"],
        ),
        (
            profile("a", SOUND) + &profile("b", "provision_secret = \"SECRET\""),
            &["toml:5:1: ", "\"b\"", "no provision_key"],
        ),
        (
            profile("a", SOUND) + &profile("b", "provision_key = \"L\""),
            &["toml:5:1: ", "\"b\"", "no provision_secret"],
        ),
        (
            profile("a", &format!("{SOUND}\nprovision_secret_file = \"x\"")),
            &["toml:1:1: ", "both"],
        ),
        (
            profile("a", "provision_secret_file = \"nowhere\""),
            &["toml:1:1: ", "nowhere"],
        ),
        (
            profile("a", "strategy = \"x509-chain\""),
            &["toml:1:1: ", "`ca`"],
        ),
        (
            profile("a", "strategy = \"x509-chain\"\nca = \"nowhere.pem\""),
            &["toml:1:1: ", "nowhere.pem"],
        ),
        (
            profile("a", &format!("strategy = \"x509-chain\"\n{SOUND}")),
            &["toml:1:1: ", "certificates"],
        ),
        (
            profile("a", "allow_create = true"),
            &["toml:1:1: ", "x509-chain"],
        ),
        (profile("a", "devices = \"nowhere.csv\""), &["nowhere.csv"]),
    ]);
}

/// The keys that the program knows, as it lists them against one that it does not know.
fn known() -> BTreeSet<String> {
    let of_scenarios = crate::scenario::tests::keys();
    let mut keys: BTreeSet<String> = of_scenarios
        .iter()
        .filter_map(|key| key.strip_prefix("target."))
        .filter(|key| key.starts_with("faults.") || key.starts_with("rpc."))
        .map(str::to_owned)
        .collect();
    for (table, text) in [
        ("", "?"),
        ("listen.", "[listen]\n?"),
        ("tls.", "[tls]\n?"),
        ("limits.", "[limits]\n?"),
        ("rest.", "[rest]\n?"),
        ("profile.", "[[profile]]\n?"),
    ] {
        let said = refused(&text.replace('?', "nonsense = 1"));
        let (_, expected) = said.split_once("expected ").unwrap();
        let listed = expected
            .lines()
            .next()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2);
        keys.extend(listed.map(|key| format!("{table}{key}")));
    }
    keys
}

#[test]
fn the_handbook_explains_every_key_and_no_other() {
    let text = fs::read_to_string("docs/target.md").unwrap();
    let explained: BTreeSet<_> = text
        .split("| key | type, default | meaning |\n")
        .skip(1)
        .flat_map(|table| table.lines().take_while(|line| line.starts_with('|')))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .collect();
    assert_eq!(explained, known());
}

#[test]
fn the_handbooks_example_is_a_configuration() {
    let text = fs::read_to_string("docs/target.md").unwrap();
    let (_, rest) = text.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::root("ca", KeyKind::P256, Validity::days(1)).unwrap();
    ca.identity().write(dir.path(), "intermediate").unwrap();
    fs::write(dir.path().join("lot-17.csv"), "name\nd1\n").unwrap();
    fs::write(dir.path().join("secret"), "s\n").unwrap();
    let here = ["lot-17.csv", "intermediate.crt.pem", "meters.secret"];
    let names = ["lot-17.csv", "intermediate.crt.pem", "secret"];
    let example = here
        .iter()
        .zip(names)
        .fold(example.to_owned(), |text, (file, name)| {
            text.replace(&format!("\"{file}\""), &format!("\"DIR/{name}\""))
        });
    let config = configured(dir.path(), &example).unwrap();
    assert_eq!((config.profiles.len(), config.devices.len()), (2, 1));
}
