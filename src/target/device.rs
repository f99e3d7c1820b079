//! One device as the server keeps it. The record stays small, since a million must fit: whatever
//! few devices have is behind a pointer that is empty until they have it.

use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use super::administered::{Administered, now};
use super::attributes::Attributes;
use super::credentials::Stored;
use super::downlink::{Downlink, Presence};

/// A device. What never changes is plain, the rest is atomic or behind `live`.
pub(super) struct Device {
    pub(super) name: Box<str>,
    gateway: bool,
    /// When it was created, milliseconds since 1970.
    pub(super) created: i64,
    /// Its position among all that were ever created.
    pub(super) serial: u32,
    profile: AtomicU16,
    /// When the server attribute `provisionState` became `provisioned`; 0 if it is not.
    provisioned: AtomicI64,
    pub(super) telemetry_messages: AtomicU64,
    live: Mutex<Live>,
}

/// What changes.
pub(super) struct Live {
    /// Only the registry changes them.
    pub(super) credentials: Stored,
    /// Where it can be reached now.
    pub(super) presence: Option<Presence>,
    /// Client attributes, once it sent some.
    pub(super) attributes: Option<Box<Attributes>>,
    /// What was set over REST, once something was.
    pub(super) administered: Option<Box<Administered>>,
    /// The last telemetry message and when it came, milliseconds since 1970; what is too long to
    /// keep is empty.
    pub(super) latest: Option<(i64, Box<[u8]>)>,
    /// Who waits for it or for its word, once somebody did.
    pub(super) downlink: Option<Box<Downlink>>,
}

impl Device {
    pub(super) fn new(
        name: &str,
        credentials: Stored,
        gateway: bool,
        profile: u16,
        provisioned: bool,
    ) -> Self {
        Self {
            name: name.into(),
            gateway,
            created: now(),
            serial: 0,
            profile: AtomicU16::new(profile),
            provisioned: AtomicI64::new(if provisioned { now() } else { 0 }),
            telemetry_messages: AtomicU64::new(0),
            live: Mutex::new(Live {
                credentials,
                presence: None,
                attributes: None,
                administered: None,
                latest: None,
                downlink: None,
            }),
        }
    }

    /// Its changing part; never held across an await, nor while the registry is asked.
    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("nothing panics while it is held")
    }

    /// Whether it may speak for others (`additionalInfo.gateway`).
    pub(super) fn is_gateway(&self) -> bool {
        let live = self.live();
        self.gateway || live.administered.as_deref().is_some_and(|set| set.gateway)
    }

    /// The position of its profile.
    pub(super) fn profile(&self) -> u16 {
        self.profile.load(Relaxed)
    }

    /// Gives it another profile.
    pub(super) fn set_profile(&self, profile: u16) {
        self.profile.store(profile, Relaxed);
    }

    /// When it was provisioned, milliseconds since 1970; `None` if it is not.
    pub(super) fn provisioned(&self) -> Option<i64> {
        Some(self.provisioned.load(Relaxed)).filter(|at| *at != 0)
    }

    /// Marks it provisioned; true if it was not before. Exactly one of many callers sees true.
    pub(super) fn mark_provisioned(&self) -> bool {
        let marked = self
            .provisioned
            .compare_exchange(0, now(), Relaxed, Relaxed);
        marked.is_ok()
    }

    /// Takes the mark back: it can be provisioned once more.
    pub(super) fn rearm(&self) {
        self.provisioned.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a million devices each word is eight megabytes.
    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Device>() <= 152, "{}", size_of::<Device>());
    }
}
