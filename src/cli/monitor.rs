//! The endpoint for monitoring systems: bound before anything else happens, open until the run's
//! results are written, and as much longer as the user wants.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Failure;
use crate::metrics::Exposure;
use crate::monitor;

/// The arguments of `fleetcall run` that are about it.
#[derive(Args, Debug, Default)]
pub(super) struct MonitorArgs {
    /// Serve Prometheus metrics at http://ADDR/metrics while the run goes on, as 127.0.0.1:9464
    #[arg(long, value_name = "ADDR", value_parser = address)]
    metrics: Option<SocketAddr>,
    /// Keep serving them so long after the run, so that the last figures are scraped, too
    #[arg(long, value_name = "TIME", default_value = "0s", requires = "metrics",
        value_parser = humantime::parse_duration)]
    metrics_linger: Duration,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address and a port, as 127.0.0.1:9464, or 0.0.0.0:9464 for all of this machine's \
         addresses"
            .to_owned()
    })
}

/// A bound endpoint.
pub(super) struct Endpoint {
    listener: TcpListener,
    linger: Duration,
}

/// An endpoint at work.
pub(super) struct Monitor {
    state: watch::Sender<Arc<Exposure>>,
    task: JoinHandle<()>,
    linger: Duration,
    /// Each remembers a signal that came while nobody waited.
    signals: [Signal; 3],
}

impl MonitorArgs {
    /// Binds the endpoint, if one is wanted.
    pub(super) fn bind(&self) -> Result<Option<Endpoint>, Failure> {
        let Some(addr) = self.metrics else {
            return Ok(None);
        };
        let bound = TcpListener::bind(addr).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = bound.map_err(|error| {
            Failure::usage(format!(
                "--metrics {addr}: cannot listen there: {error}\nhelp: choose another port, or 0 \
                 for any that is free"
            ))
        })?;
        Ok(Some(Endpoint {
            listener,
            linger: self.metrics_linger,
        }))
    }
}

impl Endpoint {
    /// Serves a state, and those that follow.
    pub(super) fn open(self, first: Exposure) -> std::io::Result<Monitor> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let addr = listener.local_addr()?;
        tracing::info!("metrics at http://{addr}/metrics");
        super::screen::tell(format_args!("metrics at http://{addr}/metrics"));
        let (state, states) = watch::channel(Arc::new(first));
        Ok(Monitor {
            state,
            task: tokio::spawn(monitor::serve(listener, states)),
            linger: self.linger,
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }
}

impl Monitor {
    /// Where new states go.
    pub(super) fn state(&self) -> &watch::Sender<Arc<Exposure>> {
        &self.state
    }

    /// Serves the last state for as long as the user wants; no longer once there is, or was, a
    /// signal.
    pub(super) async fn close(self) {
        let [mut interrupt, mut terminate, mut hangup] = self.signals;
        tokio::select! {
            () = tokio::time::sleep(self.linger) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        self.task.abort();
    }
}
