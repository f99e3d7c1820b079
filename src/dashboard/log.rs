//! The last lines of `run.log`, kept in memory for the dashboard.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::printable;

/// A bounded copy of the end of a log; clones share it. Whoever writes the log feeds it.
#[derive(Clone, Debug, Default)]
pub struct LogTail(Arc<Mutex<Tail>>);

#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<Arc<str>>,
    written: u64,
    lost: u64,
}

/// The lines at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogView {
    /// The last [`LINES_MAX`], the oldest first, harmless to a terminal.
    pub lines: Vec<Arc<str>>,
    /// How many there have been.
    pub written: u64,
    /// How many the file did not take.
    pub lost: u64,
}

impl LogTail {
    /// Takes what was written to the log, and whether the file has it. A line beyond
    /// [`COLUMNS_MAX`] is cut here, not in the file.
    pub fn feed(&self, text: &str, kept: bool) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            if tail.lines.len() == LINES_MAX {
                tail.lines.pop_front();
            }
            let cut: String = line.chars().take(COLUMNS_MAX).collect();
            tail.lines.push_back(printable(&cut).as_ref().into());
            tail.written += 1;
            tail.lost += u64::from(!kept);
        }
    }

    /// The lines now.
    pub fn view(&self) -> LogView {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        LogView {
            lines: tail.lines.iter().cloned().collect(),
            written: tail.written,
            lost: tail.lost,
        }
    }
}

/// Lines kept.
pub const LINES_MAX: usize = 500;

/// Characters kept of a line.
pub const COLUMNS_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_all_are_counted() {
        let log = LogTail::default();
        for n in 0..LINES_MAX + 20 {
            log.feed(&format!("line {n}\n"), n != 7);
        }
        let view = log.view();
        assert_eq!(view.lines.len(), LINES_MAX);
        assert_eq!(&*view.lines[0], "line 20");
        assert_eq!((view.written, view.lost), (LINES_MAX as u64 + 20, 1));
    }

    #[test]
    fn a_line_can_neither_act_on_the_terminal_nor_grow() {
        let log = LogTail::default();
        log.feed(&("\x1b[2J".to_owned() + &"x".repeat(100_000)), true);
        let line = &log.view().lines[0];
        assert!(line.starts_with("\u{fffd}[2J"), "{line}");
        assert_eq!(line.chars().count(), COLUMNS_MAX);
    }
}
