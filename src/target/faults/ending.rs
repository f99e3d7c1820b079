//! How a TCP connection ends badly.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::switch::Switch;

/// What is to become of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) enum End {
    /// Closed, as any.
    Closed,
    /// Reset: the peer is told so, and what it was sent may be lost.
    Reset,
    /// Never read, answered or closed again, until the peer leaves.
    Silent,
    /// These bytes, then closed.
    Noise(Vec<u8>),
}

/// Brings a connection to its end.
pub(in crate::target) async fn end(tcp: TcpStream, how: End, switch: &Switch) {
    match how {
        End::Closed => {}
        End::Reset => {
            // With SO_LINGER 0 closing resets; a failure closes as any.
            let _ = tcp.set_zero_linger();
        }
        End::Silent => {
            if let Some(_place) = switch.silence() {
                until_left(&tcp).await;
            }
        }
        End::Noise(noise) => {
            let _ = timeout(PATIENCE, say(tcp, &noise)).await;
        }
    }
}

/// Waits until the peer closes or resets, without taking a byte of what it sent. The system tells of
/// bytes as long as there are some, hence the pauses.
async fn until_left(tcp: &TcpStream) {
    while let Ok(ready) = tcp.ready(Interest::READABLE).await {
        if ready.is_read_closed() || ready.is_error() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// A close with unread bytes would be a reset, and what was said might go with it.
async fn say(mut tcp: TcpStream, noise: &[u8]) -> io::Result<()> {
    tcp.write_all(noise).await?;
    tcp.shutdown().await?;
    let mut waste = [0; 1024];
    for _ in 0..DROPPED {
        if tcp.read(&mut waste).await? == 0 {
            break;
        }
    }
    Ok(())
}

const PAUSE: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(2);

/// How many KiB are read and dropped after noise.
const DROPPED: usize = 256;
