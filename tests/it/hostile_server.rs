//! A whole run against a server that breaks every rule: each device ends in a classified outcome.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};

use crate::support::Run;

/// What the server does to a connection, and what the device must call it.
type Mischief = (fn(&mut TcpStream), &'static str);

const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const SUBACK: &[u8] = &[0x90, 3, 0, 1, 1];

fn hear(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    let _ = stream.read(&mut buffer);
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Lets the device connect, subscribe and ask.
fn until_asked(stream: &mut TcpStream) {
    for answer in [CONNACK, SUBACK] {
        hear(stream);
        say(stream, answer);
    }
    hear(stream);
}

/// A PUBLISH at QoS 0 on the answer topic.
fn answer(stream: &mut TcpStream, body: &str) {
    let topic = "/provision/response";
    let mut packet = vec![0x30, u8::try_from(2 + topic.len() + body.len()).unwrap()];
    packet.extend_from_slice(&u16::try_from(topic.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(body.as_bytes());
    say(stream, &packet);
    // Until the device has left: a close of ours might overtake what was said.
    while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
}

fn linger_zero(stream: &TcpStream) {
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream.as_fd(), sockopt::Linger, &linger).unwrap();
}

const MISCHIEFS: [Mischief; 12] = [
    (hear, "mqtt_connect.connection_closed"),
    (
        |s| {
            hear(s);
            say(s, &[0x20, 2, 0, 5]);
        },
        "mqtt_connect.connack_5",
    ),
    (
        |s| {
            hear(s);
            say(s, &[0x40, 2, 0, 1]);
        },
        "mqtt_connect.unexpected_packet",
    ),
    (
        |s| {
            hear(s);
            say(s, &[0xff; 64]);
        },
        "mqtt_connect.malformed_packet",
    ),
    (until_asked, "provision.connection_closed"),
    (
        |s| {
            until_asked(s);
            answer(s, r#"{"credentialsValue":"ABCDE"#);
        },
        "provision.malformed_answer",
    ),
    (
        |s| {
            until_asked(s);
            answer(
                s,
                r#"{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN"}"#,
            );
        },
        "provision.answer_without_credentials",
    ),
    (
        |s| {
            until_asked(s);
            answer(s, r#"{"status":"PERHAPS"}"#);
        },
        "provision.unknown_status",
    ),
    (
        // The longest remaining length that there is, 256 MB.
        |s| {
            until_asked(s);
            say(s, &[0x30, 0xff, 0xff, 0xff, 0x7f]);
            hear(s);
        },
        "provision.packet_too_large",
    ),
    (
        // 300 MB, for which MQTT has no bytes.
        |s| {
            until_asked(s);
            say(s, &[0x30, 0x80, 0xc6, 0x86, 0x8f, 0x01]);
            hear(s);
        },
        "provision.malformed_packet",
    ),
    (
        |s| {
            until_asked(s);
            linger_zero(s);
        },
        "provision.connection_reset",
    ),
    (
        // Silence for longer than anybody waits.
        |s| {
            until_asked(s);
            while s.read(&mut [0; 64]).is_ok_and(|n| n > 0) {}
        },
        "provision.timeout",
    ),
];

#[test]
fn every_mischief_ends_as_a_classified_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        // The first connection is the look at whether anybody is there.
        drop(listener.accept().unwrap());
        for (mischief, _) in MISCHIEFS {
            let (mut stream, _) = listener.accept().unwrap();
            mischief(&mut stream);
        }
    });
    let scenario = format!(
        r#"
        name = "mischief"
        [target]
        mqtt = "{addr}"
        [profile]
        provision_key = "k"
        provision_secret = "s"
        [devices]
        generate = {{ count = {}, kind = "serial" }}
        [arrival]
        model = "closed"
        stages = [{{ duration = "1s", concurrency = 1 }}]
        [telemetry]
        [limits]
        answer_timeout = "1s"
        "#,
        MISCHIEFS.len()
    );
    let ran = Run::of(&scenario).finish();
    server.join().unwrap();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let expected: HashMap<String, u64> = MISCHIEFS
        .iter()
        .map(|(_, cause)| ((*cause).to_owned(), 1))
        .collect();
    assert_eq!(ran.errors(), expected);
    // Before the request nothing can have been provisioned; after it, nobody can tell.
    assert_eq!(ran.number("devices.failed"), 4);
    assert_eq!(ran.number("devices.unknown"), 8);
    for row in ran.rows("devices.csv") {
        let before = row["cause"].starts_with("mqtt_connect");
        assert_eq!(
            row["outcome"],
            if before { "failed" } else { "unknown" },
            "{}",
            row["cause"]
        );
    }
}
