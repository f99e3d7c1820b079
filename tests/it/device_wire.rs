//! The device side, byte for byte against the golden messages. The target is held to the same
//! files by tests of its own.

use bytes::Bytes;
use fleetcall::dialect::{Answer, Heard, HeardBehind, Parts, Report, ThingsBoard};
use fleetcall::model::{Credentials, FaultKind, Login, Qos, Reply, Source, Status, TransportKind};
use fleetcall::transport::{Connection, Dial};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::LocalSet;

use crate::support::golden;
use crate::transport_hostile::dial;

fn dialect() -> ThingsBoard {
    ThingsBoard::new("K".into(), "S".into())
}

async fn expect(stream: &mut TcpStream, name: &str) {
    let wanted = golden::hex(name);
    let mut heard = vec![0; wanted.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, wanted, "{name}");
}

async fn say(stream: &mut TcpStream, name: &str) {
    stream.write_all(&golden::hex(name)).await.unwrap();
}

/// Provisions `D1` over a new connection, as client `c1` where there is a login.
async fn provision(dial: Dial) -> Answer {
    let login = Login {
        client_id: "c1".to_owned(),
        ..dialect().provision_login("D1")
    };
    let mut connection = Connection::open(&dial, &login, None, 0)
        .await
        .unwrap()
        .connection;
    let request = dialect().provision_request(dial.kind, "D1", None);
    let exchanged = connection.exchange(&request).await.unwrap();
    connection.close().await;
    dialect().provision_answer(&exchanged.reply)
}

fn assert_golden_token(answer: &Answer) {
    let Answer::Provisioned(Credentials::AccessToken(token)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(token.expose_secret(), "ABCDEFGHIJKLMNOPQRST");
}

#[tokio::test]
async fn an_mqtt_device_provisions_in_the_golden_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dial = dial(TransportKind::Mqtt, listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        expect(&mut stream, "mqtt-connect").await;
        say(&mut stream, "mqtt-connack").await;
        expect(&mut stream, "mqtt-subscribe").await;
        say(&mut stream, "mqtt-suback").await;
        expect(&mut stream, "mqtt-request").await;
        say(&mut stream, "mqtt-puback").await;
        say(&mut stream, "mqtt-response").await;
        // The acknowledgement of the answer, whose id is 1, and the end.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let acknowledged = [&[0x40, 2, 0, 1][..], &golden::hex("mqtt-disconnect")].concat();
        assert_eq!(rest, acknowledged);
    });
    let answer = LocalSet::new().run_until(provision(dial)).await;
    assert_golden_token(&answer);
    server.await.unwrap();
}

/// A CoAP message without message id and token, which are drawn anew each time.
fn undrawn(message: &[u8]) -> (u8, u8, &[u8]) {
    let token = usize::from(message[0] & 0x0f);
    (message[0] & 0xf0, message[1], &message[4 + token..])
}

#[tokio::test]
async fn a_coap_device_provisions_in_the_golden_bytes() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dial = dial(TransportKind::Coap, socket.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut buffer = [0; 2048];
        let (n, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let heard = &buffer[..n];
        assert_eq!(undrawn(heard), undrawn(&golden::hex("coap-request")));
        // The golden answer with the request's own message id and token.
        let golden = golden::hex("coap-success");
        let token = usize::from(heard[0] & 0x0f);
        let (kind, code, rest) = undrawn(&golden);
        let mut answer = vec![kind | heard[0] & 0x0f, code];
        answer.extend_from_slice(&heard[2..4 + token]);
        answer.extend_from_slice(rest);
        socket.send_to(&answer, peer).await.unwrap();
    });
    let answer = LocalSet::new().run_until(provision(dial)).await;
    assert_golden_token(&answer);
    server.await.unwrap();
}

