//! CoAP servers and networks that misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType};
use fleetcall::model::{FaultKind, Status, TransportKind};
use fleetcall::transport::{CoapTiming, Dial, probe};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{attempt, dial, fault, impatient, open, post};
use crate::support::PATIENCE;

const PATH: &str = "/api/v1/provision";
const CREATED: u8 = 0x41;

/// A server's socket, and whom it last heard from.
pub(super) struct Peer {
    socket: UdpSocket,
    client: Option<SocketAddr>,
}

impl Peer {
    pub(super) async fn new() -> (Self, Dial) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dial = dial(TransportKind::Coap, socket.local_addr().unwrap());
        let client = None;
        (Self { socket, client }, dial)
    }

    pub(super) async fn hear(&mut self) -> Packet {
        let mut buffer = [0; 2048];
        let (length, client) = self.socket.recv_from(&mut buffer).await.unwrap();
        self.client = Some(client);
        Packet::from_bytes(&buffer[..length]).unwrap()
    }

    pub(super) async fn say(&self, bytes: &[u8]) {
        let client = self.client.expect("heard somebody before");
        self.socket.send_to(bytes, client).await.unwrap();
    }

    /// Hears a message that must be empty and of this kind and id.
    pub(super) async fn expect_empty(&mut self, kind: MessageType, id: u16) {
        let heard = self.hear().await;
        assert_eq!(heard.header.get_type(), kind);
        assert_eq!(heard.header.message_id, id);
        assert_eq!(heard.header.code, MessageClass::Empty);
    }
}

/// An answer to a request: its own kind and id, the request's token.
fn answer(request: &Packet, kind: MessageType, id: u16, body: &[u8]) -> Packet {
    let mut answer = Packet::new();
    answer.header.set_type(kind);
    answer.header.message_id = id;
    answer.header.code = MessageClass::from(CREATED);
    answer.set_token(request.get_token().to_vec());
    answer.payload = body.to_vec();
    answer
}

pub(super) fn piggybacked(request: &Packet, body: &[u8]) -> Vec<u8> {
    let id = request.header.message_id;
    let answer = answer(request, MessageType::Acknowledgement, id, body);
    answer.to_bytes_unlimited().unwrap()
}

fn separate(request: &Packet, id: u16, body: &[u8]) -> Vec<u8> {
    let answer = answer(request, MessageType::Confirmable, id, body);
    answer.to_bytes_unlimited().unwrap()
}

fn empty(first: u8, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [first, 0, high, low]
}

#[tokio::test]
async fn a_lost_request_is_sent_again_unchanged_until_it_is_heard() {
    let (mut peer, mut dial) = Peer::new().await;
    dial.coap.ack_timeout = Duration::from_millis(100);
    let server = tokio::spawn(async move {
        let first = peer.hear().await;
        for _ in 0..3 {
            assert_eq!(peer.hear().await, first);
        }
        peer.say(&piggybacked(&first, b"fine")).await;
        first
    });
    let answered = attempt(&dial, &post(PATH, "{}")).await.unwrap();
    assert_eq!(answered.reply.status, Status::Coap(CREATED));
    assert_eq!(answered.reply.body, b"fine"[..]);
    // 100, 200 and 400 ms of waiting, each stretched by at most one half.
    assert!(answered.span.done - answered.span.sent >= Duration::from_millis(700));

    let heard = server.await.unwrap();
    assert_eq!(heard.header.code, MessageClass::Request(RequestType::Post));
    let path = heard.get_option(CoapOption::UriPath).unwrap();
    assert!(
        path.iter()
            .eq(["api", "v1", "provision"].map(str::as_bytes))
    );
    let format = heard.get_first_option(CoapOption::ContentFormat).unwrap();
    assert_eq!(format[..], [50]);
    assert_eq!(heard.payload, b"{}");
}

#[tokio::test]
async fn a_request_that_nobody_acknowledges_is_given_up_after_the_last_wait() {
    let (mut peer, mut dial) = Peer::new().await;
    dial.coap = CoapTiming {
        ack_timeout: Duration::from_millis(20),
        random_factor: 1.5,
        max_retransmit: 4,
        ..CoapTiming::default()
    };
    let counted = tokio::spawn(async move {
        for _ in 0..5 {
            peer.hear().await;
        }
        peer
    });
    let outcome = fault(&dial, &post(PATH, "{}")).await;
    assert_eq!(outcome, (FaultKind::Timeout, true));
    let peer = counted.await.unwrap();
    assert!(
        peer.socket.try_recv(&mut [0; 64]).is_err(),
        "a sixth datagram"
    );
}

