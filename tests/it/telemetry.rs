//! What devices really send, as others see it: Mosquitto's subscribers, and our own target.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use fleetcall::inventory::{Inventory, Speaker};
use fleetcall::model::{DeviceIx, Strategy};
use fleetcall::pki::{Authority, KeyKind, Validity};
use fleetcall::scenario::{Overrides, Plan, load};
use fleetcall::target::{Profile, Target, TargetConfig};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Process, Ran, Run, free_tcp_port, program, wait_for_tcp};
use crate::transport_peers::Lines;

/// Mosquitto with one door for devices, whose certificates it knows, and one for onlookers.
struct Broker {
    devices: u16,
    onlookers: u16,
    files: TempDir,
    _process: Process,
}

impl Broker {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let (kind, days) = (KeyKind::P256, Validity::days(2));
        let authority = Authority::root("house", kind, days).unwrap();
        let server = authority.issue_server(&["127.0.0.1"], kind, days).unwrap();
        authority.identity().write(files.path(), "house").unwrap();
        server.write(files.path(), "server").unwrap();
        let (devices, onlookers) = (free_tcp_port(), free_tcp_port());
        let dir = files.path().to_str().unwrap();
        let config = format!(
            "user root\nallow_anonymous true\nmax_queued_messages 0\n\
             listener {onlookers} 127.0.0.1\n\
             listener {devices} 127.0.0.1\ncertfile {dir}/server.crt.pem\nkeyfile {dir}/server.key.pem\n\
             cafile {dir}/house.crt.pem\nrequire_certificate true\n"
        );
        let path = files.path().join("mosquitto.conf");
        fs::write(&path, config).unwrap();
        let process = Process::start(
            program("mosquitto")
                .arg("-c")
                .arg(path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        for port in [devices, onlookers] {
            wait_for_tcp(([127, 0, 0, 1], port).into());
        }
        Self {
            devices,
            onlookers,
            files,
            _process: process,
        }
    }

    /// What arrives on any topic from now on, as `GOT topic payload`.
    fn watched(&self) -> (Process, Lines) {
        let mut process = Process::start(
            // Line by line: a pipe would else be filled before anything shows.
            program("stdbuf")
                .arg("-oL")
                .arg(program("mosquitto_sub").get_program())
                .args(["-h", "127.0.0.1", "-p", &self.onlookers.to_string()])
                .args(["-t", "#", "-q", "1", "-d", "-F", "GOT %t %p"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped()),
        );
        let lines = Lines::of(&mut process);
        lines.next("Subscribed");
        (process, lines)
    }

    /// Devices that their certificates provision, so that a plain broker does.
    fn scenario(&self, telemetry: &str) -> String {
        let dir = self.files.path().to_str().unwrap();
        format!(
            r#"
            name = "mosquitto"
            seed = 7
            [target]
            mqtts = "127.0.0.1:{}"
            ca = "{dir}/house.crt.pem"
            [devices]
            generate = {{ count = 12 }}
            [[cohort]]
            name = "all"
            transport = "mqtts"
            credentials = "x509_chain"
            certificate = {{ ca = "{dir}/house.crt.pem", ca_key = "{dir}/house.key.pem" }}
            [arrival]
            stages = [{{ duration = "500ms", rate = 24 }}, {{ duration = "1s", rate = 0 }}]
            {telemetry}
            "#,
            self.devices
        )
    }
}

/// The plan of a scenario and its devices, as the library has them.
fn planned(scenario: &str) -> (Plan, Inventory) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scenario.toml");
    fs::write(&path, scenario).unwrap();
    let plan = load(Path::new(&path), &[], &Overrides::default()).unwrap();
    let list = plan.load_inventory().unwrap();
    (plan, list)
}

/// Messages by topic and device, in the order in which each device sent them.
fn by_device(lines: &Lines, count: u64) -> BTreeMap<(String, String), Vec<String>> {
    let mut seen: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for _ in 0..count {
        let line = lines.next("GOT ");
        let (topic, payload) = line["GOT ".len()..].split_once(' ').unwrap();
        let message: Value = serde_json::from_str(payload).unwrap();
        let device = message["id"].as_str().unwrap().to_owned();
        let key = (topic.to_owned(), device);
        seen.entry(key).or_default().push(payload.to_owned());
    }
    seen
}

const EVERY_MODEL: &str = r#"
    [telemetry]
    interval = "100ms"
    size = 400
    [telemetry.values]
    id = "{{ name }}"
    n = { model = "counter" }
    t = { model = "uniform", min = 18, max = 25 }
    g = { model = "normal", mean = 5, sd = 1, decimals = 3 }
    w = { model = "walk", start = 50, step = 1, min = 0, max = 100 }
    s = { model = "sine", mean = 20, amplitude = 5, period = "1s", noise = 0.1 }
    d = { model = "drift", start = 3, per_hour = 100, noise = 0.1, decimals = 2 }
    c = { model = "choice", values = ["ok", "wärning", false], weights = [8, 1, 1] }
    where = { model = "track", latitude = 52.5, longitude = 13.4, radius = 300 }
    [telemetry.attributes]
    values = { id = "{{ name }}", firmware = { model = "choice", values = ["1.0.0", "1.1.0"] }, index = "{{ index }}" }
"#;

#[test]
fn a_broker_sees_the_very_bytes_that_the_plan_says_whatever_the_workers() {
    let broker = Broker::start();
    let scenario = broker.scenario(EVERY_MODEL);
    let (plan, list) = planned(&scenario);
    let telemetry = plan.telemetry.unwrap();
    for workers in ["1", "4"] {
        let (_watcher, lines) = broker.watched();
        let ran = Run::of(&scenario)
            .arg("--set")
            .arg(&format!("limits.workers={workers}"))
            .finish();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.number("devices.provisioned"), 12);
        assert_eq!(ran.number("phases.attributes.count"), 12);
        assert_eq!(ran.number("telemetry.lost"), 0);
        let acked = ran.number("telemetry.acked");
        assert!(acked > 12 * 2, "each sends several: {acked}");
        let seen = by_device(&lines, acked + 12);
        assert_eq!(seen.len(), 24, "two topics, twelve devices");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        for ix in (0..12).map(DeviceIx) {
            let name = list.name(ix).to_owned();
            let got = |topic: &str| &seen[&(topic.to_owned(), name.clone())];
            let attributes = telemetry.attributes.as_ref().unwrap();
            let expected = text(&attributes.at(&Speaker::listed(&list, ix), 0, 0).unwrap());
            assert_eq!(*got("v1/devices/me/attributes"), [expected]);
            for (n, message) in (0..).zip(got("v1/devices/me/telemetry")) {
                assert_eq!(message.len(), 400);
                let expected = text(
                    &telemetry
                        .payload
                        .at(&Speaker::listed(&list, ix), n, 0)
                        .unwrap(),
                );
                assert_eq!(*message, expected, "{workers} workers, message {n}");
            }
        }
    }
}

