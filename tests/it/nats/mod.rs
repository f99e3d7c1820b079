//! The edge to NATS against real servers: one alone, and three that are killed and come back.

mod access;
mod cable;
mod cluster;
mod cut;
mod keys;
mod namespaces;
mod nkey;
mod shards;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_nats::ServerAddr;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use fleetcall::cluster::{Access, Bus, Claim, Entry, Fold, Holder, RunId, ShardLog, Verdict};

pub(crate) use cable::Cable;
pub(crate) use namespaces::{Network, Switch, in_a_lab};

use self::namespaces::Machine;
use crate::support::{Process, free_tcp_port, program, wait_for_tcp};

/// The longest that a test waits for servers that elect a leader, in seconds.
const PATIENCE_S: u64 = 90;

/// A server of this test alone.
struct Node {
    process: Option<Process>,
    address: SocketAddr,
    config: PathBuf,
    /// Where it runs; none: where the test does.
    machine: Option<Machine>,
}

impl Node {
    fn start(&mut self) {
        let mut command = program("nats-server");
        command
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut start = || Process::start(&mut command);
        self.process = Some(match &self.machine {
            None => start(),
            Some(machine) => machine.inside(start),
        });
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        self.process = None;
    }
}

/// One server, or several that are one cluster.
pub(crate) struct Servers {
    nodes: Vec<Node>,
    _dir: tempfile::TempDir,
}