#[tokio::test]
async fn a_whole_exchange_has_a_limit_of_its_own() {
    let (_peer, mut dial) = Peer::new().await;
    dial.coap.exchange_timeout = Duration::from_millis(100);
    let outcome = fault(&dial, &post(PATH, "{}")).await;
    assert_eq!(outcome, (FaultKind::Timeout, true));
}

#[tokio::test]
async fn an_acknowledged_request_is_not_sent_again_and_its_answer_has_the_answer_timeout() {
    let (mut peer, mut dial) = Peer::new().await;
    dial.coap.ack_timeout = Duration::from_millis(300);
    dial.answer_timeout = Duration::from_millis(900);
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        peer.say(&empty(0x60, request.header.message_id)).await;
        peer
    });
    let outcome = fault(&dial, &post(PATH, "{}")).await;
    assert_eq!(outcome, (FaultKind::Timeout, true));
    let peer = server.await.unwrap();
    assert!(peer.socket.try_recv(&mut [0; 64]).is_err(), "sent again");
}

#[tokio::test]
async fn a_separate_answer_is_taken_once_and_acknowledged_each_time() {
    let (mut peer, dial) = Peer::new().await;
    let (tell, mut told) = mpsc::channel(1);
    tokio::spawn(async move {
        let request = peer.hear().await;
        peer.say(&empty(0x60, request.header.message_id)).await;
        for _ in 0..3 {
            peer.say(&separate(&request, 77, b"first")).await;
            peer.expect_empty(MessageType::Acknowledgement, 77).await;
        }
        tell.send(()).await.unwrap();
        let request = peer.hear().await;
        peer.say(&piggybacked(&request, b"second")).await;
    });
    let mut connection = open(&dial).await.unwrap().connection;
    let first = connection.exchange(&post(PATH, "{}")).await.unwrap();
    assert_eq!(first.reply.body, b"first"[..]);
    tokio::select! {
        ended = connection.idle_until(Instant::now() + PATIENCE) => panic!("{ended:?}"),
        repeated = told.recv() => repeated.unwrap(),
    }
    let second = connection.exchange(&post(PATH, "{}")).await.unwrap();
    assert_eq!(second.reply.body, b"second"[..]);
}

#[tokio::test]
async fn an_answer_without_acknowledgement_is_one() {
    let (mut peer, mut dial) = Peer::new().await;
    // A retransmission would come within 600 ms.
    dial.coap.ack_timeout = Duration::from_millis(400);
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        peer.say(&separate(&request, 77, b"fine")).await;
        peer.expect_empty(MessageType::Acknowledgement, 77).await;
        // Whatever comes next is the next request, not the first one again.
        let next = peer.hear().await;
        assert_ne!(next.header.message_id, request.header.message_id);
        assert_ne!(next.get_token(), request.get_token());
        // A non-confirmable answer is owed nothing.
        let answer = answer(&next, MessageType::NonConfirmable, 78, b"also fine");
        peer.say(&answer.to_bytes_unlimited().unwrap()).await;
    });
    let mut connection = open(&dial).await.unwrap().connection;
    let answered = connection.exchange(&post(PATH, "{}")).await.unwrap();
    assert_eq!(answered.reply.body, b"fine"[..]);
    let later = Instant::now() + Duration::from_millis(700);
    connection.idle_until(later).await.unwrap();
    let answered = connection.exchange(&post(PATH, "{}")).await.unwrap();
    assert_eq!(answered.reply.body, b"also fine"[..]);
    server.await.unwrap();
}

