//! An embedded target in this process, on threads of its own: what it uses is not taken for the
//! generator's.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};

use super::Failure;
use crate::target::{Target, TargetConfig};

/// A running target and its threads, whose names (`target-…`) tell them apart.
pub(super) struct Lodger {
    pub(super) target: Target,
    threads: Threads,
}

impl Lodger {
    /// Starts it.
    pub(super) async fn start(config: TargetConfig) -> Result<Box<Self>, Failure> {
        let next = AtomicUsize::new(0);
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name_fn(move || format!("target-{}", next.fetch_add(1, Ordering::Relaxed)))
            .enable_all()
            .build()
            .map_err(Failure::bug)?;
        let threads = Threads(Some(runtime));
        let runtime = threads.0.as_ref().expect("given above");
        let started = runtime.spawn(Target::start(config)).await;
        let target = started.map_err(Failure::bug)?.map_err(Failure::usage)?;
        Ok(Box::new(Self { target, threads }))
    }

    /// Closes its listeners and connections.
    pub(super) async fn stop(self) {
        self.target.stop().await;
        drop(self.threads);
    }
}

/// A runtime that may be dropped on another one.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

const THREADS: usize = 2;
