//! The CoAP device API, datagram by datagram.

use std::time::Duration;

use fleetcall::model::{Faults, Strategy};
use fleetcall::target::{Target, TargetConfig};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{TOKEN, config, listed, request, start, until};
use crate::support::PATIENCE;
use crate::support::golden::{hex, text};

/// A client's socket.
pub(crate) struct Peer(UdpSocket);

impl Peer {
    pub(crate) async fn new(target: &Target) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(target.coap().unwrap()).await.unwrap();
        Self(socket)
    }

    pub(crate) async fn send(&self, datagram: impl AsRef<[u8]>) {
        self.0.send(datagram.as_ref()).await.unwrap();
    }

    pub(crate) async fn receive(&self) -> Vec<u8> {
        let mut datagram = vec![0; 65_536];
        let received = timeout(PATIENCE, self.0.recv(&mut datagram)).await;
        let length = received.expect("no answer").unwrap();
        datagram.truncate(length);
        datagram
    }

    pub(crate) async fn expect(&self, wanted: impl AsRef<[u8]>) {
        let (seen, wanted) = (self.receive().await, wanted.as_ref());
        assert_eq!(
            seen,
            wanted,
            "\nseen   {}\nwanted {}",
            seen.escape_ascii(),
            wanted.escape_ascii()
        );
    }

    /// Whatever came before is answered: a ping gets the next datagram.
    pub(crate) async fn expect_silence(&self) {
        self.send(b"\x40\x00\xff\xfe").await;
        self.expect(b"\x70\x00\xff\xfe").await;
    }
}

/// A message with token "t": first byte's type, code, id, path, payload.
pub(crate) fn message(kind: u8, code: u8, id: u16, path: &str, payload: &str) -> Vec<u8> {
    let mut out = vec![0x41 | kind << 4, code];
    out.extend(id.to_be_bytes());
    out.push(b't');
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut last = 0;
    let options = path.split('/').map(|part| (11, part));
    let query = query.split('&').filter(|part| !part.is_empty());
    for (number, text) in options.chain(query.map(|part| (15, part))) {
        let delta: u8 = (number - last) << 4;
        last = number;
        match text.len() {
            short @ 0..=12 => out.push(delta | short as u8),
            long => out.extend([delta | 0x0d, (long - 13) as u8]),
        }
        out.extend(text.as_bytes());
    }
    if !payload.is_empty() {
        out.push(0xff);
        out.extend(payload.as_bytes());
    }
    out
}

pub(crate) const CON: u8 = 0;
pub(crate) const NON: u8 = 1;
pub(crate) const GET: u8 = 1;
pub(crate) const POST: u8 = 2;

/// An answer to such a message.
pub(crate) fn answer(kind: u8, code: u8, id: u16, rest: &str) -> Vec<u8> {
    let mut out = vec![0x41 | kind << 4, code];
    out.extend(id.to_be_bytes());
    out.push(b't');
    out.extend(rest.as_bytes());
    out
}

pub(crate) const ACK: u8 = 2;

/// A GET of D1's with Observe 0, or with Observe 1 to end it.
pub(crate) fn observe(kind: u8, id: u16, feature: &str, value: u8) -> Vec<u8> {
    // Observe is option 6, so the path's delta is 5.
    let mut datagram = message(kind, GET, id, &format!("api/v1/{TOKEN}/{feature}"), "");
    datagram[5] = 0x53;
    match value {
        0 => datagram.insert(5, 0x60),
        value => {
            datagram.splice(5..5, [0x61, value]);
        }
    }
    datagram
}

#[tokio::test]
async fn provisioning_is_the_golden_exchange() {
    let target = start(Strategy::Check).await;
    let peer = Peer::new(&target).await;
    peer.send(hex("coap-request")).await;
    peer.expect(hex("coap-success")).await;
    // Seen again it is answered from memory, not carried out again.
    peer.send(hex("coap-request")).await;
    peer.expect(hex("coap-success")).await;
    let counts = target.counts();
    assert_eq!((counts.provision_requests, counts.coap_repeats), (1, 1));
    let target = start(Strategy::Disabled).await;
    let peer = Peer::new(&target).await;
    peer.send(hex("coap-request")).await;
    peer.expect(hex("coap-not-found")).await;
}

