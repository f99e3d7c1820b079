//! Against aiocoap, over a network that loses datagrams.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetcall::model::{Status, TransportKind};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg32;
use tokio::net::UdpSocket;
use tokio::task::{JoinSet, LocalSet};

use super::Script;
use crate::transport_hostile::{attempt, dial, open, post};

const DEVICES: u32 = 20;
const REQUESTS: u32 = 5;
const PATH: &str = "/api/v1/provision";

/// One direction of a network that loses 30 % of the datagrams, though never the same one for ever.
struct Loss {
    random: Pcg32,
    lost: HashMap<Vec<u8>, u32>,
}

impl Loss {
    fn new(seed: u64) -> Self {
        Self {
            random: Pcg32::seed_from_u64(seed),
            lost: HashMap::new(),
        }
    }

    fn strikes(&mut self, datagram: &[u8]) -> bool {
        let times = self.lost.entry(datagram.to_vec()).or_default();
        let strikes = *times < 3 && self.random.random_bool(0.3);
        *times += u32::from(strikes);
        strikes
    }
}

/// Stands between devices and a server, losing datagrams both ways.
pub(crate) async fn lossy_network(server: SocketAddr) -> SocketAddr {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let addr = front.local_addr().unwrap();
    tokio::spawn(async move {
        let mut ways: HashMap<SocketAddr, (Arc<UdpSocket>, Loss)> = HashMap::new();
        let mut buffer = [0; 2048];
        loop {
            let Ok((length, device)) = front.recv_from(&mut buffer).await else {
                continue;
            };
            if !ways.contains_key(&device) {
                let seed = ways.len() as u64 * 2;
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                back.connect(server).await.unwrap();
                tokio::spawn(carry_back(back.clone(), front.clone(), device, seed + 1));
                ways.insert(device, (back, Loss::new(seed)));
            }
            let (way, loss) = ways.get_mut(&device).expect("was just made");
            if !loss.strikes(&buffer[..length]) {
                way.send(&buffer[..length]).await.unwrap();
            }
        }
    });
    addr
}

async fn carry_back(from: Arc<UdpSocket>, to: Arc<UdpSocket>, device: SocketAddr, seed: u64) {
    let (mut loss, mut buffer) = (Loss::new(seed), [0; 2048]);
    while let Ok(length) = from.recv(&mut buffer).await {
        if !loss.strikes(&buffer[..length]) {
            let _ = to.send_to(&buffer[..length], device).await;
        }
    }
}

#[tokio::test]
async fn each_request_over_a_lossy_network_is_handled_once_and_answered() {
    let server = Script::start("coap_server.py", &[]);
    let mut lossy = dial(TransportKind::Coap, lossy_network(server.addr).await);
    lossy.coap.ack_timeout = Duration::from_millis(60);
    // Three requests and three answers may be lost before one comes through.
    lossy.coap.max_retransmit = 7;
    let lossy = Arc::new(lossy);

    let devices = LocalSet::new();
    let mut done = JoinSet::new();
    for device in 0..DEVICES {
        let lossy = Arc::clone(&lossy);
        done.spawn_local_on(
            async move {
                let mut connection = open(&lossy).await.unwrap().connection;
                for n in 0..REQUESTS {
                    let body = format!("{device}-{n}");
                    let request = post(PATH, body.clone());
                    let reply = connection.exchange(&request).await.unwrap().reply;
                    assert_eq!(reply.status, Status::Coap(0x41), "2.01");
                    assert_eq!(reply.body, body);
                }
            },
            &devices,
        );
    }
    devices.run_until(done.join_all()).await;

    let direct = dial(TransportKind::Coap, server.addr);
    let counts = attempt(&direct, &post("/counts", "")).await.unwrap().reply;
    assert_eq!(counts.status, Status::Coap(0x44), "2.04");
    let handled: HashMap<String, u32> = serde_json::from_slice(&counts.body).unwrap();
    assert_eq!(handled.len() as u32, DEVICES * REQUESTS);
    assert!(handled.values().all(|times| *times == 1), "{handled:?}");
    assert!(counts.body.len() > 1024, "came in one block");
}

#[tokio::test]
async fn a_long_request_reaches_the_server_whole_and_its_answer_comes_back_whole() {
    let server = Script::start("coap_server.py", &[]);
    let body = format!("{}0", "certificate ".repeat(300));
    let direct = dial(TransportKind::Coap, server.addr);
    let answered = attempt(&direct, &post(PATH, body.clone())).await.unwrap();
    assert_eq!(answered.reply.status, Status::Coap(0x41), "2.01");
    assert_eq!(answered.reply.body, body);
}

#[tokio::test]
async fn a_path_that_the_server_does_not_know_is_an_answer() {
    let server = Script::start("coap_server.py", &[]);
    let direct = dial(TransportKind::Coap, server.addr);
    let answered = attempt(&direct, &post("/api/v1/nothing", "{}"))
        .await
        .unwrap();
    assert_eq!(answered.reply.status, Status::Coap(0x84), "4.04");
}
