//! What is set over REST and by imports: labels and attributes of the server's side.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// A device's.
#[derive(Default)]
pub(super) struct Administered {
    pub(super) label: Option<String>,
    pub(super) gateway: bool,
    pub(super) description: Option<String>,
    /// Server attributes, `provisionState` aside.
    pub(super) server: Map<String, Value>,
    pub(super) shared: Map<String, Value>,
    /// When one of them was last written, milliseconds since 1970.
    pub(super) written: i64,
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