#[test]
fn every_golden_answer_means_what_the_specification_says() {
    let read = |name: &str| {
        let body = Bytes::from(golden::text(name));
        dialect().provision_answer(&Reply {
            status: Status::Http(200),
            body,
        })
    };
    assert_golden_token(&read("answer-access-token.json"));
    assert!(matches!(
        read("answer-not-found.json"),
        Answer::Refused(FaultKind::NotFound)
    ));
    assert!(matches!(
        read("answer-failure.json"),
        Answer::Refused(FaultKind::Failure)
    ));
    assert!(matches!(
        read("answer-mqtt-basic.json"),
        Answer::Provisioned(Credentials::MqttBasic(_))
    ));
    let Answer::Provisioned(Credentials::X509 { certificate }) = read("answer-x509.json") else {
        panic!("no certificate")
    };
    assert_eq!(certificate, golden::text("certificate.b64"));
}

#[test]
fn a_request_over_http_is_the_golden_json() {
    let request = dialect().provision_request(TransportKind::Http, "D1", None);
    assert_eq!(request.body, golden::text("request.json"));
}

#[test]
fn telemetry_takes_the_path_of_the_golden_message() {
    let token = Credentials::AccessToken("ABCDEFGHIJKLMNOPQRST".into());
    let payload = Bytes::from_static(br#"{"t":1}"#);
    let request = dialect()
        .telemetry_request(TransportKind::Coap, &token, Qos::AtLeastOnce, payload)
        .unwrap();
    let fleetcall::model::Route::Resource { path } = request.route else {
        panic!("CoAP has resources")
    };
    assert_eq!(
        path.expose_secret(),
        "/api/v1/ABCDEFGHIJKLMNOPQRST/telemetry"
    );
}

/// What a gateway says, and where.
fn said(request: fleetcall::model::Request) -> (String, String) {
    let fleetcall::model::Route::Topic { publish, .. } = request.route else {
        panic!("gateways speak MQTT")
    };
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    (publish.into_owned(), body)
}

#[test]
fn a_gateway_speaks_in_the_golden_messages() {
    let dialect = dialect();
    let over = TransportKind::Mqtt;
    let asked = dialect.for_gateways().provision_request(over, "D1", None);
    assert_eq!(asked.body, golden::text("request-gateway.json"));
    let mut telemetry = Parts::new(Report::Telemetry);
    let readings = r#"[{"ts":1700000000000,"values":{"temperature":21.5}},{"humidity":40}]"#;
    for (device, payload) in [
        ("A", readings),
        ("B", r#"{"on":true}"#),
        ("C", r#"{"n":1}"#),
    ] {
        telemetry.add(device, payload.as_bytes());
    }
    let mut attributes = Parts::new(Report::Attributes);
    for (device, payload) in [("A", r#"{"serial":"7"}"#), ("B", r#"{"serial":"8"}"#)] {
        attributes.add(device, payload.as_bytes());
    }
    let qos = Qos::AtLeastOnce;
    for (request, topic, name) in [
        (
            dialect.gateway_connect("A", "default"),
            "connect",
            "gateway-connect",
        ),
        (telemetry.request(qos), "telemetry", "gateway-telemetry"),
        (attributes.request(qos), "attributes", "gateway-attributes"),
        (
            dialect.gateway_reply("A", 0, br#"{"done":true}"#),
            "rpc",
            "gateway-rpc-reply",
        ),
    ] {
        let expected = (
            format!("v1/gateway/{topic}"),
            golden::text(&format!("{name}.json")),
        );
        assert_eq!(said(request), expected);
    }
}

#[test]
fn a_gateway_hears_the_golden_messages() {
    let heard = |topic: &str, name: &str| {
        let topic = Source::Topic(format!("v1/gateway/{topic}"));
        let body = golden::text(&format!("{name}.json"));
        dialect().heard_behind(&topic, body.as_bytes()).unwrap()
    };
    for name in ["gateway-attribute-update", "gateway-attribute-deleted"] {
        let update = HeardBehind::For("A".to_owned(), Heard::Attributes(None));
        assert_eq!(heard("attributes", name), update);
    }
    let HeardBehind::For(device, Heard::Call(call)) = heard("rpc", "gateway-rpc-request") else {
        panic!("it is a call")
    };
    assert_eq!(
        (device.as_str(), call.id, call.method.as_str()),
        ("A", 0, "setGpio")
    );
    let closed = HeardBehind::Closed("A".to_owned(), 150);
    assert_eq!(heard("disconnect", "gateway-closed"), closed);
}
