//! Where a device is reached: at one place at a time, however it came there (section 4.3).

use std::sync::Arc;

use super::{Addressee, Interest, Mailbox, Push};
use crate::target::device::Device;

/// A device's session, as the rest of the target sees it.
pub(in crate::target) struct Presence {
    mailbox: Arc<Mailbox>,
    route: Route,
    /// What it listens for there.
    pub(in crate::target) wants: Wants,
}

/// How a device is reached through a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) enum Route {
    /// By the connection that it opened itself.
    Own,
    /// By its gateway's connection.
    Gateway,
    /// As the CoAP client that observes under this number.
    Observer(u32),
}

/// What a device listens for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::target) struct Wants {
    pub(in crate::target) updates: bool,
    pub(in crate::target) calls: bool,
}

/// Why a device is not reached somewhere any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) enum Ending {
    /// It opened another session.
    TakenOver,
    /// It was deleted, or got other credentials.
    Administered,
}

impl Presence {
    /// A device that is reached there and listens for nothing yet.
    pub(in crate::target) fn new(mailbox: &Arc<Mailbox>, route: Route) -> Self {
        Self {
            mailbox: Arc::clone(mailbox),
            route,
            wants: Wants::default(),
        }
    }

    /// Whether this is it.
    pub(in crate::target) fn is(&self, mailbox: &Arc<Mailbox>, route: Route) -> bool {
        Arc::ptr_eq(&self.mailbox, mailbox) && self.route == route
    }

    /// Says that the device is not reached there any more.
    pub(in crate::target) fn end(self, device: &Arc<Device>, ending: Ending) {
        self.mailbox.end(self.addressee(device), ending);
    }

    /// Hands a message over; false if there is no room for it.
    pub(super) fn push(&self, device: &Arc<Device>, push: Push) -> bool {
        self.mailbox.push(self.addressee(device), push)
    }

    fn addressee(&self, device: &Arc<Device>) -> Addressee {
        match self.route {
            Route::Own => Addressee::Own,
            Route::Gateway => Addressee::Sub(Arc::clone(device)),
            Route::Observer(number) => Addressee::Observer(number),
        }
    }
}

impl Wants {
    /// Everything there is.
    pub(in crate::target) const ALL: Self = Self {
        updates: true,
        calls: true,
    };

    /// Whether it is listened for.
    pub(in crate::target) fn has(self, interest: Interest) -> bool {
        match interest {
            Interest::Updates => self.updates,
            Interest::Calls => self.calls,
        }
    }
}

impl Device {
    /// Is reached there from now on; where it was before has to be told, by the caller, in its own
    /// time.
    pub(in crate::target) fn enter(&self, presence: Presence) -> Option<Presence> {
        self.live().presence.replace(presence)
    }

    /// Whether it is reached there.
    pub(in crate::target) fn is_at(&self, mailbox: &Arc<Mailbox>, route: Route) -> bool {
        let live = self.live();
        live.presence.as_ref().is_some_and(|p| p.is(mailbox, route))
    }

    /// Is not reached there any more, if it still was.
    pub(in crate::target) fn leave(&self, mailbox: &Arc<Mailbox>, route: Route) {
        let mut live = self.live();
        live.presence.take_if(|p| p.is(mailbox, route));
    }

    /// Is reached nowhere any more, and its session is told.
    pub(in crate::target) fn dismiss(self: &Arc<Self>, ending: Ending) {
        let presence = self.live().presence.take();
        if let Some(presence) = presence {
            presence.end(self, ending);
        }
    }
}
