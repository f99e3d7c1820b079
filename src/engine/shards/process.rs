//! A process that starts a portion of a run's devices, seen from the one that started it.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};

use super::super::shutdown::Stop;
use super::Portion;
use super::message::{Down, Up, receive, send};
use crate::arrival::Pace;

/// A process that did not get ready.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// The system gives none.
    #[error("cannot start a process of the run: {0}")]
    Start(#[from] io::Error),
    /// It ended before it had begun.
    #[error("{portion} did not get ready ({status})\n{said}")]
    NotReady {
        /// Which.
        portion: Portion,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
}

/// The process. It ends at once when this is dropped.
pub(super) struct Process {
    pub(super) down: ChildStdin,
    pub(super) up: BufReader<ChildStdout>,
    child: Child,
    said: tokio::task::JoinHandle<String>,
}

impl Process {
    /// Starts it with its first line and waits until it has its list.
    pub(super) async fn start(portion: Portion, line: &str) -> Result<Self, ProcessError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("portion")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the coordinator, which tells the others.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut down = child.stdin.take().expect("piped above");
        let up = BufReader::with_capacity(1 << 16, child.stdout.take().expect("piped above"));
        let said = tokio::spawn(last_words(child.stderr.take().expect("piped above")));
        // One that is gone is seen next.
        let _ = down.write_all(format!("{line}\n").as_bytes()).await;
        let mut process = Self {
            down,
            up,
            child,
            said,
        };
        if let Some(Up::Ready) = receive(&mut process.up, &mut String::new()).await {
            return Ok(process);
        }
        drop(process.down);
        Err(ProcessError::NotReady {
            portion,
            status: process.child.wait().await?,
            said: process.said.await.unwrap_or_default(),
        })
    }

    /// Waits for one that has said its last word.
    pub(super) async fn see_off(mut self) {
        drop(self.down);
        let _ = self.child.wait().await;
    }

    /// How one ended that says nothing more, and what it said to that. One that stands still and says
    /// what is none is of no more use than a dead one.
    pub(super) async fn end(mut self) -> (String, String) {
        let _ = self.child.start_kill();
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        (how, self.said.await.unwrap_or_default())
    }
}

/// The end of what a process said on its standard error, as much as a person would read.
async fn last_words(mut stderr: ChildStderr) -> String {
    let (mut said, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(n @ 1..) = stderr.read(&mut piece).await {
        said.extend_from_slice(&piece[..n]);
        let beyond = said.len().saturating_sub(SAID_MAX);
        said.drain(..beyond);
    }
    String::from_utf8_lossy(&said).trim_end().to_owned()
}

pub(super) enum Never {}

/// Tells a process what it has to know as long as it lives. Never returns: whether it is dead is seen
/// from what it says.
pub(super) async fn tell(
    down: &mut ChildStdin,
    begin: Down,
    (mut stop, mut pace): (watch::Receiver<Stop>, watch::Receiver<Arc<Pace>>),
    mut answers: mpsc::Receiver<(u64, bool)>,
) -> Never {
    // Changes from before it was there, too.
    stop.mark_changed();
    pace.mark_changed();
    let mut down = BufWriter::with_capacity(1 << 16, down);
    let mut gone = send(&mut down, &begin).await.is_err();
    loop {
        gone |= down.flush().await.is_err();
        let message = tokio::select! {
            biased;
            Ok(()) = stop.changed() => Down::Stop(*stop.borrow_and_update()),
            Ok(()) = pace.changed() => Down::Pace(Pace::clone(&pace.borrow_and_update())),
            Some(first) = answers.recv() => {
                let mut all = vec![first];
                while let Ok(more) = answers.try_recv() {
                    all.push(more);
                }
                let of = |wanted| move |(ticket, written): &(u64, bool)| (*written == wanted).then_some(*ticket);
                let refused: Vec<u64> = all.iter().filter_map(of(false)).collect();
                if !refused.is_empty() && !gone {
                    gone |= send(&mut down, &Down::NotOnRecord(refused)).await.is_err();
                }
                Down::OnRecord(all.iter().filter_map(of(true)).collect())
            }
            else => std::future::pending().await,
        };
        if !gone {
            gone |= send(&mut down, &message).await.is_err();
        }
    }
}

/// Answers to a process under way.
pub(super) const ANSWERS: usize = 4096;

/// So much is kept of what a process said.
const SAID_MAX: usize = 4_000;
