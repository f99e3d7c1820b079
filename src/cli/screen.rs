//! What a person sees while the run goes on: the dashboard, plain lines, or nothing.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io, thread};

use clap::{Args, ValueEnum};
use tokio::sync::watch;

use crate::dashboard::{self, LogTail, Wish};
use crate::engine::{Helm, Order};
use crate::metrics::Snapshot;

/// The user's choice of screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Ui {
    /// The dashboard on a terminal, plain lines otherwise
    #[default]
    Auto,
    /// The dashboard
    Tui,
    /// A progress line every 5 s on standard error
    Plain,
    /// Nothing until the end
    None,
}

/// What to show, and how.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Show {
    /// What to show while the run goes on
    #[arg(long, value_enum, default_value_t = Ui::Auto)]
    ui: Ui,
    /// Draw the dashboard in ASCII alone, as in a locale such as LANG=C
    #[arg(long)]
    ascii: bool,
}

/// Whether colours are wanted on standard output (<https://no-color.org>).
pub(super) fn colour() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the locale knows ASCII alone. One that is not set says nothing: containers and `ssh` leave it
/// so, and terminals of today know UTF-8.
fn is_ascii_locale() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_some_and(|locale| knows_ascii_alone(&locale))
}

fn knows_ascii_alone(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    !(locale.contains("utf-8") || locale.contains("utf8"))
}

/// A line on standard error. One that is gone, as with a terminal that hung up, is no reason to end
/// without reports.
pub(super) fn tell(what: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "fleetcall: {what}");
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
        show: Show,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        log: LogTail,
        helm: Helm,
    ) -> io::Result<Self> {
        let terminal = io::stdout().is_terminal()
            && io::stdin().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        match show.ui {
            Ui::None => Ok(Self::Dark),
            Ui::Auto if !terminal => Ok(Self::plain(snapshots)),
            Ui::Plain => Ok(Self::plain(snapshots)),
            Ui::Auto | Ui::Tui => {
                let options = dashboard::Options {
                    color: colour(),
                    ascii: show.ascii || is_ascii_locale(),
                    steers: terminal,
                };
                let thread =
                    thread::Builder::new()
                        .name("dashboard".to_owned())
                        .spawn(move || {
                            dashboard::run(snapshots, options, &log, |wish| helm.give(order(wish)))
                        })?;
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

/// What the engine is told of it.
fn order(wish: Wish) -> Order {
    match wish {
        Wish::Interrupt => Order::Further,
        Wish::Stop => Order::Stop,
        Wish::StopNow => Order::StopNow,
        Wish::Faster => Order::Faster,
        Wish::Slower => Order::Slower,
        Wish::AsPlanned => Order::AsPlanned,
        Wish::PauseOrResume => Order::PauseOrResume,
    }
}

async fn gone(mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    while snapshots.changed().await.is_ok() {}
}

const LINE_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_without_utf_8_is_taken_for_ascii() {
        for (locale, ascii) in [
            ("C", true),
            ("POSIX", true),
            ("de_DE.ISO-8859-1", true),
            ("C.UTF-8", false),
            ("en_US.utf8", false),
        ] {
            assert_eq!(knows_ascii_alone(locale), ascii, "{locale}");
        }
    }
}
