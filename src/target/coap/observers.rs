//! Who observes what (RFC 7641): a device that observes has a session, as with MQTT, and its client
//! hears of updates and calls by notifications.
//!
//! An observation ends by Observe 1, by a reset or a silent client, and when the device is reached
//! elsewhere. There are no more than devices: each is present in one place.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::message::{Answer, CONTENT, DELETED, JSON, Request};
use crate::target::backend::Backend;
use crate::target::device::Device;
use crate::target::downlink::{Interest, Mailbox, Presence, Push, Route, Wants};

/// All observers of one socket. A device observes each resource once, from wherever it asked last.
pub(super) struct Observers {
    mailbox: Arc<Mailbox>,
    /// By the serial of the device.
    clients: HashMap<u32, Client>,
    /// The devices that observe from a peer; twice, if both resources.
    peers: HashMap<SocketAddr, Vec<u32>>,
}

/// A device that observes.
struct Client {
    device: Arc<Device>,
    updates: Option<Observation>,
    calls: Option<Observation>,
}

/// One observed resource.
struct Observation {
    peer: SocketAddr,
    /// The request that began it, without payload: notifications answer it.
    request: Box<Request>,
    /// Of the last notification.
    count: u32,
}

/// Which observation something belongs to.
pub(super) type Observed = (u32, Interest);

/// A message for an observer, before it is known how it travels.
pub(super) struct Notification {
    pub(super) peer: SocketAddr,
    pub(super) request: Request,
    pub(super) answer: Answer,
    /// The observation goes on, and ends if this is not taken.
    pub(super) observed: Option<Observed>,
}

impl Observers {
    pub(super) fn new(room: usize) -> Self {
        Self {
            mailbox: Mailbox::new(room),
            clients: HashMap::new(),
            peers: HashMap::new(),
        }
    }

    /// What others have for the devices that observe.
    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Begins an observation, or begins it anew; what is to be said to the one that it replaces.
    /// Where the device was before is told that it is here now.
    pub(super) fn begin(
        &mut self,
        backend: &Backend,
        device: &Arc<Device>,
        peer: SocketAddr,
        request: &Request,
        interest: Interest,
    ) -> Option<Notification> {
        let number = device.serial;
        let replaced = self.take((number, interest));
        let client = self.clients.entry(number).or_insert_with(|| Client {
            device: Arc::clone(device),
            updates: None,
            calls: None,
        });
        let request = Box::new(Request {
            payload: Vec::new(),
            ..request.clone()
        });
        let again = |old: &Observation| old.peer == peer && old.request.token == request.token;
        let replaced = replaced.filter(|old| !again(old));
        *client.observation(interest) = Some(Observation {
            peer,
            request,
            count: 0,
        });
        self.peers.entry(peer).or_default().push(number);
        let wants = client.wants();
        let here = (&self.mailbox, Route::Observer(number));
        let calls = interest == Interest::Calls;
        if !backend.listen(device, here, wants, calls) {
            let before = device.enter(Presence::new(&self.mailbox, here.1));
            backend.listen(device, here, wants, calls);
            if let Some(before) = before {
                backend.taken_over(before, device);
            }
        }
        replaced.map(Observation::last_word)
    }

    /// Ends an observation: its client asked for it, or took no notification.
    pub(super) fn end(&mut self, backend: &Backend, (number, interest): Observed) {
        self.take((number, interest));
        let Some(client) = self.clients.get(&number) else {
            return;
        };
        let here = (&self.mailbox, Route::Observer(number));
        let wants = client.wants();
        if wants == Wants::default() {
            client.device.leave(here.0, here.1);
            self.clients.remove(&number);
        } else {
            backend.listen(&client.device, here, wants, false);
        }
    }

    /// Ends all that a peer observes: it is gone.
    pub(super) fn leave(&mut self, backend: &Backend, peer: SocketAddr) {
        for number in self.peers.get(&peer).cloned().unwrap_or_default() {
            for interest in [Interest::Updates, Interest::Calls] {
                let client = self.clients.get_mut(&number);
                let observation = client.and_then(|client| client.observation(interest).as_ref());
                if observation.is_some_and(|observation| observation.peer == peer) {
                    self.end(backend, (number, interest));
                }
            }
        }
    }

    /// Whether a peer observes anything.
    pub(super) fn has(&self, peer: SocketAddr) -> bool {
        self.peers.contains_key(&peer)
    }

    /// The device that observes under a number, if it does.
    pub(super) fn device(&self, number: u32) -> Option<&Device> {
        self.clients.get(&number).map(|client| &*client.device)
    }

    /// The notification of a message, if it is still observed.
    pub(super) fn notify(&mut self, number: u32, push: &Push) -> Option<Notification> {
        let interest = push.interest();
        let client = self.clients.get_mut(&number)?;
        let observation = client.observation(interest).as_mut()?;
        observation.count = (observation.count + 1) & COUNT;
        let request = (*observation.request).clone();
        let answer = Answer {
            payload: push.body_with_id().into(),
            format: Some(request.format.unwrap_or(JSON)),
            observe: Some(observation.count),
            ..Answer::code(CONTENT)
        };
        Some(Notification {
            peer: observation.peer,
            request,
            answer,
            observed: Some((number, interest)),
        })
    }

    /// What is said to a device's clients when it is reached elsewhere, or is no more: their
    /// observations end. Nothing if it came back meanwhile.
    pub(super) fn ended(&mut self, number: u32) -> Vec<Notification> {
        let route = Route::Observer(number);
        let here = |client: &Client| client.device.is_at(&self.mailbox, route);
        if self.clients.get(&number).is_none_or(here) {
            return Vec::new();
        }
        let both = [Interest::Updates, Interest::Calls];
        let ended = both.map(|interest| self.take((number, interest)));
        self.clients.remove(&number);
        let ended = ended.into_iter().flatten();
        ended.map(Observation::last_word).collect()
    }

    fn take(&mut self, (number, interest): Observed) -> Option<Observation> {
        let client = self.clients.get_mut(&number)?;
        let taken = client.observation(interest).take()?;
        if let Some(numbers) = self.peers.get_mut(&taken.peer) {
            if let Some(at) = numbers.iter().position(|other| *other == number) {
                numbers.swap_remove(at);
            }
            if numbers.is_empty() {
                self.peers.remove(&taken.peer);
            }
        }
        Some(taken)
    }
}

impl Observation {
    /// 2.02 with its token, and without Observe.
    fn last_word(self) -> Notification {
        Notification {
            peer: self.peer,
            request: *self.request,
            answer: Answer::code(DELETED),
            observed: None,
        }
    }
}

impl Drop for Observers {
    /// Nobody is reached through a socket that is gone.
    fn drop(&mut self) {
        for (number, client) in &self.clients {
            let route = Route::Observer(*number);
            client.device.leave(&self.mailbox, route);
        }
    }
}

impl Client {
    fn observation(&mut self, interest: Interest) -> &mut Option<Observation> {
        match interest {
            Interest::Updates => &mut self.updates,
            Interest::Calls => &mut self.calls,
        }
    }

    fn wants(&self) -> Wants {
        Wants {
            updates: self.updates.is_some(),
            calls: self.calls.is_some(),
        }
    }
}

/// Observe's values have 24 bits (RFC 7641, section 2).
const COUNT: u32 = 0x00ff_ffff;
