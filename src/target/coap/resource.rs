//! What a CoAP request leads to: provisioning and the device API. Nothing about datagrams.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::message::{
    Answer, BAD_REQUEST, CONTENT, CREATED, JSON, NOT_ALLOWED, NOT_FOUND, Request, SERVER_ERROR,
    UNAUTHORIZED, VALID,
};
use crate::target::answer;
use crate::target::attributes::Asked;
use crate::target::backend::{Backend, Decision};
use crate::target::counts::bump;
use crate::target::device::Device;
use crate::target::downlink::Interest;
use crate::target::faults::{Fate, Load, Trouble, noise};
use crate::target::pending::{Pending, Ticket};
use crate::target::request::{self, Malformed};
use crate::target::telemetry::{Bad, Reading, client_rpc, object};

/// When the answer comes.
pub(super) enum Outcome {
    Now(Answer),
    /// Later; the ticket is a place among what may wait.
    Later(Answer, Duration, Option<Ticket>),
    /// Never, though the request is acknowledged.
    Never,
    /// Never, and nothing else either.
    Silence,
    /// A reset in place of an answer.
    Reset,
    /// Noise in place of an answer.
    Noise(Vec<u8>),
    /// The first answer of an observation, which begins.
    Observe(Arc<Device>, Interest),
    /// The end of one.
    Unobserve(Arc<Device>, Interest),
}

/// The resources of one target.
pub(super) struct Resources {
    pub(super) backend: Arc<Backend>,
    pub(super) pending: Arc<Pending>,
}

