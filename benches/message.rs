//! What a message costs the one that sends it, step by step: its payload, its request, and the exchange with
//! the embedded server over each transport. `cargo bench --bench message`
//!
//! An exchange is there and back over loopback with one connection, both ends on this thread: its time has the
//! server's and the kernel's part in it. It is for comparing with itself; `scripts/bench` tells the ends apart.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use fleetcall::dialect::ThingsBoard;
use fleetcall::inventory::{GenerateSpec, Inventory, NameKind, Speaker, generate};
use fleetcall::model::{Credentials, DeviceIx, MqttVersion, Qos, TransportKind};
use fleetcall::payload::{Form, Grain, Layout, Model, Payload, Preset, Reading};
use fleetcall::target::{Listed, Target, TargetConfig};
use fleetcall::transport::{CoapTiming, Connection, Dial};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

const TOKEN: &str = "a-token-of-20-chars.";
const TRANSPORTS: [TransportKind; 3] = [
    TransportKind::Mqtt,
    TransportKind::Http,
    TransportKind::Coap,
];

fn payloads(c: &mut Criterion) {
    let list = list();
    let grain = Grain::Decimals(2);
    let (min, max) = (18.0, 25.0);
    let uniform = Model::Uniform { min, max, grain };
    let readings = vec![
        Reading::new("temperature", uniform.clone()),
        Reading::new("humidity", uniform),
    ];
    for (name, form) in [
        ("payload of two values", Form::values(readings)),
        ("payload of a smart meter", Form::Preset(Preset::SmartMeter)),
    ] {
        let payload = Payload::new(1, form, Layout::default()).expect("it fits any size");
        let mut number = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                number += 1;
                let speaker = Speaker::listed(&list, DeviceIx(number % 1_000));
                payload.at(black_box(&speaker), number, 1_700_000_000_000)
            });
        });
    }
}

fn requests(c: &mut Criterion) {
    let (dialect, credentials) = (dialect(), credentials());
    let payload = Bytes::from_static(br#"{"temperature":21.5}"#);
    for kind in TRANSPORTS {
        c.bench_function(&format!("request over {}", kind.as_str()), |b| {
            b.iter(|| {
                let payload = payload.clone();
                dialect.telemetry_request(kind, black_box(&credentials), Qos::AtLeastOnce, payload)
            });
        });
    }
}

fn exchanges(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let local = LocalSet::new();
    let target = runtime.block_on(async { Target::start(config()).await.expect("it starts") });
    let (dialect, credentials) = (dialect(), credentials());
    for kind in TRANSPORTS {
        let payload = Bytes::from_static(br#"{"temperature":21.5}"#);
        let request = dialect.telemetry_request(kind, &credentials, Qos::AtLeastOnce, payload);
        let request = request.expect("a token goes over every transport");
        let addr = target.listener(kind).expect("it listens");
        let mut connection = open(&runtime, &local, &dial(kind, addr));
        c.bench_function(&format!("exchange over {}", kind.as_str()), |b| {
            b.iter(|| {
                let exchange = connection.exchange(black_box(&request));
                local.block_on(&runtime, exchange).expect("it answers")
            });
        });
    }
}

fn open(runtime: &Runtime, local: &LocalSet, dial: &Dial) -> Connection {
    let login = dialect().device_login("device", &credentials());
    let opened = local.block_on(runtime, Connection::open(dial, &login, None, 0));
    opened.expect("it lets the device in").connection
}

fn config() -> TargetConfig {
    let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    TargetConfig {
        mqtt: any,
        http: any,
        coap: any,
        devices: vec![Listed {
            name: "device".to_owned(),
            profile: 0,
            credentials: Some(credentials()),
            gateway: false,
            provisioned: true,
        }],
        ..TargetConfig::default()
    }
}

fn dial(kind: TransportKind, addr: SocketAddr) -> Dial {
    let patience = Duration::from_secs(30);
    Dial {
        kind,
        addr,
        host: addr.to_string(),
        sources: Vec::new(),
        connect_timeout: patience,
        answer_timeout: patience,
        suback_wait: patience,
        keep_alive: Duration::from_mins(20),
        version: MqttVersion::V3,
        tls: None,
        coap: CoapTiming::default(),
    }
}

fn list() -> Inventory {
    generate(&GenerateSpec {
        count: 1_000,
        kind: NameKind::Mac,
        oui: None,
        prefix: None,
        seed: 1,
    })
}

fn dialect() -> ThingsBoard {
    ThingsBoard::new("key".into(), "secret".into())
}

fn credentials() -> Credentials {
    Credentials::AccessToken(TOKEN.into())
}

criterion_group!(benches, payloads, requests, exchanges);
criterion_main!(benches);
