//! Every push has one end, whatever comes first.

use super::*;
use crate::metrics::PushCounts;
use crate::model::{FaultKind, Phase};

const TIMEOUT: Duration = Duration::from_secs(10);

fn device() -> Rc<Pushes> {
    Pushes::new(DeviceIx(0), CohortIx(0), 1_800_000_000_000, None)
}

/// A push whose request is under way.
fn asked(device: &Pushes, kind: PushKind) -> u64 {
    let (number, begun) = device.add(None, kind, Instant::now(), TIMEOUT).unwrap();
    assert!(device.ask(number));
    begun.begin();
    number
}

fn taken() -> Verdict {
    Verdict::Taken(b"{}".to_vec())
}

/// What all accounts together come to.
fn sum(accounts: &[&Account]) -> PushCounts {
    let mut sum = PushCounts::default();
    for Account { counts, .. } in accounts {
        for counts in [&counts.attributes, &counts.rpc] {
            sum.due += counts.due;
            sum.skipped += counts.skipped;
            sum.refused += counts.refused;
            sum.sent += counts.sent;
            sum.received += counts.received;
            sum.lost += counts.lost;
            sum.in_doubt += counts.in_doubt;
        }
    }
    sum
}

#[tokio::test]
async fn a_push_is_received_whichever_comes_first() {
    for read_first in [true, false] {
        let device = device();
        let number = asked(&device, PushKind::Attributes);
        let mut accounts = Vec::new();
        if !read_first {
            accounts.push(device.answered(number, &taken()));
        }
        let (reading, account) = device.read(number, Feed::Attributes, None);
        assert!(matches!(reading, Reading::Push(_)));
        accounts.push(account);
        if read_first {
            accounts.push(device.answered(number, &taken()));
        }
        assert!(device.is_quiet(Instant::now()));
        let (again, account) = device.read(number, Feed::Attributes, None);
        assert!(matches!(again, Reading::Again));
        accounts.push(account);
        accounts.push(device.end(Instant::now()));
        let all: Vec<_> = accounts.iter().collect();
        let received = PushCounts {
            due: 1,
            sent: 1,
            received: 1,
            ..PushCounts::default()
        };
        assert_eq!(sum(&all), received, "{read_first}");
        assert!(all.iter().all(|account| account.troubles.is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_and_never_read_is_lost_once_its_time_is_over() {
    for (waits, lost, fault) in [
        (TIMEOUT, 1, FaultKind::Undelivered),
        (TIMEOUT / 2, 0, FaultKind::CutOff),
    ] {
        let device = device();
        let number = asked(&device, PushKind::RpcOneway);
        let mut answered = device.answered(number, &taken());
        assert!(!device.is_quiet(Instant::now()));
        tokio::time::advance(waits).await;
        assert_eq!(device.is_quiet(Instant::now()), lost == 1);
        let end = device.end(Instant::now());
        assert_eq!(end.troubles, [(Phase::ServerRpc, fault)]);
        let counts = sum(&[&answered, &end]);
        assert_eq!((counts.due, counts.sent), (1, 1));
        assert_eq!((counts.lost, counts.in_doubt), (lost, 1 - lost));
        answered = device.answered(number, &taken());
        assert_eq!(sum(&[&answered]), PushCounts::default(), "counted once");
    }
}

#[tokio::test]
async fn a_request_that_failed_is_refused_skipped_or_in_doubt() {
    let reset = FaultKind::ConnectionReset;
    for (verdict, [skipped, refused, in_doubt]) in [
        (Verdict::Refused(FaultKind::HttpStatus(409)), [0, 1, 0]),
        (Verdict::NotSent(reset), [1, 0, 0]),
        (Verdict::Unknown(reset), [0, 0, 1]),
    ] {
        let device = device();
        let number = asked(&device, PushKind::Attributes);
        let answered = device.answered(number, &verdict);
        assert_eq!(answered.troubles.len(), 1);
        assert_eq!(answered.troubles[0].0, Phase::AttributeUpdate);
        let end = device.end(Instant::now());
        assert!(end.troubles.is_empty(), "one fault, one cause");
        let counts = sum(&[&answered, &end]);
        assert_eq!(
            [counts.skipped, counts.refused, counts.in_doubt],
            [skipped, refused, in_doubt]
        );
        assert_eq!(counts.due, 1);
    }
}

#[tokio::test]
async fn a_two_way_call_ends_with_the_answer_of_its_device_and_no_other() {
    for (answer, is_own) in [
        (r#"{ "a": 1, "b": [2.0] }"#, true),
        (r#"{"a":2}"#, false),
        ("", false),
    ] {
        let device = device();
        let number = asked(&device, PushKind::Rpc);
        let (reading, _) = device.read(number, Feed::Rpc, None);
        assert!(matches!(reading, Reading::Push(_)));
        assert!(!device.is_quiet(Instant::now()), "its request is under way");
        device.reply(number, br#"{"b":[2.0],"a":1}"#);
        let account = device.answered(number, &Verdict::Taken(answer.into()));
        assert_eq!(account.round_trip.is_some(), is_own, "{answer}");
        assert_eq!(account.troubles.is_empty(), is_own, "{answer}");
        assert!(device.is_quiet(Instant::now()));
    }
}

#[tokio::test]
async fn numbers_of_others_are_nobodys_and_there_is_an_end_to_what_is_open() {
    let device = device();
    let number = asked(&device, PushKind::Attributes);
    for foreign in [0, 7, number - 1, number + 1, u64::MAX] {
        let (reading, _) = device.read(foreign, Feed::Attributes, None);
        assert!(matches!(reading, Reading::Foreign), "{foreign}");
    }
    assert!(number < 1 << 53, "readers of JSON keep it exactly");
    for _ in 1..OPEN_LIMIT {
        asked(&device, PushKind::Attributes);
    }
    let one_more = device.add(None, PushKind::Attributes, Instant::now(), TIMEOUT);
    assert!(one_more.is_none());
    let end = device.end(Instant::now());
    assert_eq!(sum(&[&end]).in_doubt, OPEN_LIMIT as u64);
}

#[tokio::test]
async fn a_push_behind_a_gateway_is_received_by_whom_it_is_for() {
    let gateway = Pushes::new(DeviceIx(0), CohortIx(0), 1_800_000_000_000, Some(3));
    let kind = PushKind::Attributes;
    let (number, begun) = gateway.add(Some(1), kind, Instant::now(), TIMEOUT).unwrap();
    assert!(gateway.ask(number));
    begun.begin();
    for other in [None, Some(0), Some(2)] {
        let (reading, account) = gateway.read(number, Feed::Attributes, other);
        assert!(matches!(reading, Reading::Foreign), "{other:?}");
        assert_eq!(sum(&[&account]), PushCounts::default());
    }
    let (reading, _) = gateway.read(number, Feed::Attributes, Some(1));
    assert!(matches!(reading, Reading::Push(_)));
}

#[tokio::test]
async fn a_gateway_has_room_for_pushes_to_each_behind_it_and_not_without_end() {
    for (behind, room) in [(2, 2 * OPEN_LIMIT), (10_000, OPEN_LIMIT_BEHIND)] {
        let gateway = Pushes::new(DeviceIx(0), CohortIx(0), 1_800_000_000_000, Some(behind));
        let add = || gateway.add(Some(0), PushKind::Rpc, Instant::now(), TIMEOUT);
        assert!((0..room).all(|_| add().is_some()), "{behind}");
        assert!(add().is_none(), "{behind}");
    }
}
