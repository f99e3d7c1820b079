//! A TCP connection under faults: what happens to it before its first service, and bytes that stall
//! or drip. Under TLS it carries the records, so that handshakes suffer as well.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::dice::{Fate, Key, noise};
use super::ending::{End, end};
use crate::model::FaultPhase;
use crate::target::backend::Backend;

/// An accepted connection.
pub(in crate::target) struct Wire {
    tcp: TcpStream,
    backend: Arc<Backend>,
    /// Boxed: without faults there is nothing of it.
    met: Option<Box<Met>>,
}

/// What faults do to a connection.
#[derive(Default)]
struct Met {
    number: u64,
    /// While everything stalls: its end.
    gate: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Reading and writing, where slowed.
    drips: [Option<Drip>; 2],
}

/// A direction that lets few bytes pass at a time.
struct Drip {
    /// Bytes per second.
    rate: u32,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Lets a connection in, or ends it as the faults of its first phases have it.
pub(in crate::target) async fn admit(
    tcp: TcpStream,
    backend: &Arc<Backend>,
    secured: bool,
) -> Option<Wire> {
    if !backend.faults.are_on() {
        return Some(Wire::new(tcp, Arc::clone(backend)));
    }
    // Boxed: idle connections do not hold what only their first moments need.
    Box::pin(trouble(tcp, backend, secured)).await
}

async fn trouble(tcp: TcpStream, backend: &Arc<Backend>, secured: bool) -> Option<Wire> {
    let switch = &backend.faults;
    let number = switch.number();
    let phases = [
        Some(FaultPhase::Connect),
        secured.then_some(FaultPhase::Tls),
    ];
    for phase in phases.into_iter().flatten() {
        let Some(drawn) = switch.trouble(phase, Key::Number(number)) else {
            continue;
        };
        if !drawn.delay.is_zero() {
            sleep(drawn.delay).await;
        }
        // What these phases carry out is the connection itself: it cannot be lost.
        let how = match drawn.fate {
            Fate::Served | Fate::Lost => continue,
            Fate::Refused | Fate::Disconnected => End::Closed,
            Fate::Reset => End::Reset,
            Fate::Silent => End::Silent,
            Fate::Garbage => {
                if phase == FaultPhase::Tls {
                    // In place of the answer to the first record.
                    let _ = tcp.readable().await;
                }
                End::Noise(noise(backend.config.seed, phase.as_str()))
            }
        };
        backend.tally.fault(drawn.fate);
        switch.open().await;
        end(tcp, how, switch).await;
        return None;
    }
    let drip = |rate: Option<u32>| rate.map(|rate| Drip { rate, pause: None });
    let mut wire = Wire::new(tcp, Arc::clone(backend));
    wire.met = Some(Box::new(Met {
        number,
        gate: None,
        drips: switch.slowed(number).map(drip),
    }));
    Some(wire)
}

impl Wire {
    /// One that has met no faults yet.
    pub(in crate::target) fn new(tcp: TcpStream, backend: Arc<Backend>) -> Self {
        let met = None;
        Self { tcp, backend, met }
    }

    /// The connection's number among those that met faults.
    pub(in crate::target) fn number(&self) -> u64 {
        self.met.as_ref().map_or(0, |met| met.number)
    }

    /// Brings it to its end.
    pub(in crate::target) async fn end(self, how: End) {
        // Boxed, as in `admit`.
        Box::pin(end(self.tcp, how, &self.backend.faults)).await;
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shut = self.met.as_ref().is_some_and(|met| met.gate.is_some());
        if !shut && !self.backend.faults.is_stalled() {
            return Poll::Ready(());
        }
        let met = self.met.get_or_insert_default();
        let gate = met.gate.get_or_insert_with(|| {
            let backend = Arc::clone(&self.backend);
            Box::pin(async move { backend.faults.open().await })
        });
        ready!(gate.as_mut().poll(cx));
        met.gate = None;
        Poll::Ready(())
    }

    fn drip(&mut self, direction: usize) -> Option<&mut Drip> {
        self.met.as_mut()?.drips[direction].as_mut()
    }
}

impl Drip {
    /// How many bytes may pass, once some may.
    fn poll_portion(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(self.rate.div_ceil(PORTIONS) as usize)
    }

    /// Pauses for what passed.
    fn passed(&mut self, bytes: usize) {
        if bytes > 0 {
            let pause = Duration::from_secs_f64(bytes as f64 / f64::from(self.rate));
            self.pause = Some(Box::pin(sleep(pause)));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_open(cx));
        let Some(drip) = this.drip(READING) else {
            return Pin::new(&mut this.tcp).poll_read(cx, buffer);
        };
        let portion = ready!(drip.poll_portion(cx));
        let mut part = buffer.take(portion);
        ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut part))?;
        // The part's buffer is the caller's: what was read into it is there.
        let read = part.filled().to_vec();
        buffer.put_slice(&read);
        if let Some(drip) = this.drip(READING) {
            drip.passed(read.len());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_open(cx));
        let Some(drip) = this.drip(WRITING) else {
            return Pin::new(&mut this.tcp).poll_write(cx, bytes);
        };
        let portion = ready!(drip.poll_portion(cx)).min(bytes.len());
        let written = ready!(Pin::new(&mut this.tcp).poll_write(cx, &bytes[..portion]))?;
        if let Some(drip) = this.drip(WRITING) {
            drip.passed(written);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_open(cx));
        Pin::new(&mut this.tcp).poll_shutdown(cx)
    }
}

const READING: usize = 0;
const WRITING: usize = 1;

/// How many portions a second's bytes come in, if they are enough.
const PORTIONS: u32 = 10;
