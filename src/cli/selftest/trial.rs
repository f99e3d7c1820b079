//! Runs of this very program against its own target, each in a process of its own, so that what is
//! tested is what users run.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use super::super::exit::{Exit, Failure};
use crate::metrics::Summary;

/// Where trials leave their scenarios and results; gone when it is dropped.
pub(super) struct Bench {
    directory: PathBuf,
    /// Whether response times count from the send, as they must not.
    from_send: bool,
}

impl Bench {
    /// An empty directory for trials.
    pub(super) fn set_up(from_send: bool) -> Result<Self, Failure> {
        let name = format!("fleetcall-selftest-{}", std::process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir(&directory).map_err(|error| {
            Failure::usage(format!(
                "{}: cannot be made: {error}\nhelp: TMPDIR names another directory",
                directory.display()
            ))
        })?;
        Ok(Self {
            directory,
            from_send,
        })
    }

    /// Runs a scenario; its name must be new.
    pub(super) async fn run(&self, name: &str, scenario: &str) -> Result<Summary, Failure> {
        let path = self.directory.join(format!("{name}.toml"));
        let out = self.directory.join(name);
        fs::write(&path, format!("name = \"{name}\"\nseed = 1\n{scenario}"))
            .map_err(Failure::bug)?;
        let program = env::current_exe().map_err(Failure::bug)?;
        let mut command = Command::new(program);
        command
            .args(["run", "--ui", "none", "--out"])
            .args([&out, &path])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if self.from_send {
            command.arg("--response-from-send");
        }
        let ended = command.output().await.map_err(Failure::bug)?;
        let code = ended.status.code();
        let judged = [Exit::Passed, Exit::Threshold, Exit::Invalid].map(|exit| exit as i32);
        if !code.is_some_and(|code| judged.contains(&code)) {
            let said = String::from_utf8_lossy(&ended.stderr);
            return Err(Failure::bug(format!(
                "the trial {name} ended with {}: {}",
                ended.status,
                said.trim()
            )));
        }
        let summary = fs::read(out.join("summary.json")).map_err(Failure::bug)?;
        serde_json::from_slice(&summary).map_err(Failure::bug)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What is left of it is in the system's directory for such files.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
