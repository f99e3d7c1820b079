//! Moves the bytes of one MQTT connection. An idle connection holds no buffer: reads go through
//! one scratch buffer per thread, and only an incomplete packet is kept.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::session::{Flow, Session};
use super::wire;
use crate::model::TransportKind;
use crate::target::backend::Backend;
use crate::target::chain;
use crate::target::counts::Present;
use crate::target::downlink::Mailbox;
use crate::target::faults::{End, admit};
use crate::target::pending::Pending;
use crate::target::tls;

/// Serves one connection to its end, over TLS if there are terms.
pub(super) async fn run(
    stream: TcpStream,
    terms: Option<Arc<ServerConfig>>,
    backend: Arc<Backend>,
    pending: Arc<Pending>,
) {
    let _present = Present::new(&backend.tally.connections_now);
    let kind = match terms {
        None => TransportKind::Mqtt,
        Some(_) => TransportKind::Mqtts,
    };
    let _here = backend.tally.enter(kind);
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let Some(mut wire) = admit(stream, &backend, terms.is_some()).await else {
        return;
    };
    let mut session = Ended(Session::new(Arc::clone(&backend), pending));
    session.0.number = wire.number();
    // Whatever went wrong with the socket, the connection is over.
    let Some(terms) = terms else {
        if let Ok(how) = exchange(&mut wire, &mut session.0).await {
            drop(session);
            wire.end(how).await;
        }
        return;
    };
    // Boxed: only few of all connections are in a handshake.
    let Some(mut stream) = Box::pin(tls::accept(wire, terms, &backend)).await else {
        return;
    };
    let certificates = stream.get_ref().1.peer_certificates();
    session.0.presented = certificates.and_then(|shown| chain::present(&backend, shown));
    if let Ok(how) = exchange(&mut stream, &mut session.0).await {
        drop(session);
        let (wire, _) = stream.into_inner();
        wire.end(how).await;
    }
}

/// Frees the device's session slot however the task ends.
struct Ended(Session);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Serves until the connection is to end, and says how.
async fn exchange<S>(stream: &mut S, session: &mut Session) -> io::Result<End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let backend = Arc::clone(&session.backend);
    let limits = &backend.config.limits;
    let mailbox = Arc::clone(&session.mailbox);
    let mut unread = BytesMut::new();
    let mut last_packet = Instant::now();
    let mut alarm = pin!(sleep_until(last_packet + limits.inactivity));
    loop {
        let flow = tokio::select! {
            // What came before a take-over is taken before it: a last message at QoS 0 counts.
            biased;
            () = &mut alarm => {
                let now = Instant::now();
                if now >= last_packet + limits.inactivity {
                    session.silent_for_too_long()
                } else {
                    session.tick(now)
                }
            }
            read = poll_fn(|cx| poll_read(stream, cx, &mut unread)) => {
                read?;
                last_packet = Instant::now();
                take_all(&mut unread, session, last_packet)
            }
            () = mailbox.ready() => {
                session.read_mail(Instant::now());
                mailbox.ending().map_or(Flow::Stay, |why| session.ended(why))
            }
        };
        if flow == Flow::Stay {
            session.read_mail(Instant::now());
        }
        if !session.out.bytes.is_empty() {
            // Boxed: idle connections do not hold what takes a moment.
            let written = Box::pin(say(stream, session, &mailbox, flow)).await?;
            if written == Written::Overtaken {
                return Ok(End::Closed);
            }
        }
        session.displace();
        match flow {
            Flow::Stay => {}
            Flow::Close => {
                Box::pin(timeout(patience(session), stream.shutdown())).await??;
                return Ok(End::Closed);
            }
            Flow::Reset => return Ok(End::Reset),
            Flow::Silent => return Ok(End::Silent),
        }
        let idle_end = last_packet + limits.inactivity;
        let next = session.out.due().map_or(idle_end, |due| due.min(idle_end));
        // Later is fine: an alarm that rings early is only set again.
        if alarm.is_elapsed() || next < alarm.deadline() {
            alarm.as_mut().reset(next);
        }
    }
}

/// What became of what was to be written.
#[derive(PartialEq, Eq)]
enum Written {
    Whole,
    /// The session came to its end before the client read it.
    Overtaken,
}

/// Writes what the session has to say.
async fn say<S>(
    stream: &mut S,
    session: &mut Session,
    mailbox: &Mailbox,
    flow: Flow,
) -> io::Result<Written>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes = std::mem::take(&mut session.out.bytes);
    tokio::select! {
        // What can be written is, so that last words are heard.
        biased;
        written = timeout(patience(session), write(stream, &bytes)) => written??,
        () = mailbox.ended(), if flow == Flow::Stay => return Ok(Written::Overtaken),
    }
    Ok(Written::Whole)
}

fn patience(session: &Session) -> Duration {
    session.backend.faults.patience(WRITE)
}

/// Reads what is there, once there is something.
fn poll_read<S>(stream: &mut S, cx: &mut Context<'_>, unread: &mut BytesMut) -> Poll<io::Result<()>>
where
    S: AsyncRead + Unpin,
{
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        unread.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    })
}

/// Writes, and over TLS sees that the last record leaves.
async fn write<S>(stream: &mut S, bytes: &[u8]) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn take_all(unread: &mut BytesMut, session: &mut Session, now: Instant) -> Flow {
    let largest = session.backend.config.limits.mqtt_packet;
    loop {
        match wire::next(unread, largest, session.out.version) {
            Ok(Some(frame)) => {
                let flow = session.take(frame, now);
                if flow != Flow::Stay {
                    return flow;
                }
            }
            Ok(None) => {
                // Gives the memory back, and what is left gets no more than it needs.
                *unread = BytesMut::from(&unread[..]);
                return Flow::Stay;
            }
            Err(wire::Broken) => return session.broken(),
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 65_536]);
}

/// A client that does not read for this long is gone.
const WRITE: Duration = Duration::from_secs(30);