/// A target on free ports, known to `against`.
async fn target() -> Target {
    let any = Some("127.0.0.1:0".parse().unwrap());
    Target::start(TargetConfig {
        mqtt: any,
        http: any,
        coap: any,
        profiles: vec![Profile {
            name: "default".to_owned(),
            strategy: Strategy::Allow,
            key: "key".into(),
            secret: "secret".into(),
            chain: None,
        }],
        ..TargetConfig::default()
    })
    .await
    .unwrap()
}

/// Ten devices over each transport, within a second and a half.
fn against(target: &Target, telemetry: &str) -> Run {
    Run::of(&format!(
        r#"
        name = "against"
        seed = 1
        [target]
        mqtt = "{}"
        http = "{}"
        coap = "{}"
        [profile]
        provision_key = "key"
        provision_secret = "secret"
        [devices]
        generate = {{ count = 30 }}
        [[cohort]]
        name = "m"
        [[cohort]]
        name = "h"
        transport = "http"
        [[cohort]]
        name = "c"
        transport = "coap"
        [arrival]
        stages = [{{ duration = "500ms", rate = 60 }}, {{ duration = "1s", rate = 0 }}]
        {telemetry}
        "#,
        target.mqtt().unwrap(),
        target.http().unwrap(),
        target.coap().unwrap(),
    ))
}

