//! Gateways and what is behind them: who was connected, and how servers acknowledged messages that
//! many devices share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that is counted of gateways besides what counts for any device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayCounts {
    /// Gateways that had a session to speak in.
    pub gateways: u64,
    /// Devices behind these.
    pub sub_devices: u64,
    /// Of these, the ones whose connection a server acknowledged at least once.
    pub connected: u64,
    /// Words that a device is there.
    pub connects: ConnectCounts,
    /// Messages of telemetry, whatever the number of devices in them.
    pub messages: MessageCounts,
    /// Devices that a server let go (`v1/gateway/disconnect`).
    pub closed: u64,
    /// PUBACKs that answered nothing: more than a message has devices, or too late.
    pub stray_pubacks: u64,
    /// Messages of servers for devices that are not behind the gateway.
    pub strangers: u64,
}

/// What became of the words that a device is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectCounts {
    /// Written to the connection: `acked + lost`.
    pub sent: u64,
    /// Acknowledged by the server.
    pub acked: u64,
    /// The others.
    pub lost: u64,
}

/// What became of messages that several devices share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageCounts {
    /// Written to the connection; with QoS 1 `acked + partial + lost`.
    pub sent: u64,
    /// Acknowledged for each device in them.
    pub acked: u64,
    /// Acknowledged for some.
    pub partial: u64,
    /// Sent, and known to have stayed without any acknowledgement.
    pub lost: u64,
}

impl GatewayCounts {
    /// There are no gateways.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The count of that name, as reports and thresholds call it.
    pub(super) fn of(&self, name: &str) -> Option<u64> {
        Some(match name {
            "gateways" => self.gateways,
            "sub_devices" => self.sub_devices,
            "connected" => self.connected,
            "connects.sent" => self.connects.sent,
            "connects.acked" => self.connects.acked,
            "connects.lost" => self.connects.lost,
            "messages.sent" => self.messages.sent,
            "messages.acked" => self.messages.acked,
            "messages.partial" => self.messages.partial,
            "messages.lost" => self.messages.lost,
            "closed" => self.closed,
            "stray_pubacks" => self.stray_pubacks,
            "strangers" => self.strangers,
            _ => return None,
        })
    }

    /// The sum that does not agree, if one does not.
    pub(super) fn disagreement(&self) -> Option<String> {
        let (connects, messages) = (&self.connects, &self.messages);
        let told = [messages.acked, messages.partial, messages.lost];
        let told = told.into_iter().fold(0, u64::saturating_add);
        if connects.sent != connects.acked.saturating_add(connects.lost) {
            Some(format!("connects: {connects:?}"))
        } else if told > messages.sent {
            Some(format!("messages: {messages:?}"))
        } else if self.connected > self.sub_devices {
            Some(format!("{} of {}", self.connected, self.sub_devices))
        } else {
            None
        }
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

    fn all(&mut self) -> [&mut u64; GATEWAY_COUNTS.len()] {
        [
            &mut self.gateways,
            &mut self.sub_devices,
            &mut self.connected,
            &mut self.connects.sent,
            &mut self.connects.acked,
            &mut self.connects.lost,
            &mut self.messages.sent,
            &mut self.messages.acked,
            &mut self.messages.partial,
            &mut self.messages.lost,
            &mut self.closed,
            &mut self.stray_pubacks,
            &mut self.strangers,
        ]
    }
}

/// The names of all counts.
pub(super) const GATEWAY_COUNTS: [&str; 13] = [
    "gateways",
    "sub_devices",
    "connected",
    "connects.sent",
    "connects.acked",
    "connects.lost",
    "messages.sent",
    "messages.acked",
    "messages.partial",
    "messages.lost",
    "closed",
    "stray_pubacks",
    "strangers",
];

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../docs/metrics.md");

    #[test]
    fn every_count_has_its_name_is_added_and_documented() {
        let json = serde_json::to_value(GatewayCounts::default()).unwrap();
        let mut keys = 0;
        for (key, value) in json.as_object().unwrap() {
            keys += value.as_object().map_or(1, serde_json::Map::len);
            assert!(DOC.contains(&format!("`{key}`")), "{key}");
        }
        assert_eq!(keys, GATEWAY_COUNTS.len());
        for name in GATEWAY_COUNTS {
            let path = format!("/{}", name.replace('.', "/"));
            let mut one = json.clone();
            *one.pointer_mut(&path).unwrap() = 1.into();
            let one: GatewayCounts = serde_json::from_value(one).unwrap();
            let mut sum = one;
            sum.add(&one);
            assert_eq!((one.of(name), sum.of(name)), (Some(1), Some(2)), "{name}");
            assert_eq!(sum.since(&one), one, "{name}");
        }
    }

    #[test]
    fn sums_that_do_not_agree_are_told() {
        let sound = GatewayCounts {
            gateways: 1,
            sub_devices: 5,
            connected: 4,
            connects: ConnectCounts {
                sent: 6,
                acked: 4,
                lost: 2,
            },
            messages: MessageCounts {
                sent: 9,
                acked: 5,
                partial: 1,
                lost: 3,
            },
            ..GatewayCounts::default()
        };
        assert_eq!(sound.disagreement(), None);
        let (mut connects, mut messages, mut connected) = (sound, sound, sound);
        connects.connects.lost = 1;
        messages.messages.acked = 6;
        connected.connected = 6;
        for counts in [connects, messages, connected] {
            assert!(counts.disagreement().is_some(), "{counts:?}");
        }
    }
}
