//! The HTTP device API.

use std::time::Duration;

use fleetcall::model::{Faults, Strategy};
use fleetcall::target::{Limits, Target, TargetConfig, sha3_hex, trim_certificate};

use super::{TOKEN, Wire, config, request, start};
use crate::support::golden::text;

/// What came back.
struct Seen {
    status: u16,
    kind: Option<String>,
    body: String,
}

/// One request on a connection of its own; `headers` are whole lines.
async fn call(target: &Target, line: &str, headers: &str, body: &str) -> Seen {
    let mut wire = Wire::open(target.http()).await;
    let length = match (body, line.starts_with("GET")) {
        ("", true) => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    wire.send(format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    ))
    .await;
    seen(&wire.rest().await)
}

fn seen(bytes: &[u8]) -> Seen {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .map(str::to_owned);
    Seen {
        status,
        kind,
        body: body.to_owned(),
    }
}

async fn provision(target: &Target, body: &str) -> Seen {
    call(target, "POST /api/v1/provision", "", body).await
}

/// An error body without its timestamp.
fn without_time(body: &str) -> String {
    let (before, after) = body.split_once(",\"timestamp\":").expect("a timestamp");
    assert!(after.trim_end_matches('}').parse::<u64>().is_ok());
    format!("{before}}}")
}