/// Runs on a thread that may block, so that the target's runtime goes on.
async fn finish(run: Run) -> Ran {
    tokio::task::spawn_blocking(|| run.finish()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_go_out_once_and_batches_arrive_over_every_transport() {
    let target = target().await;
    let telemetry = r#"
        [telemetry]
        interval = "200ms"
        jitter = 0.5
        batch = 5
        size = 1500
        template = '{"id": {{ name | tojson }}, "t": {{ values.t }}, "at": {{ ts }}}'
        values = { t = { model = "uniform", min = 0, max = 9, integer = true } }
        [telemetry.attributes]
        payload = { serial = "{{ name }}", place = { hall = 3 } }
        size = 1200
    "#;
    let ran = finish(against(&target, telemetry)).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let counts = target.counts();
    assert_eq!(counts.bad_payloads, 0);
    assert_eq!(counts.attribute_messages, 30);
    assert_eq!(ran.number("phases.attributes.count"), 30);
    let acked = ran.number("telemetry.acked");
    assert!(acked > 30, "{acked}");
    assert_eq!(counts.telemetry_messages, acked);
    // Three values in each of five readings, and the padding of the last.
    assert_eq!(counts.telemetry_points, acked * 16);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_value_is_a_fault_of_ours_and_the_device_goes_on() {
    let target = target().await;
    let telemetry = "[telemetry]\ninterval = \"150ms\"\n\
        template = '{\"a\": {% if tick == 1 %}{{ 1 // 0 }}{% else %}{{ tick }}{% endif %}}'\n";
    let ran = finish(against(&target, telemetry)).await;
    assert_eq!(ran.number("devices.provisioned"), 30);
    assert_eq!(ran.errors()["telemetry.payload_unusable"], 30);
    // Those before and after it were sent.
    assert!(ran.number("telemetry.acked") >= 60, "{}", ran.stdout);
    assert_eq!(target.counts().bad_payloads, 0);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spread_devices_wait_for_their_first_message() {
    let target = target().await;
    let telemetry = "[telemetry]\ninterval = \"4000h\"\n";
    let ran = finish(against(&target, telemetry)).await;
    assert_eq!(ran.number("telemetry.sent"), 30);
    let spread = format!("{telemetry}spread = \"interval\"\n");
    let other_names = finish(against(&target, &spread).arg("--seed").arg("2")).await;
    assert_eq!(other_names.code, 0, "{}", other_names.stderr);
    assert_eq!(other_names.number("devices.provisioned"), 30);
    assert_eq!(other_names.number("telemetry.sent"), 0);
    target.stop().await;
}

#[test]
fn a_cell_that_is_no_number_ends_the_run_before_the_first_packet() {
    let files = tempfile::tempdir().unwrap();
    let list = files.path().join("lot.csv");
    fs::write(&list, "name,level,zone\nd1,7.5,a\nd2,7;5,\"b\"\"\"\n").unwrap();
    let run = |telemetry: &str| {
        let scenario = format!(
            "name = \"n\"\ntarget.embedded = true\ndevices.list = {:?}\n\
             arrival.stages = [{{ duration = \"100ms\", rate = 20 }}]\n[telemetry]\n{telemetry}\n",
            list.to_str().unwrap()
        );
        let ran = Run::of(&scenario).finish();
        (ran.code, ran.stderr)
    };
    for (telemetry, why) in [
        (
            "values.level = { model = \"column\", column = \"level\", kind = \"number\" }",
            "device `d2` (number 2 of the list): its cell in column `level` is no number\nhelp: ",
        ),
        (
            "template = '{\"zone\": \"{{ row.zone }}\"}'",
            "device `d2` (number 2 of the list): the payload is no JSON: ",
        ),
        (
            "values.x = { model = \"column\", column = \"levle\" }",
            "`levle`",
        ),
    ] {
        let (code, stderr) = run(telemetry);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
        assert!(!stderr.contains("7;5"), "{stderr}");
    }
}
