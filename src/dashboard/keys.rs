//! Keys from the terminal.
//!
//! Read here and not by crossterm, whose event source spins for ever once the terminal has hung
//! up and blocks on half an escape sequence: either would keep a run from ending.

use std::fs::File;
use std::io::{self, IsTerminal, Read, stdin};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Ctrl-C.
    Interrupt,
    /// `q`.
    Quit,
    /// `y`.
    Yes,
    /// `x`.
    Cut,
    /// `f`, space.
    Freeze,
    /// `+`, `=`.
    Faster,
    /// `-`.
    Slower,
    /// `0`.
    AsPlanned,
    /// `p`.
    Pause,
    /// `1` to `5`, counted from 0.
    Tab(usize),
    /// Tab, →.
    NextTab,
    /// Shift-Tab, ←.
    PreviousTab,
    /// `n`.
    NextPhase,
    /// `N`.
    PreviousPhase,
    /// ↑, `k`.
    Up,
    /// ↓, `j`.
    Down,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// `?`, `h`.
    Help,
    /// Esc.
    Close,
}

impl Key {
    /// Whether it changes the run's pace.
    pub(super) fn steers(self) -> bool {
        matches!(
            self,
            Self::Faster | Self::Slower | Self::AsPlanned | Self::Pause
        )
    }
}

/// The terminal's other end.
#[derive(Debug)]
pub(super) struct Keyboard {
    terminal: File,
    /// Within a text that was pasted: it is no keys.
    pasting: bool,
}

impl Keyboard {
    /// Standard input if it is a terminal, else the controlling terminal.
    pub(super) fn open() -> io::Result<Self> {
        let terminal = if stdin().is_terminal() {
            File::from(stdin().as_fd().try_clone_to_owned()?)
        } else {
            File::open("/dev/tty")?
        };
        Ok(Self {
            terminal,
            pasting: false,
        })
    }

    /// Waits for keys, at most so long; a signal ends the wait early. An error says that the
    /// terminal is gone.
    pub(super) fn wait(&mut self, at_most: Duration) -> io::Result<Vec<Key>> {
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::MAX);
        let mut watched = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Ready, hence not blocking: bytes, or the end.
        let mut bytes = [0; 256];
        match self.terminal.read(&mut bytes)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the terminal has hung up",
            )),
            n => Ok(keys(&bytes[..n], &mut self.pasting)),
        }
    }
}

/// The keys in what a terminal sent at once. Unknown ones, other control sequences and text beyond
/// ASCII are passed over, and so is what was pasted, as far as the terminal tells.
fn keys(bytes: &[u8], pasting: &mut bool) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let key = match first {
            b'\x1b' => {
                let (key, length) = escape(after);
                let sequence;
                (sequence, rest) = after.split_at(length);
                match sequence {
                    b"[200~" => *pasting = true,
                    b"[201~" => *pasting = false,
                    _ => {}
                }
                key
            }
            b'\x03' => Some(Key::Interrupt),
            b'q' => Some(Key::Quit),
            b'y' => Some(Key::Yes),
            b'x' => Some(Key::Cut),
            b'f' | b' ' => Some(Key::Freeze),
            b'+' | b'=' => Some(Key::Faster),
            b'-' => Some(Key::Slower),
            b'0' => Some(Key::AsPlanned),
            b'p' => Some(Key::Pause),
            b'1'..=b'5' => Some(Key::Tab(usize::from(first - b'1'))),
            b'\t' => Some(Key::NextTab),
            b'n' => Some(Key::NextPhase),
            b'N' => Some(Key::PreviousPhase),
            b'k' => Some(Key::Up),
            b'j' => Some(Key::Down),
            b'?' | b'h' => Some(Key::Help),
            _ => None,
        };
        keys.extend(key.filter(|_| !*pasting));
    }
    keys
}

