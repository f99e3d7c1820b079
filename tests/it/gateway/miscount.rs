//! A server that acknowledges too little, too much and what nobody said, and talks of strangers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{cohort, counted, scenario};
use crate::support::Run;
use crate::transport_hostile::mqtt::publish;
use crate::transport_hostile::{REQUEST, RESPONSE};

/// Serves gateways until the test is over.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let messages = Arc::new(AtomicU32::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // It ends with the device's connection.
            let messages = Arc::clone(&messages);
            tokio::spawn(async move { session(stream, &messages).await.err() });
        }
    });
    addr
}

/// One packet: its first byte and what follows the fixed header.
async fn packet(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let mut length = 0usize;
    for shift in [0, 7, 14, 21] {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    Ok((first, rest))
}

async fn session(mut stream: TcpStream, messages: &AtomicU32) -> std::io::Result<()> {
    loop {
        let (first, rest) = packet(&mut stream).await?;
        match first >> 4 {
            1 => stream.write_all(&[0x20, 2, 0, 0]).await?,
            3 => {
                let end = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                let topic = String::from_utf8_lossy(&rest[2..end]);
                let id = [rest[end], rest[end + 1]];
                let body: Value = serde_json::from_slice(&rest[end + 2..]).unwrap();
                let telemetry = u32::from(topic == "v1/gateway/telemetry");
                let nth = messages.fetch_add(telemetry, Ordering::Relaxed) + telemetry;
                stream.write_all(&answer(&topic, id, &body, nth)).await?;
            }
            8 => stream.write_all(&[0x90, 3, rest[0], rest[1], 1]).await?,
            12 => stream.write_all(&[0xd0, 0]).await?,
            14 => return Ok(()),
            _ => {}
        }
    }
}

/// What a publish gets; `nth` is the number of the message of telemetry, from 1.
fn answer(topic: &str, id: [u8; 2], body: &Value, nth: u32) -> Vec<u8> {
    let acked = |times: usize| [0x40, 2, id[0], id[1]].repeat(times);
    match topic {
        REQUEST => {
            let granted = json!({"status": "SUCCESS", "credentialsType": "ACCESS_TOKEN", "credentialsValue": "T"});
            [
                acked(1),
                publish(RESPONSE, None, granted.to_string().as_bytes()),
            ]
            .concat()
        }
        "v1/gateway/telemetry" => {
            let parts = body.as_object().unwrap();
            assert_eq!(parts.len(), 3);
            match nth {
                1 => acked(2),
                2 => acked(5),
                3 => [acked(3), talk(parts.keys().next().unwrap())].concat(),
                // For a packet that there never was: no session goes on after that.
                4 => vec![0x40, 2, 0xff, 0xf0],
                _ => acked(3),
            }
        }
        _ => acked(1),
    }
}

/// Calls and words of strangers, what is none, and that the first device is let go.
fn talk(first: &str) -> Vec<u8> {
    let say =
        |topic: &str, body: &str| publish(&format!("v1/gateway/{topic}"), None, body.as_bytes());
    let call = json!({"id": 1, "method": "m", "params": {}});
    let mut all = Vec::new();
    for device in ["nobody", "", first] {
        let body = json!({"device": device, "data": call}).to_string();
        all.extend(say("rpc", &body));
    }
    for body in ["{}", "[]", "no json", r#"{"device":5,"data":{}}"#] {
        all.extend(say("rpc", body));
        all.extend(say("attributes", body));
        all.extend(say("disconnect", body));
    }
    for device in ["nobody", first] {
        let body = json!({"device": device, "reason": 150}).to_string();
        all.extend(say("disconnect", &body));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_miscounts_leaves_faults_that_are_counted_and_nothing_else() {
    let addr = serve().await;
    let more = r#"
        [telemetry]
        interval = "1s"
        [downlink]
        [limits]
        answer_timeout = "500ms"
        [profile]
        provision_key = "k"
        provision_secret = "s"
    "#;
    let scenario = scenario(
        &format!("mqtt = \"{addr}\""),
        1,
        &cohort("one", "", "devices = 3"),
        8,
        more,
    );
    let ran = tokio::task::spawn_blocking(move || Run::of(&scenario).finish())
        .await
        .unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let messages = ran.number("gateway.messages.sent");
    assert!(messages >= 5, "{messages}");
    counted(
        &ran,
        &[
            ("telemetry.sent", 3 * messages),
            ("telemetry.acked", 3 * messages - 4),
            ("telemetry.lost", 4),
            ("gateway.messages.partial", 1),
            ("gateway.messages.acked", messages - 2),
            ("gateway.messages.lost", 1),
            ("gateway.stray_pubacks", 2),
            // Two calls, and one that is said to be gone.
            ("gateway.strangers", 3),
            ("gateway.closed", 2),
            // The one that was let go was connected again, and all of them in the second session.
            ("gateway.connects.acked", 7),
            ("gateway.connected", 3),
            ("downlink.unasked", 1),
            ("downlink.replies.acked", 1),
            ("downlink.garbled", 12),
        ],
    );
    let causes = ["telemetry.pubacks_missing", "telemetry.unexpected_packet"];
    let one = causes.map(|cause| (cause.to_owned(), 1));
    assert_eq!(ran.errors(), HashMap::from(one));
}
