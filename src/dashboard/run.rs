//! The loop that turns snapshots and keys into frames.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::terminal;
use tokio::sync::watch;
use tokio::time::Instant;

use super::keys::{Key, Keyboard};
use super::log::LogTail;
use super::screen::Screen;
use super::state::{Options, State, Wish};
use super::view;
use crate::metrics::Snapshot;

/// Draws until the sender of the snapshots is dropped or the terminal is taken back by
/// [`restore`](super::restore); to be called on a thread of its own. At most five frames a second.
/// `log` is shown beside the snapshots. `wish` is called for each thing that the user wants of the
/// run; it must not block.
///
/// An error means that there is no usable terminal (any more): the run may go on without.
pub fn run(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    options: Options,
    log: &LogTail,
    wish: impl Fn(Wish),
) -> io::Result<()> {
    let mut keyboard = Keyboard::open()?;
    let mut screen = Screen::enter()?;
    let mut size = terminal::size()?;
    let mut state = State::new(options);
    let (mut held, mut repeats) = (Held::default(), Repeats::default());
    let mut next_frame = Instant::now();
    let mut outdated = state.show(snapshots.borrow_and_update().clone(), || log.view());
    // An error says that the sender is gone: the run is over.
    while let Ok(changed) = snapshots.has_changed() {
        // Given back meanwhile, its keys are somebody else's, too.
        if !Screen::is_ours() {
            break;
        }
        if changed {
            let snapshot = snapshots.borrow_and_update().clone();
            outdated |= state.show(snapshot, || log.view());
        }
        if let Some(snapshot) = state
            .shown()
            .filter(|_| outdated && Instant::now() >= next_frame)
        {
            if !screen.draw(|frame| view::render(frame, &snapshot, &state))? {
                break;
            }
            next_frame = Instant::now() + FRAME;
            outdated = false;
        }
        let wait = if outdated {
            next_frame.saturating_duration_since(Instant::now())
        } else {
            FRAME
        };
        for key in keyboard.wait(wait)? {
            let now = Instant::now();
            if (key == Key::Interrupt && held.is_still(now))
                || (key.steers() && repeats.is_one(now))
            {
                continue;
            }
            outdated = true;
            if let Some(wanted) = state.press(key) {
                wish(wanted);
            }
        }
        let now = terminal::size()?;
        outdated |= std::mem::replace(&mut size, now) != now;
    }
    Ok(())
}

/// Ctrl-C, which a terminal repeats while it is held down: that must not end at once a run
/// that was asked to wind down.
#[derive(Default)]
struct Held {
    since: Option<Instant>,
}

impl Held {
    /// Whether a press at this moment may be the first one that goes on.
    fn is_still(&mut self, now: Instant) -> bool {
        let Some(first) = self.since else {
            self.since = Some(now);
            return false;
        };
        now < first + HELD
    }
}

/// Keys that steer, which must not go from one end to the other because one was held down.
#[derive(Default)]
struct Repeats {
    last: Option<Instant>,
}

impl Repeats {
    /// Whether a press at this moment came from a terminal that repeats: no person is so quick.
    fn is_one(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        last.is_some_and(|last| now < last + REPEATED)
    }
}

/// Between two presses of a key that is held down there is less.
const REPEATED: Duration = Duration::from_millis(120);

/// For letting a key go. After it each press counts.
const HELD: Duration = Duration::from_millis(700);

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_steers_does_not_run_away_while_it_is_held_down() {
        let mut repeats = Repeats::default();
        let first = Instant::now();
        // Pressed; repeated after half a second; pressed again, twice.
        let presses = [0, 500, 533, 566, 599, 800, 1_000].map(Duration::from_millis);
        let counted = presses.map(|after| !repeats.is_one(first + after));
        assert_eq!(counted, [true, true, false, false, false, true, true]);
    }

    #[test]
    fn a_held_key_counts_once_and_a_second_press_again() {
        let mut held = Held::default();
        let first = Instant::now();
        let presses = [0, 30, 600, 800, 820].map(Duration::from_millis);
        let counted = presses.map(|after| !held.is_still(first + after));
        assert_eq!(counted, [true, false, false, true, true]);
    }
}
