//! Moves the bytes of one MQTT connection. An idle connection holds no buffer: reads go through
//! one scratch buffer per thread, and only an incomplete packet is kept.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::session::{Flow, Session};
use super::wire;
use crate::target::backend::Backend;
use crate::target::counts::Present;
use crate::target::pending::Pending;

/// Serves one connection to its end.
pub(super) async fn run(mut stream: TcpStream, backend: Arc<Backend>, pending: Arc<Pending>) {
    let _present = Present::new(&backend.tally.connections_now);
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let mut session = Ended(Session::new(Arc::clone(&backend), pending));
    // Whatever went wrong with the socket, the connection is over.
    let _ = exchange(&mut stream, &mut session.0).await;
}

/// Frees the device's session slot however the task ends.
struct Ended(Session);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn exchange(stream: &mut TcpStream, session: &mut Session) -> io::Result<()> {
    let limits = session.backend.config.limits;
    let closing = Arc::clone(&session.closing);
    let mut unread = BytesMut::new();
    let mut last_packet = Instant::now();
    let mut alarm = pin!(sleep_until(last_packet + limits.inactivity));
    loop {
        let flow = tokio::select! {
            readable = stream.readable() => {
                readable?;
                if !read(stream, &mut unread)? {
                    continue;
                }
                last_packet = Instant::now();
                take_all(&mut unread, session, last_packet)
            }
            () = &mut alarm => {
                let now = Instant::now();
                if now >= last_packet + limits.inactivity {
                    session.silent_for_too_long()
                } else {
                    session.tick(now)
                }
            }
            () = closing.notified() => session.taken_over(),
        };
        if !session.out.bytes.is_empty() {
            let bytes = std::mem::take(&mut session.out.bytes);
            tokio::select! {
                written = timeout(WRITE, stream.write_all(&bytes)) => written??,
                () = closing.notified() => return Ok(()),
            }
        }
        if let Some(older) = session.displaced.take() {
            older.notify_one();
        }
        if flow == Flow::Close {
            return stream.shutdown().await;
        }
        let idle_end = last_packet + limits.inactivity;
        let next = session.out.due().map_or(idle_end, |due| due.min(idle_end));
        // Later is fine: an alarm that rings early is only set again.
        if alarm.is_elapsed() || next < alarm.deadline() {
            alarm.as_mut().reset(next);
        }
    }
}

/// Reads what is there; false if there was nothing after all.
fn read(stream: &TcpStream, unread: &mut BytesMut) -> io::Result<bool> {
    SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => {
            unread.extend_from_slice(&scratch[..n]);
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(e),
    })
}

fn take_all(unread: &mut BytesMut, session: &mut Session, now: Instant) -> Flow {
    let largest = session.backend.config.limits.mqtt_packet;
    loop {
        match wire::next(unread, largest, session.out.version) {
            Ok(Some(frame)) => {
                if session.take(frame, now) == Flow::Close {
                    return Flow::Close;
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
