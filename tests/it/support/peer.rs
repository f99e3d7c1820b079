//! A peer that does as it is told: orders to its standard input, and what happens as lines of JSON.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use super::{PATIENCE, Process};

/// A script of `tests/peers` under way.
pub(crate) struct Peer {
    orders: ChildStdin,
    lines: Receiver<String>,
    _process: Process,
}

impl Peer {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let orders = process.0.stdin.take().unwrap();
        let out = BufReader::new(process.0.stdout.take().unwrap());
        let (said, lines) = channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            orders,
            lines,
            _process: process,
        }
    }

    /// Tells it to do something.
    pub(crate) fn order(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").unwrap();
        self.orders.flush().unwrap();
    }

    /// The next thing that it saw.
    pub(crate) fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE);
        read(&line.expect("the peer saw nothing more"))
    }

    /// All that it saw and that was not asked for yet.
    pub(crate) fn so_far(&self) -> Vec<Value> {
        self.lines.try_iter().map(|line| read(&line)).collect()
    }
}

fn read(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
}
