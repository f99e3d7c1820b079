//! The thread that looks at the system once a second, beside the workers and in nobody's way.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::watch;

use super::super::limits::port_range;
use super::{clocks, machine, memory, network, process, threads};
use crate::metrics::{Evidence, Gather, READ_EVERY, Reading};

/// A sampler at work.
pub(in crate::engine) struct Sampler {
    ask: Sender<Ask>,
    seen: watch::Receiver<Evidence>,
    windows: Receiver<Evidence>,
    thread: JoinHandle<()>,
}

/// What it is told beside the time.
enum Ask {
    /// Gather from now on for a window, too.
    Open,
    /// Hand out what was gathered for the window.
    Close,
}

impl Sampler {
    /// Takes the first reading, then goes on in a thread of its own.
    pub(in crate::engine) fn start(workers: usize) -> io::Result<Self> {
        let (_, files_limit) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let cores = thread::available_parallelism().ok();
        let cores = cores.and_then(|cores| u64::try_from(cores.get()).ok());
        let ports = port_range().map(u64::from);
        let fresh = move || Gather::new(workers, files_limit, ports, cores);
        let mut gather = fresh();
        gather.read(reading());
        let (show, seen) = watch::channel(gather.evidence());
        let (ask, asked) = channel();
        let (hand_out, windows) = channel();
        let work = Work {
            gather,
            window: None,
            show,
            hand_out,
        };
        let thread = thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || work.go_on(&asked, fresh))?;
        Ok(Self {
            ask,
            seen,
            windows,
            thread,
        })
    }

    /// Begins a window: what is seen from now on is gathered once more, for itself.
    pub(in crate::engine) fn open_window(&self) {
        // One that is gone is seen at the end.
        let _ = self.ask.send(Ask::Open);
    }

    /// Ends it with a last reading.
    pub(in crate::engine) fn close_window(&self) {
        let _ = self.ask.send(Ask::Close);
    }

    /// What was seen in the window that was ended, as soon as that is known: once for each.
    pub(in crate::engine) fn window(&self) -> Option<Evidence> {
        self.windows.try_recv().ok()
    }

    /// What was seen since the last call, if there is anything new.
    pub(in crate::engine) fn news(&mut self) -> Option<Evidence> {
        let new = self.seen.has_changed().unwrap_or(false);
        new.then(|| self.seen.borrow_and_update().clone())
    }

    /// Takes the last reading: to be called while the workers are still there. All that was seen.
    pub(in crate::engine) fn finish(self) -> Evidence {
        drop(self.ask);
        // Had it panicked, what it showed last would stand.
        let _ = self.thread.join();
        self.seen.borrow().clone()
    }
}

/// The thread's own.
struct Work {
    gather: Gather,
    window: Option<Gather>,
    show: watch::Sender<Evidence>,
    hand_out: Sender<Evidence>,
}

impl Work {
    fn go_on(mut self, asked: &Receiver<Ask>, fresh: impl Fn() -> Gather) {
        let mut due = clocks::monotonic() + READ_EVERY;
        loop {
            let wait = due.saturating_sub(clocks::monotonic());
            match asked.recv_timeout(wait) {
                Ok(Ask::Open) => {
                    let mut window = fresh();
                    window.read(reading());
                    self.window = Some(window);
                }
                Ok(Ask::Close) => {
                    let mut window = self.window.take().unwrap_or_else(&fresh);
                    window.read(reading());
                    // Nobody may be waiting for it any more.
                    let _ = self.hand_out.send(window.evidence());
                }
                Err(RecvTimeoutError::Timeout) => {
                    let at = self.read();
                    // After a pause the next reading is an interval away, and not at once.
                    due = (due + READ_EVERY).max(at + READ_EVERY / 2);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.read();
                    return;
                }
            }
        }
    }

    /// Takes a reading; when that was.
    fn read(&mut self) -> Duration {
        let reading = reading();
        let at = reading.at;
        if let Some(window) = &mut self.window {
            window.read(reading.clone());
        }
        self.gather.read(reading);
        self.show.send_replace(self.gather.evidence());
        at
    }
}

fn reading() -> Reading {
    Reading {
        at: clocks::monotonic(),
        clocks: clocks::offsets(),
        threads: threads::threads(),
        process: Some(process::cpu()),
        machine: machine::times(),
        quota: machine::quota(),
        files: process::open_files(),
        resident_bytes: memory::resident_bytes(),
        memory: memory::left(),
        network: network::figures(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_handed_out_once_with_readings_of_its_own() {
        let sampler = Sampler::start(1).unwrap();
        for _ in 0..2 {
            sampler.open_window();
            sampler.close_window();
            let window = sampler.windows.recv().unwrap();
            assert_eq!(window.readings, 2, "at its begin and at its end");
            assert!(sampler.window().is_none());
        }
        assert_eq!(sampler.finish().readings, 2, "the run's are no more for it");
    }

    #[test]
    fn a_sampler_that_is_ended_at_once_has_looked_twice() {
        let mut sampler = Sampler::start(1).unwrap();
        assert!(sampler.news().is_none(), "the first reading is no news");
        let evidence = sampler.finish();
        assert_eq!(evidence.readings, 2);
        assert!(evidence.files.is_some_and(|files| files.peak > 2));
        assert!(evidence.ports.of.is_some() && evidence.ports.tcp_peak.is_some());
        assert!(evidence.cpu.process.is_some());
    }
}
