//! A run that is watched: by Debian's Prometheus, through the shipped board, alerts and scrape
//! configuration, and by those who mean no good.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use fleetcall::monitor::{FAMILIES, Kind, TARGET_FAMILIES};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    Process, Run, eventually, free_tcp_port, program, root, succeed, wait_for_tcp,
};

/// Two cohorts, of which one is refused, sessions that are lost and come back, telemetry.
const WATCHED: &str = "name = \"watched\"\nseed = 3\ntarget.embedded = true\n\
    devices.generate = { count = 120 }\ntelemetry.interval = \"500ms\"\n\
    arrival.stages = [{ duration = \"8s\", rate = 15 }, { duration = \"2s\", rate = 0 }]\n\
    reconnect = { initial = \"100ms\" }\n\
    [[event]]\nat = \"6s\"\nkind = \"power_loss\"\nboot = { model = \"fixed\", time = \"200ms\" }\n\
    [[cohort]]\nname = \"meters\"\ntransport = \"mqtt\"\nshare = 0.75\n\
    [[cohort]]\nname = \"strangers\"\ntransport = \"coap\"\nshare = 0.25\n\
    misbehaviour = \"wrong_secret\"\n";

fn get(url: &str) -> String {
    let output = succeed(Command::new("curl").args(["-sS", "--fail", "--max-time", "20", url]));
    String::from_utf8(output.stdout).unwrap()
}

/// The value of a sample on a page.
fn sample(page: &str, name: &str) -> u64 {
    let found = page.lines().find_map(|line| line.strip_prefix(name));
    let value = found.unwrap_or_else(|| panic!("{name} is not in\n{page}"));
    value.trim().parse().unwrap()
}

