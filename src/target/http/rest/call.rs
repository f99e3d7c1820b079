//! One request: who asks, what for, and the refusals all of them share.

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{attributes, credentials, devices, import, profiles, rpc};
use crate::model::Release;
use crate::target::accounts::Unauthorized;
use crate::target::backend::Backend;
use crate::target::counts::bump;
use crate::target::http::reply::{self, Reply};
use crate::target::http::route::parameter;

/// A request to the REST API.
pub(in crate::target::http) struct Call<'a> {
    pub(in crate::target::http) method: &'a Method,
    /// Behind `/api/`.
    pub(in crate::target::http) path: &'a [&'a str],
    pub(in crate::target::http) query: &'a str,
    pub(in crate::target::http) headers: &'a HeaderMap,
    pub(in crate::target::http) body: &'a [u8],
    pub(in crate::target::http) backend: &'a Backend,
}

/// What an answer is made of; null is no body at all.
pub(super) type Answer = Result<Value, Refusal>;

/// A request that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: u8,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: u8, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 400: a request that breaks a rule.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reply::BAD_REQUEST, message)
    }

    /// 404: something that is not there.
    pub(super) fn absent() -> Self {
        let message = "Requested item wasn't found!";
        Self::new(StatusCode::NOT_FOUND, reply::NOT_FOUND, message)
    }

    /// 500: what the platform did not expect either.
    pub(super) fn broken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, reply::GENERAL, message)
    }
}

impl From<Unauthorized> for Refusal {
    fn from(why: Unauthorized) -> Self {
        let (code, message) = match why {
            Unauthorized::Login => (AUTHENTICATION, "Invalid username or password"),
            Unauthorized::Token => (AUTHENTICATION, "Authentication failed"),
            Unauthorized::Expired => (EXPIRED, "Token has expired"),
        };
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }
}

/// Answers a request.
pub(in crate::target::http) async fn answer(call: Call<'_>) -> Reply {
    let decided = match call.let_in() {
        Err(refusal) => Err(refusal),
        Ok(Some(login)) => Ok(login),
        Ok(None) => match (call.method, call.path) {
            (&Method::POST, ["device", "bulk_import"]) => import::answer(&call).await,
            (&Method::POST, ["rpc", way @ ("oneway" | "twoway"), id]) => {
                return rpc::answer(&call, way, id, rpc::NOW).await;
            }
            (&Method::POST, ["plugins", "rpc", way @ ("oneway" | "twoway"), id]) => {
                return rpc::answer(&call, way, id, rpc::ONCE).await;
            }
            _ => call.route(),
        },
    };
    told(decided)
}

/// An answer in the platform's form.
pub(super) fn told(decided: Answer) -> Reply {
    match decided {
        Ok(Value::Null) => reply::empty(StatusCode::OK),
        Ok(value) => reply::json(StatusCode::OK, value.to_string()),
        Err(refusal) => reply::error(refusal.status, refusal.code, &refusal.message),
    }
}

impl Call<'_> {
    /// Whether it is carried out at all; a login is answered here.
    fn let_in(&self) -> Result<Option<Value>, Refusal> {
        if self.backend.rest_unavailable() {
            let message = "Service unavailable";
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                reply::GENERAL,
                message,
            ));
        }
        if let ["auth", what] = self.path
            && *self.method == Method::POST
        {
            return self.log_in(what).map(Some);
        }
        self.authorize()?;
        if !self.backend.faults.pass_rest() {
            bump(&self.backend.tally.rest_limited);
            let message = "Too many requests for current tenant!";
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                TOO_MANY,
                message,
            ));
        }
        Ok(None)
    }

    fn route(&self) -> Answer {
        match (self.method, self.path) {
            (&Method::POST, ["deviceProfile"]) => profiles::save(self),
            (&Method::GET, ["deviceProfile", id]) => profiles::one(self, id),
            (&Method::DELETE, ["deviceProfile", id]) => profiles::delete(self, id),
            (&Method::GET, ["deviceProfiles" | "deviceProfileInfos"]) => profiles::list(self),
            (&Method::GET, ["deviceProfileInfo", "default"]) => Ok(profiles::default(self)),
            (&Method::POST, ["device"]) => devices::create(self),
            (&Method::GET, ["device", id]) => devices::one(self, id),
            (&Method::DELETE, ["device", id]) => devices::delete(self, id),
            (&Method::GET, ["device", id, "credentials"]) => credentials::read(self, id),
            (&Method::POST, ["device", "credentials"]) => credentials::write(self),
            (&Method::GET, ["tenant", "devices" | "deviceInfos"]) => devices::list(self),
            (
                &Method::GET,
                [
                    "plugins",
                    "telemetry",
                    "DEVICE",
                    id,
                    "values",
                    "attributes",
                    scope,
                ],
            ) => attributes::read(self, id, scope),
            (&Method::GET, ["plugins", "telemetry", "DEVICE", id, "values", "timeseries"]) => {
                attributes::latest(self, id)
            }
            (&Method::GET, ["plugins", "telemetry", "DEVICE", id, "keys", "timeseries"]) => {
                attributes::keys(self, id)
            }
            (&Method::POST, ["plugins", "telemetry", "DEVICE", id, scope]) => {
                attributes::write(self, id, scope)
            }
            (&Method::DELETE, ["plugins", "telemetry", "DEVICE", id, scope]) => {
                attributes::delete(self, id, scope)
            }
            _ => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                reply::NOT_FOUND,
                "No such resource",
            )),
        }
    }

    fn log_in(&self, what: &str) -> Answer {
        let body: Value = self.json()?;
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let accounts = &self.backend.accounts;
        match what {
            "login" => Ok(accounts.login(text("username"), text("password"))?),
            "token" => Ok(accounts.refresh(text("refreshToken"))?),
            _ => Err(Refusal::absent()),
        }
    }

    fn authorize(&self) -> Result<(), Unauthorized> {
        let header = self
            .headers
            .get("X-Authorization")
            .or_else(|| self.headers.get(AUTHORIZATION))
            .and_then(|value| value.to_str().ok())
            .ok_or(Unauthorized::Token)?;
        let keys = self.backend.config.release >= Release::V4_3;
        self.backend.accounts.let_in(header, keys)
    }

    /// The body, read.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        // The parser's own words would show what stands there, which may be a password.
        serde_json::from_slice(self.body).map_err(|_| Refusal::bad("Malformed JSON request"))
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }

    /// A page of a list: how many to a page, and which page.
    pub(super) fn page(&self) -> Result<(usize, usize), Refusal> {
        let number = |name: &str| self.parameter(name).and_then(|text| text.parse().ok());
        match (number("pageSize"), number("page")) {
            (Some(size @ 1..), Some(page)) => Ok((size, page)),
            _ => Err(Refusal::bad("Incorrect page size or page")),
        }
    }
}

/// A page of a list, as the platform answers it.
pub(super) fn paged<T>(
    all: &[T],
    (size, page): (usize, usize),
    shown: impl Fn(&T) -> Value,
) -> Value {
    let begin = size.saturating_mul(page).min(all.len());
    let end = begin.saturating_add(size).min(all.len());
    serde_json::json!({
        "data": all[begin..end].iter().map(shown).collect::<Vec<_>>(),
        "totalPages": all.len().div_ceil(size),
        "totalElements": all.len(),
        "hasNext": end < all.len(),
    })
}

/// The platform's code for a login that failed.
const AUTHENTICATION: u8 = 10;

/// The platform's code for a rate limit.
const TOO_MANY: u8 = 33;

/// The platform's code for a token whose time is over.
const EXPIRED: u8 = 11;
