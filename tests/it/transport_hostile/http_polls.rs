//! HTTP servers whose long polls are not what they should be.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetcall::model::{FaultKind, Feed, Source, Status, Subscription, TransportKind};
use fleetcall::transport::{Connection, Delivery, Dial, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::{dial, open, post};
use crate::support::PATIENCE;

/// A server that answers a POST by 200, and polls by what is next; then it is silent.
struct Server {
    dial: Dial,
    /// What polls asked for.
    polled: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = dial(TransportKind::Http, listener.local_addr().unwrap());
        let polled = Arc::default();
        let server = Self {
            dial,
            polled: Arc::clone(&polled),
        };
        let answers: VecDeque<_> = answers.iter().copied().collect();
        let answers = Arc::new(Mutex::new(answers));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&polled)));
            }
        });
        server
    }

    async fn subscribed(&self, to: &[Feed]) -> Connection {
        let mut connection = open(&self.dial).await.unwrap().connection;
        let to: Vec<_> = to
            .iter()
            .map(|feed| Subscription::Resource {
                feed: *feed,
                path: "/api/v1/T/feed".into(),
                hold: Duration::from_secs(5),
            })
            .collect();
        let subscribed = connection.subscribe(&to).await.unwrap();
        assert_eq!((subscribed.span, subscribed.refused), (None, None));
        connection
    }

    fn polled(&self) -> usize {
        self.polled.lock().unwrap().len()
    }
}

async fn serve(
    mut stream: TcpStream,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    polled: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else {
                return;
            };
            head.push(char::from(byte));
        }
        let answer = if head.starts_with("POST") {
            stream.read_exact(&mut [0; 2]).await.unwrap();
            Some(EMPTY)
        } else {
            let line = head.lines().next().unwrap().to_owned();
            polled.lock().unwrap().push(line);
            answers.lock().unwrap().pop_front()
        };
        let Some(answer) = answer else {
            return std::future::pending().await;
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const NOTHING: &str = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
const UPDATE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"k\":1}";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

async fn idle(connection: &mut Connection, ms: u64) -> Result<Option<Delivery>, Fault> {
    let by = Instant::now() + Duration::from_millis(ms);
    connection.idle_until(by).await
}

async fn next(connection: &mut Connection) -> Delivery {
    let by = Instant::now() + PATIENCE;
    connection.idle_until(by).await.unwrap().unwrap()
}

#[tokio::test]
async fn polls_are_heard_beside_a_connection_that_sends_and_never_end() {
    let server = Server::new(&[UPDATE]).await;
    let mut connection = server.subscribed(&[Feed::Attributes]).await;
    let update = next(&mut connection).await;
    assert_eq!(update.source, Source::Resource(Feed::Attributes));
    assert_eq!(update.body, "{\"k\":1}");
    // The next poll is held for ever, and nothing else has to wait for it.
    assert_eq!(idle(&mut connection, 50).await.unwrap().map(drop), None);
    let sent = connection
        .exchange(&post("/api/v1/T/telemetry", "{}"))
        .await;
    assert_eq!(sent.unwrap().reply.status, Status::Http(200));
    assert_eq!(server.polled(), 2);
    assert_eq!(
        server.polled.lock().unwrap()[0],
        "GET /api/v1/T/feed?timeout=5000 HTTP/1.1"
    );
}

#[tokio::test]
async fn what_comes_while_a_message_is_under_way_is_read_then() {
    let server = Server::new(&[UPDATE, UPDATE, UPDATE]).await;
    let mut connection = server.subscribed(&[Feed::Attributes]).await;
    while server.polled() < 4 {
        let message = post("/api/v1/T/telemetry", "{}");
        connection.exchange(&message).await.unwrap();
    }
    for _ in 0..3 {
        assert!(connection.take_delivery().is_some());
    }
    assert!(connection.take_delivery().is_none());
}

#[tokio::test]
async fn a_server_that_does_not_hold_its_polls_is_not_flooded() {
    let server = Server::new(&[NOTHING; 1_000]).await;
    let mut connection = server.subscribed(&[Feed::Attributes, Feed::Rpc]).await;
    assert!(idle(&mut connection, 500).await.unwrap().is_none());
    assert_eq!(
        server.polled(),
        2,
        "one for each resource in the first second"
    );
}

#[tokio::test]
async fn a_poll_that_failed_is_told_once_and_asked_again() {
    let server = Server::new(&[BUSY, "nonsense\r\n\r\n", UPDATE]).await;
    let mut connection = server.subscribed(&[Feed::Attributes]).await;
    for kind in [FaultKind::HttpStatus(503), FaultKind::MalformedPacket] {
        let by = Instant::now() + PATIENCE;
        assert_eq!(connection.idle_until(by).await.unwrap_err().kind, kind);
        assert!(connection.goes_on());
    }
    assert_eq!(next(&mut connection).await.body, "{\"k\":1}");
}

#[tokio::test]
async fn the_next_call_is_asked_for_when_the_device_is_done_with_the_last() {
    let server = Server::new(&[UPDATE, UPDATE]).await;
    let mut connection = server.subscribed(&[Feed::Rpc]).await;
    next(&mut connection).await;
    assert!(idle(&mut connection, 50).await.unwrap().is_none());
    assert_eq!(server.polled(), 1);
    connection.resume();
    next(&mut connection).await;
    assert_eq!(server.polled(), 2);
}
