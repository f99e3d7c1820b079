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
    /// Devices' own calls of the server (client-side RPC).
    #[serde(default)]
    pub client_rpc: AskCounts,
    /// Devices' words that they may be claimed.
    #[serde(default)]
    pub claims: AskCounts,
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

/// What devices asked of the server. The same as the steps of that name, put beside the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskCounts {
    /// The server answered as it should.
    pub answered: u64,
    /// Refused, or without a usable answer.
    pub failed: u64,
}

impl DownlinkCounts {
    /// Nothing was pushed, nothing came, and nobody asked.
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
            Some(("client_rpc", "answered")) => Some(self.client_rpc.answered),
            Some(("client_rpc", "failed")) => Some(self.client_rpc.failed),
            Some(("claims", "answered")) => Some(self.claims.answered),
            Some(("claims", "failed")) => Some(self.claims.failed),
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
        let mut other = *other;
        for (sum, more) in self.all().into_iter().zip(other.all()) {
            *sum = sum.saturating_add(*more);
        }
    }

    /// What came since an earlier state of the same counts.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let (mut part, mut earlier) = (*self, *earlier);
        for (now, before) in part.all().into_iter().zip(earlier.all()) {
            *now = now.saturating_sub(*before);
        }
        part
    }

    fn all(&mut self) -> [&mut u64; DOWNLINK_COUNTS.len()] {
        let [attributes, rpc] = [&mut self.attributes, &mut self.rpc];
        [
            &mut attributes.due,
            &mut attributes.skipped,
            &mut attributes.refused,
            &mut attributes.sent,
            &mut attributes.received,
            &mut attributes.lost,
            &mut attributes.in_doubt,
            &mut rpc.due,
            &mut rpc.skipped,
            &mut rpc.refused,
            &mut rpc.sent,
            &mut rpc.received,
            &mut rpc.lost,
            &mut rpc.in_doubt,
            &mut self.replies.due,
            &mut self.replies.sent,
            &mut self.replies.acked,
            &mut self.replies.lost,
            &mut self.client_rpc.answered,
            &mut self.client_rpc.failed,
            &mut self.claims.answered,
            &mut self.claims.failed,
            &mut self.unasked,
            &mut self.duplicates,
            &mut self.overtaken,
            &mut self.missed,
            &mut self.garbled,
        ]
    }
}

impl PushCounts {
    fn agree(&self) -> bool {
        let sum = |parts: [u64; 3]| parts.into_iter().fold(0, u64::saturating_add);
        self.due == sum([self.skipped, self.refused, self.sent])
            && self.sent == sum([self.received, self.lost, self.in_doubt])
    }
}

/// The names of all counts.
pub(super) const DOWNLINK_COUNTS: [&str; 27] = [
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
    "client_rpc.answered",
    "client_rpc.failed",
    "claims.answered",
    "claims.failed",
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
    fn every_count_has_its_name_is_added_and_documented() {
        let json = serde_json::to_value(DownlinkCounts::default()).unwrap();
        let mut keys = 0;
        for (key, value) in json.as_object().unwrap() {
            keys += value.as_object().map_or(1, serde_json::Map::len);
            assert!(DOC.contains(&format!("`{key}")), "{key}");
        }
        assert_eq!(keys, DOWNLINK_COUNTS.len());
        for name in DOWNLINK_COUNTS {
            assert_eq!(DownlinkCounts::default().of(name), Some(0), "{name}");
            let path = format!("/{}", name.replace('.', "/"));
            let mut one = json.clone();
            *one.pointer_mut(&path).expect(name) = 1.into();
            let one: DownlinkCounts = serde_json::from_value(one).unwrap();
            let mut sum = one;
            sum.add(&one);
            assert_eq!((one.of(name), sum.of(name)), (Some(1), Some(2)), "{name}");
            assert_eq!(sum.since(&one), one, "{name}");
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
