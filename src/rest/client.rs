//! Requests and answers: time limits, size limits, another try where it can do no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Method, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::body::{Begun, Outgoing};
use super::error::RestError;
use super::exchange::{Got, Lost};
use super::https::{Https, https, shown};
use super::login::{Login, Pair, Token};
use super::push::Once;
use crate::model::FaultKind;

/// A server and how to ask it.
#[derive(Clone, Debug)]
pub struct Server {
    /// `http://HOST:PORT` or `https://HOST`, perhaps with a path that a proxy has for it.
    pub url: String,
    /// PEM of the authorities to trust for https; `None`: those of this machine.
    pub ca: Option<Vec<u8>>,
    /// Who asks.
    pub login: Login,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A client of one server; its clones share connections and token.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) http: legacy::Client<Https, Outgoing>,
    pub(super) server: Server,
    token: Mutex<Option<Token>>,
    /// How far the server's clock is ahead of this one, ms.
    pub(super) ahead: AtomicI64,
    /// Whether it ever answered.
    pub(super) answered: AtomicBool,
}

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Yes,
    /// Only if the server says that it did nothing.
    No,
}

/// Who asks.
enum Who {
    Anybody,
    /// Whoever logs in, but not with a header that was refused.
    Known {
        refused: Option<SecretString>,
    },
}