impl Servers {
    /// One server with what its configuration has to say besides.
    pub(crate) fn one(besides: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path(), 1, besides);
        let mut servers = Self {
            nodes: vec![node],
            _dir: dir,
        };
        servers.start_all();
        servers
    }

    /// Three servers in one cluster.
    pub(crate) fn three() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let routes = [(); 3].map(|()| format!("127.0.0.1:{}", free_tcp_port()));
        let node = |number| node(dir.path(), number, &cluster(number, &routes, ""));
        let nodes = [1, 2, 3].map(node).into();
        let mut servers = Self { nodes, _dir: dir };
        servers.start_all();
        servers
    }

    /// Three servers in one cluster, each on a machine of its own.
    pub(crate) fn on(network: &Network) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let routes = [0, 1, 2].map(|server| format!("{}:6222", Switch::Near.address(server)));
        let node = |number: usize| {
            let server = number - 1;
            let address = format!("{}:4222", Switch::Near.address(server));
            // Clients know the addresses that they were given and hear of no others.
            let cluster = cluster(number, &routes, ", no_advertise: true");
            Node {
                machine: Some(network.server(server)),
                ..node_at((&address, "0.0.0.0:4222"), dir.path(), number, &cluster)
            }
        };
        let nodes = [1, 2, 3].map(node).into();
        let mut servers = Self { nodes, _dir: dir };
        servers.start_all();
        servers
    }

    fn start_all(&mut self) {
        for node in &mut self.nodes {
            node.start();
        }
        for node in &self.nodes {
            wait_for_tcp(node.address);
        }
    }

    /// All of them, as `--nats` takes them.
    pub(crate) fn url(&self) -> String {
        let urls = self
            .nodes
            .iter()
            .map(|node| format!("nats://{}", node.address));
        urls.collect::<Vec<_>>().join(",")
    }

    /// All three on a network, over that switch alone.
    pub(crate) fn url_at(switch: Switch) -> String {
        let urls = [0, 1, 2].map(|server| format!("nats://{}:4222", switch.address(server)));
        urls.join(",")
    }

    /// Ends the server that leads a stream; its number.
    pub(crate) async fn kill_leader(&mut self, stream: &str) -> usize {
        let number = self.leads(stream).await;
        self.nodes[number].kill();
        number
    }

    /// Ends all.
    pub(crate) fn kill_all(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
    }

    /// Starts those that do not run.
    pub(crate) fn restart(&mut self) {
        for node in &mut self.nodes {
            if node.process.is_none() {
                node.start();
            }
        }
    }

    /// Stops the server that leads a stream, as if nothing reached it any more; its number.
    async fn stop_leader(&self, stream: &str) -> usize {
        let number = self.leads(stream).await;
        self.signal(number, Signal::SIGSTOP);
        number
    }

    fn signal(&self, number: usize, signal: Signal) {
        let process = self.nodes[number].process.as_ref().unwrap();
        let pid = i32::try_from(process.0.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits until another server leads a stream, by what the others say.
    pub(crate) async fn another_leads(&self, stream: &str, than: usize) {
        let mut others = self.addresses();
        others.remove(than);
        within(async { while leader(others.clone(), stream).await == than {} }).await;
    }

    /// The port of the only server.
    pub(crate) fn port(&self) -> u16 {
        self.nodes[0].address.port()
    }

    /// The number of the server that leads a stream.
    pub(crate) async fn leads(&self, stream: &str) -> usize {
        within(leader(self.addresses(), stream)).await
    }

    fn addresses(&self) -> Vec<ServerAddr> {
        let url = self.url();
        url.split(',').map(|url| url.parse().unwrap()).collect()
    }

    pub(crate) fn access(&self) -> Access {
        Access {
            url: self.url(),
            ..Access::default()
        }
    }

    async fn bus(&self) -> Bus {
        within(Bus::connect(&self.access())).await.unwrap()
    }
}

/// The number of the server that leads a stream, as one of these has it.
async fn leader(of: Vec<ServerAddr>, stream: &str) -> usize {
    let client = async_nats::connect(of).await.unwrap();
    let context = async_nats::jetstream::new(client);
    loop {
        if let Ok(stream) = context.get_stream(stream).await
            && let Some(cluster) = &stream.cached_info().cluster
            && let Some(leader) = &cluster.leader
        {
            return leader.trim_start_matches('n').parse::<usize>().unwrap() - 1;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// What one of several has in its configuration of them all, each of which has a route.
fn cluster(number: usize, routes: &[String; 3], besides: &str) -> String {
    let urls = routes
        .each_ref()
        .map(|route| format!("nats-route://{route}"));
    format!(
        "cluster {{ name: fleet, listen: \"{}\", routes: [{}]{besides} }}\n",
        routes[number - 1],
        urls.join(", ")
    )
}

fn node(dir: &Path, number: usize, besides: &str) -> Node {
    let address = format!("127.0.0.1:{}", free_tcp_port());
    node_at((&address, &address), dir, number, besides)
}

fn node_at((address, listen): (&str, &str), dir: &Path, number: usize, besides: &str) -> Node {
    let store = dir.join(format!("store-{number}"));
    let config = dir.join(format!("n{number}.conf"));
    let text = format!(
        "server_name: n{number}\nlisten: \"{listen}\"\n\
         jetstream {{ store_dir: {:?}, max_memory_store: 64MB, max_file_store: 1GB }}\n{besides}",
        store.display().to_string()
    );
    fs::write(&config, text).unwrap();
    Node {
        process: None,
        address: address.parse().unwrap(),
        config,
        machine: None,
    }
}

/// What has to come, in good time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let patience = std::time::Duration::from_secs(PATIENCE_S);
    let came = tokio::time::timeout(patience, future).await;
    came.expect("it never came")
}

fn run() -> RunId {
    "run-1".parse().unwrap()
}

/// Claims a shard that can be had.
async fn hold(bus: &Bus, shard: u32, worker: &str) -> (Box<Holder>, Vec<Entry>, u32) {
    match within(ShardLog::claim(bus, &run(), shard, worker))
        .await
        .unwrap()
    {
        Claim::Held {
            holder,
            past,
            earlier,
        } => (holder, past, earlier),
        other => panic!("{other:?}"),
    }
}

/// The bodies that count of a run of so many shards that is over, in order.
async fn counted(bus: &Bus, shards: u32) -> Vec<String> {
    let mut followed = bus.follow(&run());
    let mut fold = Fold::new(shards);
    let mut bodies = Vec::new();
    while !fold.all_over() {
        let entry = within(followed.recv()).await.unwrap();
        match fold.take(&entry) {
            Verdict::Counted | Verdict::Over => bodies.push(text(&entry)),
            Verdict::Claimed { .. } => {}
            Verdict::Ignored(why) => panic!("{why:?}: {entry:?}"),
        }
    }
    bodies
}

fn text(entry: &Entry) -> String {
    String::from_utf8(entry.body.to_vec()).unwrap()
}