impl Resources {
    /// Answers a request of a stranger, or of the device that its certificate names.
    pub(super) fn answer(&self, request: &Request, holder: Option<&Arc<Device>>) -> Outcome {
        if !matches!(request.method, GET | POST) {
            return coded(NOT_ALLOWED);
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        if let (Some(holder), Some((feature, id))) = (holder, without_token(&path)) {
            return self.feature(request, Who::Holder(holder), feature, id);
        }
        match path[..] {
            ["fw" | "sw", token] if request.method == GET => match self.device(token) {
                Some(_) => coded(NOT_FOUND),
                None => coded(UNAUTHORIZED),
            },
            ["api", "v1", feature] | ["api", "v1", _, feature]
                if feature.eq_ignore_ascii_case("provision") =>
            {
                if request.method == POST {
                    self.provision(request)
                } else {
                    coded(BAD_REQUEST)
                }
            }
            ["api", "v1", token, feature, ref rest @ ..] if rest.len() <= 1 => {
                // Whom a certificate names, no token renames.
                let who = holder.map_or(Who::Token(token), Who::Holder);
                self.feature(request, who, feature, rest.first().copied())
            }
            ["api", "v1", ..] => coded(BAD_REQUEST),
            _ => coded(NOT_FOUND),
        }
    }

    fn provision(&self, request: &Request) -> Outcome {
        let backend = &self.backend;
        let mut protobuf = false;
        let understood = request::Request::from_json(&request.payload).or_else(|malformed| {
            protobuf = matches!(malformed, Malformed::Parse(_));
            if protobuf {
                request::Request::from_protobuf(&request.payload).ok_or(malformed)
            } else {
                Err(malformed)
            }
        });
        let Ok(understood) = understood else {
            bump(&backend.tally.malformed);
            return coded(BAD_REQUEST);
        };
        let Some(ticket) = self.pending.ticket() else {
            return coded(SERVER_ERROR);
        };
        match backend.provision(&understood) {
            Decision::Answer(answer, delay) if delay.is_zero() => {
                Outcome::Now(provisioned(&answer, protobuf))
            }
            Decision::Answer(answer, delay) => {
                Outcome::Later(provisioned(&answer, protobuf), delay, Some(ticket))
            }
            Decision::Error(delay) => {
                Outcome::Later(Answer::code(SERVER_ERROR), delay, Some(ticket))
            }
            Decision::Silence | Decision::Disconnect | Decision::HalfOpen => Outcome::Silence,
            Decision::Reset => Outcome::Reset,
        }
    }

    fn feature(&self, request: &Request, who: Who<'_>, feature: &str, id: Option<&str>) -> Outcome {
        let feature = &*feature.to_ascii_lowercase();
        let known = match (request.method, feature, id) {
            (POST, "telemetry" | "attributes" | "claim" | "rpc", None)
            | (POST, "rpc", Some(_))
            | (GET, "attributes", None) => true,
            (GET, "rpc", None) => request.observe.is_some(),
            _ => false,
        };
        if !known {
            return coded(BAD_REQUEST);
        }
        let device = match who {
            Who::Token(token) => self.device(token),
            Who::Holder(device) => Some(Arc::clone(device)),
        };
        let Some(device) = device else {
            return coded(UNAUTHORIZED);
        };
        let backend = &self.backend;
        let payload = &request.payload;
        let is_data = request.method == POST && matches!(feature, "telemetry" | "attributes");
        if is_data {
            return self.data(&device, request, feature);
        }
        if backend.pass(&device, Load::Message).is_err() {
            return coded(SERVER_ERROR);
        }
        if request.method == GET {
            let interest = match feature {
                "rpc" => Interest::Calls,
                _ => Interest::Updates,
            };
            return match request.observe {
                None => attributes(&device, request),
                Some(0) => Outcome::Observe(device, interest),
                Some(_) => Outcome::Unobserve(device, interest),
            };
        }
        let done = match (feature, id) {
            ("rpc", None) => match backend.judged(client_rpc(payload)) {
                Ok((method, params)) => match backend.answer_to(&method, &params) {
                    Some(answer) => return self.answered_rpc(request, &device, answer),
                    None => return self.unanswered_rpc(request),
                },
                Err(bad) => Err(bad),
            },
            ("rpc", Some(id)) => backend.judged(match id.parse() {
                Ok(id) => object(payload).map(|_| backend.reply(&device, id, payload)),
                Err(_) => Err(Bad::Undecodable("no number".to_owned())),
            }),
            _ => backend.claim(payload),
        };
        Outcome::Now(judged(&done))
    }

    /// Takes telemetry or attributes in, and answers as the faults have it.
    fn data(&self, device: &Device, request: &Request, feature: &str) -> Outcome {
        let backend = &self.backend;
        let Trouble { fate, delay } = backend.trouble(device).unwrap_or_default();
        match fate {
            Fate::Refused => return coded(SERVER_ERROR),
            Fate::Disconnected | Fate::Silent => return Outcome::Silence,
            Fate::Reset => return Outcome::Reset,
            Fate::Served | Fate::Lost | Fate::Garbage => {}
        }
        let ticket = self.pending.ticket();
        if ticket.is_none() && !delay.is_zero() {
            return coded(SERVER_ERROR);
        }
        let done = match feature {
            "telemetry" => match backend.telemetry(device, &request.payload) {
                Ok(Reading::Nothing) => return Outcome::Never,
                reading => reading.map(|_| ()),
            },
            _ => backend.attributes(device, &request.payload),
        };
        match fate {
            Fate::Lost => Outcome::Silence,
            Fate::Garbage => Outcome::Noise(noise(backend.config.seed, &device.name)),
            _ if delay.is_zero() => Outcome::Now(judged(&done)),
            _ => Outcome::Later(judged(&done), delay, ticket),
        }
    }

    /// The answer to a device's call, as the faults of the downlink have it.
    fn answered_rpc(&self, request: &Request, device: &Device, answer: String) -> Outcome {
        let answer = content(request, answer);
        match self.backend.held_back(device) {
            None => Outcome::Never,
            Some(delay) if delay.is_zero() => Outcome::Now(answer),
            Some(delay) => match self.pending.ticket() {
                None => coded(SERVER_ERROR),
                place => Outcome::Later(answer, delay, place),
            },
        }
    }

    /// No rule answers a client's RPC: it times out.
    fn unanswered_rpc(&self, request: &Request) -> Outcome {
        let Some(ticket) = self.pending.ticket() else {
            return coded(SERVER_ERROR);
        };
        let answer = content(request, r#"{"error":"timeout"}"#.to_owned());
        let delay = self.backend.config.limits.client_rpc;
        Outcome::Later(answer, delay, Some(ticket))
    }

    fn device(&self, token: &str) -> Option<Arc<Device>> {
        let device = self.backend.registry.by_token(token);
        if device.is_none() {
            bump(&self.backend.tally.bad_logins);
        }
        device
    }
}

/// Who says to be whom, and by what.
#[derive(Clone, Copy)]
enum Who<'a> {
    /// By an access token in the path.
    Token(&'a str),
    /// By a certificate.
    Holder(&'a Arc<Device>),
}

/// The feature and the id of a path as devices with a certificate write it (section 6.3).
fn without_token<'a>(path: &[&'a str]) -> Option<(&'a str, Option<&'a str>)> {
    match *path {
        ["api", "v1", feature] if !feature.eq_ignore_ascii_case("provision") => {
            Some((feature, None))
        }
        ["api", "v1", feature, id] if id.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((feature, Some(id)))
        }
        _ => None,
    }
}