/// The queries of the shipped board, with its variables filled in.
fn board() -> Vec<String> {
    let text = fs::read_to_string(root().join("deploy/grafana/fleetcall.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(board["id"], Value::Null);
    let panels = board["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| {
            let query = target["expr"].as_str().unwrap();
            query
                .replace("$scenario", ".*")
                .replace("$__rate_interval", "5s")
        })
        .collect()
}

/// Only a search answers it.
fn is_about_a_search(query: &str) -> bool {
    query.contains("fleetcall_search_")
}

/// The words of a query that may be names, without its texts.
fn words(query: &str) -> BTreeSet<&str> {
    let outside = query.split('"').step_by(2);
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    outside
        .flat_map(|part| part.split(word))
        .filter(|word| !word.is_empty())
        .collect()
}

/// A Prometheus of this test alone that scrapes as shipped, but from there.
fn prometheus(dir: &Path, scraped: u16) -> (Process, String) {
    let shipped = fs::read_to_string(root().join("deploy/prometheus/prometheus.yml")).unwrap();
    let config = shipped
        .replace("127.0.0.1:9464", &format!("127.0.0.1:{scraped}"))
        .replace("2s", "1s");
    fs::write(dir.join("prometheus.yml"), config).unwrap();
    fs::copy(
        root().join("deploy/prometheus/alerts.yml"),
        dir.join("alerts.yml"),
    )
    .unwrap();
    let port = free_tcp_port();
    let mut command = program("prometheus");
    command
        .arg(format!(
            "--config.file={}",
            dir.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            dir.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--log.level=error")
        .stdin(Stdio::null());
    let process = Process::start(&mut command);
    wait_for_tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    let server = format!("http://127.0.0.1:{port}");
    // It listens before its store is open, and answers 503 until then.
    let ready = format!("{server}/-/ready");
    eventually(|| {
        let mut asking = Command::new("curl");
        asking.args([
            "-sS",
            "--fail",
            "--max-time",
            "20",
            "-o",
            "/dev/null",
            &ready,
        ]);
        asking.stderr(Stdio::null()).status().unwrap().success()
    });
    (process, server)
}

/// Whether a query had a finite value within the last minute.
fn answered(server: &str, query: &str) -> bool {
    let now = jiff::Timestamp::now().as_second();
    let output = succeed(
        Command::new("curl")
            .args(["-sS", "--fail", "-G", "--max-time", "20"])
            .args(["--data-urlencode", &format!("query={query}")])
            .args(["--data-urlencode", &format!("start={}", now - 60)])
            .args([
                "--data-urlencode",
                &format!("end={now}"),
                "--data-urlencode",
                "step=1",
            ])
            .arg(format!("{server}/api/v1/query_range")),
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    series.iter().any(|series| {
        let values = series["values"].as_array().unwrap();
        values.iter().any(|value| value[1] != "NaN")
    })
}

#[test]
fn prometheus_answers_every_query_of_the_board_about_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_tcp_port();
    let (_prometheus, server) = prometheus(dir.path(), port);
    let running = Run::of(WATCHED)
        .arg("--metrics")
        .arg(&format!("127.0.0.1:{port}"))
        .arg("--metrics-linger")
        .arg("60s")
        .start();
    for query in board().iter().filter(|query| !is_about_a_search(query)) {
        println!("waiting for {query}");
        eventually(|| answered(&server, query));
    }
    // The last page is the result's.
    let url = format!("http://127.0.0.1:{port}/metrics");
    let summary = running.out.join("summary.json");
    eventually(|| summary.exists());
    let page = get(&url);
    kill(Pid::from_raw(running.pid()), Signal::SIGTERM).unwrap();
    let ran = running.finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let meters = "scenario=\"watched\",cohort=\"meters\",transport=\"mqtt\"";
    let strangers = "scenario=\"watched\",cohort=\"strangers\",transport=\"coap\"";
    for (name, path) in [
        (
            format!("fleetcall_devices_total{{{meters},outcome=\"provisioned\"}}"),
            "devices.provisioned",
        ),
        (
            format!("fleetcall_devices_total{{{strangers},outcome=\"refused\"}}"),
            "devices.refused",
        ),
        (
            format!("fleetcall_telemetry_messages_total{{{meters},state=\"sent\"}}"),
            "telemetry.sent",
        ),
        (
            format!("fleetcall_sessions_total{{{meters},event=\"back\"}}"),
            "reconnects.back",
        ),
        (
            format!(
                "fleetcall_step_seconds_count{{{meters},phase=\"telemetry\",kind=\"service\"}}"
            ),
            "phases.telemetry.count",
        ),
    ] {
        assert_eq!(sample(&page, &name), ran.number(path), "{name}");
        assert!(sample(&page, &name) > 0, "{name}");
    }
    for secret in ["token", "secret\""] {
        assert!(!page.to_lowercase().contains(secret), "{page}");
    }
}

#[test]
fn the_rates_of_a_search_are_on_the_board_with_its_result() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_tcp_port();
    let (_prometheus, server) = prometheus(dir.path(), port);
    // One trial at 30 a second, which is far below what the server can: nothing follows that would tell of it.
    let searched = "name = \"searched\"\nseed = 7\ntarget.embedded = true\ndevices.generate = {}\n\
        [[cohort]]\nname = \"all\"\ntransport = \"mqtt\"\n\
        [search]\nfrom = 30\nto = 30\nhold = \"3s\"\nwarm_up = \"1s\"\ncool_down = \"200ms\"\nconfirm = 0\n\
        [validity]\nlag_p99 = \"1s\"\ncpu_share = 1\n";
    let running = Run::of(searched)
        .args(&[
            "--metrics",
            &format!("127.0.0.1:{port}"),
            "--metrics-linger",
            "60s",
        ])
        .start();
    let queries = board();
    let queries: Vec<&String> = queries
        .iter()
        .filter(|query| is_about_a_search(query))
        .collect();
    assert_eq!(queries.len(), 2);
    for query in queries {
        println!("waiting for {query}");
        eventually(|| answered(&server, query));
    }
    let summary = running.out.join("summary.json");
    eventually(|| summary.exists());
    let page = get(&format!("http://127.0.0.1:{port}/metrics"));
    kill(Pid::from_raw(running.pid()), Signal::SIGTERM).unwrap();
    let ran = running.finish();
    let found = &ran.summary()["search"];
    let value = |name: &str| {
        let found = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(|value| value.parse::<f64>().unwrap())
    };
    let rate = |bound: &str| {
        value(&format!(
            "fleetcall_search_rate{{scenario=\"searched\",bound=\"{bound}\"}}"
        ))
    };
    assert_eq!(
        rate("held"),
        found["bracket"]["held_per_s"].as_f64(),
        "{page}"
    );
    assert_eq!(
        rate("broken"),
        found["bracket"]["broken_per_s"].as_f64(),
        "{page}"
    );
    let last = found["trials"].as_array().unwrap().last().unwrap();
    assert_eq!(rate("tried"), last["rate_per_s"].as_f64(), "{page}");
    let verdict = last["verdict"].as_str().unwrap();
    let name = format!("fleetcall_search_verdict{{scenario=\"searched\",verdict=\"{verdict}\"}}");
    assert_eq!(value(&name), Some(1.0), "{page}");
}

#[test]
fn the_board_and_the_alerts_ask_for_metrics_and_labels_that_exist() {
    let mut known: BTreeSet<String> = ["scenario", "le"].map(str::to_owned).into();
    for family in FAMILIES {
        known.extend(family.labels.iter().map(|label| (*label).to_owned()));
        let name = family.queried_as();
        if family.kind == Kind::Histogram {
            known.insert(format!("{name}_bucket"));
        } else {
            known.insert(name);
        }
    }
    let grammar = [
        "sum",
        "by",
        "rate",
        "histogram_quantile",
        "or",
        "vector",
        "1m",
        "5s",
        "0",
        "1",
        "99",
        "5",
    ];
    let alerts = fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let alerts = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    for query in board().into_iter().chain(alerts.map(str::to_owned)) {
        let words = words(&query);
        let unknown = words
            .iter()
            .find(|word| !known.contains(**word) && !grammar.contains(*word));
        assert_eq!(unknown, None, "{query}");
        assert!(
            words.iter().any(|word| word.starts_with("fleetcall_")),
            "{query}"
        );
    }
    let deploy = root().join("deploy/prometheus");
    succeed(
        program("promtool")
            .args(["check", "config"])
            .arg(deploy.join("prometheus.yml")),
    );
}

#[test]
fn the_document_lists_each_metric_with_its_labels_and_no_other() {
    let text = fs::read_to_string(root().join("docs/monitoring.md")).unwrap();
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| `fleetcall_"));
    let listed: Vec<String> = rows.map(str::to_owned).collect();
    let rows = FAMILIES.iter().chain(TARGET_FAMILIES).map(|family| {
        let kind = format!("{:?}", family.kind).to_lowercase();
        let labels: Vec<String> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let labels = if labels.is_empty() {
            "–".to_owned()
        } else {
            labels.join(", ")
        };
        format!(
            "| `{}` | {kind} | {labels} | {} |",
            family.queried_as(),
            family.help
        )
    });
    assert_eq!(listed, rows.collect::<Vec<_>>());
}

#[test]
fn those_who_stall_or_talk_nonsense_keep_nobody_from_the_figures() {
    let port = free_tcp_port();
    let running = Run::of(WATCHED)
        .arg("--metrics")
        .arg(&format!("127.0.0.1:{port}"))
        .start();
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for_tcp(addr);
    let mut stalled: Vec<TcpStream> = (0..7).map(|_| TcpStream::connect(addr).unwrap()).collect();
    for (stream, said) in stalled
        .iter_mut()
        .zip(["", "GET /metr", "\u{0}\u{1}\r\n\r\n"])
    {
        stream.write_all(said.as_bytes()).unwrap();
    }
    let page = get(&format!("http://{addr}/metrics"));
    assert!(page.ends_with("# EOF\n"), "{page}");
    for (request, status) in [
        ("GET / HTTP/1.1", "404"),
        ("POST /metrics HTTP/1.1", "405"),
        ("GET /metrics/../credentials.csv HTTP/1.1", "404"),
    ] {
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "{request}\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
    }
    drop(stalled);
    assert_eq!(running.finish().code, 0);
}

#[test]
fn an_address_that_is_taken_is_found_before_there_is_a_directory() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ran = Run::of(WATCHED).arg("--metrics").arg(&addr).finish();
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains(&format!("--metrics {addr}: cannot listen there")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("help:"), "{}", ran.stderr);
    assert!(!ran.out.exists());
}
