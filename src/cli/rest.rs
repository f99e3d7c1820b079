//! The REST API that a run's pushes go through: the embedded target's, or the scenario's.

use std::net::SocketAddr;
use std::time::Duration;

use super::Failure;
use crate::rest::{Client, Login, RestError, Server};
use crate::scenario::{Plan, RestLogin, TargetPlan, TrustPlan};
use crate::target;

/// Where pushes go, if there are any; `http` is the embedded target's HTTP listener.
pub(super) fn server(plan: &Plan, http: Option<SocketAddr>) -> Result<Option<Server>, Failure> {
    let Some(rest) = &plan.rest else {
        return Ok(None);
    };
    let (url, login) = match &rest.login {
        None => {
            let known = target::Rest::default();
            let http = http.expect("an embedded target with pushes listens for them");
            let login = Login::Password {
                user: known.username,
                password: known.password,
            };
            (format!("http://{http}"), login)
        }
        Some(RestLogin::Password { username, password }) => {
            let login = Login::Password {
                user: username.clone(),
                password: password.clone(),
            };
            (rest.url.clone(), login)
        }
        Some(RestLogin::ApiKey(key)) => (rest.url.clone(), Login::ApiKey(key.clone())),
    };
    let ca = match (&rest.ca, &plan.target) {
        (Some(path), _)
        | (
            None,
            TargetPlan::Remote {
                trust: TrustPlan::File(path),
                ..
            },
        ) => Some(std::fs::read(path).map_err(|error| {
            Failure::usage(format!(
                "{}: {error}\nhelp: `ca` is a PEM file of authorities",
                path.display()
            ))
        })?),
        _ => None,
    };
    let calls = plan.pushes.iter().map(|push| push.timeout);
    let server = Server {
        url,
        ca,
        login,
        // The answer to a call may take what the call may, and then the server its own time.
        timeout: plan.limits.answer_timeout + calls.max().unwrap_or(Duration::ZERO),
    };
    Client::new(server.clone()).map_err(Failure::usage)?;
    Ok(Some(server))
}

/// Logs in once, before a run, so that it does not fail push by push.
pub(super) async fn probe(server: &Server) -> Result<(), RestError> {
    Client::new(server.clone())?.log_in().await
}
