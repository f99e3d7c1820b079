//! A ledger that cannot keep up must not cost a credential, not even when the run is cut off.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fleetcall::engine::{Controls, Equipment, Fleet, Hands, Outlets, Stop, StopSwitch, run};
use fleetcall::ledger::{Entry, Post, Record, Sender};
use fleetcall::metrics::{Aggregate, CohortSetting, HostSummary, Setting, ValidityLimits};
use fleetcall::model::TransportKind;
use fleetcall::scenario::{Overrides, load};
use fleetcall::target::{Profile, Target, TargetConfig};
use fleetcall::transport::{CoapTiming, Dial};
use tokio::sync::{mpsc, watch};

const DEVICES: u32 = 20;

fn aggregate() -> Aggregate {
    Aggregate::new(Setting {
        schedule_digest: String::new(),
        shard: None,
        scenario: "slow-ledger".to_owned(),
        seed: 1,
        model: "open".to_owned(),
        cohorts: vec![CohortSetting {
            name: "all".to_owned(),
            transport: TransportKind::Mqtt,
            credentials: "server".to_owned(),
            model: "open".to_owned(),
            listed: u64::from(DEVICES),
            expect: None,
            misbehaviour: None,
        }],
        listed: u64::from(DEVICES),
        planned: u64::from(DEVICES),
        expected_span: Duration::from_secs(1),
        target: "here".to_owned(),
        thresholds: Vec::new(),
        validity: ValidityLimits::default(),
        started_at: String::new(),
        notes: Vec::new(),
        host: HostSummary::default(),
        scenario_toml: String::new(),
    })
}

fn fleet(dir: &std::path::Path, target: &Target) -> Fleet {
    let addr = target.mqtt().unwrap();
    let path = dir.join("s.toml");
    let scenario = format!(
        "name = \"slow-ledger\"\ntarget.mqtt = \"{addr}\"\n\
         profile.provision_key = \"k\"\nprofile.provision_secret = \"s\"\n\
         devices.generate = {{ count = {DEVICES} }}\n\
         arrival.stages = [{{ duration = \"1s\", rate = 1000 }}]\n"
    );
    std::fs::write(&path, scenario).unwrap();
    let mut plan = load(&path, &[], &Overrides::default()).unwrap();
    let profile = Profile::default();
    (plan.profiles[0].key, plan.profiles[0].secret) = (profile.key, profile.secret);
    let limits = plan.limits.clone();
    let dial = Dial {
        kind: TransportKind::Mqtt,
        addr,
        host: addr.to_string(),
        sources: Vec::new(),
        connect_timeout: limits.connect_timeout,
        answer_timeout: limits.answer_timeout,
        suback_wait: limits.suback_wait,
        keep_alive: limits.keep_alive,
        version: fleetcall::model::MqttVersion::V3,
        tls: None,
        coap: CoapTiming::default(),
    };
    let inventory = plan.load_inventory().unwrap();
    let cohorts = vec![0; DEVICES as usize];
    let mut fleet = Fleet::new(plan, inventory, cohorts, Equipment::default()).unwrap();
    fleet.dials = vec![dial];
    fleet
}

fn record(post: Post) -> Record {
    match post {
        Post::Record(record) => record,
        Post::Reader(_) => unreachable!("nobody reads a ledger that is none"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_run_still_hands_over_every_credential_it_received() {
    let target = Target::start(TargetConfig {
        mqtt: Some("127.0.0.1:0".parse().unwrap()),
        ..TargetConfig::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fleet = Arc::new(fleet(dir.path(), &target));
    let mut aggregate = aggregate();
    let (live, mut snapshots) = watch::channel(Arc::new(aggregate.tick(Duration::ZERO)));
    // Room for one record. Once everybody has asked, nobody takes any until the run is cut off.
    let (ledger, mut records) = mpsc::channel::<Post>(1);
    let stop = StopSwitch::new();
    let switch = stop.clone();
    let reading = async move {
        let mut taken = Vec::new();
        let mut asked = 0;
        while asked < DEVICES {
            let record = record(records.recv().await.unwrap());
            match record.entry {
                Entry::Asked(intent) => {
                    intent.written.send(()).unwrap();
                    asked += 1;
                }
                _ => taken.push(record),
            }
        }
        let all = |devices: u64| devices == u64::from(DEVICES);
        snapshots
            .wait_for(|seen| all(seen.devices.provisioned))
            .await
            .unwrap();
        switch.raise_to(Stop::Now);
        while let Some(post) = records.recv().await {
            taken.push(record(post));
        }
        let (mut credentials, mut ended) = (HashSet::new(), HashSet::new());
        for record in taken {
            let new = match record.entry {
                Entry::Provisioned(_) => credentials.insert(record.device),
                Entry::Ended(_) => {
                    assert!(
                        credentials.contains(&record.device),
                        "ended without its credentials"
                    );
                    ended.insert(record.device)
                }
                other => unreachable!("asked once, and nobody misbehaves or rotates: {other:?}"),
            };
            assert!(new, "{:?} twice", record.device);
        }
        (credentials.len(), ended.len())
    };
    // Nobody reads it: the run goes on without a time line.
    let (timeline, _) = mpsc::channel(1);
    let outlets = Outlets {
        monitor: None,
        live: &live,
        ledger: Sender {
            records: ledger,
            intake: None,
        },
        timeline,
    };
    let hands = Hands::Threads { with_target: true };
    let running = run(fleet, aggregate, Controls::unsteered(stop), outlets, hands);
    let (summary, counts) = tokio::join!(running, reading);
    assert_eq!(counts, (DEVICES as usize, DEVICES as usize));
    assert_eq!(summary.unwrap().devices.provisioned, u64::from(DEVICES));
}