#[tokio::test]
async fn provision_requests_end_as_their_class_says() {
    let target = start(Strategy::Check).await;
    let peer = Peer::new(&target).await;
    let path = "api/v1/provision";
    let failure = format!("\u{0}{}", text("answer-failure.json"));
    let plain = |payload: &str| {
        // Content-Format 0 is an option without value.
        [&[0xc0, 0xff], payload.trim_start_matches('\0').as_bytes()].concat()
    };
    for (id, (path, payload, code, rest)) in (1..).zip([
        (
            path,
            &*request(r#""deviceName":"D2","#),
            0x80,
            plain(&failure),
        ),
        (
            "api/v1/any/PROVISION",
            &*text("request.json"),
            0x41,
            plain(&text("answer-access-token.json")),
        ),
        (
            "/api/v1/provision",
            &*text("request.json"),
            0x80,
            plain(&failure),
        ),
        (path, "{no json", 0x80, vec![]),
        (path, &*request(r#""deviceName":[],"#), 0x80, vec![]),
        (path, &*request(r#""deviceName":null,"#), 0x80, vec![]),
        (path, "{}", 0x80, vec![]),
        // Nothing at all is an empty protobuf message.
        (path, "", 0x80, b"\xff\x08\x02".to_vec()),
    ]) {
        peer.send(message(CON, POST, id, path, payload)).await;
        let wanted = [&answer(ACK, code, id, "")[..], &rest].concat();
        peer.expect(wanted).await;
    }
    peer.send(message(NON, POST, 0x64, path, &text("request.json")))
        .await;
    let wanted = [&answer(NON, 0x80, 0x64 ^ 0x8000, "")[..], &plain(&failure)].concat();
    peer.expect(wanted).await;
    for (id, (method, code)) in (200..).zip([(GET, 0x80), (3, 0x85), (4, 0x85)]) {
        peer.send(message(CON, method, id, path, "{}")).await;
        peer.expect(answer(ACK, code, id, "")).await;
    }
}

#[tokio::test]
async fn protobuf_is_answered_in_protobuf() {
    let target = start(Strategy::Allow).await;
    let peer = Peer::new(&target).await;
    let ask = |id| {
        let mut datagram = message(CON, POST, id, "api/v1/provision", "x");
        datagram.pop();
        [datagram, hex("protobuf-request-token")].concat()
    };
    let told = |code, id, payload| [answer(ACK, code, id, ""), vec![0xff], hex(payload)].concat();
    peer.send(ask(1)).await;
    peer.expect(told(0x41, 1, "protobuf-success")).await;
    peer.send(ask(2)).await;
    peer.expect(told(0x80, 2, "protobuf-failure")).await;
}

#[tokio::test]
async fn accepted_messages_are_answered_by_a_confirmable_message_of_their_own() {
    let target = start(Strategy::Check).await;
    let peer = Peer::new(&target).await;
    peer.send(hex("coap-telemetry")).await;
    let told = b"\x42\x41\x92\x35tl";
    peer.expect(told).await;
    // A request seen again gets the same message again.
    peer.send(hex("coap-telemetry")).await;
    peer.expect(told).await;
    peer.send(b"\x60\x00\x92\x35").await;
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 1);
    for (id, (path, payload)) in (1..).zip([
        ("telemetry", "[{\"t\":1}]"),
        ("TELEMETRY", "{}"),
        ("attributes", "{\"a\":1}"),
        ("claim", ""),
        ("claim", "{}"),
        ("rpc/1", "{}"),
    ]) {
        let path = format!("api/v1/{TOKEN}/{path}");
        peer.send(message(CON, POST, id, &path, payload)).await;
        peer.expect(answer(CON, 0x41, id ^ 0x8000, "")).await;
        let [high, low] = (id ^ 0x8000).to_be_bytes();
        peer.send([0x60, 0, high, low]).await;
        peer.send(message(NON, POST, id + 100, &path, payload))
            .await;
        peer.expect(answer(NON, 0x41, (id + 100) ^ 0x8000, ""))
            .await;
    }
    let path = format!("api/v1/{TOKEN}/attributes?clientKeys=a,b");
    peer.send(message(CON, GET, 0x01f4, &path, "")).await;
    let json = [
        &answer(CON, 0x45, 0x01f4 ^ 0x8000, "")[..],
        b"\xc1\x32\xff{\"client\":{\"a\":1}}",
    ]
    .concat();
    peer.expect(json).await;
}

#[tokio::test]
async fn refusals_ride_on_the_acknowledgement() {
    let target = start(Strategy::Check).await;
    let peer = Peer::new(&target).await;
    let own = |rest: &str| format!("api/v1/{TOKEN}/{rest}");
    for (id, (method, path, payload, code)) in (1..).zip([
        (POST, "api/v1/nobody/telemetry".to_owned(), "{}", 0x81),
        (POST, "api/v1/nobody/telemetry".to_owned(), "no json", 0x81),
        (POST, own("telemetry"), "no json", 0x80),
        (POST, own("telemetry"), "", 0x80),
        (POST, own("telemetry"), "{\"ts\":\"x\",\"values\":{}}", 0xa0),
        (POST, own("attributes"), "[]", 0x80),
        (POST, own("rpc/1"), "text", 0x80),
        (POST, own("rpc/x"), "{}", 0x80),
        (POST, own("nothing"), "{}", 0x80),
        (POST, own("telemetry/more/parts"), "{}", 0x80),
        (POST, "api/v1".to_owned(), "{}", 0x80),
        (GET, own("telemetry"), "", 0x80),
        (GET, own("attributes"), "", 0x84),
        (GET, own("attributes?sharedKeys=s"), "", 0x84),
        (GET, format!("fw/{TOKEN}?title=a"), "", 0x84),
        (GET, "fw/nobody".to_owned(), "", 0x81),
        (GET, "other".to_owned(), "", 0x84),
        (3, own("telemetry"), "{}", 0x85),
        (4, own("telemetry"), "", 0x85),
    ]) {
        peer.send(message(CON, method, id, &path, payload)).await;
        peer.expect(answer(ACK, code, id, "")).await;
    }
}

#[tokio::test]
async fn a_slow_answer_is_acknowledged_first_and_sent_on_its_own() {
    let faults = Faults {
        delay: Duration::from_millis(700),
        ..Faults::default()
    };
    let target = Target::start(TargetConfig {
        faults,
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let peer = Peer::new(&target).await;
    peer.send(hex("coap-request")).await;
    // Repeated while nothing is known, it is neither carried out nor answered twice.
    peer.send(hex("coap-request")).await;
    peer.expect(b"\x60\x00\x12\x34").await;
    let mut told = hex("coap-success");
    told[0] = 0x42;
    told[2] ^= 0x80;
    peer.expect(&told).await;
    peer.send([0x60, 0, told[2], told[3]]).await;
    peer.expect_silence().await;
    assert_eq!(target.counts().provision_requests, 1);
}

#[tokio::test]
async fn without_an_answer_of_the_core_the_code_is_5_00() {
    let target = Target::start(TargetConfig {
        core_timeout: Duration::from_millis(20),
        ..config(Strategy::X509Chain)
    })
    .await
    .unwrap();
    let peer = Peer::new(&target).await;
    peer.send(hex("coap-request")).await;
    peer.expect(b"\x62\xa0\x12\x34tk").await;
}

#[tokio::test]
async fn a_lost_answer_stays_lost_when_asked_again() {
    let faults = Faults {
        lose_answer: 1.0,
        ..Faults::default()
    };
    let target = Target::start(TargetConfig {
        faults,
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let peer = Peer::new(&target).await;
    peer.send(hex("coap-request")).await;
    peer.send(hex("coap-request")).await;
    peer.expect_silence().await;
    assert!(target.device("D1").unwrap().provisioned);
    assert_eq!(target.counts().provision_requests, 1);
}

#[tokio::test]
async fn observations_get_their_first_answer() {
    let target = start(Strategy::Check).await;
    let peer = Peer::new(&target).await;
    peer.send(observe(CON, 1, "attributes", 0)).await;
    let wanted = [&answer(ACK, 0x45, 1, "")[..], b"\x60\x61\x32\xff{}"].concat();
    peer.expect(wanted).await;
    peer.send(observe(CON, 2, "rpc", 0)).await;
    // An id of its own: the peer's 2, with the top bit turned, may be another answer's.
    let wanted = [&answer(CON, 0x43, 3 ^ 0x8000, "")[..], b"\x60"].concat();
    peer.expect(wanted).await;
}

#[tokio::test]
async fn pings_are_reset_and_noise_is_ignored() {
    let target = start(Strategy::Check).await;
    let peer = Peer::new(&target).await;
    for noise in [
        &b""[..],
        b"\x40",
        b"\xff\xff\xff\xff",
        b"\x60\x00\x00\x01",
        b"\x70\x00\x00\x01",
        b"\x50\x45\x00\x01",
        b"\x50\x02\x00\x01\xff",
    ] {
        peer.send(noise).await;
    }
    peer.expect_silence().await;
    peer.send(b"\x40\x02\x00\x01\xf0").await;
    peer.expect(b"\x70\x00\x00\x01").await;
}

#[tokio::test]
async fn another_device_on_the_same_port_is_not_given_its_predecessors_answer() {
    let target = Target::start(TargetConfig {
        devices: vec![listed("D1", TOKEN), listed("D2", "other")],
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let peer = Peer::new(&target).await;
    peer.send(hex("coap-request")).await;
    peer.expect(hex("coap-success")).await;
    // The same port and message id, but another request.
    let path = "api/v1/provision";
    peer.send(message(
        CON,
        POST,
        0x1234,
        path,
        &request(r#""deviceName":"D2","#),
    ))
    .await;
    let told = peer.receive().await;
    assert!(told.windows(5).any(|window| window == b"other"));
}

#[tokio::test]
async fn long_bodies_travel_in_blocks() {
    let target = start(Strategy::Allow).await;
    let peer = Peer::new(&target).await;
    let certificate = text("certificate.b64").repeat(3);
    let fields =
        format!(r#""deviceName":"X","credentialsType":"X509_CERTIFICATE","hash":"{certificate}","#);
    let body = request(&fields);
    let block1 = |id: u16, value: u8, payload: &str| {
        let mut datagram = message(CON, POST, id, "api/v1/provision", "");
        datagram.extend([0xd1, 27 - 11 - 13, value, 0xff]);
        datagram.extend(payload.as_bytes());
        datagram
    };
    peer.send(block1(1, 0x0e, &body[..1024])).await;
    peer.expect([&answer(ACK, 0x5f, 1, "")[..], &[0xd1, 27 - 13, 0x0e]].concat())
        .await;
    peer.send(block1(2, 0x16, &body[1024..])).await;
    let whole = format!(
        r#"{{"credentialsValue":"{certificate}","credentialsType":"X509_CERTIFICATE","status":"SUCCESS"}}"#
    );
    let first = peer.receive().await;
    let head = [
        &answer(ACK, 0x41, 2, "")[..],
        &[0xc0, 0xb1, 0x0e, 0x41, 0x16, 0xff],
    ]
    .concat();
    assert_eq!(first, [&head, &whole.as_bytes()[..1024]].concat());
    let mut next = message(CON, POST, 3, "api/v1/provision", "");
    next.extend([0xc1, 0x16]);
    peer.send(next).await;
    let head = [&answer(ACK, 0x41, 3, "")[..], &[0xc0, 0xb1, 0x16, 0xff]].concat();
    peer.expect([&head, &whole.as_bytes()[1024..]].concat())
        .await;
    until(|| target.counts().provisioned == 1).await;
}