impl Client {
    /// A client; nothing is sent yet.
    pub fn new(mut server: Server) -> Result<Self, RestError> {
        server.url.truncate(server.url.trim_end_matches('/').len());
        let uri: Option<Uri> = server.url.parse().ok();
        let fits = |uri: &Uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some()
                && uri.query().is_none()
                && !server.url.contains('@')
        };
        if !uri.is_some_and(|uri| fits(&uri)) {
            return Err(RestError::Url(server.url));
        }
        let connector = https(server.ca.as_deref())?;
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                server,
                token: Mutex::default(),
                ahead: AtomicI64::new(0),
                answered: AtomicBool::new(false),
            }),
        })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.inner.server.url
    }

    /// A time of this machine's clock by the server's, ms since 1970, as its last answer's date
    /// has it: right to about a second.
    pub fn by_its_clock(&self, ours: i64) -> i64 {
        ours + self.inner.ahead.load(Relaxed)
    }

    /// Reads JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RestError> {
        let got = self.ask(&Method::GET, path, None, Again::Yes).await?;
        read(&Method::GET, path, &got.body)
    }

    /// Sends JSON and reads JSON.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        again: Again,
    ) -> Result<T, RestError> {
        let got = self.ask(&Method::POST, path, Some(body), again).await?;
        read(&Method::POST, path, &got.body)
    }

    /// Deletes something.
    pub(super) async fn delete(&self, path: &str) -> Result<(), RestError> {
        self.ask(&Method::DELETE, path, None, Again::Yes)
            .await
            .map(drop)
    }

    /// Asks with a fresh token; once more with another if the server finds it too old.
    async fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        again: Again,
    ) -> Result<Got, RestError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let mut who = Who::Known { refused: None };
        loop {
            let (got, header) = self.insist(method, path, body.clone(), &who, again).await?;
            match self.refused(method, path, &got) {
                None => return Ok(got),
                Some(RestError::Unauthorized { .. })
                    if matches!(who, Who::Known { refused: None })
                        && matches!(self.inner.server.login, Login::Password { .. }) =>
                {
                    who = Who::Known { refused: header };
                }
                Some(error) => return Err(error),
            }
        }
    }

    /// The header that lets a request in; another than the one that did not.
    async fn header(&self, refused: Option<&SecretString>) -> Result<SecretString, RestError> {
        let (user, password) = match &self.inner.server.login {
            Login::ApiKey(key) => return Ok(format!("ApiKey {}", key.expose_secret()).into()),
            Login::Password { user, password } => (user, password),
        };
        let mut held = self.inner.token.lock().await;
        if let Some(token) = &*held {
            let same =
                refused.is_some_and(|old| old.expose_secret() == token.header.expose_secret());
            if !same && !token.is_stale(Instant::now()) {
                return Ok(token.header.clone());
            }
        }
        let mut pair = None;
        if let Some(token) = held.take() {
            let body = json!({"refreshToken": token.refresh.expose_secret()});
            pair = self.pair("/api/auth/token", &body).await.ok();
        }
        let pair = if let Some(pair) = pair {
            pair
        } else {
            let body = json!({"username": user, "password": password.expose_secret()});
            self.pair("/api/auth/login", &body).await?
        };
        let token = Token::new(pair, Instant::now());
        let header = token.header.clone();
        *held = Some(token);
        Ok(header)
    }

    async fn pair(&self, path: &str, body: &Value) -> Result<Pair, RestError> {
        let body = Some(Bytes::from(body.to_string()));
        let (got, _) = self
            .insist(&Method::POST, path, body, &Who::Anybody, Again::Yes)
            .await?;
        match self.refused(&Method::POST, path, &got) {
            None => read(&Method::POST, path, &got.body),
            Some(error) => Err(error),
        }
    }

    /// Sends a request until it has an answer, with longer and longer pauses of random length; with
    /// the answer comes the header that it was asked with.
    async fn insist(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
        who: &Who,
        again: Again,
    ) -> Result<(Got, Option<SecretString>), RestError> {
        let mut longest = FIRST_PAUSE;
        for left in (0..TRIES).rev() {
            // Each time, since a token may end during the pauses.
            let header = match who {
                Who::Anybody => None,
                Who::Known { refused } => Some(Box::pin(self.header(refused.as_ref())).await?),
            };
            let sent = self.send(method, path, body.clone(), header.as_ref(), None);
            let sent = sent.await.map_err(|lost| {
                let reached = lost.reached;
                (self.lost(lost, method, path), reached)
            });
            let pause = match &sent {
                Ok(got) if PASSING.contains(&got.status) && again.may(got.status) => {
                    told(&got.headers)
                }
                // Who never answered is not there: the address is wrong, or the server is off.
                Err((_, reached))
                    if self.inner.answered.load(Relaxed) && (again == Again::Yes || !reached) =>
                {
                    None
                }
                _ => return sent.map(|got| (got, header)).map_err(|(error, _)| error),
            };
            if left == 0 {
                return sent.map(|got| (got, header)).map_err(|(error, _)| error);
            }
            let drawn = longest.mul_f64(rand::rng().random::<f64>());
            sleep(pause.unwrap_or(drawn)).await;
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the last try returns")
    }

    /// Sends a request, and never again; who it is asked by was settled before.
    pub(super) async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        patience: Duration,
        begun: &Begun,
    ) -> Once {
        let end = |answer| Once {
            sent: begun.when(),
            done: Instant::now(),
            answer,
        };
        let header = match self.header(None).await {
            Ok(header) => header,
            Err(error) => return end(Err(error.kind())),
        };
        let sent = self.send(method, path, Some(body), Some(&header), Some(begun));
        match timeout(patience, sent).await {
            Ok(Ok(got)) => {
                if got.status == StatusCode::UNAUTHORIZED {
                    self.forget(&header).await;
                }
                end(Ok((got.status, got.body)))
            }
            Ok(Err(lost)) => end(Err(lost.kind)),
            Err(_) => end(Err(FaultKind::Timeout)),
        }
    }

    /// Logs in, so that it is known before it matters whether that goes.
    pub async fn log_in(&self) -> Result<(), RestError> {
        self.header(None).await.map(drop)
    }

    /// A token that the server does not take is not used again.
    async fn forget(&self, header: &SecretString) {
        let mut held = self.inner.token.lock().await;
        held.take_if(|token| token.header.expose_secret() == header.expose_secret());
    }

    /// A request without an answer, in words.
    fn lost(&self, lost: Lost, method: &Method, path: &str) -> RestError {
        if lost.kind == FaultKind::MalformedPacket {
            return garbled(method, path, lost.why);
        }
        RestError::Unreachable {
            server: self.url().to_owned(),
            why: lost.why,
            kind: lost.kind,
        }
    }

    /// What the server says against a request, if it does.
    fn refused(&self, method: &Method, path: &str, got: &Got) -> Option<RestError> {
        if got.status.is_success() {
            return None;
        }
        let said: Value = serde_json::from_slice(&got.body).unwrap_or_default();
        let message = said["message"]
            .as_str()
            .map_or_else(|| excerpt(&got.body), shown);
        Some(if got.status == StatusCode::UNAUTHORIZED {
            RestError::Unauthorized {
                server: self.url().to_owned(),
                message,
                help: self.inner.server.login.help(),
            }
        } else {
            RestError::Refused {
                request: named(method, path),
                status: got.status,
                message,
            }
        })
    }
}

impl Again {
    /// Whether to send again after a status. A proxy's 502 does not tell what the server did.
    fn may(self, status: StatusCode) -> bool {
        self == Self::Yes || status != StatusCode::BAD_GATEWAY
    }
}

fn read<T: DeserializeOwned>(method: &Method, path: &str, body: &[u8]) -> Result<T, RestError> {
    // The parser's words would show what it found, which may be a token.
    serde_json::from_slice(body).map_err(|_| {
        garbled(
            method,
            path,
            "the answer is not what ThingsBoard says".to_owned(),
        )
    })
}

fn garbled(method: &Method, path: &str, why: String) -> RestError {
    RestError::Garbled {
        request: named(method, path),
        why,
    }
}

/// A request, without its query.
fn named(method: &Method, path: &str) -> String {
    format!("{method} {}", path.split('?').next().unwrap_or(path))
}

/// The beginning of a text that is no JSON.
fn excerpt(body: &[u8]) -> String {
    if body.is_empty() {
        return "no reason given".to_owned();
    }
    shown(&String::from_utf8_lossy(body))
}

/// The pause that the server asks for, within reason.
fn told(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(Duration::from_mins(1)))
}

/// Statuses that pass.
const PASSING: [StatusCode; 3] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
];

const TRIES: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
