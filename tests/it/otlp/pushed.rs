//! What a collector gets, and what becomes of a run whose collector does not take it.

use serde_json::Value;

use crate::support::{Peer, Ran, Run, python, root};

const PUSHED: &str = "name = \"pushed\"\nseed = 3\ntarget.embedded = true\n\
    devices.generate = { count = 40 }\ntelemetry.interval = \"500ms\"\n\
    arrival.stages = [{ duration = \"2s\", rate = 20 }, { duration = \"2s\", rate = 0 }]\n\
    [[cohort]]\nname = \"meters\"\ntransport = \"mqtt\"\nshare = 0.75\n\
    [[cohort]]\nname = \"strangers\"\ntransport = \"http\"\nshare = 0.25\n\
    misbehaviour = \"wrong_secret\"\n";

fn pushed_to(mode: &str) -> (Ran, Vec<Value>) {
    let script = root().join("tests/peers/otlp_receiver.py");
    let peer = Peer::start(python().arg(script).arg(mode));
    let port = peer.next().as_u64().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let ran = Run::of(PUSHED)
        .args(&["--otlp", &url, "--push-every", "1s"])
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20hunter2",
        )
        .finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.everything_public().contains("hunter2"));
    (ran, peer.so_far())
}

fn attributes(of: &Value) -> Vec<(&str, &str)> {
    let pairs = of["attributes"].as_array().unwrap().iter();
    pairs
        .map(|pair| {
            let value = pair["value"]["stringValue"].as_str().unwrap();
            (pair["key"].as_str().unwrap(), value)
        })
        .collect()
}

/// The points of a metric in a push.
fn points<'p>(push: &'p Value, name: &str, kind: &str) -> Vec<&'p Value> {
    let metrics = &push["request"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let metrics = metrics.as_array().unwrap().iter();
    let metric = metrics.into_iter().find(|metric| metric["name"] == name);
    let metric = metric.unwrap_or_else(|| panic!("{name} is not in {push}"));
    let points = metric[kind]["dataPoints"].as_array().unwrap();
    if kind != "gauge" {
        assert_eq!(
            metric[kind]["aggregationTemporality"],
            "AGGREGATION_TEMPORALITY_CUMULATIVE"
        );
    }
    points.iter().collect()
}

/// A number of protobuf's JSON form, where 64 bits are text.
fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_collector_has_the_figures_of_the_summary_at_the_end() {
    let (ran, pushes) = pushed_to("take");
    assert!(!ran.stderr.contains("note: --otlp"), "{}", ran.stderr);
    assert!(pushes.len() >= 3, "{}", pushes.len());
    for push in &pushes {
        assert_eq!(push["path"], "/v1/metrics");
        assert_eq!(push["type"], "application/x-protobuf");
        assert_eq!(push["authorization"], "Bearer hunter2");
    }
    let last = pushes.last().unwrap();
    let resource = attributes(&last["request"]["resourceMetrics"][0]["resource"]);
    assert!(
        resource.contains(&("service.name", "fleetcall")),
        "{resource:?}"
    );
    for (cohort, outcome) in [("meters", "provisioned"), ("strangers", "refused")] {
        let points = points(last, "fleetcall.devices", "sum");
        let wanted = [
            ("scenario", "pushed"),
            ("cohort", cohort),
            ("outcome", outcome),
        ];
        let of_it = |point: &&&Value| {
            let has = attributes(point);
            wanted.iter().all(|pair| has.contains(pair))
        };
        let point = points.iter().find(of_it).unwrap();
        let expected = ran.number(&format!("devices.{outcome}"));
        assert_eq!(number(&point["asInt"]), expected, "{outcome}");
        assert!(expected > 0);
        let [start, now] = ["startTimeUnixNano", "timeUnixNano"].map(|time| number(&point[time]));
        assert!(
            start < now && now - start < 600_000_000_000,
            "{start} {now}"
        );
    }
    let steps = points(last, "fleetcall.step", "histogram");
    let telemetry = steps.iter().find(|point| {
        let has = attributes(point);
        has.contains(&("phase", "telemetry")) && has.contains(&("kind", "service"))
    });
    let telemetry = telemetry.unwrap();
    let count = ran.number("phases.telemetry.count");
    assert_eq!(number(&telemetry["count"]), count);
    let buckets = telemetry["bucketCounts"].as_array().unwrap();
    assert_eq!(buckets.iter().map(number).sum::<u64>(), count);
    assert_eq!(
        buckets.len(),
        telemetry["explicitBounds"].as_array().unwrap().len() + 1
    );
}

#[test]
fn a_collector_that_refuses_rejects_or_lies_is_counted_and_disturbs_nothing() {
    for (mode, why) in [
        ("refuse", "400 Bad Request: no tenant …"),
        ("reject", "200 OK: 3 points were rejected: too old"),
        ("lie", "200 OK: <html>Please log in</html>"),
    ] {
        let (ran, _) = pushed_to(mode);
        let note = ran
            .stderr
            .lines()
            .find(|line| line.contains("note: --otlp"));
        let note = note.unwrap_or_else(|| panic!("{mode}: {}", ran.stderr));
        assert!(
            note.contains("the last figures are not there"),
            "{mode}: {note}"
        );
        assert!(note.contains(why), "{mode}: {note}");
    }
}
