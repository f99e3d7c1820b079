//! HTTP answers of every form: what is taken for the answer, and what becomes of its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetcall::model::{FaultKind, Status, TransportKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{dial, fault, open, post, serve, serve_once, stay_silent};

const PATH: &str = "/api/v1/T/telemetry";

/// Reads one request with a body of `{}`; `false` where the client closed instead.
async fn request(stream: &mut TcpStream) -> bool {
    let mut text = Vec::new();
    while !text.ends_with(b"{}") {
        let Ok(byte) = stream.read_u8().await else {
            return false;
        };
        text.push(byte);
    }
    true
}

/// Two exchanges with a server that answers so each time: both replies, and over how many connections.
async fn twice(answer: &'static str, closes: bool) -> (Vec<(Status, String)>, usize) {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let addr = serve(move |mut stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        async move {
            while request(&mut stream).await {
                stream.write_all(answer.as_bytes()).await.unwrap();
                if closes {
                    return;
                }
            }
        }
    })
    .await;
    let opened = open(&dial(TransportKind::Http, addr)).await.unwrap();
    let mut connection = opened.connection;
    let mut replies = Vec::new();
    for _ in 0..2 {
        let answered = connection.exchange(&post(PATH, "{}")).await.unwrap();
        let body = String::from_utf8(answered.reply.body.to_vec()).unwrap();
        replies.push((answered.reply.status, body));
    }
    (replies, connections.load(Ordering::Relaxed))
}

/// Each answer comes twice with this status and body, over so many connections.
async fn all_come(cases: &[(&'static str, u16, &str)], connections: usize) {
    for (answer, status, body) in cases {
        let expected = (Status::Http(*status), (*body).to_owned());
        let (replies, over) = twice(answer, false).await;
        assert_eq!(replies, [expected.clone(), expected], "{answer}");
        assert_eq!(over, connections, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_ends_where_it_says_and_keeps_its_connection() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2;a=b\r\nfi\r\n2\r\nne\r\n0\r\nX: y\r\n\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n\
                   HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    let unmodified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n";
    let agreed = "HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nfine";
    let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nfine";
    let cases = [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (unmodified, 304, ""),
        (agreed, 200, "fine"),
        ("HTTP/1.1 200\r\ncontent-length:4\r\n\r\nfine", 200, "fine"),
        (old, 200, "fine"),
        (chunked, 200, "fine"),
        (interim, 200, "fine"),
    ];
    all_come(&cases, 1).await;
}

#[tokio::test]
async fn after_an_answer_that_is_the_last_the_next_request_has_a_new_connection() {
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine";
    let upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    // Somebody on the way may see another end of it.
    let framed_twice = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n\
                        4\r\nfine\r\n0\r\n\r\n";
    // What comes behind an answer must not pass for the next one.
    let more = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine\
                HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    let cases = [
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine",
            200,
            "fine",
        ),
        (closing, 200, "fine"),
        (upgraded, 101, ""),
        (framed_twice, 200, "fine"),
        (more, 200, "fine"),
    ];
    all_come(&cases, 2).await;
    let (replies, over) = twice("HTTP/1.1 200 OK\r\n\r\nuntil it closes", true).await;
    let expected = (Status::Http(200), "until it closes".to_owned());
    assert_eq!((replies, over), (vec![expected.clone(), expected], 2));
}

#[tokio::test]
async fn an_answer_whose_end_is_in_dispute_is_none() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nfine!".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\nfine!".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nfine".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nfine".to_owned(),
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        format!("{chunked}4;a\nb\r\nfine\r\n0\r\n\r\n"),
        format!("{chunked}4\r\nfineness\r\n0\r\n\r\n"),
        format!("{chunked}\r\n\r\n"),
        format!("{chunked}0\r\nX: y\n\r\n"),
        format!("{chunked}0\r\n no field\r\n\r\n"),
    ] {
        let shown = answer.clone();
        let addr = serve_once(async move |mut stream| {
            request(&mut stream).await;
            // The client may go before it has read everything.
            let _ = stream.write_all(answer.as_bytes()).await;
            stay_silent(stream).await;
        })
        .await;
        let outcome = fault(&dial(TransportKind::Http, addr), &post(PATH, "{}")).await;
        assert_eq!(outcome, (FaultKind::MalformedPacket, true), "{shown:?}");
    }
}

#[tokio::test]
async fn an_answer_to_a_request_that_nobody_reads_is_taken_and_the_last() {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let addr = serve(move |mut stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        async move {
            // It has begun, and most of it finds no room on the way.
            stream.read_u8().await.unwrap();
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            tokio::spawn(stay_silent(stream));
        }
    })
    .await;
    let opened = open(&dial(TransportKind::Http, addr)).await.unwrap();
    let mut connection = opened.connection;
    let large = post(PATH, vec![b'x'; 32 * 1024 * 1024]);
    for nth in 1..=2 {
        let answered = connection.exchange(&large).await.unwrap();
        assert_eq!(answered.reply.status, Status::Http(413));
        assert_eq!(connections.load(Ordering::Relaxed), nth);
    }
}
