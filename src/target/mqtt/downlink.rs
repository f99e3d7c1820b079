//! What a session says unasked: updates of shared attributes and calls, in the form that it
//! subscribed to last.

use std::sync::Arc;

use tokio::time::Instant;

use super::session::Session;
use super::topic::is_for_calls;
use crate::target::device::Device;
use crate::target::downlink::{Addressee, Letter, Push, Route, What};

impl Session {
    /// Says what has come for the device meanwhile.
    pub(super) fn read_mail(&mut self, now: Instant) {
        for Letter { to, what } in self.mailbox.take() {
            match (to, what) {
                (Addressee::Own, What::Push(push)) => self.push(&push, now),
                (Addressee::Sub(device), What::Push(push)) => self.push_behind(&device, &push, now),
                (Addressee::Sub(device), What::Ended) => self.lose(&device),
                // Its own end is the mailbox's, and it observes nothing.
                (Addressee::Own | Addressee::Observer(_), _) => {}
            }
        }
    }

    /// Listens for what the session is subscribed to by now; a new subscription to calls brings
    /// those that still wait.
    pub(super) fn listen<'f>(
        &self,
        device: &Arc<Device>,
        mut filters: impl Iterator<Item = &'f str>,
    ) {
        let wants = self.subscriptions.wants();
        let calls = filters.any(is_for_calls) && wants.calls;
        let here = (&self.mailbox, Route::Own);
        self.backend.listen(device, here, wants, calls);
    }

    fn push(&mut self, push: &Push, now: Instant) {
        let Some(device) = self.device() else {
            return;
        };
        let (topic, filter) = match push {
            Push::Update(_) => {
                let topic = self.subscriptions.updates();
                (topic.to_owned(), topic)
            }
            Push::Call(id, _) => {
                let filter = self.subscriptions.calls();
                (format!("{}{id}", filter.trim_end_matches('+')), filter)
            }
        };
        self.tell(&device, topic, filter, push.body(), now);
    }
}
