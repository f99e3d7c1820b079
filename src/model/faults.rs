//! How an embedded target misbehaves. Plain words: scenarios and target files state them, the
//! target carries them out. Shares are from 0 to 1, offsets count from the start of the run (or of a
//! target on its own: from its ready line).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::delay::Delay;

/// Misbehaviour of the embedded target, drawn by seed. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    /// Added before each provision answer.
    pub delay: Duration,
    /// Share (0..=1) of provision requests answered FAILURE without a look at them.
    pub refuse: f64,
    /// Share (0..=1) of provision requests that are carried out and never answered.
    pub lose_answer: f64,
    /// Share (0..=1) of provision requests on which the connection is closed, not carried out.
    pub disconnect: f64,
    /// From a TCP connection's accept to its first service.
    pub connect: PhaseFaults,
    /// TLS handshakes.
    pub tls: PhaseFaults,
    /// MQTT's CONNECT and its CONNACK.
    pub mqtt_connect: PhaseFaults,
    /// Provision requests; `refuse`, `lose_answer` and `disconnect` of above come on top.
    pub provision: PhaseFaults,
    /// Telemetry and attribute messages and their PUBACK, HTTP or CoAP answer.
    pub telemetry: PhaseFaults,
    /// What the server says to devices beside answers of other phases: updates of shared
    /// attributes, calls, and answers to devices' calls. Only `delay` and `lose_answer` count.
    pub downlink: PhaseFaults,
    /// TCP connections that are read slowly.
    pub slow_reader: Option<Slow>,
    /// TCP connections that are written slowly.
    pub slow_writer: Option<Slow>,
    /// When nothing is read or answered.
    pub stall: Vec<Stall>,
    /// When it is down: listeners and connections are closed, and devices survive.
    pub restart: Vec<Outage>,
    /// Token buckets, as ThingsBoard's tenant profiles have them.
    pub rate_limits: RateLimits,
    /// Provision requests that a single server with a queue can carry out per second, above 0.
    pub capacity: Option<f64>,
}

/// A part of a device's way at which a target can misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPhase {
    /// From a TCP connection's accept to its first service.
    Connect,
    /// The TLS handshake.
    Tls,
    /// MQTT's CONNECT and its CONNACK.
    MqttConnect,
    /// A provision request.
    Provision,
    /// A telemetry or attribute message.
    Telemetry,
    /// An update, a call, or the answer to a device's call.
    Downlink,
}

/// What goes wrong in one phase. Shares are of what enters the phase and exclude one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseFaults {
    /// How long answers are held back.
    pub delay: Option<Delay>,
    /// Share turned down without a look.
    pub refuse: f64,
    /// Share carried out and never answered.
    pub lose_answer: f64,
    /// Share on which the connection is closed, not carried out.
    pub disconnect: f64,
    /// Share on which the connection is reset, not carried out.
    pub reset: f64,
    /// Share on which the connection falls silent for ever, not carried out.
    pub half_open: f64,
    /// Share carried out and answered with noise.
    pub garbage: f64,
}

/// A share of TCP connections, and the bytes per second that each gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// Share (0..=1) of connections.
    pub share: f64,
    /// Bytes per second, at least 1.
    pub rate: u32,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Its offset.
    pub at: Duration,
    /// Its length.
    pub length: Duration,
}

/// A stretch of time in which nothing is read or answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// When.
    pub when: Outage,
    /// Whose answers are held; empty: nothing at all is read or written.
    pub phases: Vec<FaultPhase>,
}

/// Rate limits by the names of ThingsBoard's tenant profiles (section 7 of the wire specification).
/// Empty: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    /// `transportTenantMsgRateLimit`: everything but telemetry and attributes, of all devices.
    pub tenant_msg: RateLimit,
    /// `transportTenantTelemetryMsgRateLimit`: telemetry and attribute messages of all devices.
    pub tenant_telemetry_msg: RateLimit,
    /// `transportTenantTelemetryDataPointsRateLimit`: the values in them.
    pub tenant_telemetry_data_points: RateLimit,
    /// `transportDeviceMsgRateLimit`: as of the tenant, of each device.
    pub device_msg: RateLimit,
    /// `transportDeviceTelemetryMsgRateLimit`: as of the tenant, of each device.
    pub device_telemetry_msg: RateLimit,
    /// `transportDeviceTelemetryDataPointsRateLimit`: as of the tenant, of each device.
    pub device_telemetry_data_points: RateLimit,
    /// `tenantServerRestLimitsConfiguration`: requests to the REST API.
    pub tenant_rest: RateLimit,
}

/// `capacity:seconds[,capacity:seconds…]`: buckets, each of which must have enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit(pub Vec<(u32, u32)>);

