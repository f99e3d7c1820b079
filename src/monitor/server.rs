//! The endpoint: HTTP/1.1, `GET /metrics`, nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::figures::Figures;
use super::page::page;

/// Serves what `now` says at each request until the task is dropped, and every connection with it. At most [`AT_A_TIME`]
/// connections are open, each for one request and [`PATIENCE`] at most: whoever dawdles keeps
/// others waiting no longer.
pub async fn serve(
    listener: TcpListener,
    now: impl Fn() -> Figures + Clone + Send + Sync + 'static,
) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => {
                let (stream, place) = accepted;
                let now = now.clone();
                connections.spawn(async move {
                    // A scraper that leaves or stalls is its own affair.
                    let _ = timeout(PATIENCE, converse(stream, now)).await;
                    drop(place);
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The next connection that there is a place for.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("it is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // Out of file descriptors, or the peer went away: the next may do.
            Err(_) => sleep(RETRY).await,
        }
    }
}

async fn converse(stream: TcpStream, now: impl Fn() -> Figures) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &now);
        async move { Ok::<_, Infallible>(answer) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(request: &Request<Incoming>, now: &impl Fn() -> Figures) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, OPEN_METRICS, page(now())),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, PLAIN, String::new()),
        _ => (StatusCode::NOT_FOUND, PLAIN, "see /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Connections at a time.
const AT_A_TIME: usize = 8;

/// From a connection's start to its end.
const PATIENCE: Duration = Duration::from_secs(10);

const RETRY: Duration = Duration::from_millis(10);

/// The smallest buffer that hyper takes is 8 KiB; heads are far below.
const HEAD: usize = 16_384;
