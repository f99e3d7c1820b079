//! MQTT basic credentials: which of them a request gets (the table of section 1.2), and which logins
//! they let in (section 4.1).

use fleetcall::model::Strategy;
use fleetcall::target::{Target, sha3_hex};

use super::mqtt::{ask, packet, response, session};
use super::mqtt_device::connect;
use super::{Wire, request, start};
use crate::support::golden::text;

const FAILURE: &str = r#"{"errorMsg":"Failed to provision device!","status":"FAILURE"}"#;

/// The answer with these credentials.
fn success(client: &str, user: &str, password: &str) -> String {
    format!(
        r#"{{"credentialsValue":{{"clientId":"{client}","userName":"{user}","password":"{password}"}},"credentialsType":"MQTT_BASIC","status":"SUCCESS"}}"#
    )
}

/// Asks for devices one after another, each with its name and further fields.
async fn provision(target: &Target, requests: &[(&str, String, String)]) {
    let mut wire = session(target).await;
    for (id, (name, fields, answer)) in (1u16..).zip(requests) {
        let payload = request(&format!(r#""deviceName":"{name}",{fields}"#));
        wire.send(ask(1, id, payload)).await;
        wire.expect(packet(0x40, &[&id.to_be_bytes()])).await;
        wire.expect(response(1, id, answer)).await;
        let there = answer.contains("SUCCESS");
        assert_eq!(target.device(name).is_some(), there, "{name}");
    }
}

fn basic(fields: &str) -> String {
    format!(r#""credentialsType":"MQTT_BASIC",{fields}"#)
}

/// A login by client id, user name and password: the CONNACK must have this code.
async fn log_in(target: &Target, login: (&str, Option<&str>, Option<&str>), code: u8) -> Wire {
    let (client, user, password) = login;
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(connect(true, client, user, password)).await;
    let mut seen = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut wire.0, &mut seen)
        .await
        .unwrap_or_else(|e| panic!("{login:?}: {e}"));
    assert_eq!(seen, [0x20, 2, 0, code], "{login:?}");
    wire
}

#[tokio::test]
async fn each_combination_of_values_lets_in_whom_it_is_about() {
    let target = start(Strategy::Allow).await;
    let requests = [
        ("d1", r#""username":"u1","#, success("", "u1", "")),
        (
            "d2",
            r#""username":"u2","password":"p2","#,
            success("", "u2", "p2"),
        ),
        ("d3", r#""clientId":"c3","#, success("c3", "", "")),
        (
            "d4",
            r#""clientId":"c4","username":"u4","#,
            success("c4", "u4", ""),
        ),
        (
            "d5",
            r#""clientId":"c5","username":"u5","password":"p5","#,
            success("c5", "u5", "p5"),
        ),
        (
            "d6",
            r#""clientId":"c6","password":"p6","#,
            FAILURE.to_owned(),
        ),
        ("d7", r#""password":"p7","#, FAILURE.to_owned()),
        ("d8", r#""token":"t8","#, FAILURE.to_owned()),
    ];
    let requests = requests.map(|(name, fields, answer)| (name, basic(fields), answer));
    provision(&target, &requests).await;
    let none = None;
    for (client, user, password, code) in [
        // A user name alone: any client id, any password.
        ("any", Some("u1"), none, 0),
        ("", Some("u1"), Some("any"), 0),
        ("u1", none, none, 2),
        // With a password: that one.
        ("any", Some("u2"), Some("p2"), 0),
        ("any", Some("u2"), Some("p1"), 5),
        ("any", Some("u2"), Some(""), 5),
        ("any", Some("u2"), none, 5),
        // A client id alone: no user name.
        ("c3", none, none, 0),
        ("c3", Some(""), none, 0),
        ("c3", none, Some("any"), 0),
        ("c3", Some("any"), none, 5),
        ("C3", none, none, 2),
        ("", Some("c3"), none, 5),
        // Both: both.
        ("c4", Some("u4"), none, 0),
        ("c4", Some("u4"), Some("any"), 0),
        ("c4", none, none, 2),
        ("c3", Some("u4"), none, 5),
        ("c4", Some("u1"), none, 0),
        ("c4", Some("other"), none, 5),
        // All three: all three.
        ("c5", Some("u5"), Some("p5"), 0),
        ("c5", Some("u5"), Some("p2"), 5),
        ("c5", Some("u5"), none, 5),
        ("c4", Some("u5"), Some("p5"), 5),
        ("c5", none, Some("p5"), 5),
        // What was refused lets nobody in.
        ("c6", none, Some("p6"), 5),
        ("c6", none, none, 2),
        ("any", none, Some("p7"), 5),
        ("any", Some("t8"), none, 5),
    ] {
        let mut wire = log_in(&target, (client, user, password), code).await;
        if code > 0 {
            wire.expect_end().await;
        }
    }
}

#[tokio::test]
async fn a_wrong_password_ends_the_search_and_a_wrong_client_id_does_not() {
    let target = start(Strategy::Allow).await;
    let token = r#"{"credentialsValue":"tok","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}"#;
    let three = r#""clientId":"c","username":"tok","password":"p","#;
    provision(
        &target,
        &[
            ("by-token", r#""token":"tok","#.to_owned(), token.to_owned()),
            ("by-three", basic(three), success("c", "tok", "p")),
        ],
    )
    .await;
    for (client, password, code, device) in [
        ("c", Some("p"), 0, "by-three"),
        ("c", Some("wrong"), 5, ""),
        ("c", None, 5, ""),
        ("other", Some("wrong"), 0, "by-token"),
        ("", None, 0, "by-token"),
    ] {
        let wire = log_in(&target, (client, Some("tok"), password), code).await;
        for name in ["by-token", "by-three"] {
            let connected = target.device(name).unwrap().connected;
            assert_eq!(connected, name == device, "{client} {password:?}: {name}");
        }
        drop(wire);
        let gone = || ["by-token", "by-three"].map(|name| target.device(name).unwrap().connected);
        super::until(|| gone() == [false; 2]).await;
    }
}

#[tokio::test]
async fn no_other_credentials_are_a_user_name_and_no_user_name_is_a_token() {
    let target = start(Strategy::Allow).await;
    let pem = text("certificate.pem").replace('\n', "\\n");
    let stored = text("certificate.b64");
    let stored = stored.trim();
    let certificate = format!(
        r#"{{"credentialsValue":"{stored}","credentialsType":"X509_CERTIFICATE","status":"SUCCESS"}}"#
    );
    let x509 = format!(r#""credentialsType":"X509_CERTIFICATE","hash":"{pem}","#);
    let user = basic(r#""username":"u","password":"p","#);
    provision(
        &target,
        &[("x", x509, certificate), ("u", user, success("", "u", "p"))],
    )
    .await;
    let id = sha3_hex(stored);
    log_in(&target, ("any", Some(&id), None), 5).await;
    log_in(&target, (stored, None, None), 2).await;
    log_in(&target, ("any", Some("u"), Some("p")), 0).await;
    for path in ["u", &id] {
        let mut wire = Wire::open(target.http()).await;
        let head = format!("POST /api/v1/{path}/telemetry HTTP/1.1\r\nHost: x\r\n");
        wire.send(head + "Content-Length: 2\r\n\r\n{}").await;
        wire.expect("HTTP/1.1 401").await;
    }
}

#[tokio::test]
async fn what_identifies_a_device_identifies_no_other() {
    let target = start(Strategy::Allow).await;
    let token = |value: &str| format!(r#""token":"{value}","#);
    let token_answer = |value: &str| {
        format!(
            r#"{{"credentialsValue":"{value}","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}}"#
        )
    };
    let of_client = sha3_hex("c");
    let no_certificate = r#""credentialsType":"X509_CERTIFICATE","token":"t","#.to_owned();
    let empty =
        r#"{"credentialsValue":"","credentialsType":"X509_CERTIFICATE","status":"SUCCESS"}"#;
    let failure = FAILURE.to_owned();
    provision(
        &target,
        &[
            ("a", token("tok"), token_answer("tok")),
            ("b", basic(r#""username":"u","#), success("", "u", "")),
            ("c", basic(r#""clientId":"c","#), success("c", "", "")),
            // The user name alone, whatever the password; the token; the client id, hashed.
            (
                "d",
                basic(r#""username":"u","password":"other","#),
                failure.clone(),
            ),
            ("e", basic(r#""username":"tok","#), failure.clone()),
            ("f", token("u"), failure.clone()),
            ("g", basic(r#""clientId":"c","#), failure.clone()),
            ("h", token(&of_client), failure.clone()),
            // Further client ids for one user name, and one client id for further user names.
            (
                "i",
                basic(r#""clientId":"c","username":"u","#),
                success("c", "u", ""),
            ),
            (
                "j",
                basic(r#""clientId":"c2","username":"u","#),
                success("c2", "u", ""),
            ),
            // A name that was refused is free.
            ("d", token("free"), token_answer("free")),
            // No certificate is one as well, once.
            ("k", no_certificate.clone(), empty.to_owned()),
            ("l", no_certificate, failure),
        ],
    )
    .await;
    assert_eq!(target.counts().provisioned, 7);
}