#[tokio::test]
async fn garbage_and_foreign_messages_do_not_hide_the_answer() {
    let (mut peer, dial) = Peer::new().await;
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        let id = request.header.message_id;
        let mut foreign = request.clone();
        foreign.set_token(b"none".to_vec());
        peer.say(b"").await;
        peer.say(&[0xff; 900]).await;
        peer.say(&[0x40, 1, 0]).await;
        // Version 2, another's reset, another's acknowledgement, another's token on our id.
        peer.say(&[0xa0, 0, (id >> 8) as u8, id as u8]).await;
        peer.say(&empty(0x70, id.wrapping_add(1))).await;
        peer.say(&empty(0x60, id.wrapping_add(1))).await;
        peer.say(&piggybacked(&foreign, b"wrong")).await;
        peer.say(&separate(&foreign, 5, b"wrong")).await;
        peer.expect_empty(MessageType::Reset, 5).await;
        peer.say(&empty(0x40, 6)).await;
        peer.expect_empty(MessageType::Reset, 6).await;
        peer.say(&piggybacked(&request, b"right")).await;
    });
    let answered = attempt(&dial, &post(PATH, "{}")).await.unwrap();
    assert_eq!(answered.reply.body, b"right"[..]);
    server.await.unwrap();
}

#[tokio::test]
async fn a_flood_of_garbage_does_not_extend_the_deadline() {
    let (mut peer, mut dial) = Peer::new().await;
    dial.coap.ack_timeout = Duration::from_millis(100);
    dial.coap.max_retransmit = 1;
    let flood = tokio::spawn(async move {
        peer.hear().await;
        loop {
            peer.say(b"garbage").await;
            tokio::task::yield_now().await;
        }
    });
    let outcome = fault(&dial, &post(PATH, "{}")).await;
    assert_eq!(outcome, (FaultKind::Timeout, true));
    flood.abort();
}

#[tokio::test]
async fn a_refusal_of_the_request_has_its_own_word() {
    // What follows the request's own message id.
    let cases: [(u8, &[u8], FaultKind); 3] = [
        (0x70, &[], FaultKind::CoapReset),
        // An option that is longer than the datagram.
        (0x60, &[0x0d, 0xff], FaultKind::MalformedPacket),
        (0x60, &[0xff], FaultKind::MalformedPacket),
    ];
    for (first, rest, kind) in cases {
        let (mut peer, dial) = Peer::new().await;
        tokio::spawn(async move {
            let request = peer.hear().await;
            let head = empty(first, request.header.message_id);
            peer.say(&[&head[..], rest].concat()).await;
        });
        let outcome = fault(&dial, &post(PATH, "{}")).await;
        assert_eq!(outcome, (kind, true), "{first:x} {rest:x?}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses_the_request_unsent() {
    let (peer, dial) = Peer::new().await;
    assert_eq!(probe(&dial).await, Ok(()), "silence is no refusal");
    drop(peer);
    assert_eq!(probe(&dial).await, Err(FaultKind::ConnectionRefused));
    let mut connection = open(&dial).await.unwrap().connection;
    for _ in 0..3 {
        let refused = connection.exchange(&post(PATH, "{}")).await.unwrap_err();
        let outcome = (refused.kind, refused.sent);
        assert_eq!(outcome, (FaultKind::ConnectionRefused, false));
    }
}

#[tokio::test]
async fn the_refusal_of_an_acknowledgement_is_not_taken_for_one_of_the_next_request() {
    let (mut peer, dial) = Peer::new().await;
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        // Gone before the acknowledgement of this comes.
        peer.say(&separate(&request, 77, b"first")).await;
    });
    let mut connection = open(&dial).await.unwrap().connection;
    let first = connection.exchange(&post(PATH, "{}")).await.unwrap();
    assert_eq!(first.reply.body, b"first"[..]);
    server.await.unwrap();

    let socket = UdpSocket::bind(dial.addr).await.unwrap();
    let client = None;
    let mut peer = Peer { socket, client };
    tokio::spawn(async move {
        let request = peer.hear().await;
        peer.say(&piggybacked(&request, b"second")).await;
    });
    let second = connection.exchange(&post(PATH, "{}")).await.unwrap();
    assert_eq!(second.reply.body, b"second"[..]);
}

