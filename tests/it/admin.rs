//! `fleetcall admin` as a user calls it, against `fleetcall target`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod clean;
mod hostile;
mod import;
mod resume;
mod setup;
mod verify;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Process, Said, program, serve, succeed};

/// A server, and the directory that commands about it run in.
struct Desk {
    dir: TempDir,
    url: String,
    ready: Value,
    _process: Process,
}

impl Desk {
    /// A server with a configuration of its own; its administrator is `qa`.
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rest = format!("[rest]\nusername = \"qa\"\npassword = \"{PASSWORD}\"\n");
        let config = if config.contains("[rest]") {
            config.replace("[rest]", &rest)
        } else {
            format!("{config}\n{rest}")
        };
        fs::write(dir.path().join("target.toml"), config).unwrap();
        let mut target = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        target
            .current_dir(dir.path())
            .args(["target", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"])
            .args(["--config", "target.toml"])
            .stderr(Stdio::inherit());
        let (process, ready) = serve(&mut target);
        let url = format!("http://{}", ready["http"].as_str().unwrap());
        Self {
            dir,
            url,
            ready,
            _process: process,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lists are their owner's.
    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = admin(self.dir.path(), args);
        command.env("FLEETCALL_TB_URL", &self.url);
        command
    }

    /// Runs a command; whatever it says, the password is not in it.
    fn admin(&self, args: &[&str]) -> Said {
        let said = Said::by(self.command(args).spawn().unwrap());
        assert!(!format!("{said:?}").contains(PASSWORD), "{said:?}");
        said
    }

    /// Runs a command that passes.
    fn passes(&self, args: &[&str]) -> Said {
        let said = self.admin(args);
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said
    }

    /// A profile, made; its name is also its file's.
    fn profile(&self, name: &str, strategy: &str) {
        let file = format!("{name}.toml");
        self.passes(&[
            "setup",
            "--profile",
            name,
            "--strategy",
            strategy,
            "--out",
            &file,
        ]);
    }

    /// What the REST API says to curl.
    fn get(&self, path: &str) -> Value {
        self.ask("GET", path)
    }

    fn ask(&self, method: &str, path: &str) -> Value {
        let login = format!("{{\"username\":\"qa\",\"password\":\"{PASSWORD}\"}}");
        let pair = curl(&["-d", &login, &format!("{}/api/auth/login", self.url)]);
        let header = format!(
            "X-Authorization: Bearer {}",
            pair["token"].as_str().unwrap()
        );
        let url = format!("{}{path}", self.url);
        curl(&["-X", method, "-H", &header, &url])
    }

    /// How many devices there are.
    fn devices(&self) -> u64 {
        let page = self.get("/api/tenant/deviceInfos?pageSize=1&page=0");
        page["totalElements"].as_u64().unwrap()
    }

    fn device(&self, name: &str) -> Option<Value> {
        let found = self.get(&format!("/api/tenant/devices?deviceName={name}"));
        found["name"].is_string().then_some(found)
    }

    /// A device's access token.
    fn token(&self, name: &str) -> String {
        let device = self.device(name).unwrap_or_else(|| panic!("no {name}"));
        let id = device["id"]["id"].as_str().unwrap();
        let credentials = self.get(&format!("/api/device/{id}/credentials"));
        credentials["credentialsId"].as_str().unwrap().to_owned()
    }
}

/// `fleetcall admin` in a directory, with the password in the environment.
fn admin(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command
        .current_dir(dir)
        .arg("admin")
        .args(args)
        .env("FLEETCALL_TB_USER", "qa")
        .env("FLEETCALL_TB_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn curl(args: &[&str]) -> Value {
    let mut curl = program("curl");
    curl.args([
        "-sS",
        "--max-time",
        "20",
        "--retry",
        "20",
        "--retry-delay",
        "0",
    ]);
    curl.args(["-H", "Content-Type: application/json"])
        .args(args);
    serde_json::from_slice(&succeed(&mut curl).stdout).unwrap_or_default()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A list of devices with a real maker's addresses.
fn list(count: u32) -> String {
    let rows = (0..count).map(|n| {
        format!(
            "00:1B:C5:{:02X}:{:02X}:{:02X}\n",
            n >> 16,
            n >> 8 & 255,
            n & 255
        )
    });
    format!("name\n{}", rows.collect::<String>())
}

const PASSWORD: &str = "correct-horse";
