//! What shards of a run have, held against the run of one machine.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::arrival::Due;
use crate::engine::{Equipment, Fleet};
use crate::scenario::{Overrides, deal, load};

const LISTED: u32 = 101;

/// Two cohorts that share an open arrival, and two with arrivals of their own.
const MIXED: &str = "\
arrival = { spacing = \"poisson\", stages = [{ duration = \"2s\", rate = 20 }, { duration = \"1s\", rate = 0 }] }
[[cohort]]
name = \"a\"
transport = \"mqtt\"
share = 0.5
[[cohort]]
name = \"b\"
transport = \"http\"
count = 20
[[cohort]]
name = \"closed\"
transport = \"coap\"
count = 11
arrival = { model = \"closed\", stages = [{ duration = \"1s\", concurrency = 7 }] }
[[cohort]]
name = \"bursts\"
transport = \"mqtt\"
arrival = { stages = [{ burst = 9 }, { duration = \"1s\", rate = 0 }, { burst = 3 }] }
";

const TRUNCATED: &str = "\
arrival = { model = \"closed\", truncate = true, stages = [{ count = 20, concurrency = 8 }, { count = 33, concurrency = 4 }] }
";

fn plan(arrivals: &str) -> Plan {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    let text = format!(
        "name = \"s\"\nseed = 7\ndevices.generate = {{ count = {LISTED} }}\ntarget.embedded = true\n{arrivals}"
    );
    std::fs::write(&path, text).unwrap();
    load(&path, &[], &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn fleet(arrivals: &str, shard: Option<Shard>) -> Fleet {
    let mut plan = plan(arrivals);
    let inventory = plan.load_inventory().unwrap();
    let cohort_of = deal(&plan.cohorts, LISTED).unwrap();
    let dealing = match shard {
        None => cohort_of.into(),
        Some(shard) => Dealing::of_shard(&mut plan, cohort_of, shard).unwrap(),
    };
    Fleet::new(plan, inventory, dealing, Equipment::default()).unwrap()
}

fn shards(of: u32) -> impl Iterator<Item = Shard> {
    (1..=of).map(move |number| Shard { number, of })
}

fn turns(fleet: &Fleet) -> BTreeMap<DeviceIx, Due> {
    fleet.devices().map(|ix| (ix, fleet.due(ix))).collect()
}

#[test]
fn shards_have_each_device_once_and_at_its_turn_of_the_whole_run() {
    for arrivals in [MIXED, TRUNCATED] {
        let whole = fleet(arrivals, None);
        for of in 1..=4 {
            let mut together = BTreeMap::new();
            for shard in shards(of) {
                let part = fleet(arrivals, Some(shard));
                assert_eq!(part.whole_digest, whole.whole_digest, "{shard}");
                assert_eq!(part.devices().count() as u32, part.len(), "{shard}");
                assert_eq!(part.dealt().iter().sum::<u32>(), part.len(), "{shard}");
                for (ix, due) in turns(&part) {
                    assert_eq!(together.insert(ix, due), None, "{shard} has {ix:?}, too");
                }
            }
            assert_eq!(together, turns(&whole), "{of} shards");
        }
    }
}

#[test]
fn workers_of_a_shard_start_its_devices_and_no_other() {
    for shard in shards(3) {
        let part = fleet(MIXED, Some(shard));
        let mut started = BTreeSet::new();
        for worker in 0..5 {
            started.extend(part.schedule.turns(worker, 5).map(|(ix, _)| ix));
        }
        let closed = part
            .schedule
            .queues()
            .iter()
            .filter(|q| q.closed().is_some());
        started.extend(closed.flat_map(|queue| (0..queue.len()).map(|n| queue.device(n))));
        assert_eq!(started, part.devices().collect::<BTreeSet<_>>(), "{shard}");
        let planned: usize = part.schedule.planned() as usize;
        assert_eq!(planned, started.len());
    }
}

#[test]
fn places_are_shared_and_add_up() {
    for (arrivals, places) in [(MIXED, 7), (TRUNCATED, 8)] {
        let parts = shards(3).map(|shard| {
            let part = fleet(arrivals, Some(shard));
            let queues = part.schedule.queues().iter();
            let mut closed = queues.filter_map(|queue| queue.closed());
            closed.next().unwrap().stages()[0].concurrency
        });
        assert_eq!(parts.sum::<u32>(), places);
    }
    let bounds = shards(3).map(|shard| fleet(MIXED, Some(shard)).plan.limits.in_flight);
    assert_eq!(bounds.sum::<u32>(), plan(MIXED).limits.in_flight);
}

#[test]
fn what_cannot_be_shared_is_refused_with_the_way_out() {
    let refused = |arrivals: &str, of| {
        let mut plan = plan(arrivals);
        let cohort_of = deal(&plan.cohorts, LISTED).unwrap();
        let shard = Shard { number: of, of };
        Dealing::of_shard(&mut plan, cohort_of, shard)
            .unwrap_err()
            .to_string()
    };
    let places = refused(TRUNCATED, 5);
    assert!(
        places.contains("fewer places than there are shards\nhelp: "),
        "{places}"
    );
    let search = "search = { from = 10, to = 100, hold = \"1s\" }\n\
                  thresholds = { \"provision.p99\" = \"< 1s\" }\n";
    assert!(refused(search, 2).contains("a capacity search"));
    let open = "arrival.stages = [{ duration = \"1s\", rate = 100 }]\n";
    let empty = refused(open, 102);
    assert!(
        empty.contains("shard 102 of 102 has no device: 101 are listed"),
        "{empty}"
    );
}