#[tokio::test]
async fn a_long_answer_is_fetched_block_by_block() {
    let body: Vec<u8> = (0..2_500_u32).map(|n| n as u8).collect();
    let (mut peer, dial) = Peer::new().await;
    let whole = body.clone();
    let server = tokio::spawn(async move {
        for (number, chunk) in whole.chunks(1024).enumerate() {
            let request = peer.hear().await;
            let asked = request.get_first_option(CoapOption::Block2);
            let expected = (number > 0).then(|| vec![(number as u8) << 4 | 6]);
            assert_eq!(asked, expected.as_ref());
            assert_eq!(request.payload.is_empty(), number > 0);
            let id = request.header.message_id;
            let mut part = answer(&request, MessageType::Acknowledgement, id, chunk);
            let more = u8::from(number < 2);
            let block = (number as u8) << 4 | more << 3 | 6;
            part.add_option(CoapOption::Block2, vec![block]);
            peer.say(&part.to_bytes_unlimited().unwrap()).await;
        }
    });
    let answered = attempt(&dial, &post(PATH, "{}")).await.unwrap();
    assert_eq!(answered.reply.body, body);
    assert_eq!(answered.reply.status, Status::Coap(CREATED));
    server.await.unwrap();
}

#[tokio::test]
async fn blocks_out_of_step_or_without_end_are_faults() {
    // The block number by which each further answer is off, and what comes of it.
    for (off, kind) in [
        (1, FaultKind::MalformedPacket),
        (0, FaultKind::PacketTooLarge),
    ] {
        let (mut peer, dial) = Peer::new().await;
        tokio::spawn(async move {
            let mut number = 0_u32;
            loop {
                let request = peer.hear().await;
                let id = request.header.message_id;
                let mut part = answer(&request, MessageType::Acknowledgement, id, &[0; 1024]);
                let block = number << 4 | 0b1000 | 6;
                part.add_option(CoapOption::Block2, block.to_be_bytes()[1..].to_vec());
                peer.say(&part.to_bytes_unlimited().unwrap()).await;
                number += 1 + off;
            }
        });
        let outcome = fault(&dial, &post(PATH, "{}")).await;
        assert_eq!(outcome, (kind, true));
    }
}

#[tokio::test]
async fn a_long_request_is_sent_in_blocks_as_small_as_the_server_asks() {
    let body: Vec<u8> = (0..2_500_u32).map(|n| n as u8).collect();
    let (mut peer, dial) = Peer::new().await;
    let server = tokio::spawn(async move {
        let mut received = Vec::<u8>::new();
        loop {
            let request = peer.hear().await;
            let value = request.get_first_option(CoapOption::Block1).unwrap();
            let word = value.iter().fold(0, |word, b| word << 8 | usize::from(*b));
            let (number, more, exponent) = (word >> 4, word & 8 != 0, word & 7);
            assert_eq!(number << (exponent + 4), received.len());
            assert!(
                received.is_empty() || exponent == 4,
                "256 bytes were asked for"
            );
            received.extend(&request.payload);
            let id = request.header.message_id;
            let mut granted = answer(&request, MessageType::Acknowledgement, id, b"");
            granted.add_option(CoapOption::Block1, vec![(number as u8) << 4 | 8 | 4]);
            if more {
                granted.header.code = MessageClass::from(0x5f);
            }
            peer.say(&granted.to_bytes_unlimited().unwrap()).await;
            if !more {
                return received;
            }
        }
    });
    let answered = attempt(&dial, &post(PATH, body.clone())).await.unwrap();
    assert_eq!(answered.reply.status, Status::Coap(CREATED));
    assert_eq!(server.await.unwrap(), body);
}

#[tokio::test]
async fn a_token_with_a_slash_stays_one_segment_and_a_long_one_is_ours_to_answer_for() {
    let (mut peer, dial) = Peer::new().await;
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        peer.say(&piggybacked(&request, b"")).await;
        request
    });
    attempt(&dial, &post("/api/v1/a%2Fb%zz/telemetry", "{}"))
        .await
        .unwrap();
    let request = server.await.unwrap();
    let path = request.get_option(CoapOption::UriPath).unwrap();
    let expected = ["api", "v1", "a/b%zz", "telemetry"];
    assert!(path.iter().eq(expected.map(str::as_bytes)));

    let long = format!("/api/v1/{}/telemetry", "x".repeat(256));
    let outcome = fault(
        &impatient(TransportKind::Coap, dial.addr),
        &post(&long, "{}"),
    )
    .await;
    assert_eq!(outcome, (FaultKind::CredentialsUnusable, false));
}
