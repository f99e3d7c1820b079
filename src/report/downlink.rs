//! What devices were sent and what became of it, within the text.

use super::style::{Style, fit};
use crate::metrics::{PushCounts, Summary};
use crate::model::{Paint, Phase, units};

/// Pushes, answers, and what came besides; nothing when nobody was sent anything.
pub(super) fn downlink(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let lines = told(summary);
    if lines.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(style.bold("Downlink"));
    for line in lines {
        out.push(format!("  {}", fit(&line, style.columns() - 2)));
    }
}

/// The same in sentences.
pub(super) fn told(summary: &Summary) -> Vec<String> {
    let counts = &summary.downlink;
    let mut lines = Vec::new();
    if counts.is_empty() {
        return lines;
    }
    for (what, pushes) in [
        ("attribute updates", &counts.attributes),
        ("calls of devices", &counts.rpc),
    ] {
        if pushes.due > 0 {
            lines.extend(pushed(what, pushes));
        }
    }
    let replies = &counts.replies;
    if replies.due > 0 {
        lines.push(format!(
            "answers: {} due, {} sent, {} acknowledged, {} lost",
            units::count(replies.due),
            units::count(replies.sent),
            units::count(replies.acked),
            units::count(replies.lost),
        ));
    }
    if let Some(trips) = summary.phases.get(&Phase::RpcRoundTrip) {
        lines.push(format!(
            "two-way calls: {} answered, {} not",
            units::count(trips.count),
            units::count(trips.errors),
        ));
    }
    for (what, asked) in [
        ("calls by devices", &counts.client_rpc),
        ("claims", &counts.claims),
    ] {
        if asked.answered + asked.failed > 0 {
            lines.push(format!(
                "{what}: {} answered, {} failed",
                units::count(asked.answered),
                units::count(asked.failed),
            ));
        }
    }
    let besides = [
        (counts.unasked, "unasked"),
        (counts.duplicates, "again"),
        (counts.overtaken, "overtaken"),
        (counts.missed, "without room"),
        (counts.garbled, "garbled"),
    ];
    lines.extend(some(&besides).map(|besides| format!("messages besides: {besides}")));
    lines
}

fn pushed(what: &str, pushes: &PushCounts) -> Vec<String> {
    let mut lines = vec![format!(
        "{what}: {} due, {} sent, {} received, {} lost",
        units::count(pushes.due),
        units::count(pushes.sent),
        units::count(pushes.received),
        units::count(pushes.lost),
    )];
    let rest = [
        (pushes.in_doubt, "in doubt"),
        (pushes.refused, "refused"),
        (pushes.skipped, "skipped"),
    ];
    lines.extend(some(&rest).map(|rest| format!("  and {rest}")));
    lines
}

/// Those that are not 0.
fn some(counts: &[(u64, &str)]) -> Option<String> {
    let told: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{} {word}", units::count(*n)))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture::{METERS, ending, recorded, setting};
    use crate::metrics::{Aggregate, DownlinkCounts, ReplyCounts};

    fn shown(counts: &DownlinkCounts) -> String {
        let mut recorder = recorded(1_000);
        recorder.downlink(METERS, counts);
        let mut aggregate = Aggregate::new(setting());
        aggregate.add(&recorder);
        let mut out = Vec::new();
        let style = Style {
            color: false,
            width: 80,
        };
        downlink(&aggregate.finish(ending()), style, &mut out);
        out.join("\n")
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(shown(&DownlinkCounts::default()), "");
    }

    #[test]
    fn every_kind_of_end_is_told() {
        let text = shown(&DownlinkCounts {
            attributes: PushCounts {
                due: 1200,
                sent: 1200,
                received: 1200,
                ..PushCounts::default()
            },
            rpc: PushCounts {
                due: 40,
                skipped: 1,
                refused: 2,
                sent: 37,
                received: 30,
                lost: 5,
                in_doubt: 2,
            },
            replies: ReplyCounts {
                due: 31,
                sent: 30,
                acked: 29,
                lost: 1,
            },
            unasked: 3,
            garbled: 7,
            ..DownlinkCounts::default()
        });
        let expected = "\nDownlink\n  \
            attribute updates: 1,200 due, 1,200 sent, 1,200 received, 0 lost\n  \
            calls of devices: 40 due, 37 sent, 30 received, 5 lost\n    \
            and 2 in doubt, 2 refused, 1 skipped\n  \
            answers: 31 due, 30 sent, 29 acknowledged, 1 lost\n  \
            messages besides: 3 unasked, 7 garbled";
        assert_eq!(text, expected);
    }
}
