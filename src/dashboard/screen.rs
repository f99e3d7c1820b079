//! The terminal, and the promise to give it back as it was.

use std::cell::Cell;
use std::io::{self, Stdout, stdout};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// Raw mode and the alternate screen, left when it is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    /// Its own drop writes to standard error, and panics, when the terminal has hung up; the
    /// cursor is [`restore`]'s.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn enter() -> io::Result<Self> {
        restore_on_panic();
        ENTERED.store(true, Ordering::SeqCst);
        let entered = enable_raw_mode()
            .and_then(|()| {
                execute!(
                    stdout(),
                    EnterAlternateScreen,
                    Clear(ClearType::All),
                    Print(PASTES_TOLD)
                )
            })
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match entered {
            Ok(terminal) => Ok(Self {
                terminal: ManuallyDrop::new(terminal),
            }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// The terminal has not been given back meanwhile.
    pub(super) fn is_ours() -> bool {
        ENTERED.load(Ordering::SeqCst)
    }

    /// Draws a frame; `false` when the terminal has been given back meanwhile.
    pub(super) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<bool> {
        let guard = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        let _here = Here::mark();
        let ours = Self::is_ours();
        if ours {
            self.terminal.draw(render)?;
        }
        drop(guard);
        Ok(ours)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back: cooked mode, main screen, cursor shown. Does nothing when it was never
/// taken or is back already; safe to call from any thread, but not from within a signal handler.
/// A frame that another thread is drawing is waited for; none is drawn afterwards.
pub fn restore() {
    // The thread that draws may panic while it does: it must not wait for itself.
    let _guard =
        (!Here::is_marked()).then(|| DRAWING.lock().unwrap_or_else(PoisonError::into_inner));
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    // Best effort: a terminal that is gone cannot be told anything, and nobody could read of it.
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), Print(PASTES_UNTOLD), LeaveAlternateScreen, Show);
}

/// Restores before the message of a panic is printed, whichever thread it is of; what was to
/// happen on a panic before still happens.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            previous(panic);
        }));
    });
}

/// Marks this thread as the one that holds `DRAWING`.
struct Here;

impl Here {
    fn mark() -> Self {
        DRAWS.set(true);
        Self
    }

    fn is_marked() -> bool {
        DRAWS.get()
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        DRAWS.set(false);
    }
}

/// From here on the terminal says where a pasted text begins and ends.
const PASTES_TOLD: &str = "\x1b[?2004h";
const PASTES_UNTOLD: &str = "\x1b[?2004l";

/// The terminal is in raw mode and on the alternate screen.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// Held while a frame is drawn, and while the terminal is given back.
static DRAWING: Mutex<()> = Mutex::new(());

thread_local! {
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restoring_what_was_never_taken_does_nothing() {
        restore();
        restore();
        assert!(!ENTERED.load(Ordering::SeqCst));
    }
}
