//! The floor that fleetcall's own figures are held against: MQTT 3.1.1 on bare epoll, one thread, no runtime, no
//! codec, no clock but one for all. It connects each device of a `credentials.csv`, and then does one of
//!
//! * `idle`: nothing, until it is told to end (its standard input closes);
//! * `paced SECONDS PERIOD_MS`: each device publishes at QoS 1 once a period, evenly spread;
//! * `closed SECONDS`: each device publishes again as soon as it has the PUBACK.
//!
//! A line of JSON says when all are connected, another what was published. Used by `scripts/bench`:
//! `floor ADDRESS CREDENTIALS.csv idle`

use std::error::Error;
use std::fs::File;
use std::io::{ErrorKind, Read, Write, stdout};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use nix::sys::time::TimeValLike;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Connections that wait for their CONNACK at a time.
const AT_ONCE: usize = 500;

/// Connections from one source address: beyond some thousands the kernel's search for a port takes long.
const PER_SOURCE: usize = 4_000;

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
const PUBACK: u8 = 0x40;
const DISCONNECT: [u8; 2] = [0xE0, 0];
const TOPIC: &[u8] = b"v1/devices/me/telemetry";
const PAYLOAD: &[u8] = br#"{"temperature":21.5}"#;

fn main() -> Outcome<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, credentials, what, numbers @ ..] = arguments.as_slice() else {
        return Err(
            "usage: floor ADDRESS CREDENTIALS.csv idle|paced|closed [SECONDS [PERIOD_MS]]".into(),
        );
    };
    let mut floor = Floor::connect(address.parse()?, credentials)?;
    say(&format!(
        r#"{{"connected":{},"cpu_s":{}}}"#,
        floor.wires.len(),
        cpu_s()?
    ))?;
    let number =
        |n: usize| -> Outcome<u64> { Ok(numbers.get(n).ok_or("a number is missing")?.parse()?) };
    let published = match what.as_str() {
        "idle" => Floor::idle()?,
        "paced" => floor.paced(
            Duration::from_secs(number(0)?),
            Duration::from_millis(number(1)?),
        )?,
        "closed" => floor.closed(Duration::from_secs(number(0)?))?,
        _ => return Err("idle, paced or closed".into()),
    };
    for wire in &mut floor.wires {
        wire.write_all(&DISCONNECT)?;
    }
    say(&format!(
        r#"{{"published":{published},"cpu_s":{}}}"#,
        cpu_s()?
    ))
}

/// All connections.
struct Floor {
    poll: Poll,
    events: Events,
    wires: Vec<TcpStream>,
}

impl Floor {
    fn connect(server: SocketAddr, credentials: &str) -> Outcome<Self> {
        let mut floor = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            wires: Vec::new(),
        };
        let mut rows = csv::Reader::from_reader(File::open(credentials)?);
        let header = rows.headers()?.clone();
        let token = header.iter().position(|name| name == "access_token");
        let token = token.ok_or("no column access_token")?;
        let mut waiting = 0;
        for row in rows.records() {
            let mut wire = open(server, floor.wires.len())?;
            wire.write_all(&connect(row?[token].as_bytes()))?;
            let id = Token(floor.wires.len());
            let registry = floor.poll.registry();
            registry.register(&mut SourceFd(&wire.as_raw_fd()), id, Interest::READABLE)?;
            floor.wires.push(wire);
            waiting += 1;
            while waiting >= AT_ONCE {
                waiting -= floor.connacks()?;
            }
        }
        while waiting > 0 {
            waiting -= floor.connacks()?;
        }
        Ok(floor)
    }

    /// Takes the CONNACKs that have come: how many.
    fn connacks(&mut self) -> Outcome<usize> {
        let mut taken = 0;
        self.poll.poll(&mut self.events, Some(PATIENCE))?;
        if self.events.is_empty() {
            return Err("the server is silent".into());
        }
        for event in &self.events {
            let mut packet = [0; 4];
            self.wires[event.token().0].read_exact(&mut packet)?;
            if packet != CONNACK {
                return Err(format!("not let in: {packet:?}").into());
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// Keeps the connections until standard input closes.
    fn idle() -> Outcome<u64> {
        std::io::stdin().read_to_end(&mut Vec::new())?;
        Ok(0)
    }

    fn closed(&mut self, length: Duration) -> Outcome<u64> {
        let packet = publish();
        let end = Instant::now() + length;
        for wire in &mut self.wires {
            wire.write_all(&packet)?;
        }
        let mut published = 0;
        let mut under_way = self.wires.len();
        while under_way > 0 {
            let more = Instant::now() < end;
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err("the server is silent".into());
            }
            for event in &self.events {
                let wire = &mut self.wires[event.token().0];
                if puback(wire)? {
                    published += 1;
                    if more {
                        wire.write_all(&packet)?;
                    } else {
                        under_way -= 1;
                    }
                }
            }
        }
        Ok(published)
    }

    fn paced(&mut self, length: Duration, period: Duration) -> Outcome<u64> {
        let packet = publish();
        let gap = period / u32::try_from(self.wires.len())?;
        let start = Instant::now();
        let (mut sent, mut published) = (0_u32, 0);
        while start.elapsed() < length {
            let due = start + gap * sent;
            let now = Instant::now();
            if due <= now {
                let next = sent as usize % self.wires.len();
                self.wires[next].write_all(&packet)?;
                sent += 1;
                continue;
            }
            // Whole milliseconds, as epoll has them: what is due by then goes out together.
            let wait = Duration::from_millis(1).max(due - now);
            self.poll.poll(&mut self.events, Some(wait))?;
            for event in &self.events {
                published += u64::from(puback(&mut self.wires[event.token().0])?);
            }
        }
        Ok(published)
    }
}

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, spread over loopback's source addresses; it blocks until it is there, and not after.
fn open(server: SocketAddr, number: usize) -> Outcome<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    if server.ip().is_loopback() {
        let source = Ipv4Addr::new(127, 0, 2, u8::try_from(1 + number / PER_SOURCE)?);
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect(&server.into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether a PUBACK was there to be read.
fn puback(wire: &mut TcpStream) -> Outcome<bool> {
    let mut packet = [0; 4];
    match wire.read(&mut packet) {
        Ok(4) if packet[0] == PUBACK => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Ok(read) => Err(format!("no PUBACK: {:?}", &packet[..read]).into()),
        Err(error) => Err(error.into()),
    }
}

/// CONNECT of MQTT 3.1.1 (section 3.1): clean session, the token as user name, no keep-alive.
fn connect(token: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x10, u8::try_from(14 + token.len()).unwrap_or(u8::MAX)];
    packet.extend_from_slice(b"\0\x04MQTT\x04\x82\0\0\0\0\0");
    packet.push(u8::try_from(token.len()).unwrap_or(u8::MAX));
    packet.extend_from_slice(token);
    packet
}

/// PUBLISH at QoS 1 (section 3.3), always with the same packet id: one is under way at a time.
fn publish() -> Vec<u8> {
    let length = u8::try_from(2 + TOPIC.len() + 2 + PAYLOAD.len()).expect("it is short");
    let mut packet = vec![
        0x32,
        length,
        0,
        u8::try_from(TOPIC.len()).expect("it is short"),
    ];
    packet.extend_from_slice(TOPIC);
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(PAYLOAD);
    packet
}

fn say(line: &str) -> Outcome<()> {
    println!("{line}");
    Ok(stdout().flush()?)
}

fn cpu_s() -> Outcome<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}
