//! What measuring costs: `cargo bench --bench metrics`.
//!
//! `record` bounds the samples per CPU-second, `merge` is paid per worker and tick, `cut` per
//! second, `snapshot` per tick. Quote a figure with the machine, the versions and the spread that criterion prints.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fleetcall::metrics::timeline::Cutter;
use fleetcall::metrics::{
    Aggregate, CohortSetting, HostSummary, Recorder, Setting, ValidityLimits,
};
use fleetcall::model::{CohortIx, Outcome, Phase, TransportKind};

const ONE: CohortIx = CohortIx(0);

/// A frame in which every phase has a thousand samples over three decades.
fn frame() -> Recorder {
    let mut recorder = Recorder::new(1);
    for n in 0..1_000u64 {
        let time = Duration::from_micros(100 + (n * 7_919 % 1_000).pow(2) / 10);
        recorder.start(ONE, Duration::from_micros(n % 300));
        recorder.outcome(ONE, Outcome::Provisioned, None);
        for phase in Phase::ALL {
            recorder.sample(ONE, phase, time, time);
        }
    }
    recorder
}

fn aggregate() -> Aggregate {
    Aggregate::new(Setting {
        schedule_digest: String::new(),
        shard: None,
        scenario: "bench".to_owned(),
        seed: 1,
        model: "open".to_owned(),
        cohorts: vec![CohortSetting {
            name: "all".to_owned(),
            transport: TransportKind::Mqtt,
            credentials: "server".to_owned(),
            model: "open".to_owned(),
            listed: 1_000_000,
            expect: None,
            misbehaviour: None,
        }],
        listed: 1_000_000,
        planned: 1_000_000,
        expected_span: Duration::from_mins(1),
        target: String::new(),
        thresholds: Vec::new(),
        validity: ValidityLimits::default(),
        started_at: String::new(),
        notes: Vec::new(),
        host: HostSummary::default(),
        scenario_toml: String::new(),
    })
}

fn record(c: &mut Criterion) {
    let mut recorder = Recorder::new(1);
    let mut n = 0u64;
    c.bench_function("record one sample", |b| {
        b.iter(|| {
            n = n.wrapping_add(7_919);
            let time = Duration::from_micros(black_box(100 + n % 100_000));
            recorder.sample(ONE, Phase::Telemetry, time, time);
        });
    });
}

fn merge(c: &mut Criterion) {
    let frame = frame();
    let mut sum = aggregate();
    sum.add(&frame);
    c.bench_function("merge a frame of seven phases", |b| {
        b.iter(|| sum.add(black_box(&frame)));
    });
}

fn cut(c: &mut Criterion) {
    let (frame, sum) = (frame(), RefCell::new(aggregate()));
    let mut cutter = Cutter::new(&sum.borrow());
    let mut at = Duration::ZERO;
    c.bench_function("cut an interval of seven phases", |b| {
        b.iter_batched(
            || sum.borrow_mut().add(&frame),
            |()| {
                at += Duration::from_secs(1);
                black_box(cutter.cut(&sum.borrow(), at, Some(1)))
            },
            criterion::BatchSize::PerIteration,
        );
    });
}

fn snapshot(c: &mut Criterion) {
    let mut sum = aggregate();
    sum.add(&frame());
    let mut elapsed = Duration::ZERO;
    c.bench_function("snapshot of seven phases", |b| {
        b.iter(|| {
            elapsed += Duration::from_millis(200);
            black_box(sum.tick(elapsed))
        });
    });
    let drawn = sum.tick(elapsed);
    c.bench_function("clone a snapshot", |b| b.iter(|| black_box(drawn.clone())));
}

criterion_group!(benches, record, merge, cut, snapshot);
criterion_main!(benches);
