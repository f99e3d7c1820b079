//! What devices were sent, and what became of it. Two sums close the conversation: what was due was
//! skipped, refused or sent; what was sent was received, is lost or in doubt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that goes from servers to devices without a device's having asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DownlinkCounts {
    /// Changes of shared attributes.
    pub attributes: PushCounts,
    /// Calls of devices' methods, one-way and two-way.
    pub rpc: PushCounts,
    /// Devices' answers to calls, those of other callers included.
    pub replies: ReplyCounts,
    /// Messages that no push of this run accounts for.
    pub unasked: u64,
    /// Pushes read again, or after they were given up.
    pub duplicates: u64,
    /// CoAP notifications that a later one had overtaken (RFC 7641, section 3.4).
    pub overtaken: u64,
    /// Messages that found no room: more came during one exchange than a device keeps.
    pub missed: u64,
    /// Messages that are not of the device API's form.
    pub garbled: u64,
}

/// What an operator had pushed to devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushCounts {
    /// Had their turn.
    pub due: u64,
    /// Of these, not made: no room, no connection, or a device that the server does not know.
    pub skipped: u64,
    /// Of these, the server said no.
    pub refused: u64,
    /// The others: `received + lost + in_doubt`.
    pub sent: u64,
    /// The device read them.
    pub received: u64,
    /// The server took them, and the device did not read them in time or before it ended.
    pub lost: u64,
    /// Nobody knows: the server's answer was lost, or the run ended before there was one.
    pub in_doubt: u64,
}

/// Answers of devices to calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyCounts {
    /// Calls read that are to be answered.
    pub due: u64,
    /// Written to the connection.
    pub sent: u64,
    /// Acknowledged by the server.
    pub acked: u64,
    /// Sent, and known to have stayed without acknowledgement.
    pub lost: u64,
}

impl DownlinkCounts {
    /// Nothing was pushed, and nothing came.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The count of that name, as reports and thresholds call it.
    pub(super) fn of(&self, name: &str) -> Option<u64> {
        let pushes = |counts: &PushCounts, name: &str| {
            Some(match name {
                "due" => counts.due,
                "skipped" => counts.skipped,
                "refused" => counts.refused,
                "sent" => counts.sent,
                "received" => counts.received,
                "lost" => counts.lost,
                "in_doubt" => counts.in_doubt,
                _ => return None,
            })
        };
        match name.split_once('.') {
            Some(("attributes", name)) => pushes(&self.attributes, name),
            Some(("rpc", name)) => pushes(&self.rpc, name),
            Some(("replies", "due")) => Some(self.replies.due),
            Some(("replies", "sent")) => Some(self.replies.sent),
            Some(("replies", "acked")) => Some(self.replies.acked),
            Some(("replies", "lost")) => Some(self.replies.lost),
            Some(_) => None,
            None => Some(match name {
                "unasked" => self.unasked,
                "duplicates" => self.duplicates,
                "overtaken" => self.overtaken,
                "missed" => self.missed,
                "garbled" => self.garbled,
                _ => return None,
            }),
        }
    }

    /// The sum that does not agree, if one does not.
    pub(super) fn disagreement(&self) -> Option<String> {
        [("attributes", &self.attributes), ("rpc", &self.rpc)]
            .into_iter()
            .find(|(_, counts)| !counts.agree())
            .map(|(kind, counts)| format!("{kind}: {counts:?}"))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.attributes.add(&other.attributes);
        self.rpc.add(&other.rpc);
        self.replies.due = self.replies.due.saturating_add(other.replies.due);
        self.replies.sent = self.replies.sent.saturating_add(other.replies.sent);
        self.replies.acked = self.replies.acked.saturating_add(other.replies.acked);
        self.replies.lost = self.replies.lost.saturating_add(other.replies.lost);
        self.unasked = self.unasked.saturating_add(other.unasked);
        self.duplicates = self.duplicates.saturating_add(other.duplicates);
        self.overtaken = self.overtaken.saturating_add(other.overtaken);
        self.missed = self.missed.saturating_add(other.missed);
        self.garbled = self.garbled.saturating_add(other.garbled);
    }
}

impl PushCounts {
    fn agree(&self) -> bool {
        let sum = |parts: [u64; 3]| parts.into_iter().fold(0, u64::saturating_add);
        self.due == sum([self.skipped, self.refused, self.sent])
            && self.sent == sum([self.received, self.lost, self.in_doubt])
    }

    fn add(&mut self, other: &Self) {
        self.due = self.due.saturating_add(other.due);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.refused = self.refused.saturating_add(other.refused);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.lost = self.lost.saturating_add(other.lost);
        self.in_doubt = self.in_doubt.saturating_add(other.in_doubt);
    }
}

/// The names of all counts.
pub(super) const DOWNLINK_COUNTS: [&str; 23] = [
    "attributes.due",
    "attributes.skipped",
    "attributes.refused",
    "attributes.sent",
    "attributes.received",
    "attributes.lost",
    "attributes.in_doubt",
    "rpc.due",
    "rpc.skipped",
    "rpc.refused",
    "rpc.sent",
    "rpc.received",
    "rpc.lost",
    "rpc.in_doubt",
    "replies.due",
    "replies.sent",
    "replies.acked",
    "replies.lost",
    "unasked",
    "duplicates",
    "overtaken",
    "missed",
    "garbled",
];

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../docs/metrics.md");

    #[test]
    fn every_count_has_its_name_and_is_documented() {
        let json = serde_json::to_value(DownlinkCounts::default()).unwrap();
        let mut keys = 0;
        for (key, value) in json.as_object().unwrap() {
            keys += value.as_object().map_or(1, serde_json::Map::len);
            assert!(DOC.contains(&format!("`{key}")), "{key}");
        }
        assert_eq!(keys, DOWNLINK_COUNTS.len());
        for name in DOWNLINK_COUNTS {
            assert_eq!(DownlinkCounts::default().of(name), Some(0), "{name}");
            let path = name.replace('.', "/");
            assert!(json.pointer(&format!("/{path}")).is_some(), "{name}");
        }
    }

    #[test]
    fn sums_that_do_not_agree_are_told() {
        let rpc = PushCounts {
            due: 5,
            skipped: 1,
            refused: 1,
            sent: 3,
            received: 1,
            lost: 1,
            in_doubt: 1,
        };
        let mut counts = DownlinkCounts {
            rpc,
            ..DownlinkCounts::default()
        };
        assert_eq!(counts.disagreement(), None);
        counts.rpc.received = 2;
        assert!(counts.disagreement().unwrap().starts_with("rpc"));
        counts.rpc.received = 1;
        counts.attributes.due = 1;
        assert!(counts.disagreement().unwrap().starts_with("attributes"));
    }
}