/// The answer to a message that was taken in, or not.
fn judged(done: &Result<(), Bad>) -> Answer {
    match done {
        Ok(()) => Answer {
            separate: true,
            ..Answer::code(CREATED)
        },
        Err(Bad::Undecodable(_)) => Answer::code(BAD_REQUEST),
        Err(Bad::WrongKind | Bad::Limited) => Answer::code(SERVER_ERROR),
    }
}

fn provisioned(answer: &answer::Answer, protobuf: bool) -> Answer {
    Answer {
        code: if answer.is_success() || matches!(answer, answer::Answer::Noise(_)) {
            CREATED
        } else {
            BAD_REQUEST
        },
        payload: answer.bytes(protobuf).into(),
        format: (!protobuf).then_some(TEXT),
        ..Answer::default()
    }
}

fn attributes(device: &Device, request: &Request) -> Outcome {
    let names = |key: &str| {
        request.query.iter().find_map(|part| {
            let (name, value) = part.split_once('=')?;
            (name == key && !value.is_empty()).then(|| value.to_owned())
        })
    };
    let asked = Asked {
        client: names("clientKeys"),
        shared: names("sharedKeys"),
    };
    let answer = Backend::asked(device, &asked);
    if answer.is_empty() {
        return coded(NOT_FOUND);
    }
    Outcome::Now(content(request, Value::Object(answer).to_string()))
}

/// The first answer of an observation: all shared attributes; of calls there is none yet.
pub(super) fn first(request: &Request, device: &Device, interest: Interest) -> Answer {
    let observe = Some(0);
    match interest {
        Interest::Calls => Answer {
            observe,
            separate: true,
            ..Answer::code(VALID)
        },
        Interest::Updates => {
            let live = device.live();
            let shared = live.administered.as_deref().map(|held| &held.shared);
            let all = shared.map_or_else(|| "{}".to_owned(), |all| json!(all).to_string());
            Answer {
                observe,
                separate: false,
                ..content(request, all)
            }
        }
    }
}

fn content(request: &Request, json: String) -> Answer {
    Answer {
        payload: json.into(),
        format: Some(request.format.unwrap_or(JSON)),
        separate: true,
        ..Answer::code(CONTENT)
    }
}

fn coded(code: u8) -> Outcome {
    Outcome::Now(Answer::code(code))
}

const GET: u8 = 1;
const POST: u8 = 2;

/// Content-Format text/plain.
const TEXT: u16 = 0;
