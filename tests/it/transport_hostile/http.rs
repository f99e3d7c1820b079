//! HTTP servers that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetcall::model::{FaultKind, Status, TransportKind};
use fleetcall::transport::Dial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::{
    attempt, dial, fault, impatient, open, post, reset, serve, serve_once, stay_silent,
    write_slowly,
};
use crate::support::PATIENCE;

const PATH: &str = "/api/v1/provision";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// Reads one request up to the end of its body and returns all of it.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("{}") {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

/// A server that writes these bytes in place of an answer and then stays silent.
async fn answering_with(bytes: Vec<u8>) -> Dial {
    let addr = serve_once(async move |mut stream| {
        request(&mut stream).await;
        // The client may go before it has read everything.
        let _ = stream.write_all(&bytes).await;
        stay_silent(stream).await;
    })
    .await;
    dial(TransportKind::Http, addr)
}

#[tokio::test]
async fn an_answer_that_is_none_has_its_own_word() {
    let huge_header = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 200_000]].concat();
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many_chunks = format!(
        "{chunked}{}",
        "4000\r\n".to_owned() + &"x".repeat(0x4000) + "\r\n"
    );
    let too_many_chunks = many_chunks.clone() + &many_chunks[chunked.len()..].repeat(20);
    let cases: [(Vec<u8>, FaultKind); 8] = [
        (
            b"\x00\x01\x02 garbage\r\n\r\n".to_vec(),
            FaultKind::MalformedPacket,
        ),
        (
            b"HTTP/1.1 999999 What\r\n\r\n".to_vec(),
            FaultKind::MalformedPacket,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec(),
            FaultKind::MalformedPacket,
        ),
        (
            format!("{chunked}zz\r\n").into_bytes(),
            FaultKind::MalformedPacket,
        ),
        (huge_header, FaultKind::PacketTooLarge),
        (many_headers.into_bytes(), FaultKind::PacketTooLarge),
        (too_many_chunks.into_bytes(), FaultKind::PacketTooLarge),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n".to_vec(),
            FaultKind::PacketTooLarge,
        ),
    ];
    for (answer, kind) in cases {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        let dial = answering_with(answer).await;
        let outcome = fault(&dial, &post(PATH, "{}")).await;
        assert_eq!(outcome, (kind, true), "{shown}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_a_timeout_or_too_large() {
    for (beginning, again, kind) in [
        ("HTTP/1.1 200 OK\r\n", "", FaultKind::Timeout),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", FaultKind::Timeout),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
            FaultKind::PacketTooLarge,
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\n",
            "endless",
            FaultKind::PacketTooLarge,
        ),
    ] {
        let addr = serve_once(async move |mut stream| {
            request(&mut stream).await;
            stream.write_all(beginning.as_bytes()).await.unwrap();
            let flood = again.repeat(1_000);
            while !flood.is_empty() && stream.write_all(flood.as_bytes()).await.is_ok() {}
            stay_silent(stream).await;
        })
        .await;
        let dial = match kind {
            FaultKind::Timeout => impatient(TransportKind::Http, addr),
            _ => dial(TransportKind::Http, addr),
        };
        let outcome = fault(&dial, &post(PATH, "{}")).await;
        assert_eq!(outcome, (kind, true), "{beginning}{again}");
    }
}

