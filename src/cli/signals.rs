//! What ends a run from outside.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::engine::StopSwitch;

/// SIGINT, SIGTERM and SIGHUP each turn the switch one step: wind down, then stop.
pub(super) fn listen(stop: StopSwitch) -> io::Result<JoinHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                _ = hangup.recv() => "SIGHUP",
            };
            stop.raise();
            tracing::warn!(signal = name, stop = ?stop.now(), "asked to stop");
        }
    }))
}
