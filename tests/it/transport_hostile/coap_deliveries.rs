//! CoAP servers that notify as they please (RFC 7641).

use std::time::Duration;

use coap_lite::{CoapOption, MessageClass, MessageType, Packet};
use fleetcall::model::{FaultKind, Feed, Status, Subscription};
use fleetcall::transport::{Connection, Delivery, Standing};
use tokio::time::Instant;

use super::coap::{Peer, piggybacked};
use super::{open, post};
use crate::support::PATIENCE;

const CONTENT: u8 = 0x45;

fn feed(feed: Feed) -> Subscription {
    Subscription::Resource {
        feed,
        path: "/api/v1/T/feed".into(),
        hold: Duration::ZERO,
    }
}

/// What a server says of an observation: with its token, and its order if that is given.
fn said(token: &[u8], kind: MessageType, id: u16, order: Option<u8>, body: &[u8]) -> Vec<u8> {
    let mut said = Packet::new();
    said.header.set_type(kind);
    said.header.message_id = id;
    said.header.code = MessageClass::from(CONTENT);
    said.set_token(token.to_vec());
    if let Some(order) = order {
        said.add_option(CoapOption::Observe, vec![order]);
    }
    said.payload = body.to_vec();
    said.to_bytes_unlimited().unwrap()
}

fn granted(request: &Packet, order: u8, body: &[u8]) -> Vec<u8> {
    assert_eq!(
        request.get_first_option(CoapOption::Observe),
        Some(&Vec::new())
    );
    let (token, id) = (request.get_token(), request.header.message_id);
    said(token, MessageType::Acknowledgement, id, Some(order), body)
}

async fn next(connection: &mut Connection) -> Delivery {
    let by = Instant::now() + PATIENCE;
    connection.idle_until(by).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_notification_is_taken_once_and_what_nobody_asked_for_is_reset() {
    use MessageType::{Acknowledgement, Confirmable, NonConfirmable, Reset};
    let (mut peer, dial) = Peer::new().await;
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        peer.say(&granted(&request, 5, b"{\"shared\":{}}")).await;
        let token = request.get_token();
        for (token, kind, id, answered) in [
            (&b"else"[..], Confirmable, 100, Reset),
            (&b"else"[..], NonConfirmable, 101, Reset),
            (&b"longer than ours"[..8], Confirmable, 102, Reset),
            (token, Confirmable, 103, Acknowledgement),
            (token, Confirmable, 103, Acknowledgement),
        ] {
            peer.say(&said(token, kind, id, Some(7), b"{\"k\":1}"))
                .await;
            peer.expect_empty(answered, id).await;
        }
        peer.say(&said(token, NonConfirmable, 104, Some(6), b"{\"k\":2}"))
            .await;
        peer.say(&said(token, NonConfirmable, 105, Some(8), b"{\"k\":3}"))
            .await;
        let leaving = peer.hear().await;
        assert_eq!(leaving.get_token(), token);
        assert_eq!(
            leaving.get_first_option(CoapOption::Observe),
            Some(&vec![1])
        );
    });
    let mut connection = open(&dial).await.unwrap().connection;
    let subscribed = connection
        .subscribe(&[feed(Feed::Attributes)])
        .await
        .unwrap();
    assert!(subscribed.span.is_some() && subscribed.refused.is_none());
    for (body, standing) in [
        ("{\"shared\":{}}", Standing::State),
        ("{\"k\":1}", Standing::Fresh),
        ("{\"k\":2}", Standing::Overtaken),
        ("{\"k\":3}", Standing::Fresh),
    ] {
        let delivery = next(&mut connection).await;
        assert_eq!(delivery.body, body);
        assert_eq!(delivery.standing, standing, "{body}");
    }
    connection.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_not_granted_or_ends_is_asked_for_again() {
    let (mut peer, dial) = Peer::new().await;
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        // An answer, and no observation.
        peer.say(&piggybacked(&request, b"{}")).await;
        let again = peer.hear().await;
        assert_eq!(again.get_token(), request.get_token());
        peer.say(&granted(&again, 0, b"{}")).await;
        let mut ended = said(again.get_token(), MessageType::NonConfirmable, 9, None, b"");
        ended[1] = 0xa3;
        peer.say(&ended).await;
        let third = peer.hear().await;
        peer.say(&granted(&third, 0, b"{\"k\":1}")).await;
    });
    let mut connection = open(&dial).await.unwrap().connection;
    let subscribed = connection
        .subscribe(&[feed(Feed::Attributes)])
        .await
        .unwrap();
    assert_eq!(subscribed.span, None);
    assert_eq!(subscribed.refused, Some(FaultKind::NotObserved));
    assert_eq!(next(&mut connection).await.body, "{}");
    let by = Instant::now() + PATIENCE;
    let ended = connection.idle_until(by).await.unwrap_err();
    assert_eq!(ended.kind, FaultKind::CoapCode(0xa3));
    assert!(connection.goes_on());
    let anew = next(&mut connection).await;
    assert_eq!(
        (&anew.body[..], anew.standing),
        (&b"{\"k\":1}"[..], Standing::State)
    );
    server.await.unwrap();
}

#[tokio::test]
async fn a_flood_of_notifications_is_bounded_and_the_exchange_goes_on() {
    const FLOOD: u16 = 3_000;
    let (mut peer, mut dial) = Peer::new().await;
    dial.coap.ack_timeout = Duration::from_millis(100);
    dial.coap.max_retransmit = 8;
    let server = tokio::spawn(async move {
        let request = peer.hear().await;
        peer.say(&granted(&request, 0, b"")).await;
        let message = peer.hear().await;
        let token = request.get_token();
        for id in 0..FLOOD {
            let order = Some((id % 100) as u8);
            peer.say(&said(token, MessageType::NonConfirmable, id, order, b"{}"))
                .await;
            // Lets the device read: a kernel that drops them floods nobody.
            tokio::task::yield_now().await;
        }
        peer.say(&piggybacked(&message, b"")).await;
        // The kernel may have dropped it.
        loop {
            let message = peer.hear().await;
            peer.say(&piggybacked(&message, b"")).await;
        }
    });
    let mut connection = open(&dial).await.unwrap().connection;
    connection.subscribe(&[feed(Feed::Rpc)]).await.unwrap();
    let answered = connection
        .exchange(&post("/api/v1/T/telemetry", "{}"))
        .await;
    assert_eq!(answered.unwrap().reply.status, Status::Coap(0x41));
    let mut kept = 0_u32;
    while connection.take_delivery().is_some() {
        kept += 1;
    }
    let missed = connection.take_missed();
    assert_eq!(kept, 256);
    assert!(missed > 0 && kept + missed <= u32::from(FLOOD), "{missed}");
    server.abort();
}
