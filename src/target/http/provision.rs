//! `POST /api/v1/provision`.

use hyper::StatusCode;
use hyper::header::HeaderMap;

use super::listener::Shared;
use super::reply::{GENERAL, Reply, Withheld, empty, error, no_body, silent, text};
use crate::target::backend::Decision;
use crate::target::counts::bump;
use crate::target::faults::End;
use crate::target::request::Request;

/// Answers a provision request. SUCCESS and the refusals all have status 200.
pub(super) async fn answer(
    headers: &HeaderMap,
    body: &[u8],
    shared: &Shared,
) -> Result<Reply, Withheld> {
    let backend = &shared.backend;
    if body.is_empty() {
        bump(&backend.tally.malformed);
        return Ok(no_body());
    }
    let request = match Request::from_json(body) {
        Ok(request) => request,
        Err(malformed) => {
            bump(&backend.tally.malformed);
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Ok(error(status, GENERAL, malformed.text()));
        }
    };
    let Some(ticket) = shared.pending.ticket() else {
        return Ok(empty(StatusCode::INTERNAL_SERVER_ERROR));
    };
    match backend.provision(&request) {
        Decision::Answer(answer, delay) => {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            Ok(text(StatusCode::OK, headers, answer.bytes(false)))
        }
        Decision::Error(delay) => {
            tokio::time::sleep(delay).await;
            Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Decision::Silence => {
            drop(ticket);
            // Until the client leaves; in the end the connection closes as an idle one does.
            tokio::time::sleep(backend.config.limits.inactivity).await;
            Err(Withheld::CLOSED)
        }
        Decision::Disconnect => Err(Withheld::CLOSED),
        Decision::Reset => Err(Withheld(End::Reset)),
        Decision::HalfOpen => {
            drop(ticket);
            silent(backend).await
        }
    }
}
