//! The target's REST API as curl sees it.

use fleetcall::target::{Target, TargetConfig};
use serde_json::{Value, json};

use super::{program, succeed};

/// A target and an administrator who is logged in.
pub(crate) struct Api {
    pub(crate) target: Target,
    pub(crate) token: String,
}

/// A request; the status and the body, null if there is none.
pub(crate) async fn ask(
    target: &Target,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let mut command = program("curl");
    let url = format!("http://{}{path}", target.http().unwrap());
    command.args([
        "-sg",
        "--max-time",
        "20",
        "-X",
        method,
        "-w",
        "\n%{http_code}",
        &url,
    ]);
    if !token.is_empty() {
        command.args(["-H", &format!("X-Authorization: {token}")]);
    }
    if let Some(body) = body {
        command.args([
            "-H",
            "Content-Type: application/json",
            "-d",
            &body.to_string(),
        ]);
    }
    let output = tokio::task::spawn_blocking(move || succeed(&mut command))
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (
        status.parse().unwrap(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

/// Logs the administrator in.
pub(crate) async fn login(target: &Target, password: &str) -> (u16, Value) {
    let body = json!({"username": "tenant@thingsboard.org", "password": password});
    ask(target, "", "POST", "/api/auth/login", Some(body)).await
}

impl Api {
    /// Starts a target with an HTTP listener, and logs in.
    pub(crate) async fn start(config: TargetConfig) -> Self {
        let anywhere = Some("127.0.0.1:0".parse().unwrap());
        let config = TargetConfig {
            http: anywhere,
            ..config
        };
        let target = Target::start(config).await.unwrap();
        let (status, pair) = login(&target, "tenant").await;
        assert_eq!(status, 200, "{pair}");
        let token = format!("Bearer {}", pair["token"].as_str().unwrap());
        Self { target, token }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        ask(&self.target, &self.token, "GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        ask(&self.target, &self.token, "POST", path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        ask(&self.target, &self.token, "DELETE", path, None).await
    }

    /// The device of a name.
    pub(crate) async fn named(&self, name: &str) -> Value {
        self.get(&format!("/api/tenant/devices?deviceName={name}"))
            .await
            .1
    }
}
