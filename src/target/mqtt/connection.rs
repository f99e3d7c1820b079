//! Moves the bytes of one MQTT connection, as a task of its own. Of a fleet nearly all connections
//! are idle, so the task is a struct whose every word is known: reads go through one scratch buffer
//! per thread, only an incomplete packet is kept, and what takes a moment (letting a client in,
//! words for one that does not read, the end) is a future in a box.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use pin_project_lite::pin_project;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::session::{Flow, Peer, Session};
use super::stream::Stream;
use super::wire;
use crate::model::TransportKind;
use crate::target::backend::Backend;
use crate::target::chain;
use crate::target::downlink::Mailbox;
use crate::target::faults::{End, Wire, admit};
use crate::target::tls;

pin_project! {
    /// One connection from being accepted to its end.
    #[project = Parts]
    pub(super) struct Connection {
        line: Line,
        session: Session,
        // The packet that has come in part.
        unread: Option<Box<BytesMut>>,
        last_packet: Instant,
        #[pin]
        alarm: Sleep,
    }
}

/// What the connection is at.
enum Line {
    /// Whatever comes next.
    Idle(Stream),
    /// Something that takes a moment and hears nothing else.
    Busy(Pin<Box<dyn Future<Output = Done> + Send>>),
    Over,
}

/// How something that took a moment came out.
enum Done {
    /// The client may speak.
    Admitted(Stream, Peer),
    /// All was said.
    Said(Stream),
    /// Nothing is left to do.
    Over,
}

impl Connection {
    /// Takes an accepted connection, which speaks TLS if there are terms.
    pub(super) fn new(
        tcp: TcpStream,
        terms: Option<Arc<ServerConfig>>,
        backend: &Arc<Backend>,
    ) -> Self {
        let kind = match terms {
            None => TransportKind::Mqtt,
            Some(_) => TransportKind::Mqtts,
        };
        // Answers are small and waited for.
        let _ = tcp.set_nodelay(true);
        let last_packet = Instant::now();
        let line = match terms {
            None if !backend.faults.are_on() => {
                Line::Idle(Stream::Plain(Wire::new(tcp, Arc::clone(backend))))
            }
            terms => Line::Busy(Box::pin(let_in(tcp, terms, Arc::clone(backend)))),
        };
        Self {
            line,
            session: Session::new(Arc::clone(backend), kind),
            unread: None,
            last_packet,
            alarm: sleep_until(last_packet + backend.config.limits.inactivity),
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut parts = self.project();
        loop {
            let next = match mem::replace(parts.line, Line::Over) {
                Line::Idle(mut stream) => match parts.poll_event(&mut stream, cx) {
                    Poll::Ready(Ok(flow)) => parts.act(stream, flow, cx),
                    // Whatever went wrong with the socket, the connection is over.
                    Poll::Ready(Err(_)) => Line::Over,
                    Poll::Pending => {
                        *parts.line = Line::Idle(stream);
                        return Poll::Pending;
                    }
                },
                Line::Busy(mut work) => match work.as_mut().poll(cx) {
                    Poll::Ready(done) => parts.go_on(done),
                    Poll::Pending => {
                        *parts.line = Line::Busy(work);
                        return Poll::Pending;
                    }
                },
                Line::Over => return Poll::Ready(()),
            };
            *parts.line = next;
        }
    }
}

impl Parts<'_> {
    /// Waits until something happens, and has the session take it.
    fn poll_event(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<Flow>> {
        if self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            return Poll::Ready(Ok(if now >= self.idle_end() {
                self.session.silent_for_too_long()
            } else {
                self.session.tick(now)
            }));
        }
        // What came before a take-over is taken before it: a last message at QoS 0 counts.
        if let Poll::Ready(read) = poll_read(stream, cx, self.unread) {
            *self.last_packet = Instant::now();
            return Poll::Ready(read.map(|bytes| self.take_all(bytes)));
        }
        ready!(self.session.mailbox.poll_ready(cx));
        self.session.read_mail(Instant::now());
        let ending = self.session.mailbox.ending();
        Poll::Ready(Ok(ending.map_or(Flow::Stay, |why| self.session.ended(why))))
    }

    fn take_all(&mut self, mut bytes: BytesMut) -> Flow {
        let largest = self.session.backend.config.limits.mqtt_packet;
        loop {
            match wire::next(&mut bytes, largest, self.session.out.version) {
                Ok(Some(frame)) => {
                    let flow = self.session.take(frame, *self.last_packet);
                    if flow != Flow::Stay {
                        return flow;
                    }
                }
                Ok(None) => {
                    // What is left gets no more memory than it needs.
                    let left = (!bytes.is_empty()).then(|| Box::new(BytesMut::from(&bytes[..])));
                    *self.unread = left;
                    return Flow::Stay;
                }
                Err(wire::Broken) => return self.session.broken(),
            }
        }
    }