/// What follows an ESC, and how many bytes belong to it: nothing (the Esc key), `[` parameters and
/// a final byte, `O` and one byte, or a key pressed together with Alt.
fn escape(after: &[u8]) -> (Option<Key>, usize) {
    let direction = |last: Option<&u8>| match last {
        Some(b'A') => Some(Key::Up),
        Some(b'B') => Some(Key::Down),
        Some(b'C') => Some(Key::NextTab),
        Some(b'D' | b'Z') => Some(Key::PreviousTab),
        _ => None,
    };
    match after {
        [] | [b'\x1b', ..] => (Some(Key::Close), 0),
        [b'[', sequence @ ..] => {
            let last = sequence
                .iter()
                .position(|byte| (0x40..=0x7e).contains(byte));
            match last {
                Some(last) => match &sequence[..=last] {
                    b"5~" => (Some(Key::PageUp), last + 2),
                    b"6~" => (Some(Key::PageDown), last + 2),
                    _ => (direction(sequence.get(last)), last + 2),
                },
                None => (None, after.len()),
            }
        }
        [b'O', last @ ..] => (direction(last.first()), after.len().min(2)),
        _ => (None, 1),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn keys_come_as_they_are_pressed_and_a_hang_up_is_an_error() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let terminal = File::from(OwnedFd::from(ours));
        let mut keyboard = Keyboard {
            terminal,
            pasting: false,
        };
        assert_eq!(keyboard.wait(Duration::ZERO).expect("there"), []);
        theirs.write_all(b"f?").expect("there");
        let pressed = keyboard.wait(Duration::from_mins(1)).expect("there");
        assert_eq!(pressed, [Key::Freeze, Key::Help]);
        // Pasted text, in two parts.
        theirs.write_all(b"?\x1b[200~pq").expect("there");
        let pressed = keyboard.wait(Duration::from_mins(1)).expect("there");
        assert_eq!(pressed, [Key::Help]);
        theirs.write_all(b"yp\x1b[201~p").expect("there");
        let pressed = keyboard.wait(Duration::from_mins(1)).expect("there");
        assert_eq!(pressed, [Key::Pause]);
        // Half a sequence must not be waited for.
        theirs.write_all(b"\x1b[").expect("there");
        assert_eq!(keyboard.wait(Duration::from_mins(1)).expect("there"), []);
        drop(theirs);
        assert!(keyboard.wait(Duration::from_mins(1)).is_err());
    }

    #[test]
    fn bytes_of_a_terminal_are_taken_for_their_keys() {
        use Key::{
            AsPlanned, Close, Cut, Down, Faster, Freeze, Help, Interrupt, NextPhase, NextTab,
            PageDown, PageUp, Pause, PreviousPhase, PreviousTab, Quit, Slower, Tab, Up, Yes,
        };
        for (bytes, expected) in [
            (&b"q"[..], &[Quit][..]),
            (b"\x03", &[Interrupt]),
            (b"yx", &[Yes, Cut]),
            (b"f ", &[Freeze, Freeze]),
            (b"+=-0p", &[Faster, Faster, Slower, AsPlanned, Pause]),
            (b"156", &[Tab(0), Tab(4)]),
            (b"\t\x1b[C\x1bOC", &[NextTab, NextTab, NextTab]),
            (b"\x1b[D\x1bOD\x1b[Z", &[PreviousTab; 3]),
            (b"nN", &[NextPhase, PreviousPhase]),
            (b"kj\x1b[A\x1bOB", &[Up, Down, Up, Down]),
            (b"\x1b[5~\x1b[6~", &[PageUp, PageDown]),
            (b"?h", &[Help, Help]),
            (b"\x1b", &[Close]),
            (b"\x1b\x1b", &[Close, Close]),
            (b"\x1b[1;5Cn", &[NextTab, NextPhase]),
            (b"\x1b[E\x1b[15~\x1bOPq", &[Quit]),
            (b"\x1bq", &[]),
            (b"\x1b[", &[]),
            (b"\x1bO", &[]),
            (b"\x1b[200", &[]),
            ("zé東\r\x11".as_bytes(), &[]),
        ] {
            assert_eq!(keys(bytes, &mut false), expected, "{bytes:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for a in 0..=u8::MAX {
            for b in [0, b'[', b'O', b'C', 0x1b, 0xff] {
                let _ = keys(&[0x1b, a, b], &mut false);
                let _ = keys(&[a, 0x1b, b], &mut false);
            }
        }
    }
}
