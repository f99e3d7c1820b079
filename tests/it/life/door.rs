//! A door between devices and their target that sees how connections end, and can be shut.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a device ended its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By DISCONNECT.
    GoodBye,
    /// By a reset, without DISCONNECT.
    Reset,
    /// By a FIN, without DISCONNECT.
    Silent,
}

pub(super) struct Door {
    pub(super) addr: SocketAddr,
    seen: Arc<Seen>,
    open: watch::Sender<bool>,
    _listening: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    ends: Mutex<Vec<End>>,
    /// The last packet that the server sent before it closed.
    farewells: Mutex<Vec<Vec<u8>>>,
    turned_away: AtomicUsize,
}

impl Door {
    /// A door before `target`, at which the first `turned_away` connections are closed at once.
    pub(super) async fn before(target: SocketAddr, turned_away: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (open, opened) = watch::channel(true);
        let seen = Arc::new(Seen::default());
        let saw = Arc::clone(&seen);
        let listening = tokio::spawn(async move {
            loop {
                let (device, _) = listener.accept().await.unwrap();
                let count = saw.turned_away.load(SeqCst);
                if count < turned_away || !*opened.borrow() {
                    saw.turned_away.store(count + 1, SeqCst);
                    continue;
                }
                tokio::spawn(pass(device, target, Arc::clone(&saw), opened.clone()));
            }
        });
        Self {
            addr,
            seen,
            open,
            _listening: listening,
        }
    }

    /// Closes all connections, and each new one.
    pub(super) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn ends(&self) -> Vec<End> {
        self.seen.ends.lock().unwrap().clone()
    }

    pub(super) fn count(&self, end: End) -> usize {
        self.ends().into_iter().filter(|seen| *seen == end).count()
    }

    pub(super) fn farewells(&self) -> Vec<Vec<u8>> {
        self.seen.farewells.lock().unwrap().clone()
    }

    pub(super) fn turned_away(&self) -> usize {
        self.seen.turned_away.load(SeqCst)
    }
}

async fn pass(
    device: TcpStream,
    target: SocketAddr,
    seen: Arc<Seen>,
    mut open: watch::Receiver<bool>,
) {
    let server = TcpStream::connect(target).await.unwrap();
    let (from_device, to_device) = device.into_split();
    let (from_server, to_server) = server.into_split();
    let up = up(from_device, to_server, &seen);
    let down = down(from_server, to_device, &seen);
    tokio::select! {
        ((), ()) = async { tokio::join!(up, down) } => {}
        _ = open.wait_for(|open| !open) => {}
    }
}

async fn up(mut device: OwnedReadHalf, mut server: OwnedWriteHalf, seen: &Seen) {
    let mut buffer = [0; 4096];
    let mut said_good_bye = false;
    let end = loop {
        match device.read(&mut buffer).await {
            Ok(0) if said_good_bye => break End::GoodBye,
            Ok(0) => break End::Silent,
            Ok(n) => {
                said_good_bye = buffer[..n].ends_with(&[0xe0, 0]);
                if server.write_all(&buffer[..n]).await.is_err() {
                    break End::Silent;
                }
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => break End::Reset,
            Err(e) => panic!("{e}"),
        }
    };
    seen.ends.lock().unwrap().push(end);
    let _ = server.shutdown().await;
}

async fn down(mut server: OwnedReadHalf, mut device: OwnedWriteHalf, seen: &Seen) {
    let mut buffer = [0; 4096];
    let mut last = Vec::new();
    while let Ok(n @ 1..) = server.read(&mut buffer).await {
        last = buffer[..n].to_vec();
        if device.write_all(&last).await.is_err() {
            break;
        }
    }
    seen.farewells.lock().unwrap().push(last);
    let _ = device.shutdown().await;
}
