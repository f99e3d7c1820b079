//! The device side against servers that we did not write.

#![expect(
    clippy::unwrap_used,
    reason = "these helpers are tests too, though outside of test functions"
)]

mod coap;
mod deliveries;
mod http;
mod mqtt;

pub(crate) use coap::lossy_network;
pub(crate) use mqtt::Broker;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, sync_channel};

use crate::support::{PATIENCE, Process, python, root};

/// A script of `tests/peers` that prints its port once it listens.
pub(crate) struct Script {
    pub(crate) addr: SocketAddr,
    _process: Process,
}

impl Script {
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        let mut process = Process::start(
            python()
                .arg(root().join("tests/peers").join(name))
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::piped()),
        );
        let port: u16 = Lines::of(&mut process).next("").parse().unwrap();
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
            _process: process,
        }
    }
}

/// What a peer prints, line by line.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    /// Reads on a thread of its own, which ends with the peer.
    pub(crate) fn of(process: &mut Process) -> Self {
        let stdout = process.0.stdout.take().expect("was asked for");
        let (tell, told) = sync_channel(64);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Self(told)
    }

    /// The next line that begins like this, which must come.
    pub(crate) fn next(&self, beginning: &str) -> String {
        loop {
            let line = self.0.recv_timeout(PATIENCE).expect(beginning);
            if line.starts_with(beginning) {
                return line;
            }
        }
    }
}
