//! Gateways and what is behind them, within the text.

use super::style::{Style, fit};
use crate::metrics::Summary;
use crate::model::{Paint, units};

/// Who was connected, and what became of shared messages; nothing when there are no gateways.
pub(super) fn gateway(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let lines = told(summary);
    if lines.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(style.bold("Gateways"));
    for line in lines {
        out.push(format!("  {}", fit(&line, style.columns() - 2)));
    }
}

/// The same in sentences.
pub(super) fn told(summary: &Summary) -> Vec<String> {
    let counts = &summary.gateway;
    if counts.is_empty() {
        return Vec::new();
    }
    let count = units::count;
    let mut lines = vec![format!(
        "{} gateways, {} devices behind them, {} connected",
        count(counts.gateways),
        count(counts.sub_devices),
        count(counts.connected),
    )];
    let (connects, messages) = (&counts.connects, &counts.messages);
    if connects.sent > 0 {
        lines.push(format!(
            "connects: {} sent, {} acknowledged, {} lost",
            count(connects.sent),
            count(connects.acked),
            count(connects.lost),
        ));
    }
    if messages.sent > 0 {
        lines.push(format!(
            "shared messages: {} sent, {} acknowledged, {} in part, {} lost",
            count(messages.sent),
            count(messages.acked),
            count(messages.partial),
            count(messages.lost),
        ));
    }
    let besides: Vec<_> = [
        (counts.closed, "let go by the server"),
        (counts.stray_pubacks, "PUBACKs too many or too late"),
        (counts.strangers, "messages for others"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{} {what}", count(n)))
    .collect();
    if !besides.is_empty() {
        lines.push(format!("besides: {}", besides.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture::{METERS, ending, recorded, setting};
    use crate::metrics::{Aggregate, ConnectCounts, GatewayCounts, MessageCounts};

    fn shown(counts: &GatewayCounts) -> String {
        let mut recorder = recorded(1_000);
        recorder.gateway(METERS, counts);
        let mut aggregate = Aggregate::new(setting());
        aggregate.add(&recorder);
        let mut out = Vec::new();
        let style = Style {
            color: false,
            width: 80,
        };
        gateway(&aggregate.finish(ending()), style, &mut out);
        out.join("\n")
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(shown(&GatewayCounts::default()), "");
    }

    #[test]
    fn who_is_connected_is_told_and_what_became_of_messages() {
        let mut counts = GatewayCounts {
            gateways: 20,
            sub_devices: 1000,
            connected: 998,
            connects: ConnectCounts {
                sent: 1010,
                acked: 1008,
                lost: 2,
            },
            messages: MessageCounts {
                sent: 200,
                acked: 190,
                partial: 7,
                lost: 3,
            },
            ..GatewayCounts::default()
        };
        let expected = "\nGateways\n  \
            20 gateways, 1,000 devices behind them, 998 connected\n  \
            connects: 1,010 sent, 1,008 acknowledged, 2 lost\n  \
            shared messages: 200 sent, 190 acknowledged, 7 in part, 3 lost";
        assert_eq!(shown(&counts), expected);
        (counts.closed, counts.stray_pubacks) = (1, 12);
        let besides = "\n  besides: 1 let go by the server, 12 PUBACKs too many or too late";
        assert_eq!(shown(&counts), expected.to_owned() + besides);
    }
}
