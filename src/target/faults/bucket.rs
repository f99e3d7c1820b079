//! ThingsBoard's rate limits (section 7): token buckets that start full and refill evenly. The
//! tenant's are asked before the device's, and what the first took stays taken if a later has none.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::time::Instant;

use crate::model::{RateLimit, RateLimits};

/// What a message is to the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) enum Load {
    /// Anything but telemetry and attributes.
    Message,
    /// Telemetry or attributes with so many values; without any it is a message.
    Telemetry(u64),
}

/// All buckets of one tenant.
pub(super) struct Buckets(Mutex<Filled>);

struct Filled {
    limits: RateLimits,
    tenant: Kinds,
    rest: Limit,
    /// By the device's serial number; no more than there are devices.
    devices: HashMap<u32, Kinds>,
}

/// The buckets for messages, telemetry messages and data points.
struct Kinds([Limit; 3]);

/// Buckets that must all have enough.
struct Limit(Vec<Bucket>);

struct Bucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    refilled: Instant,
}

impl Buckets {
    pub(super) fn new(limits: &RateLimits, now: Instant) -> Self {
        let of_tenant = [
            &limits.tenant_msg,
            &limits.tenant_telemetry_msg,
            &limits.tenant_telemetry_data_points,
        ];
        Self(Mutex::new(Filled {
            tenant: Kinds::new(of_tenant, now),
            rest: Limit::new(&limits.tenant_rest, now),
            devices: HashMap::new(),
            limits: limits.clone(),
        }))
    }

    /// Whether a device's message passes; takes from the buckets.
    pub(super) fn pass(&self, device: u32, load: Load, now: Instant) -> bool {
        let mut filled = self.0.lock().expect("nothing panics while it is held");
        let Filled {
            limits,
            tenant,
            devices,
            ..
        } = &mut *filled;
        if !tenant.take(load, now) {
            return false;
        }
        let of_device = [
            &limits.device_msg,
            &limits.device_telemetry_msg,
            &limits.device_telemetry_data_points,
        ];
        if of_device.iter().all(|limit| limit.0.is_empty()) {
            return true;
        }
        devices
            .entry(device)
            .or_insert_with(|| Kinds::new(of_device, now))
            .take(load, now)
    }
}

impl Buckets {
    /// Whether a request to the REST API passes; takes from its bucket.
    pub(super) fn pass_rest(&self, now: Instant) -> bool {
        let mut filled = self.0.lock().expect("nothing panics while it is held");
        filled.rest.take(1.0, now)
    }
}

impl Kinds {
    fn new(limits: [&RateLimit; 3], now: Instant) -> Self {
        Self(limits.map(|limit| Limit::new(limit, now)))
    }

    fn take(&mut self, load: Load, now: Instant) -> bool {
        let [messages, telemetry, points] = &mut self.0;
        match load {
            Load::Message | Load::Telemetry(0) => messages.take(1.0, now),
            Load::Telemetry(n) => telemetry.take(1.0, now) && points.take(n as f64, now),
        }
    }
}

impl Limit {
    fn new(limit: &RateLimit, now: Instant) -> Self {
        let bucket = |&(capacity, seconds): &(u32, u32)| Bucket {
            capacity: f64::from(capacity),
            per_second: f64::from(capacity) / f64::from(seconds),
            tokens: f64::from(capacity),
            refilled: now,
        };
        Self(limit.0.iter().map(bucket).collect())
    }

    fn take(&mut self, tokens: f64, now: Instant) -> bool {
        for bucket in &mut self.0 {
            let since = now.saturating_duration_since(bucket.refilled).as_secs_f64();
            bucket.tokens = (bucket.tokens + since * bucket.per_second).min(bucket.capacity);
            bucket.refilled = now;
        }
        // What rounding took from a whole token is given back.
        let enough = self.0.iter().all(|b| b.tokens + ROUNDING >= tokens);
        if enough {
            for bucket in &mut self.0 {
                bucket.tokens -= tokens;
            }
        }
        enough
    }
}

const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn buckets(change: impl FnOnce(&mut RateLimits)) -> (Buckets, Instant) {
        let mut limits = RateLimits::default();
        change(&mut limits);
        let now = Instant::now();
        (Buckets::new(&limits, now), now)
    }

    #[tokio::test]
    async fn a_bucket_starts_full_and_refills_evenly() {
        let (buckets, start) = buckets(|l| l.device_msg = "4:2".parse().unwrap());
        let mut pass = |ms: u64| buckets.pass(1, Load::Message, start + Duration::from_millis(ms));
        assert_eq!([0; 5].map(&mut pass), [true, true, true, true, false]);
        assert_eq!([499, 500, 501].map(&mut pass), [false, true, false]);
        // However long it waits, it holds no more than its capacity.
        assert_eq!([60_000; 5].map(pass), [true, true, true, true, false]);
    }

    #[tokio::test]
    async fn of_several_buckets_each_must_have_enough() {
        let (buckets, start) = buckets(|l| l.tenant_msg = "3:1,5:3600".parse().unwrap());
        let mut pass = |ms: u64| buckets.pass(1, Load::Message, start + Duration::from_millis(ms));
        assert_eq!([0; 4].map(&mut pass), [true, true, true, false]);
        assert_eq!([2_000; 3].map(pass), [true, true, false]);
    }

    #[tokio::test]
    async fn devices_have_buckets_of_their_own_and_share_the_tenants() {
        let (buckets, now) = buckets(|l| {
            l.device_msg = "1:3600".parse().unwrap();
            l.tenant_msg = "3:3600".parse().unwrap();
        });
        let passed = [1, 1, 2, 3, 4].map(|device| buckets.pass(device, Load::Message, now));
        // The second took from the tenant, though its device had none left.
        assert_eq!(passed, [true, false, true, false, false]);
    }

    #[tokio::test]
    async fn telemetry_counts_as_one_and_by_its_values_and_not_as_a_message() {
        let (buckets, now) = buckets(|l| {
            l.tenant_msg = "1:3600".parse().unwrap();
            l.tenant_telemetry_msg = "3:3600".parse().unwrap();
            l.device_telemetry_data_points = "10:3600".parse().unwrap();
        });
        let pass = |load| buckets.pass(1, load, now);
        assert!(pass(Load::Telemetry(6)) && pass(Load::Telemetry(4)));
        assert!(!pass(Load::Telemetry(1)), "no data points are left");
        assert!(pass(Load::Telemetry(0)), "without values it is a message");
        assert!(!pass(Load::Message));
        assert!(
            !buckets.pass(2, Load::Telemetry(1), now),
            "no messages are left"
        );
    }
}
