//! What monitoring systems get: an endpoint, bound before anything else happens, open until the run's
//! results are written, and as much longer as the user wants; and pushes to those who cannot come.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args};
use secrecy::SecretString;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Failure;
use crate::metrics::Exposure;
use crate::monitor::{self, Influx, Pushed, Pusher, Sink};
use crate::rest;

/// The arguments of `fleetcall run` that are about it.
#[derive(Args, Debug, Default)]
#[command(group(ArgGroup::new("pushed").args(["influx", "otlp"]).multiple(true)))]
pub(super) struct MonitorArgs {
    /// Serve Prometheus metrics at http://ADDR/metrics while the run goes on, as 127.0.0.1:9464
    #[arg(long, value_name = "ADDR", value_parser = address)]
    metrics: Option<SocketAddr>,
    /// Keep serving them so long after the run, so that the last figures are scraped, too
    #[arg(long, value_name = "TIME", default_value = "0s", requires = "metrics",
        value_parser = humantime::parse_duration)]
    metrics_linger: Duration,
    /// Push the metrics to InfluxDB, as 'http://HOST:8086/?org=ORG&bucket=BUCKET', for version 1 as
    /// 'http://HOST:8086/?db=DATABASE'; the token, or USER:PASSWORD, is in the environment: INFLUX_TOKEN
    #[arg(long, value_name = "URL")]
    influx: Option<String>,
    /// Push the metrics to an OpenTelemetry collector over OTLP/HTTP, as http://HOST:4318; headers are in the
    /// environment: OTEL_EXPORTER_OTLP_HEADERS. In builds with the feature `otlp` only
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// How often to push
    #[arg(long, value_name = "TIME", default_value = "5s", requires = "pushed", value_parser = pause)]
    push_every: Duration,
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address and a port, as 127.0.0.1:9464, or 0.0.0.0:9464 for all of this machine's \
         addresses"
            .to_owned()
    })
}

/// Often enough for anybody, and seldom enough for the server.
fn pause(text: &str) -> Result<Duration, String> {
    let every = humantime::parse_duration(text).ok();
    let fits =
        |every: &Duration| (Duration::from_secs(1)..=Duration::from_hours(1)).contains(every);
    let every = every.filter(fits);
    every.ok_or_else(|| "write a time from 1s to 1h, as 5s".to_owned())
}

/// All that is wanted, bound and understood.
pub(super) struct Outlook {
    listener: Option<TcpListener>,
    linger: Duration,
    pushes: Vec<(&'static str, String, Pusher)>,
}

/// Monitoring at work.
pub(super) struct Monitor {
    state: watch::Sender<Arc<Exposure>>,
    endpoint: Option<JoinHandle<()>>,
    pushes: Vec<(&'static str, JoinHandle<Pushed>)>,
    linger: Duration,
    /// Each remembers a signal that came while nobody waited.
    signals: [Signal; 3],
}

impl MonitorArgs {
    /// Binds and reads what is wanted, if anything is.
    pub(super) fn prepare(&self) -> Result<Option<Outlook>, Failure> {
        let listener = self.metrics.map(bind).transpose()?;
        let sinks = [("--influx", self.influx()?), ("--otlp", self.otlp()?)];
        let mut pushes = Vec::new();
        for (option, sink) in sinks {
            let Some(sink) = sink else { continue };
            let https = rest::https(None).map_err(Failure::usage)?;
            let uri = sink.uri().to_string();
            pushes.push((option, uri, Pusher::new(https, sink, self.push_every)));
        }
        if listener.is_none() && pushes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Outlook {
            listener,
            linger: self.metrics_linger,
            pushes,
        }))
    }

    fn influx(&self) -> Result<Option<Sink>, Failure> {
        let Some(url) = &self.influx else {
            return Ok(None);
        };
        let to = Influx::new(url, secret("INFLUX_TOKEN"));
        let to = to.map_err(|why| Failure::usage(format!("--influx: {why}")))?;
        Ok(Some(Sink::Influx(to)))
    }

    #[cfg(feature = "otlp")]
    fn otlp(&self) -> Result<Option<Sink>, Failure> {
        let Some(url) = &self.otlp else {
            return Ok(None);
        };
        let headers = secret("OTEL_EXPORTER_OTLP_HEADERS");
        let to = monitor::Otlp::new(url, headers.as_ref());
        let to = to.map_err(|why| Failure::usage(format!("--otlp: {why}")))?;
        Ok(Some(Sink::Otlp(to)))
    }

    #[cfg(not(feature = "otlp"))]
    fn otlp(&self) -> Result<Option<Sink>, Failure> {
        if self.otlp.is_none() {
            return Ok(None);
        }
        Err(Failure::usage(
            "--otlp: this fleetcall was built without it\nhelp: build it with \
             `cargo build --release --features otlp`, or let the collector scrape `--metrics ADDR`",
        ))
    }
}

/// What the environment keeps secret.
fn secret(variable: &str) -> Option<SecretString> {
    std::env::var(variable).ok().map(Into::into)
}

/// Binds the address of an endpoint.
pub(super) fn bind(addr: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        Failure::usage(format!(
            "--metrics {addr}: cannot listen there: {error}\nhelp: choose another port, or 0 \
             for any that is free"
        ))
    })
}

impl Outlook {
    /// Serves and pushes a state, and those that follow.
    pub(super) fn open(self, first: Exposure) -> std::io::Result<Monitor> {
        let (state, states) = watch::channel(Arc::new(first));
        let endpoint = self
            .listener
            .map(|listener| {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let addr = listener.local_addr()?;
                say(&format!("metrics at http://{addr}/metrics"));
                let states = states.clone();
                let now = move || monitor::figures(&states.borrow());
                std::io::Result::Ok(tokio::spawn(monitor::serve(listener, now)))
            })
            .transpose()?;
        let pushes = self.pushes.into_iter().map(|(option, uri, pusher)| {
            say(&format!("metrics go to {uri}"));
            (option, tokio::spawn(pusher.push(states.clone())))
        });
        Ok(Monitor {
            endpoint,
            pushes: pushes.collect(),
            state,
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

    /// Pushes the last state. Serves it for as long as the user wants; no longer once there is, or was, a
    /// signal.
    pub(super) async fn close(self) {
        // This tells the pushers that the last state is there.
        drop(self.state);
        for (option, push) in self.pushes {
            if let Ok(pushed) = push.await {
                report(option, &pushed);
            }
        }
        let Some(endpoint) = self.endpoint else {
            return;
        };
        let [mut interrupt, mut terminate, mut hangup] = self.signals;
        tokio::select! {
            () = tokio::time::sleep(self.linger) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        endpoint.abort();
    }
}

/// Says what became of pushes, unless all went well.
fn report(option: &str, pushed: &Pushed) {
    let Pushed {
        all,
        failed,
        why,
        complete,
    } = pushed;
    let Some(why) = why else {
        return tracing::info!("{option}: {all} pushes, all taken");
    };
    let last = if *complete {
        "the last figures are there"
    } else {
        "the last figures are not there"
    };
    let note = format!("{option}: {failed} of {all} pushes were not taken, {last}: {why}");
    tracing::warn!("{note}");
    super::screen::tell(format_args!("note: {note}"));
}

fn say(what: &str) {
    tracing::info!("{what}");
    super::screen::tell(what);
}