#[tokio::test]
async fn an_answer_cut_off_by_a_close_or_a_reset_leaves_the_request_sent() {
    let cut_off = [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{\"status\":\"SUCC",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"sta",
    ];
    for answer in cut_off {
        for (by_reset, kind) in [
            (false, FaultKind::ConnectionClosed),
            (true, FaultKind::ConnectionReset),
        ] {
            let addr = serve_once(async move |mut stream| {
                request(&mut stream).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
                if by_reset {
                    reset(stream);
                }
            })
            .await;
            let dial = dial(TransportKind::Http, addr);
            let outcome = fault(&dial, &post(PATH, "{}")).await;
            assert_eq!(outcome, (kind, true), "{answer}, by reset: {by_reset}");
        }
    }
}

#[tokio::test]
async fn silence_after_the_request_is_a_timeout_and_the_request_was_sent() {
    let addr = serve_once(async |mut stream| {
        request(&mut stream).await;
        stay_silent(stream).await;
    })
    .await;
    let outcome = fault(&impatient(TransportKind::Http, addr), &post(PATH, "{}")).await;
    assert_eq!(outcome, (FaultKind::Timeout, true));
}

#[tokio::test]
async fn a_valid_answer_may_come_byte_by_byte_whatever_its_status() {
    for status in [200, 400, 500, 503] {
        let addr = serve_once(async move |mut stream| {
            request(&mut stream).await;
            let answer = format!(
                "HTTP/1.1 {status} As it is\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n"
            );
            write_slowly(&mut stream, answer.as_bytes()).await;
            stay_silent(stream).await;
        })
        .await;
        let answered = attempt(&dial(TransportKind::Http, addr), &post(PATH, "{}")).await;
        let reply = answered.unwrap().reply;
        assert_eq!(reply.status, Status::Http(status));
        assert_eq!(reply.body, b"fine"[..]);
    }
}

#[tokio::test]
async fn a_request_says_what_the_api_needs_to_know() {
    let (tell, mut told) = mpsc::channel(1);
    let addr = serve_once(async move |mut stream| {
        tell.send(request(&mut stream).await).await.unwrap();
        stream.write_all(ANSWER).await.unwrap();
    })
    .await;
    let mut dial = dial(TransportKind::Http, addr);
    dial.host = "tb.example:8080".into();
    attempt(&dial, &post(PATH, "{}")).await.unwrap();
    let sent = told.recv().await.unwrap().to_lowercase();
    for line in [
        "post /api/v1/provision http/1.1\r\n",
        "\r\nhost: tb.example:8080\r\n",
        "\r\ncontent-type: application/json\r\n",
        "\r\naccept: application/json\r\n",
        "\r\ncontent-length: 2\r\n",
    ] {
        assert!(sent.contains(line), "{line:?} is missing in {sent:?}");
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_before_the_next_request() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let (tell, mut told) = mpsc::channel(1);
    let addr = serve(move |mut stream| {
        let seen = Arc::clone(&seen);
        let tell = tell.clone();
        async move {
            request(&mut stream).await;
            seen.fetch_add(1, Ordering::Relaxed);
            stream.write_all(ANSWER).await.unwrap();
            stream.shutdown().await.unwrap();
            // An idle client lets go as well, without being asked to send anything.
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            tell.send(()).await.unwrap();
        }
    })
    .await;
    let mut connection = open(&dial(TransportKind::Http, addr))
        .await
        .unwrap()
        .connection;
    for _ in 0..3 {
        let answered = connection.exchange(&post(PATH, "{}")).await.unwrap();
        assert_eq!(answered.reply.body, b"fine"[..]);
        tokio::select! {
            ended = connection.idle_until(Instant::now() + PATIENCE) => panic!("{ended:?}"),
            closed = told.recv() => closed.unwrap(),
        }
    }
    assert_eq!(requests.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_rested_connection_serves_on_until_the_server_speaks_unasked() {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let (tell, mut told) = mpsc::channel(1);
    let (go, gone) = mpsc::channel(1);
    let gone = Arc::new(Mutex::new(gone));
    let addr = serve(move |mut stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        let (tell, gone) = (tell.clone(), Arc::clone(&gone));
        async move {
            for _ in 0..3 {
                request(&mut stream).await;
                stream.write_all(ANSWER).await.unwrap();
            }
            gone.lock().await.recv().await.unwrap();
            // An answer to nothing: it must not pass for that of the next request.
            stream.write_all(ANSWER).await.unwrap();
            // Closed, with what it did not read or without.
            assert!(!matches!(stream.read(&mut [0]).await, Ok(1..)));
            tell.send(()).await.unwrap();
        }
    })
    .await;
    let mut connection = open(&dial(TransportKind::Http, addr))
        .await
        .unwrap()
        .connection;
    for n in 0..6 {
        connection.exchange(&post(PATH, "{}")).await.unwrap();
        // Rests, and is interrupted, as by the end of a run.
        connection.idle_until(Instant::now()).await.unwrap();
        if n % 3 == 2 {
            go.send(()).await.unwrap();
            tokio::select! {
                ended = connection.idle_until(Instant::now() + PATIENCE) => panic!("{ended:?}"),
                closed = told.recv() => closed.unwrap(),
            }
        }
        assert_eq!(
            connections.load(Ordering::Relaxed),
            1 + n / 3,
            "request {n}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_gone_by_the_next_request_refuses_it_unsent() {
    let (tell, mut told) = mpsc::channel(1);
    let addr = serve_once(async move |mut stream| {
        request(&mut stream).await;
        let closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(closing).await.unwrap();
        tell.send(()).await.unwrap();
    })
    .await;
    let mut connection = open(&dial(TransportKind::Http, addr))
        .await
        .unwrap()
        .connection;
    connection.exchange(&post(PATH, "{}")).await.unwrap();
    told.recv().await.unwrap();
    // The listener went with its only connection.
    while TcpStream::connect(addr).await.is_ok() {}
    let late = connection.exchange(&post(PATH, "{}")).await.unwrap_err();
    assert_eq!(
        (late.kind, late.sent),
        (FaultKind::ConnectionRefused, false)
    );
}

#[tokio::test]
async fn after_a_fault_the_next_request_has_a_connection_of_its_own() {
    let first = Arc::new(AtomicUsize::new(0));
    let addr = serve(move |mut stream| {
        let nth = first.fetch_add(1, Ordering::Relaxed);
        async move {
            request(&mut stream).await;
            if nth == 0 {
                stream.write_all(b"garbage\r\n\r\n").await.unwrap();
            } else {
                stream.write_all(ANSWER).await.unwrap();
            }
        }
    })
    .await;
    let mut connection = open(&dial(TransportKind::Http, addr))
        .await
        .unwrap()
        .connection;
    let broken = connection.exchange(&post(PATH, "{}")).await.unwrap_err();
    assert_eq!(
        (broken.kind, broken.sent),
        (FaultKind::MalformedPacket, true)
    );
    let answered = connection.exchange(&post(PATH, "{}")).await.unwrap();
    assert_eq!(answered.reply.body, b"fine"[..]);
}

#[tokio::test]
async fn a_path_that_http_cannot_carry_is_ours_to_answer_for() {
    let addr = serve(stay_silent).await;
    for path in [
        "/api/v1/a?b/telemetry",
        "/api/v1/a#b/telemetry",
        "/a b",
        "x",
    ] {
        let outcome = fault(&dial(TransportKind::Http, addr), &post(path, "{}")).await;
        assert_eq!(outcome, (FaultKind::CredentialsUnusable, false), "{path}");
    }
}
