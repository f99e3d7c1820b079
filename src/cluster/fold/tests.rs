use bytes::Bytes;
use jiff::Timestamp;

use super::*;

fn entry(sequence: u64, kind: Kind, epoch: u64, after: u64, worker: &str) -> Entry {
    Entry {
        shard: 0,
        sequence,
        epoch,
        after,
        worker: worker.to_owned(),
        kind,
        at: Timestamp::UNIX_EPOCH,
        body: Bytes::new(),
    }
}

fn ignored(why: Why) -> Verdict {
    Verdict::Ignored(why)
}

#[test]
fn what_a_holder_writes_counts_until_another_claims_or_it_is_over() {
    let mut fold = Fold::new(2);
    let claimed = |earlier, from: Option<&str>| Verdict::Claimed {
        earlier,
        from: from.map(str::to_owned),
    };
    for (record, verdict) in [
        (entry(2, Kind::Batch, 0, 0, "a"), ignored(Why::OldEpoch)),
        (entry(3, Kind::Claim, 3, 2, "a"), claimed(0, None)),
        (entry(5, Kind::Batch, 3, 3, "a"), Verdict::Counted),
        (entry(5, Kind::Batch, 3, 3, "a"), ignored(Why::Repeated)),
        (entry(9, Kind::Claim, 9, 5, "b"), claimed(1, Some("a"))),
        // It looked at the log, but not at who holds it.
        (entry(10, Kind::Batch, 3, 9, "a"), ignored(Why::OldEpoch)),
        // Under the right epoch, by whoever.
        (entry(11, Kind::Batch, 9, 10, "a"), ignored(Why::OldEpoch)),
        // Its holder does not know of what came between, and needs not: none of that counts.
        (entry(12, Kind::Batch, 9, 9, "b"), Verdict::Counted),
        // The same once more, and a claim by who did not read it.
        (entry(13, Kind::Batch, 9, 9, "b"), ignored(Why::Overtaken)),
        (entry(14, Kind::Claim, 14, 9, "c"), ignored(Why::Overtaken)),
        (entry(16, Kind::Batch, 9, 15, "b"), ignored(Why::Gap)),
        (entry(17, Kind::Foreign, 0, 0, ""), ignored(Why::Foreign)),
        (entry(18, Kind::Final, 9, 13, "b"), Verdict::Over),
        (
            entry(19, Kind::Claim, 19, 18, "c"),
            ignored(Why::AfterFinal),
        ),
        (
            entry(20, Kind::Batch, 19, 19, "c"),
            ignored(Why::AfterFinal),
        ),
    ] {
        assert_eq!(fold.take(&record), verdict, "{record:?}");
    }
    assert!(fold.is_over(0) && !fold.is_over(1) && !fold.is_over(2));
    assert!(!fold.all_over());
}

#[test]
fn a_record_of_no_shard_is_worth_nothing() {
    let mut fold = Fold::new(1);
    let mut stray = entry(1, Kind::Claim, 1, 0, "a");
    stray.shard = 1;
    assert_eq!(fold.take(&stray), ignored(Why::NoShard));
}
