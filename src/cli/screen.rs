//! What a person sees while the run goes on: the dashboard, plain lines, or nothing.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use clap::ValueEnum;
use tokio::sync::watch;

use crate::dashboard;
use crate::engine::StopSwitch;
use crate::metrics::Snapshot;

/// The user's choice of screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Ui {
    /// The dashboard on a terminal, plain lines otherwise
    Auto,
    /// The dashboard
    Tui,
    /// A progress line every 5 s on standard error
    Plain,
    /// Nothing until the end
    None,
}

/// Whether colours are wanted on standard output (<https://no-color.org>).
pub(super) fn colour() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A bar on a terminal, nothing anywhere else.
pub(super) fn bar(length: usize, what: &'static str) -> indicatif::ProgressBar {
    let style =
        indicatif::ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}")
            .expect("the template is one");
    indicatif::ProgressBar::new(length as u64)
        .with_style(style)
        .with_message(what)
}

/// The screen of a run. Ends when the snapshots' sender is dropped.
pub(super) enum Screen {
    Dashboard(JoinHandle<io::Result<()>>),
    Plain(tokio::task::JoinHandle<()>),
    Dark,
}

impl Screen {
    pub(super) fn start(
        ui: Ui,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        stop: StopSwitch,
    ) -> io::Result<Self> {
        let terminal = io::stdout().is_terminal()
            && io::stdin().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        match ui {
            Ui::None => Ok(Self::Dark),
            Ui::Auto if !terminal => Ok(Self::plain(snapshots)),
            Ui::Plain => Ok(Self::plain(snapshots)),
            Ui::Auto | Ui::Tui => {
                let options = dashboard::Options { color: colour() };
                let thread = thread::Builder::new()
                    .name("dashboard".to_owned())
                    .spawn(move || dashboard::run(snapshots, options, move || stop.raise()))?;
                Ok(Self::Dashboard(thread))
            }
        }
    }

    fn plain(mut snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        let notes = dashboard::plain_notes(&snapshots.borrow());
        Self::Plain(tokio::spawn(async move {
            for note in notes {
                let _ = writeln!(io::stderr(), "{note}");
            }
            let mut tick = tokio::time::interval(LINE_EVERY);
            tick.tick().await;
            loop {
                tokio::select! {
                    _ = tick.tick() => {
                        let line = dashboard::plain_line(&snapshots.borrow_and_update());
                        // A closed pipe is no reason to end a run.
                        let _ = writeln!(io::stderr(), "{line}");
                    }
                    gone = gone(snapshots.clone()) => return gone,
                }
            }
        }))
    }

    /// Waits for the screen's end, so that the terminal is the shell's again.
    pub(super) async fn end(self) -> io::Result<()> {
        match self {
            Self::Dashboard(thread) => {
                let joined = tokio::task::spawn_blocking(move || thread.join()).await;
                match joined {
                    Ok(Ok(result)) => result,
                    _ => Err(io::Error::other("the dashboard panicked")),
                }
            }
            Self::Plain(task) => {
                let _ = task.await;
                Ok(())
            }
            Self::Dark => Ok(()),
        }
    }
}

async fn gone(mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    while snapshots.changed().await.is_ok() {}
}

const LINE_EVERY: Duration = Duration::from_secs(5);
