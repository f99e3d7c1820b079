//! Real peers for the tests: found where `scripts/peers` put them, started on free loopback
//! ports, ended by pid when dropped. A missing peer fails the test: nothing is skipped.

pub(crate) mod api;
pub(crate) mod documents;
pub(crate) mod golden;
mod peer;
mod run;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) use peer::Peer;
pub(crate) use run::{Ran, Run, Running};
use serde_json::Value;

/// The longest that a test waits for something that is meant to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A child process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Starts a command with the given standard output and error.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(
            command
                .spawn()
                .unwrap_or_else(|e| panic!("{command:?}: {e}; run scripts/peers")),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Waits for a child whose streams are piped.
    pub(crate) fn by(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Starts `fleetcall target`; what its ready line says.
pub(crate) fn serve(target: &mut Command) -> (Process, Value) {
    let mut process = Process::start(target.stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
    (process, ready)
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The virtual environment's Python, which has paho-mqtt and aiocoap.
pub(crate) fn python() -> Command {
    let python = root().join(".venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing; run scripts/peers",
        python.display()
    );
    Command::new(python)
}

/// A program of Debian's, which may live in /usr/sbin.
pub(crate) fn program(name: &str) -> Command {
    let found = ["/usr/bin", "/usr/sbin", "/usr/local/bin"]
        .iter()
        .map(|dir| PathBuf::from(dir).join(name))
        .find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is missing; run scripts/peers")))
}

/// Runs a command to its end and returns what it printed; a failure shows both streams.
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// A TCP port on loopback that was free a moment ago, for peers that cannot pick one themselves.
pub(crate) fn free_tcp_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits until something listens on a TCP address.
pub(crate) fn wait_for_tcp(addr: SocketAddr) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a real process is waited for, in real time"
    )]
    let start = Instant::now();
    while std::net::TcpStream::connect(addr).is_err() {
        assert!(start.elapsed() < PATIENCE, "nothing listens on {addr}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until something holds that another thread brings about.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) {
    #[expect(
        clippy::disallowed_methods,
        reason = "another thread is waited for, in real time"
    )]
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never held");
        std::thread::sleep(Duration::from_millis(2));
    }
}