    /// Says what the session has to say, and does what it decided.
    fn act(&mut self, mut stream: Stream, flow: Flow, cx: &mut Context<'_>) -> Line {
        let session = &mut *self.session;
        if flow == Flow::Stay {
            session.read_mail(Instant::now());
        }
        // Nearly always the system takes all of it at once.
        let mut words = session.out.take();
        let said = if words.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            stream.poll_say(cx, &mut words)
        };
        session.displace();
        if matches!(said, Poll::Ready(Err(_))) {
            return Line::Over;
        }
        let patience = session.backend.faults.patience(WRITE);
        if flow != Flow::Stay {
            session.end();
            return Line::Busy(Box::pin(leave(stream, words, flow, patience)));
        }
        let mailbox = &session.mailbox;
        let next = match said {
            Poll::Ready(_) => Line::Idle(stream),
            Poll::Pending => {
                Line::Busy(Box::pin(say(stream, words, Arc::clone(mailbox), patience)))
            }
        };
        self.set_alarm();
        next
    }

    fn go_on(&mut self, done: Done) -> Line {
        match done {
            Done::Admitted(stream, peer) => {
                self.session.meet(peer);
                *self.last_packet = Instant::now();
                Line::Idle(stream)
            }
            Done::Said(stream) => Line::Idle(stream),
            Done::Over => Line::Over,
        }
    }

    fn set_alarm(&mut self) {
        let idle_end = self.idle_end();
        let due = self.session.out.due();
        let next = due.map_or(idle_end, |due| due.min(idle_end));
        // Later is fine: an alarm that rings early is only set again.
        if self.alarm.is_elapsed() || next < self.alarm.deadline() {
            self.alarm.as_mut().reset(next);
        }
    }

    fn idle_end(&self) -> Instant {
        *self.last_packet + self.session.backend.config.limits.inactivity
    }
}

/// Lets a client in as the faults have it, over TLS if there are terms.
async fn let_in(tcp: TcpStream, terms: Option<Arc<ServerConfig>>, backend: Arc<Backend>) -> Done {
    let Some(wire) = admit(tcp, &backend, terms.is_some()).await else {
        return Done::Over;
    };
    let mut peer = Peer {
        number: wire.number(),
        presented: None,
    };
    let Some(terms) = terms else {
        return Done::Admitted(Stream::Plain(wire), peer);
    };
    let Some(stream) = tls::accept(wire, terms, &backend).await else {
        return Done::Over;
    };
    let certificates = stream.get_ref().1.peer_certificates();
    peer.presented = certificates.and_then(|shown| chain::present(&backend, shown));
    Done::Admitted(Stream::Secured(stream), peer)
}

/// Says the rest, unless the session comes to its end before the client reads it.
async fn say(
    mut stream: Stream,
    mut words: BytesMut,
    mailbox: Arc<Mailbox>,
    patience: Duration,
) -> Done {
    let writing = poll_fn(|cx| stream.poll_say(cx, &mut words));
    let said = tokio::select! {
        // What can be written is, so that last words are heard.
        biased;
        said = timeout(patience, writing) => matches!(said, Ok(Ok(()))),
        () = mailbox.ended() => false,
    };
    if said { Done::Said(stream) } else { Done::Over }
}

/// Says the last words, and ends the connection as the session has it.
async fn leave(mut stream: Stream, mut words: BytesMut, flow: Flow, patience: Duration) -> Done {
    let writing = poll_fn(|cx| stream.poll_say(cx, &mut words));
    if !matches!(timeout(patience, writing).await, Ok(Ok(()))) {
        return Done::Over;
    }
    match flow {
        Flow::Stay | Flow::Close => {
            let _ = timeout(patience, stream.shutdown()).await;
        }
        Flow::Reset => stream.end(End::Reset).await,
        Flow::Silent => stream.end(End::Silent).await,
    }
    Done::Over
}

/// Reads what is there, once there is something, and puts it behind what came before.
fn poll_read(
    stream: &mut Stream,
    cx: &mut Context<'_>,
    unread: &mut Option<Box<BytesMut>>,
) -> Poll<io::Result<BytesMut>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = unread.take().map(|unread| *unread).unwrap_or_default();
        bytes.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(bytes))
    })
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 16_384]);
}

/// A client that does not read for this long is gone.
const WRITE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// Beside it the runtime keeps 104 bytes of a task, and its memory comes in steps of 128.
    #[test]
    fn an_idle_connection_fits_into_a_task_of_384_bytes() {
        // What mio keeps of a socket in debug builds only.
        let checks = size_of::<TcpStream>() - 32;
        let size = size_of::<Connection>() - checks;
        println!(
            "connection {size} B, of it session {} B, line {} B, alarm {} B",
            size_of::<Session>(),
            size_of::<Line>() - checks,
            size_of::<Sleep>(),
        );
        assert!(size + 104 <= 384, "{size}");
    }
}
