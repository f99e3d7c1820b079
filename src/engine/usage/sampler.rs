//! The thread that looks at the system once a second, beside the workers and in nobody's way.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::{io, thread};

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::watch;

use super::super::limits::port_range;
use super::{clocks, machine, memory, network, process, threads};
use crate::metrics::{Evidence, Gather, READ_EVERY, Reading};

/// A sampler at work.
pub(in crate::engine) struct Sampler {
    end: Sender<()>,
    seen: watch::Receiver<Evidence>,
    thread: JoinHandle<()>,
}

impl Sampler {
    /// Takes the first reading, then goes on in a thread of its own.
    pub(in crate::engine) fn start(workers: usize) -> io::Result<Self> {
        let (_, files_limit) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let cores = thread::available_parallelism().ok();
        let cores = cores.and_then(|cores| u64::try_from(cores.get()).ok());
        let ports = port_range().map(u64::from);
        let mut gather = Gather::new(workers, files_limit, ports, cores);
        gather.read(reading());
        let (show, seen) = watch::channel(gather.evidence());
        let (end, asked) = channel();
        let thread = thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || go_on(gather, &asked, &show))?;
        Ok(Self { end, seen, thread })
    }

    /// What was seen since the last call, if there is anything new.
    pub(in crate::engine) fn news(&mut self) -> Option<Evidence> {
        let new = self.seen.has_changed().unwrap_or(false);
        new.then(|| self.seen.borrow_and_update().clone())
    }

    /// Takes the last reading: to be called while the workers are still there. All that was seen.
    pub(in crate::engine) fn finish(self) -> Evidence {
        drop(self.end);
        // Had it panicked, what it showed last would stand.
        let _ = self.thread.join();
        self.seen.borrow().clone()
    }
}

fn go_on(mut gather: Gather, asked: &Receiver<()>, show: &watch::Sender<Evidence>) {
    let mut due = clocks::monotonic();
    loop {
        due += READ_EVERY;
        let wait = due.saturating_sub(clocks::monotonic());
        let ended = asked.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
        let reading = reading();
        // After a pause the next reading is an interval away, and not at once.
        due = due.max(reading.at.saturating_sub(READ_EVERY / 2));
        gather.read(reading);
        show.send_replace(gather.evidence());
        if ended {
            return;
        }
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