impl Faults {
    /// What goes wrong in a phase, `[provision]` with what stands above the phases.
    pub fn of(&self, phase: FaultPhase) -> PhaseFaults {
        match phase {
            FaultPhase::Connect => self.connect,
            FaultPhase::Tls => self.tls,
            FaultPhase::MqttConnect => self.mqtt_connect,
            FaultPhase::Telemetry => self.telemetry,
            FaultPhase::Downlink => self.downlink,
            FaultPhase::Provision => PhaseFaults {
                refuse: self.refuse + self.provision.refuse,
                lose_answer: self.lose_answer + self.provision.lose_answer,
                disconnect: self.disconnect + self.provision.disconnect,
                ..self.provision
            },
        }
    }

    /// Whether shares are shares and exclude one another, and rates are rates.
    pub fn are_sound(&self) -> bool {
        let above = [self.refuse, self.lose_answer, self.disconnect];
        let slow = [self.slow_reader, self.slow_writer];
        above.into_iter().all(is_share)
            && FaultPhase::ALL.into_iter().all(|p| self.of(p).are_sound())
            && slow
                .iter()
                .flatten()
                .all(|slow| is_share(slow.share) && slow.rate > 0)
            && self
                .capacity
                .is_none_or(|rate| rate > 0.0 && rate.is_finite())
    }
}

impl FaultPhase {
    /// All phases, in the order of a device's way.
    pub const ALL: [Self; 6] = [
        Self::Connect,
        Self::Tls,
        Self::MqttConnect,
        Self::Provision,
        Self::Telemetry,
        Self::Downlink,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::MqttConnect => "mqtt_connect",
            Self::Provision => "provision",
            Self::Telemetry => "telemetry",
            Self::Downlink => "downlink",
        }
    }
}

impl PhaseFaults {
    /// The shares, in the order in which they are drawn.
    pub fn shares(&self) -> [f64; 6] {
        [
            self.disconnect,
            self.refuse,
            self.lose_answer,
            self.reset,
            self.half_open,
            self.garbage,
        ]
    }

    fn are_sound(&self) -> bool {
        let shares = self.shares();
        shares.into_iter().all(is_share) && shares.iter().sum::<f64>() <= 1.0 + ROUNDING
    }
}

impl Outage {
    /// Its end, if it is under way at an offset.
    pub fn end(&self, offset: Duration) -> Option<Duration> {
        let end = self.at.saturating_add(self.length);
        (self.at <= offset && offset < end).then_some(end)
    }
}

impl RateLimits {
    /// Whether there is no limit at all.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for RateLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| match text.trim().parse::<u32>() {
            Ok(0) | Err(_) => Err("a limit is capacity:seconds, two whole numbers above 0"),
            Ok(number) => Ok(number),
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let buckets: Result<Vec<_>, _> = text
            .split(',')
            .map(|bucket| {
                let (capacity, seconds) = bucket.split_once(':').unwrap_or((bucket, ""));
                Ok::<_, Self::Err>((number(capacity)?, number(seconds)?))
            })
            .collect();
        let buckets = buckets?;
        if buckets.len() > BUCKETS {
            return Err("a limit has 8 buckets at most");
        }
        Ok(Self(buckets))
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (capacity, seconds)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{capacity}:{seconds}")?;
        }
        Ok(())
    }
}

fn is_share(share: f64) -> bool {
    (0.0..=1.0).contains(&share)
}

/// What sums of shares as 0.1 may exceed 1 by.
const ROUNDING: f64 = 1e-9;

const BUCKETS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read_as_the_platform_writes_it() {
        let limit: RateLimit = "10:1, 300:60".parse().unwrap();
        assert_eq!(limit, RateLimit(vec![(10, 1), (300, 60)]));
        assert_eq!(limit.to_string(), "10:1,300:60");
        assert_eq!("".parse(), Ok(RateLimit::default()));
        for bad in ["10", "10:", ":1", "0:1", "10:0", "a:1", "1:1,", "1:1:1"] {
            assert!(bad.parse::<RateLimit>().is_err(), "{bad}");
        }
        assert!(["1:1"; 9].join(",").parse::<RateLimit>().is_err());
    }

    #[test]
    fn unfair_shares_are_seen() {
        let with = |refuse, disconnect| Faults {
            refuse,
            disconnect,
            ..Faults::default()
        };
        assert!(with(0.5, 0.5).are_sound());
        for unfair in [with(0.6, 0.6), with(-0.1, 0.0), with(f64::NAN, 0.0)] {
            assert!(!unfair.are_sound());
        }
        let mut faults = with(0.5, 0.0);
        faults.provision.reset = 0.5;
        assert!(faults.are_sound());
        faults.provision.garbage = 0.1;
        assert!(!faults.are_sound(), "a request has one fate");
        let capacity = |capacity| Faults {
            capacity: Some(capacity),
            ..Faults::default()
        };
        assert!(capacity(0.5).are_sound());
        assert!(!capacity(0.0).are_sound() && !capacity(f64::INFINITY).are_sound());
    }

    #[test]
    fn an_outage_has_its_start_and_not_its_end() {
        let second = Duration::from_secs;
        let outage = Outage {
            at: second(2),
            length: second(3),
        };
        let ends = [1, 2, 4, 5].map(|offset| outage.end(second(offset)));
        assert_eq!(ends, [None, Some(second(5)), Some(second(5)), None]);
    }
}