#[tokio::test]
async fn provisioning_answers_are_the_golden_ones() {
    let target = start(Strategy::Allow).await;
    let named = text("request.json").replace('{', &format!("{{\"token\":\"{TOKEN}\","));
    let pem = text("certificate.pem").replace('\n', "\\n");
    let x509 = format!(r#""deviceName":"X","credentialsType":"X509_CERTIFICATE","hash":"{pem}","#);
    let basic = r#""deviceName":"B","credentialsType":"MQTT_BASIC","clientId":"c","username":"u","password":"p","#;
    for (body, answer) in [
        (named.clone(), "answer-access-token.json"),
        (named, "answer-failure.json"),
        (request(&x509), "answer-x509.json"),
        (request(basic), "answer-mqtt-basic.json"),
        (
            text("request.json").replace("\"S\"", "1"),
            "answer-not-found.json",
        ),
    ] {
        let seen = provision(&target, &body).await;
        assert_eq!((seen.status, &*seen.body), (200, &*text(answer)));
        assert_eq!(seen.kind.as_deref(), Some("text/plain;charset=UTF-8"));
    }
    assert!(target.device("D1").unwrap().provisioned);
}

#[tokio::test]
async fn the_answer_is_json_for_who_accepts_json() {
    let target = start(Strategy::Disabled).await;
    for (accept, kind) in [
        ("*/*", "text/plain;charset=UTF-8"),
        ("application/json", "application/json"),
        ("application/json, */*;q=0.5", "application/json"),
        ("text/plain", "text/plain;charset=UTF-8"),
    ] {
        let header = format!("Accept: {accept}\r\n");
        let body = text("request.json");
        let seen = call(&target, "POST /api/v1/provision", &header, &body).await;
        assert_eq!(seen.kind.as_deref(), Some(kind), "{accept}");
        assert_eq!(seen.body, text("answer-not-found.json"));
    }
}

#[tokio::test]
async fn malformed_requests_get_the_error_body() {
    let target = start(Strategy::Allow).await;
    for (body, status, code) in [
        ("{no json", 500, 2),
        ("[]", 500, 2),
        (&*request(r#""deviceName":[],"#), 500, 2),
        (&*request(r#""deviceName":null,"#), 500, 2),
        ("", 400, 31),
    ] {
        let seen = provision(&target, body).await;
        assert_eq!(seen.status, status, "{body}");
        assert_eq!(seen.kind.as_deref(), Some("application/json"));
        let end = format!(",\"errorCode\":{code}}}");
        let fault = without_time(&seen.body);
        assert!(fault.starts_with(&format!("{{\"status\":{status},\"message\":\"")));
        assert!(fault.ends_with(&end), "{fault}");
    }
    let missing = provision(&target, r#"{ "provisionDeviceSecret": "S" }"#).await;
    assert_eq!(
        without_time(&missing.body),
        r#"{"status":500,"message":"Failed to find the field provisionDeviceKey in JSON body {\"provisionDeviceSecret\":\"S\"}!","errorCode":2}"#
    );
    let get = call(&target, "GET /api/v1/provision", "", "").await;
    assert_eq!(
        (get.status, &*without_time(&get.body)),
        (
            405,
            r#"{"status":405,"message":"Request method 'GET' is not supported","errorCode":31}"#
        )
    );
}

#[tokio::test]
async fn without_an_answer_of_the_core_the_status_is_500_and_the_body_empty() {
    let target = Target::start(TargetConfig {
        core_timeout: Duration::from_millis(30),
        ..config(Strategy::X509Chain)
    })
    .await
    .unwrap();
    let seen = provision(&target, &text("request.json")).await;
    assert_eq!((seen.status, &*seen.body), (500, ""));
}

#[tokio::test]
async fn more_pending_requests_than_allowed_fail_at_once() {
    let limits = Limits {
        pending: 1,
        ..Limits::default()
    };
    let target = Target::start(TargetConfig {
        limits,
        core_timeout: Duration::from_hours(1),
        ..config(Strategy::X509Chain)
    })
    .await
    .unwrap();
    let mut waiting = Wire::open(target.http()).await;
    let body = text("request.json");
    waiting
        .send(format!(
            "POST /api/v1/provision HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    super::until(|| target.counts().provision_requests == 1).await;
    let seen = provision(&target, &body).await;
    assert_eq!((seen.status, &*seen.body), (500, ""));
}

#[tokio::test]
async fn a_disconnecting_fault_closes_and_a_lost_answer_keeps_silent() {
    for (disconnect, lose_answer) in [(1.0, 0.0), (0.0, 1.0)] {
        let target = Target::start(TargetConfig {
            faults: Faults {
                disconnect,
                lose_answer,
                ..Faults::default()
            },
            limits: Limits {
                inactivity: Duration::from_millis(60),
                ..Limits::default()
            },
            ..config(Strategy::Check)
        })
        .await
        .unwrap();
        let body = text("request.json");
        let mut wire = Wire::open(target.http()).await;
        wire.send(format!(
            "POST /api/v1/provision HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        wire.expect_end().await;
        let carried_out = target.device("D1").unwrap().provisioned;
        assert_eq!(carried_out, lose_answer > 0.0);
    }
}

/// D1 is listed, and pending requests are given up after a moment.
async fn quick_to_give_up() -> Target {
    let limits = Limits {
        http_async: Duration::from_millis(60),
        ..Limits::default()
    };
    let config = TargetConfig {
        limits,
        ..config(Strategy::Check)
    };
    Target::start(config).await.unwrap()
}

#[tokio::test]
async fn the_device_api_answers_as_its_table_says() {
    let target = quick_to_give_up().await;
    let json = Some("application/json");
    for (line, body, status, answer, kind) in [
        ("POST {t}/telemetry", "{\"t\":1}", 200, "", None),
        ("POST {t}/telemetry", "[{\"t\":1},{\"u\":2}]", 200, "", None),
        ("GET {t}/attributes", "", 200, "{}", json),
        (
            "POST {t}/attributes",
            "{\"a\":1,\"b\":\"2\"}",
            200,
            "",
            None,
        ),
        (
            "GET {t}/attributes",
            "",
            200,
            "{\"client\":{\"a\":1,\"b\":2}}",
            json,
        ),
        (
            "GET {t}/attributes?clientKeys=b%2Cc&sharedKeys=s",
            "",
            200,
            "{\"client\":{\"b\":2}}",
            json,
        ),
        ("GET {t}/attributes?sharedKeys=s", "", 200, "{}", json),
        ("GET {t}/attributes/updates?timeout=5", "", 408, "", None),
        ("GET {t}/rpc?timeout=5", "", 408, "", None),
        ("POST {t}/rpc/1", "{}", 200, "", None),
        ("POST {t}/claim", "", 200, "", None),
        ("POST {t}/claim", "{\"secretKey\":\"s\"}", 200, "", None),
        ("GET {t}/firmware?title=a&version=1", "", 404, "", None),
        ("POST /api/v1/nobody/telemetry", "{}", 401, "", None),
        ("GET /api/v1/nobody/attributes", "", 401, "", None),
        (
            "POST {t}/telemetry",
            "{\"ts\":\"abc\",\"values\":{}}",
            500,
            "",
            None,
        ),
    ] {
        let line = line.replace("{t}", &format!("/api/v1/{TOKEN}"));
        let seen = call(&target, &line, "", body).await;
        assert_eq!((seen.status, &*seen.body), (status, answer), "{line}");
        assert_eq!(seen.kind.as_deref(), kind, "{line}");
    }
    let counts = target.counts();
    assert_eq!((counts.telemetry_messages, counts.telemetry_points), (2, 3));
}

#[tokio::test]
async fn the_device_api_refuses_as_its_table_says() {
    let target = quick_to_give_up().await;
    let json = Some("application/json");
    for (line, body, status) in [
        // The web server gives up what the platform never answers.
        ("POST {t}/telemetry", "[]", 503),
        ("GET {t}/rpc", "", 503),
        ("POST {t}/rpc", "{\"method\":\"m\",\"params\":{}}", 503),
        ("POST {t}/telemetry", "", 400),
        ("GET {t}/rpc?timeout=x", "", 400),
        ("PUT {t}/telemetry", "{}", 405),
        ("GET {t}/telemetry", "", 405),
        ("POST {t}/nothing", "{}", 404),
    ] {
        let line = line.replace("{t}", &format!("/api/v1/{TOKEN}"));
        let seen = call(&target, &line, "", body).await;
        assert_eq!(seen.status, status, "{line}");
        assert_eq!(seen.kind.as_deref(), json, "{line}");
        let start = format!("{{\"status\":{status},\"message\":");
        assert!(without_time(&seen.body).starts_with(&start), "{line}");
    }
    let seen = call(
        &target,
        &format!("POST /api/v1/{TOKEN}/telemetry"),
        "",
        "{oops",
    )
    .await;
    assert_eq!(seen.status, 500);
    assert_eq!(seen.kind.as_deref(), Some("text/plain;charset=UTF-8"));
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let target = start(Strategy::Check).await;
    let mut wire = Wire::open(target.http()).await;
    let post = format!(
        "POST /api/v1/{TOKEN}/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{{\"t\":1}}"
    );
    for _ in 0..3 {
        wire.send(&post).await;
        wire.expect("HTTP/1.1 200 OK\r\ncontent-length: 0\r\ndate: ")
            .await;
        wire.expect_date_and_end_of_head().await;
    }
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 3);
    assert_eq!(target.counts().connections, 1);
}

impl Wire {
    async fn expect_date_and_end_of_head(&mut self) {
        let mut date = [0; 33];
        tokio::io::AsyncReadExt::read_exact(&mut self.0, &mut date)
            .await
            .unwrap();
        assert!(date.ends_with(b" GMT\r\n\r\n"), "{}", date.escape_ascii());
    }
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_by_their_announced_length() {
    let target = start(Strategy::Check).await;
    for (path, limit) in [("telemetry", 52_428_800), ("rpc/1", 65_536)] {
        let mut wire = Wire::open(target.http()).await;
        wire.send(format!(
            "POST /api/v1/{TOKEN}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            limit + 1
        ))
        .await;
        let seen = seen(&wire.rest().await);
        assert_eq!(seen.status, 413);
        assert_eq!(
            seen.body,
            format!("\"Payload size exceeds the limit of {limit} bytes\"")
        );
    }
}

#[test]
fn certificates_are_identified_by_the_hash_of_their_base64_line() {
    let trimmed = trim_certificate(&text("certificate.pem"));
    assert_eq!(trimmed, text("certificate.b64"));
    assert_eq!(sha3_hex(&trimmed), text("certificate.sha3"));
}
